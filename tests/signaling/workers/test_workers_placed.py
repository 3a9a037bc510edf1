"""Which worker takes whom, what a worker has of ours, and how much may wait between it and us."""

import asyncio

from worker_parts import Browsers, OpenPool, calling, flows, until_replaced

from signaling.rtc import LegState
from signaling.workers import RemoteLeg, words
from signaling.workers.tuning import BackOff, Tuning
from signaling.workers.worker import Worker
from telehealth.clock import SystemClock
from telehealth.frames import EncodedFrame, TrackKind
from telehealth.sections import Media
from tests.signaling.rtc.media_parts import KeepingSink, vp8


async def test_a_worker_that_grows_takes_no_new_room_and_goes_when_it_is_empty(
    open_pool: OpenPool, browsers: Browsers
) -> None:
    pool = await open_pool(workers=2, growth=1 << 40)
    leg, _ = await pool.open_leg("leg_a", browsers(pool.port).offer, room="room")
    worker = next(worker for worker in pool._workers.values() if worker.legs)
    worker.leaking = True
    for number in range(3):
        other, _ = await pool.open_leg(f"leg_{number}", browsers(pool.port).offer, room=f"other {number}")
        assert other not in worker.legs.values()
    same, _ = await pool.open_leg("leg_b", browsers(pool.port).offer, room="room")
    assert same in worker.legs.values()
    leg.finish("left")
    same.finish("left")
    await until_replaced(pool)
    assert pool.replaced() == {"worker_leaking": 1}


async def test_all_legs_of_a_room_live_on_one_worker_and_rooms_on_the_least_loaded(
    open_pool: OpenPool, browsers: Browsers
) -> None:
    pool = await open_pool(workers=2)

    async def comes(room: str, who: str) -> int:
        leg, _ = await pool.open_leg(f"leg_{room}_{who}", browsers(pool.port).offer, room=room, publisher=who)
        return next(index for index, worker in pool._workers.items() if leg in worker.legs.values())

    first = [await comes("a", who) for who in ("p", "q", "r")]
    second = [await comes("b", who) for who in ("p", "q")]
    third = [await comes("c", who) for who in ("p", "q")]
    assert [len(set(homes)) for homes in (first, second, third)] == [1, 1, 1]
    assert first[0] != second[0]
    assert second[0] == third[0]  # two legs are fewer than three
    figures = pool.by_worker()
    assert sorted(one["rooms"] for one in figures.values()) == [1, 2]


def test_more_workers_than_there_are_ports_are_refused() -> None:
    assert not any(wrong for wrong, _ in Media(port=65_530, workers=6).faults())
    assert any(wrong for wrong, _ in Media(port=65_530, workers=7).faults())


async def test_memory_beyond_the_bound_stops_new_rooms_and_twice_as_much_ends_the_worker() -> None:
    worker = Worker(SystemClock(), Tuning(growth=100, growth_per_leg=10))

    def holds(memory: int) -> tuple[bool, bool]:
        worker._stats(0, words.told(words.Figures({}, {}, memory)))
        return worker._leaks(), worker.leaking

    worker.legs[1] = RemoteLeg(1, "leg_a", {}, worker, None)
    assert holds(1_000) == (False, False)  # what it began with
    assert holds(1_110) == (False, False)
    assert holds(1_111) == (False, True)
    assert holds(1_000) == (False, True)  # once suspected, always suspected
    assert holds(1_221) == (True, True)
    worker.legs.clear()
    assert holds(1_000) == (True, True)


def test_a_worker_that_keeps_dying_is_started_ever_more_slowly() -> None:
    back_off = BackOff(Tuning(first_pause=1.0, longest_pause=5.0, healthy_after=30.0))
    assert [back_off.pause() for _ in range(4)] == [1.0, 2.0, 4.0, 5.0]
    back_off.lived(29.9)
    assert back_off.pause() == 5.0
    back_off.lived(30.0)
    assert back_off.pause() == 1.0


class Ordered(KeepingSink):
    """Keeps in which order it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def frame(self, frame: EncodedFrame) -> None:
        self.told.append(f"{frame.kind} {'key' if frame.key else 'delta'}")
        super().frame(frame)

    def lost(self, kind: TrackKind, packets: int) -> None:
        self.told.append(f"{kind} lost")
        super().lost(kind, packets)

    def fell_behind(self, since: float) -> None:
        self.told.append("behind")


async def test_frames_that_nobody_takes_are_bounded_and_the_sink_is_told(
    open_pool: OpenPool, browsers: Browsers
) -> None:
    pool, sink = await open_pool(frames_at_most=20_000, silence=60.0), Ordered()
    leg, browser = await calling(pool, browsers, sink)
    await flows(browser, sink, 1)
    line = pool._workers[0]._line
    line.pause()  # a server that does not come to reading
    for number in range(2, 802):  # ≈ 0.9 MB, more than kernel buffers and the bound hold
        browser.send_rtp(vp8(number, 3_000 * number, key=number % 30 == 0, body=b"x" * 1_100))
        if number % 100 == 0:
            await asyncio.sleep(0.01)
    line.resume()
    number = 1_000
    async with asyncio.timeout(20):
        while sink.told.count("behind") == 0 or sink.told[-1] != "video key":
            browser.send_rtp(vp8(number, 3_000 * number, key=True))
            await asyncio.sleep(0.01)
            number += 1
    behind = sink.told.index("behind")
    assert "video lost" in sink.told[behind - 2 : behind]
    assert (
        next(word for word in sink.told[behind:] if word.startswith("video ") and word != "video lost") == "video key"
    )
    assert len(sink.frames) < 800
    assert leg.state is LegState.CONNECTED
