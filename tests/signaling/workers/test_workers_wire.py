"""The socket between server and worker: whole messages in order, whatever pieces they come in, and bounds."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worker_parts import until

from signaling.rtc import LegStats, Slot
from signaling.workers import RemoteLeg, wire, words
from signaling.workers.dispatch import Dispatch
from signaling.workers.faults import MediaAway
from signaling.workers.tuning import Tuning
from signaling.workers.wire import Garbled, Kind, Line
from signaling.workers.worker import Worker
from telehealth.clock import SystemClock
from telehealth.frames import EncodedFrame, TrackKind
from tests.signaling.rtc.media_parts import KeepingSink

Message = tuple[Kind, int, bytes]
KINDS: st.SearchStrategy[TrackKind] = st.sampled_from(["audio", "video"])
FRAMES = st.builds(
    EncodedFrame,
    kind=KINDS,
    data=st.binary(max_size=200),
    timestamp=st.integers(-(2**63), 2**63 - 1),
    key=st.booleans(),
    arrived=st.floats(0, 1e9),
)


@asynccontextmanager
async def ends() -> AsyncIterator[tuple[Line, Line, list[Message]]]:
    """Two ends, and what the second has heard."""
    heard: list[Message] = []
    near, far = Line(lambda *_: None), Line(lambda *message: heard.append(message))
    async with joined(near, far):
        yield near, far, heard


@asynccontextmanager
async def joined(near: Line, far: Line) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    for line, end in zip((near, far), socket.socketpair(), strict=True):
        end.setblocking(False)
        await loop.create_unix_connection(lambda line=line: line, sock=end)
    try:
        yield
    finally:
        for line in (near, far):
            line.abort()
            await line.gone.wait()


async def test_messages_arrive_whole_and_in_order() -> None:
    async with ends() as (near, _, heard):
        said = [(Kind.FRAME, number, bytes([number]) * number * 900) for number in range(60)]
        for message in said:
            near.say(*message)
        await until(lambda: len(heard) == len(said))
        assert heard == said


@given(st.lists(st.binary(max_size=40), max_size=6), st.lists(st.integers(1, 30), min_size=1))
def test_messages_survive_being_cut_anywhere(bodies: list[bytes], cuts: list[int]) -> None:
    heard: list[Message] = []
    line = Line(lambda *message: heard.append(message))
    stream = b"".join(wire._HEAD.pack(len(body), Kind.BEAT, 7) + body for body in bodies)
    sizes = iter(cuts * (len(stream) + 1))
    while stream:
        size = next(sizes)
        line.data_received(stream[:size])
        stream = stream[size:]
    assert heard == [(Kind.BEAT, 7, body) for body in bodies]


async def test_whoever_takes_nothing_for_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "CONTROL_AT_MOST", 100_000)
    async with ends() as (near, far, _):
        far.pause()
        for _ in range(1_000):
            near.say(Kind.HEARD, 1, bytes(1_000))
            await asyncio.sleep(0)
            if near.gone.is_set():
                break
        assert near.gone.is_set()
        near.say(Kind.BEAT)  # said to nobody
        assert near.backlog == 0


async def test_what_is_no_message_ends_the_line() -> None:
    async with ends() as (near, far, heard):
        near._transport.write(wire._HEAD.pack(wire.LONGEST + 1, Kind.FRAME, 1))
        await far.gone.wait()
        assert (far.garbled, heard) == (True, [])


@given(st.integers(0, 2**32 - 1), FRAMES)
def test_frames_arrive_as_they_left(attachment: int, frame: EncodedFrame) -> None:
    assert words.frame(words.framed(attachment, frame)) == (attachment, frame)


@given(st.integers(0, 2**32 - 1), KINDS, st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**64 - 1))
def test_sender_reports_arrive_as_they_left(attachment: int, kind: TrackKind, timestamp: int, ntp: int) -> None:
    assert words.report(words.reported(attachment, kind, timestamp, ntp)) == (attachment, kind, timestamp, ntp)


def test_figures_arrive_as_they_left() -> None:
    stats = LegStats(packets=7, loss=0.25, jitter={"audio": 0.01}, frames={"video": 3}, rtt=None)
    said = words.Figures({"packets": 9}, {3: stats}, 1 << 20)
    assert words.figures(words.told(said)) == said


def test_slots_arrive_as_they_left() -> None:
    said = words.Answer(4, "v=0\r\n", (Slot("2", "prt_x", "audio"),))
    assert words.answer(words.told(said)) == said


@given(st.binary(max_size=60))
def test_reading_anything_gives_a_value_or_says_that_it_is_garbled(body: bytes) -> None:
    for read in (words.config, words.answer, words.figures, words.logged, words.behind, words.frame, words.report):
        try:
            read(body)
        except Garbled:
            continue


class Held(Line):
    """A line whose other end takes only what the test lets it take."""

    def __init__(self) -> None:
        super().__init__(lambda *_: None)
        self.said: list[Kind] = []
        self.waiting = 0

    @property
    def backlog(self) -> int:
        return self.waiting

    def say(self, kind: Kind, leg: int = 0, body: bytes = b"") -> None:
        self.said.append(kind)
        self.waiting += len(body)


def frames(*, key: bool = False) -> Iterator[EncodedFrame]:
    moment = 0.0
    while True:
        moment += 0.1
        yield EncodedFrame("video", bytes(400), 0, key, moment)


def test_a_full_line_leaves_frames_out_says_so_once_and_goes_on_with_a_key_frame() -> None:
    line, asked = Held(), []
    dispatch = Dispatch(line, 1, 1, 1_000, lambda: asked.append(True))
    deltas, keys = frames(), frames(key=True)
    for _ in range(6):
        dispatch.frame(next(deltas))
    assert line.said == [Kind.FRAME, Kind.FRAME]
    line.waiting = 600
    dispatch.frame(next(deltas))  # more than half is still there
    assert len(line.said) == 2
    line.waiting = 500
    dispatch.frame(next(deltas))
    assert line.said[2:] == [Kind.BEHIND]
    assert asked == [True]
    line.waiting = 0
    dispatch.frame(next(deltas))
    dispatch.frame(next(keys))
    dispatch.frame(next(deltas))
    assert line.said[2:] == [Kind.BEHIND, Kind.FRAME, Kind.FRAME]


def test_a_leg_that_ends_behind_says_what_was_left_out() -> None:
    line = Held()
    dispatch = Dispatch(line, 1, 1, 1_000, lambda: None)
    line.waiting = 2_000
    dispatch.frame(next(frames()))
    dispatch.leg_closed("left")
    assert line.said == [Kind.BEHIND]


class Owner:
    """A worker that only notes what it is told."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.said: list[Kind] = []
        self.forgotten: list[RemoteLeg] = []

    def say(self, kind: Kind, leg: int, body: bytes = b"") -> None:
        self.said.append(kind)

    def forget(self, leg: RemoteLeg) -> None:
        self.forgotten.append(leg)

    async def ask_again(self, leg: RemoteLeg, offer_sdp: str) -> words.Answer:
        raise MediaAway


async def test_what_was_under_way_when_a_sink_went_reaches_no_later_one() -> None:
    leg, first, second = RemoteLeg(1, "leg_a", {}, Owner(), None), KeepingSink(), KeepingSink()
    frame = next(frames(key=True))
    leg.attach(first)
    old = leg.attachment
    leg.frame(old, frame)
    leg.detach("paused")
    leg.attach(second)
    leg.frame(old, frame)
    leg.sender_report(old, "video", 1, 1)
    leg.lost(old, "video", 1)
    leg.behind(words.Behind(old, 0.0, 1, 1))
    assert (len(first.frames), first.closings, first.after_closing) == (1, ["paused"], 0)
    assert (second.frames, second.reports, second.losses) == ([], [], [])
    leg.frame(leg.attachment, frame)
    assert second.frames == [frame]


async def test_who_is_where_is_what_was_said_last_whatever_is_waited_for() -> None:
    before, after = (Slot("1", "anna", "audio"),), (Slot("1", "ben", "audio"),)

    def answers(kind: Kind, number: int, body: bytes) -> None:
        asked = words.opening(body) if kind is Kind.OPEN else words.restart(body)
        far.say(Kind.ANSWER, number, words.told(words.Answer(asked.request, "sdp", before)))
        far.say(Kind.HEARD, number, words.told(words.Heard(after)))

    worker, far, heard = Worker(SystemClock(), Tuning()), Line(answers), list[tuple[Slot, ...]]()
    async with joined(worker._line, far):
        leg, _ = await worker.open_leg("leg_a", "offer", None, heard.append, {})
        await until(lambda: heard == [after])
        assert leg.slots() == after
        await leg.restart("offer")
        await until(lambda: heard == [after, after])
        assert leg.slots() == after


async def test_a_leg_that_never_opened_tells_its_sink_nothing_and_its_worker_all() -> None:
    owner, sink = Owner(), KeepingSink()
    leg = RemoteLeg(1, "leg_a", {}, owner, None)
    leg.admit(sink)
    leg.withdraw()
    assert (sink.closings, owner.said, owner.forgotten) == ([], [Kind.FINISH], [leg])
    leg.ended("worker_lost")
    assert sink.closings == []
