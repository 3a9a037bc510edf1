"""SoftHSM: a PKCS#11 token in a folder."""

import os
import subprocess
from pathlib import Path

import pkcs11

PIN = "1234"
LABEL = "telehealth"


def module() -> Path:
    """The library, wherever the package put it. Raises FileNotFoundError: tests/install-partners installs it."""
    listed = subprocess.run(["dpkg", "-L", "libsofthsm2"], capture_output=True, text=True, check=False).stdout
    for line in listed.splitlines():
        if line.endswith("/libsofthsm2.so"):
            return Path(line).resolve()
    raise FileNotFoundError("libsofthsm2.so: sh tests/install-partners")


class SoftHsm:
    """One initialised token; `tokens` is its own storage.

    The library reads its environment once in a process, so one process has one folder of tokens.
    """

    def __init__(self, folder: Path) -> None:
        self.module = module()
        self.tokens = folder / "tokens"
        self.tokens.mkdir(parents=True)
        self.pin_file = folder / "pin"
        self.pin_file.write_text(PIN + "\n")
        self.label = LABEL
        config = folder / "softhsm2.conf"
        config.write_text(f"directories.tokendir = {self.tokens}\nobjectstore.backend = file\nlog.level = ERROR\n")
        os.environ["SOFTHSM2_CONF"] = str(config)
        subprocess.run(
            ["softhsm2-util", "--init-token", "--free", "--label", LABEL, "--pin", PIN, "--so-pin", "4321"],
            check=True,
            capture_output=True,
        )

    def reread(self) -> None:
        """Let the library see what became of the folder behind its back; every session in this process ends."""
        pkcs11.lib(str(self.module)).reinitialize()

    def pull(self) -> None:
        """Take the token out."""
        self.tokens.rename(self.tokens.with_name("pulled"))

    def push(self) -> None:
        """Put it back."""
        self.tokens.with_name("pulled").rename(self.tokens)
