"""The socket between server and worker: framed messages, bounded both ways, nothing interpreted here.

    length u32 | kind u8 | leg u32 | body (length octets)

Big-endian; `leg` 0 is no leg. Both ends are of one release and say so first (`VERSION`).
"""

import asyncio
import struct
from collections.abc import Callable
from enum import IntEnum
from typing import Final

VERSION: Final = 1
LONGEST: Final = 2 * 1_048_576  # octets of one body; a video frame has at most 1 MiB
CONTROL_AT_MOST: Final = 16 * 1_048_576  # octets unsent beyond which the other end counts as gone
_HEAD = struct.Struct("!IBI")


class Kind(IntEnum):
    """What a message is; below 64 the server's, from 64 on the worker's."""

    CONFIG = 1
    OPEN = 2
    RESTART = 3
    ATTACH = 4
    DETACH = 5
    KEY_FRAME = 6
    LIMIT = 7
    FINISH = 8
    SCREEN = 9
    READY = 64
    FAILED = 65
    BEAT = 66
    ANSWER = 67
    REFUSED = 68
    CONNECTED = 69
    CLOSED = 70
    HEARD = 71
    STATS = 72
    LOG = 73
    FRAME = 74
    REPORT = 75
    LOST = 76
    BEHIND = 77


class Garbled(Exception):
    """What came is no message of ours; whoever sent it is not talked to any more."""


Take = Callable[[Kind, int, bytes], None]  # raises Garbled


class Line(asyncio.Protocol):
    """One end. `take` gets every message in order, on the event loop; `gone` is set once nothing more will come.

    What is said within one turn of the loop leaves in one write.
    """

    def __init__(self, take: Take) -> None:
        self.gone = asyncio.Event()
        self.garbled = False
        self._take = take
        self._transport: asyncio.Transport | None = None
        self._held = bytearray()
        self._unsent: list[bytes] = []
        self._octets = 0

    @property
    def backlog(self) -> int:
        """Octets said and not yet taken by the kernel."""
        return self._octets + (self._transport.get_write_buffer_size() if self._transport is not None else 0)

    def say(self, kind: Kind, leg: int = 0, body: bytes = b"") -> None:
        """Send, in order; once the other end is gone, or takes nothing for CONTROL_AT_MOST octets, nothing is sent."""
        if self._transport is None or self._transport.is_closing():
            return
        if self.backlog > CONTROL_AT_MOST:
            self.abort()
            return
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self._flush)
        self._unsent += (_HEAD.pack(len(body), kind, leg), body)
        self._octets += _HEAD.size + len(body)

    def pause(self) -> None:
        """Take no more for now; the kernel's buffer, then the other end, waits."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def close(self) -> None:
        """Send what was said, then close."""
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    # Called by the loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError(transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._held += data
        at = 0
        try:
            while (end := self._whole(at)) is not None:
                _, kind, leg = _HEAD.unpack_from(self._held, at)
                body = bytes(memoryview(self._held)[at + _HEAD.size : end])
                at = end
                self._take(Kind(kind), leg, body)
        except (Garbled, ValueError):
            self.garbled = True
            self.abort()
        finally:
            del self._held[:at]

    def connection_lost(self, error: Exception | None) -> None:
        self._unsent.clear()
        self._octets = 0
        self.gone.set()

    def _whole(self, at: int) -> int | None:
        """Where the message that begins at `at` ends, if all of it is here. Raises Garbled."""
        if len(self._held) - at < _HEAD.size:
            return None
        length = int.from_bytes(self._held[at : at + 4], "big")
        if length > LONGEST:
            raise Garbled
        end = at + _HEAD.size + length
        return end if len(self._held) >= end else None

    def _flush(self) -> None:
        unsent, self._unsent, self._octets = self._unsent, [], 0
        if unsent and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(unsent))
