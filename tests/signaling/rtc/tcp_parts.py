"""A raw browser that comes by TCP, and one that moves between ways."""

import asyncio
import socket
import struct

from media_parts import LIMIT, RawBrowser


def framed(datagram: bytes) -> bytes:
    """RFC 4571."""
    return struct.pack("!H", len(datagram)) + datagram


class TcpBrowser(RawBrowser):
    """The same steps over one connection, which `dial` opens; `hang_up` goes back to UDP."""

    tcp: socket.socket | None = None
    octets = b""

    async def dial(self, host: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.tcp = socket.socket(family, socket.SOCK_STREAM)
        self.tcp.setblocking(False)
        self.octets = b""
        async with asyncio.timeout(LIMIT):
            await asyncio.get_running_loop().sock_connect(self.tcp, (host, self.server[1]))

    def hang_up(self) -> None:
        if self.tcp is not None:
            self.tcp.close()
            self.tcp = None

    def close(self) -> None:
        self.hang_up()
        super().close()

    def send(self, datagram: bytes) -> None:
        if self.tcp is None:
            super().send(datagram)
        else:
            self.tcp.sendall(framed(datagram))

    async def receive(self, limit: float = LIMIT) -> bytes:
        """The next datagram by whichever way is open. Raises EOFError where the connection ended."""
        if self.tcp is None:
            return await super().receive(limit)
        async with asyncio.timeout(limit):
            while len(self.octets) < 2 or len(self.octets) < 2 + int.from_bytes(self.octets[:2], "big"):
                more = await asyncio.get_running_loop().sock_recv(self.tcp, 4096)
                if not more:
                    raise EOFError
                self.octets += more
        size = int.from_bytes(self.octets[:2], "big")
        found, self.octets = self.octets[2 : 2 + size], self.octets[2 + size :]
        return found

    async def ended(self) -> bool:
        """Whether the server closes the connection, whatever it says before."""
        try:
            while True:
                await self.receive()
        except (EOFError, ConnectionError):
            return True
        except TimeoutError:
            return False
