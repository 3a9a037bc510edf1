"""A real coturn on loopback: UDP, TCP and TLS on ports of its own, credentials by the shared secret."""

import shutil
import socket
from pathlib import Path

from tests.partners.certificates import Authority
from tests.partners.process import Partner, free_port

SECRET = "what the server and coturn know"


class Coturn:
    """One server in `folder`; `settings` are what a configuration says of it."""

    def __init__(self, folder: Path) -> None:
        self.port, self.tls_port = free_port(), free_port()
        self.log = folder / "coturn.log"
        self.secret_file = folder / "turn.secret"
        self.secret_file.write_text(SECRET)
        certificate, key = Authority(folder, "turn authority").issue("127.0.0.1")
        words = ["--use-auth-secret", f"--static-auth-secret={SECRET}", "--realm=test", "--allow-loopback-peers"]
        words += ["--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", "--no-cli", "--no-dtls", "--log-file=stdout"]
        words += [f"--listening-port={self.port}", f"--tls-listening-port={self.tls_port}", "--simple-log", "--verbose"]
        words += [f"--cert={certificate}", f"--pkey={key}", f"--pidfile={folder / 'coturn.pid'}", "-n"]
        words += [f"--userdb={folder / 'turn.db'}"]
        self._partner = Partner([shutil.which("turnserver") or "turnserver", *words], self.log)
        self._partner.wait(lambda: _open(self.port) and _open(self.tls_port))

    @property
    def settings(self) -> dict[str, str]:
        urls = [f"turn:127.0.0.1:{self.port}?transport=tcp", f"turns:127.0.0.1:{self.tls_port}?transport=tcp"]
        return {"MEDIA__TURN_URLS": ",".join(urls), "MEDIA__TURN_SECRET_FILE": str(self.secret_file)}

    def stop(self) -> None:
        self._partner.stop()


def _open(port: int) -> bool:
    with socket.socket() as trying:
        return trying.connect_ex(("127.0.0.1", port)) == 0
