"""A real coturn on loopback: UDP, TCP and TLS on ports of its own, credentials by the shared secret."""

import shutil
import socket
from pathlib import Path

from tests.partners.certificates import Authority
from tests.partners.process import Partner, free_port

SECRET = "what the server and coturn know"
DENIED = (  # as in docs/reachability.md
    "0.0.0.0-0.255.255.255",
    "10.0.0.0-10.255.255.255",
    "100.64.0.0-100.127.255.255",
    "127.0.0.0-127.255.255.255",
    "169.254.0.0-169.254.255.255",
    "172.16.0.0-172.31.255.255",
    "192.0.0.0-192.0.0.255",
    "192.168.0.0-192.168.255.255",
    "198.18.0.0-198.19.255.255",
    "224.0.0.0-255.255.255.255",
)


class Coturn:
    """One server in `folder`; `settings` are what a configuration says of it. `closed`: as docs say."""

    def __init__(self, folder: Path, *, closed: bool = False) -> None:
        self.port, self.tls_port = free_port(), free_port()
        self.log = folder / "coturn.log"
        self.secret_file = folder / "turn.secret"
        self.secret_file.write_text(SECRET)
        certificate, key = Authority(folder, "turn authority").issue("127.0.0.1")
        words = ["--use-auth-secret", f"--static-auth-secret={SECRET}", "--realm=test"]
        words += [f"--denied-peer-ip={one}" for one in DENIED] if closed else ["--allow-loopback-peers"]
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
