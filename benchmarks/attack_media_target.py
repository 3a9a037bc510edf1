"""A media port as a process of its own to be attacked: rooms, sinks that keep what is true and count what is not."""

import asyncio
import contextlib
import io
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.pipe import serve
from signaling.rtc import Leg, MediaPort
from telehealth import log
from telehealth.clock import SystemClock
from telehealth.errors import Refusal
from telehealth.frames import EncodedFrame, TrackKind

TAG = b"CALL"  # what every frame of a real caller ends with, before its number
_BEAT = 0.01  # seconds


def number_of(octets: bytes) -> int | None:
    """The number at the end of a real caller's frame or packet."""
    return int.from_bytes(octets[-4:], "big") if octets[-8:-4] == TAG else None


class Sink:
    """Counts a leg's frames: each number once; what has none, or comes again, is foreign."""

    def __init__(self) -> None:
        self.numbers: dict[str, set[int]] = {"audio": set(), "video": set()}
        self.foreign = 0
        self.closed = ""

    def frame(self, frame: EncodedFrame) -> None:
        number = number_of(frame.data)
        if number is None or number in self.numbers[frame.kind]:
            self.foreign += 1
        else:
            self.numbers[frame.kind].add(number)

    def sender_report(self, kind: TrackKind, timestamp: int, ntp: int) -> None:
        """Not looked at here."""

    def lost(self, kind: TrackKind, packets: int) -> None:
        """Shows in the numbers."""

    def leg_closed(self, reason: str) -> None:
        self.closed = reason


class Lines(io.StringIO):
    """Counts what is logged and forgets it."""

    def __init__(self) -> None:
        super().__init__()
        self.events: Counter[str] = Counter()

    def write(self, text: str) -> int:
        if text.strip():
            self.events["error" if '"error"' in text else "other"] += 1
        return len(text)


class Target:
    """Answers the attackers' questions about a port."""

    def __init__(self, port: MediaPort, lines: Lines) -> None:
        self._port = port
        self._lines = lines
        self._legs: dict[str, tuple[Leg, Sink]] = {}
        self._late = 0.0

    async def answer(self, words: dict[str, Any]) -> dict[str, Any]:
        match words["ask"]:
            case "offer":
                return await self._offer(words)
            case "leg":
                leg, sink = self._legs[words["leg"]]
                numbers = {kind: len(found) for kind, found in sink.numbers.items()}
                return {"state": str(leg.state), "foreign": sink.foreign, "closed": sink.closed, **numbers}
            case "close":
                leg, _ = self._legs.pop(words["leg"])
                await leg.close("done")
                return {}
            case "stats":
                return self._stats()
        raise ValueError(words["ask"])

    async def _offer(self, words: dict[str, Any]) -> dict[str, Any]:
        sink = Sink()
        try:
            leg, sdp = await self._port.open_leg(
                words["leg"], words["sdp"], sink, room=words["room"], publisher=words["leg"]
            )
        except Refusal as refused:
            return {"refused": refused.code}
        self._legs[words["leg"]] = leg, sink
        return {"sdp": sdp, "port": self._port.port}

    def _stats(self) -> dict[str, Any]:
        late, self._late = self._late, 0.0
        return {
            "port": self._port.stats(),
            "memory": _resident(),
            "late": late,
            "logged": dict(self._lines.events),
            "tasks": len(asyncio.all_tasks()),
        }

    async def beat(self) -> None:
        """Measure how late the loop comes."""
        while True:
            due = time.monotonic() + _BEAT
            await asyncio.sleep(_BEAT)
            self._late = max(self._late, time.monotonic() - due)


def _resident() -> int:
    """Octets of memory in use by this process."""
    words = Path("/proc/self/statm").read_text().split()
    return int(words[1]) * 4096


async def main() -> None:
    lines = Lines()
    log.configure(lines)
    port = await MediaPort.open("127.0.0.1", 0, public_addresses=["127.0.0.1"], clock=SystemClock(), max_legs=4096)
    target = Target(port, lines)
    beating = asyncio.create_task(target.beat())
    try:
        await serve(target.answer)
    finally:
        beating.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beating
        await port.close()


if __name__ == "__main__":
    asyncio.run(main())
