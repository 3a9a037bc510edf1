"""How long a room is without media when its worker is killed or stands still.

Two people talk in each of ROOMS rooms over two workers; one worker is killed (SIGKILL), then one is stopped (SIGSTOP),
N times each. A person comes back as a page does: as soon as their leg is told to be gone. Back is, when they hear the
other again. Then the whole server: its worker is killed N times under a recorded visit, until both are recorded again.
N (5), SEED.
"""

import asyncio
import os
import random
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.figure import Figure, measured, said, say, wished
from signaling.workers import MediaAway, MediaPool, RemoteLeg
from signaling.workers.dispatch import Dispatch
from signaling.workers.tuning import Tuning
from signaling.workers.wire import Line
from signaling.workers.worker import Worker
from telehealth import log
from telehealth.clock import SystemClock
from telehealth.frames import EncodedFrame
from tests.faults.lost_worker import killed_while_recording
from tests.signaling.rtc.media_parts import KeepingSink
from tests.signaling.workers.worker_room import Speaker, talk

HOST = "127.0.0.1"
FRAMES = 20_000
ROOMS = 4
FILM = tuple((bytes([0x10 if number == 0 else 0x11]) + bytes(300), number == 0) for number in range(20))
SOUND = (b"\xfc" + bytes(60),)


def run(seed: int) -> Iterator[Figure]:
    """The figures `media.worker.*`."""
    count = wished(5)
    with open(os.devnull, "w") as nowhere:
        log.configure(nowhere)
        killed, stopped, kept = asyncio.run(_measured(count, random.Random(seed)))
    lost = {"n": count, "seed": seed}
    yield measured("media.worker.frame_cost", asyncio.run(_carried()), "µs", n=FRAMES, seed=seed)
    yield measured("media.worker.back", max(killed), "s", at_most=5, **lost)
    yield measured("media.worker.back_after_a_stop", max(stopped), "s", at_most=5, **lost)
    yield measured("media.worker.other_rooms_lost", kept, "rooms", at_most=0, **lost)
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        recorded = asyncio.run(killed_while_recording(Path(folder), count))
    yield measured("media.worker.recorded_back", max(one.back for one in recorded), "s", at_most=5, **lost)
    yield measured("media.worker.recorded_tail", max(one.tail for one in recorded), "s", at_most=1, **lost)


class _Counting(KeepingSink):
    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def frame(self, frame: EncodedFrame) -> None:
        self.count += 1


async def _carried() -> float:
    """CPU time of both ends together for a recorded frame's way from worker to server, as busy rooms bring them."""
    worker, sink = Worker(SystemClock(), Tuning()), _Counting()
    leg = worker.legs[1] = RemoteLeg(1, "leg", {}, worker, None)
    leg.admit(sink)
    child = Line(lambda *_: None)
    for line, end in zip((child, worker._line), socket.socketpair(), strict=True):
        end.setblocking(False)
        await asyncio.get_running_loop().create_unix_connection(_made(line), sock=end)
    dispatch = Dispatch(child, 1, leg.attachment, 8 * 1_048_576, lambda: None)
    frames = [EncodedFrame("video", bytes(900), number, False, 1.0) for number in range(8)]
    begun = time.process_time()
    for _ in range(FRAMES // len(frames)):
        for frame in frames:
            dispatch.frame(frame)
        await asyncio.sleep(0)
    while sink.count < FRAMES:
        await asyncio.sleep(0)
    spent = time.process_time() - begun
    for line in (child, worker._line):
        line.abort()
        await line.gone.wait()
    return spent / FRAMES * 1e6


def _made(line: Line) -> Callable[[], Line]:
    return lambda: line


async def _measured(count: int, chance: random.Random) -> tuple[list[float], list[float], int]:
    pool = await MediaPool.open(HOST, 0, workers=2, public_addresses=[HOST], clock=SystemClock())
    rooms = [[Speaker(f"{side}{number}", FILM, SOUND) for side in "ab"] for number in range(ROOMS)]
    try:
        for number, room in enumerate(rooms):
            for speaker in room:
                await speaker.come(pool, room=str(number))
        killed, stopped, others = list[float](), list[float](), 0
        for how, into in [(signal.SIGKILL, killed), (signal.SIGSTOP, stopped)] * count:
            seconds, lost = await _one(pool, rooms, how, chance)
            say(f"  {how.name}: back after {seconds:.2f} s")
            into.append(seconds)
            others += lost
        return killed, stopped, others
    finally:
        for speaker in (speaker for room in rooms for speaker in room):
            speaker.hang_up()
        await pool.close()


async def _one(
    pool: MediaPool, rooms: list[list[Speaker]], how: signal.Signals, chance: random.Random
) -> tuple[float, int]:
    """Seconds until everybody of the lost rooms hears the other again; how many rooms of the other worker were lost."""
    await talk(*(speaker for room in rooms for speaker in room), twentieths=20)
    index = chance.choice(sorted(index for index, worker in pool._workers.items() if worker.rooms))
    gone = {leg.room for leg in pool.legs() if leg in pool._workers[index].legs.values()}
    begun = time.monotonic()
    os.kill(pool.pids()[index], how)
    lost = [(number, room) for number, room in enumerate(rooms) if str(number) in gone]
    await asyncio.gather(*(_back(pool, room, str(number)) for number, room in lost))
    seconds = time.monotonic() - begun
    others = sum(
        any(speaker.leg is None or speaker.leg.close_reason for speaker in room)
        for number, room in enumerate(rooms)
        if str(number) not in gone
    )
    while pool.stats()["workers"] < 2:
        await asyncio.sleep(0.05)
    return seconds, others


async def _back(pool: MediaPool, room: list[Speaker], name: str) -> None:
    async def comes(speaker: Speaker) -> None:
        if speaker.leg is not None:
            await speaker.leg.wait_closed()
        while True:
            try:
                return await speaker.come(pool, room=name)
            except MediaAway:  # a page asks again
                await asyncio.sleep(0.1)

    await asyncio.gather(*(comes(speaker) for speaker in room))
    hearing = asyncio.gather(*(speaker.hears() for speaker in room))
    while not hearing.done():
        await talk(*room, twentieths=1)
    await hearing


if __name__ == "__main__":
    said(run)
