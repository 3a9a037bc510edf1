"""Moto's server: AWS by shape. It shows that calls are well formed, never that a key is gone."""

import os
import sys
from pathlib import Path

from tests.partners.process import Partner, answers, free_port


class Moto:
    """One server, and in this process the credentials it takes."""

    region = "us-east-1"

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            os.environ[name] = "testing"
        folder.mkdir(parents=True, exist_ok=True)
        binary = Path(sys.executable).with_name("moto_server")
        small = {"S3_UPLOAD_PART_MIN_SIZE": "1024"}  # parts of an upload may be small, or every test would send 5 MiB
        self._partner = Partner([str(binary), "-H", "127.0.0.1", "-p", str(port)], folder / "log", small)
        self._partner.wait(lambda: answers(self.url))

    def freeze(self) -> None:
        self._partner.freeze()

    def thaw(self) -> None:
        self._partner.thaw()

    def stop(self) -> None:
        self._partner.stop()
