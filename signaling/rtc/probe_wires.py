"""One way to the port as a client: a UDP socket, or a TCP connection with RFC 4571 frames."""

import asyncio
import socket
import time
from typing import Protocol

from signaling.rtc.paths import Transport

_LARGEST = 2048


class WireLost(Exception):
    """The way is closed; `fault` says how."""

    def __init__(self, fault: str) -> None:
        super().__init__(fault)
        self.fault = fault


class Wire(Protocol):
    """Datagrams there and back."""

    def send(self, datagram: bytes) -> None: ...

    async def receive(self, until: float) -> bytes | None:
        """The next one; None when steady second `until` has come. Raises WireLost."""
        ...

    def close(self) -> None: ...


async def open_wire(transport: Transport, address: str, port: int, limit: float) -> Wire:
    """Raises WireLost: `refused`, `unreachable`."""
    try:
        if transport == "udp":
            return UdpWire(address, port)
        async with asyncio.timeout(limit):
            reader, writer = await asyncio.open_connection(address, port)
    except ConnectionRefusedError:
        raise WireLost("refused") from None
    except (OSError, TimeoutError):
        raise WireLost("unreachable") from None
    return TcpWire(reader, writer)


class UdpWire:
    """A connected socket, so that the system tells when nobody listens there."""

    def __init__(self, address: str, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        try:
            self._socket.connect((address, port))
        except OSError:
            self._socket.close()
            raise

    def send(self, datagram: bytes) -> None:
        try:
            self._socket.send(datagram)
        except ConnectionRefusedError:
            raise WireLost("refused") from None
        except BlockingIOError:
            return  # lost, as a full line loses it
        except OSError:
            raise WireLost("unreachable") from None

    async def receive(self, until: float) -> bytes | None:
        try:
            async with asyncio.timeout(max(0.0, until - time.monotonic())):
                return await asyncio.get_running_loop().sock_recv(self._socket, _LARGEST)
        except TimeoutError:
            return None
        except ConnectionRefusedError:
            raise WireLost("refused") from None
        except OSError:
            raise WireLost("unreachable") from None

    def close(self) -> None:
        self._socket.close()


class TcpWire:
    """Each datagram behind its length, two octets."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._size: int | None = None  # of a frame whose length has come

    def send(self, datagram: bytes) -> None:
        if self._writer.is_closing():
            raise WireLost("cut")
        self._writer.write(len(datagram).to_bytes(2, "big") + datagram)

    async def receive(self, until: float) -> bytes | None:
        try:
            async with asyncio.timeout(max(0.0, until - time.monotonic())):
                if self._size is None:
                    self._size = int.from_bytes(await self._reader.readexactly(2), "big")
                frame = await self._reader.readexactly(self._size)
        except TimeoutError:
            return None
        except (asyncio.IncompleteReadError, OSError):
            raise WireLost("cut") from None
        self._size = None
        return frame

    def close(self) -> None:
        self._writer.close()
