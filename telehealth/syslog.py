"""Syslog on the wire: RFC 5424 messages, octet-counted over TCP (RFC 6587 §3.4.1) and TLS (RFC 5425), or as datagrams.

Everything here blocks, each step for a bounded time; it is used from threads that nothing else waits for.
"""

import fcntl
import re
import socket
import ssl
import struct
import termios
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from telehealth.clock import rfc3339

PORTS = {"tls": 6514, "tcp": 601, "udp": 514}
AUTHPRIV = 10  # facility
NOTICE, WARNING = 5, 4  # severities
_UNPRINTABLE = re.compile(r"[^!-~]")
_PARAMETER = re.compile(r'(["\\\]])')


@dataclass(frozen=True, slots=True)
class Address:
    """`tls://host:port`, `tcp://host:port`, `udp://host:port` or `unix:///path`. Files in PEM, for tls alone."""

    url: str
    ca_file: Path | None = None  # None: what the system trusts
    certificate: Path | None = None  # ours, with its chain; None: the collector asks for none
    key: Path | None = None

    @property
    def scheme(self) -> str:
        return urlsplit(self.url).scheme

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or PORTS.get(self.scheme, 0)

    @property
    def path(self) -> str:
        return urlsplit(self.url).path


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def message(
    at: datetime,
    app: str,
    process: str,
    kind: str,
    text: bytes,
    *,
    severity: int = NOTICE,
    host: str = "-",
    structured: Mapping[str, str] | None = None,
    element: str = "",
) -> bytes:
    """One RFC 5424 message. `kind`: MSGID; `structured`: parameters of the one element `element` (name@number)."""
    data = "-"
    if structured:
        given = " ".join(f'{name}="{_escaped(value)}"' for name, value in structured.items())
        data = f"[{element} {given}]"
    head = (
        f"<{AUTHPRIV * 8 + severity}>1 {rfc3339(at)} {_word(host, 255)} {_word(app, 48)} {_word(process, 128)} "
        f"{_word(kind, 32)} {data} "
    )
    return head.encode() + text


def _word(text: str, longest: int) -> str:
    """PRINTUSASCII without spaces (RFC 5424 §6); `-` for nothing."""
    return _UNPRINTABLE.sub("", text)[:longest] or "-"


def _escaped(value: str) -> str:
    """RFC 5424 §6.3.3."""
    return _PARAMETER.sub(r"\\\1", value)


def framed(content: bytes) -> bytes:
    """Octet counting (RFC 5425 §4.3)."""
    return b"%d " % len(content) + content


class Unconfirmed(OSError):
    """The stream ended without the other side having said that it read everything."""


class Stream:
    """One connection to a collector. Raises OSError (also ssl.SSLError, TimeoutError) from every call."""

    def __init__(self, address: Address, patience: float) -> None:
        self._patience = patience
        self._socket = _joined(address, patience)
        self._secured = self._socket if isinstance(self._socket, ssl.SSLSocket) else None

    def send(self, messages: Iterable[bytes]) -> None:
        """Write them all. What was written to a connection that dies later may never have been read."""
        self._socket.sendall(b"".join(framed(content) for content in messages))

    def look(self) -> None:
        """Raises Unconfirmed or another OSError if the collector went away since."""
        self._socket.setblocking(False)
        try:
            if not self._socket.recv(1):
                raise Unconfirmed("the collector closed the connection")
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass  # nothing to read: it is still there
        finally:
            self._socket.settimeout(self._patience)

    def finish(self) -> None:
        """Close, and return only if the collector took everything; else raise an OSError.

        It answers our close_notify with its own, as a receiver MUST (RFC 5425 §4.4), or it only ends its stream. Either
        may have been on its way before our last octets were. So we end our stream too and wait for what it does then:
        a process that closes, or dies, with octets unread or coming resets the connection.
        """
        try:
            if self._secured is not None:
                with suppress(ssl.SSLEOFError):  # Python 3.11.2 raises nothing, 3.11.7 does
                    self._secured.unwrap()
            self._socket.shutdown(socket.SHUT_WR)
            while self._socket.recv(4096):
                pass  # syslog has no answers: whatever comes is not ours to read
            self._taken()
        finally:
            self.close()

    def _taken(self) -> None:
        """After the other stream's end, which may be older than our last octets: raise Unconfirmed unless they came."""
        until = time.monotonic() + self._patience
        while True:
            left = struct.unpack("i", fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))[0]
            if self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or time.monotonic() > until:
                raise Unconfirmed("the collector was gone before the last octets came")
            if not left:
                return
            time.sleep(0.005)

    def close(self) -> None:
        """At once, confirming nothing."""
        self._socket.close()


def _joined(address: Address, patience: float) -> socket.socket:
    """Connected, and the collector's certificate verified; each of its addresses is tried.

    Wrapped before it is connected: `wrap_socket` loses the socket where a connected one is reset under it.
    """
    context = _context(address) if address.scheme == "tls" else None
    fault: OSError = ConnectionError("no address")
    for family, _, _, _, target in socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM):
        plain = socket.socket(family, socket.SOCK_STREAM)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        plain.settimeout(patience)
        joining = (
            context.wrap_socket(plain, server_hostname=address.host, suppress_ragged_eofs=False) if context else plain
        )
        try:
            joining.connect(target)
        except OSError as error:
            joining.close()
            fault = error
        else:
            return joining
    raise fault


def _context(address: Address) -> ssl.SSLContext:
    """Read anew for every connection, so that renewed certificates count. TLS 1.2 and 1.3; the name is verified."""
    context = ssl.create_default_context(cafile=address.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if address.certificate is not None:
        context.load_cert_chain(address.certificate, address.key)
    return context


def send_datagram(address: Address, content: bytes, patience: float) -> None:
    """To a local socket or by UDP; nobody says what became of it."""
    target: Any = address.path
    family = socket.AF_UNIX
    if address.scheme != "unix":
        family, _, _, _, target = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, socket.SOCK_DGRAM) as sending:
        sending.settimeout(patience)
        sending.sendto(content, target)
