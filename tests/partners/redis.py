"""A real Redis server that keeps nothing on disk, over TCP or TLS."""

import socket
import ssl
from pathlib import Path
from signal import SIGKILL

from tests.partners.certificates import Authority
from tests.partners.process import Partner, free_port

PASSWORD = "what the server and Redis know"


class Redis:
    """One server in `folder`; `url` and `password_file` are what a configuration says."""

    def __init__(self, folder: Path, *, tls: bool = False) -> None:
        self.folder = folder
        self.port = free_port()
        self.ca_file: Path | None = None
        self.password_file = folder / "redis.password"
        self.password_file.write_text(f"{PASSWORD}\n")
        self._words = ["--save", "", "--appendonly", "no", "--requirepass", PASSWORD, "--bind", "127.0.0.1"]
        self._words += ["--dir", str(folder)]
        if tls:
            authority = Authority(folder)
            certificate, key = authority.issue("127.0.0.1")
            self.ca_file = authority.ca
            self._words += ["--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no"]
            self._words += ["--tls-cert-file", str(certificate), "--tls-key-file", str(key)]
            self._words += ["--tls-ca-cert-file", str(authority.ca)]
        else:
            self._words += ["--port", str(self.port)]
        self.url = f"{'rediss' if tls else 'redis'}://127.0.0.1:{self.port}"
        self._partner = self._run()

    def ask(self, *words: str) -> bytes:
        """One command's raw answer, up to 64 KiB."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as plain:
            if self.ca_file is not None:
                context = ssl.create_default_context(cafile=str(self.ca_file))
                with context.wrap_socket(plain, server_hostname="127.0.0.1") as wire:
                    return self._said(wire, words)
            return self._said(plain, words)

    def _said(self, wire: socket.socket, words: tuple[str, ...]) -> bytes:
        wire.sendall(_command("AUTH", PASSWORD))
        assert wire.recv(100) == b"+OK\r\n"
        wire.sendall(_command(*words))
        return wire.recv(65_536)

    def freeze(self) -> None:
        self._partner.freeze()

    def thaw(self) -> None:
        self._partner.thaw()

    def kill(self) -> None:
        """SIGKILL: gone without a word, and with all it held."""
        self._partner.stop(SIGKILL)

    def restart(self) -> None:
        """On the same port, empty."""
        self.kill()
        self._partner = self._run()

    def stop(self) -> None:
        self._partner.stop()

    def _run(self) -> Partner:
        partner = Partner(["redis-server", *self._words], self.folder / "redis.log")
        partner.wait(self._answers)
        return partner

    def _answers(self) -> bool:
        try:
            return self.ask("PING") == b"+PONG\r\n"
        except OSError:
            return False


def _command(*words: str) -> bytes:
    parts = [f"${len(word.encode())}\r\n{word}\r\n" for word in words]
    return f"*{len(words)}\r\n{''.join(parts)}".encode()
