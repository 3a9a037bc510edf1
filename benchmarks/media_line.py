"""A peer in use: what it publishes, what it hears and from whom, and the reports that browsers give once a second."""

import struct

from benchmarks.media_flow import Heard, Source
from benchmarks.media_peer import Peer

_PER_SOCKET = 16  # datagrams taken from one socket before the next has its turn
_STAMP = struct.Struct("qq")
_REMB = 3_000_000  # bit/s


class Line:
    """A peer in use: what it publishes, what it hears and from whom."""

    def __init__(self, peer: Peer, visit: int, side: int) -> None:
        self.peer, self.visit, self.side = peer, visit, side
        self.sources: list[Source] = []
        self.hears: dict[bytes, Heard] = {}
        self.far: list[Source] = []
        self.report_at = 0.0
        self.keys_asked = self.controls = self.strange = 0

    def begin(self) -> None:
        for heard in self.hears.values():
            heard.begin()
        self.keys_asked = self.controls = self.strange = 0

    def drain(self) -> None:
        """Take what waits in the socket."""
        receive = self.peer.socket.recvmsg
        for _ in range(_PER_SOCKET):
            try:
                datagram, extra, _, _ = receive(2048, 64)
            except (BlockingIOError, ConnectionRefusedError):
                return
            if datagram[0] < 128:
                self.peer.receive(datagram)
            elif self.peer.incoming is not None:
                self._media(datagram, extra)

    def _media(self, datagram: bytes, extra: list[tuple[int, int, bytes]]) -> None:
        incoming = self.peer.incoming
        assert incoming is not None
        if 192 <= datagram[1] <= 223:
            self.controls += 1
            self._control(incoming.open_control(datagram))
            return
        heard = self.hears.get(datagram[8:12])
        if heard is None:
            heard = self.hears[datagram[8:12]] = Heard()
        seconds, rest = _STAMP.unpack_from(extra[0][2])
        heard.take(memoryview(datagram), incoming, self.far, seconds * 1_000_000_000 + rest)

    def _control(self, compound: bytes) -> None:
        at = 0
        while at + 8 <= len(compound):
            if compound[at + 1] == 206 and compound[at] & 31 in (1, 4):
                self.keys_asked += 1
                for source in self.sources:
                    source.key_wanted = source.key_wanted or source.kind == "video"
            at += 4 + 4 * int.from_bytes(compound[at + 2 : at + 4], "big")

    def report(self) -> None:
        """SR of what it sends, RR and REMB of what it hears, once a second as browsers do."""
        crypt = self.peer.outgoing
        if crypt is None:
            return
        own = self.sources[0].ssrc if self.sources else 1
        compound = b"".join(source.report() for source in self.sources)
        if self.hears:
            compound += _receiver_report(own, self.hears)
        compound += struct.pack("!BBHIBB", 0x81, 202, 2, own, 1, 1) + b"c\0"
        if self.hears:
            compound += _remb(own, list(self.hears))
        try:
            self.peer.socket.send(crypt.seal_control(compound))
        except OSError:
            self.strange += 1


def _receiver_report(own: int, hears: dict[bytes, Heard]) -> bytes:
    blocks = b"".join(
        ssrc + struct.pack("!IIIII", 0, heard.highest, 0, 0, 0) for ssrc, heard in list(hears.items())[:31]
    )
    count = len(blocks) // 24
    return struct.pack("!BBHI", 0x80 | count, 201, 1 + 6 * count, own) + blocks


def _remb(own: int, ssrcs: list[bytes]) -> bytes:
    exponent = max(0, _REMB.bit_length() - 18)
    value = len(ssrcs) << 24 | exponent << 18 | _REMB >> exponent
    words = 4 + len(ssrcs)
    return struct.pack("!BBHII4sI", 0x8F, 206, words, own, 0, b"REMB", value) + b"".join(ssrcs)
