"""However much one page sends, what is kept of it has a bound, and so has what sealing it takes."""

import itertools

import pytest
from recording_partners import HandClock
from test_webm import CLUSTER, CUES, first, frames_of, log, number, parsed, surveyed, woven

from recordings.framelog import What, records
from recordings.track import TrackCapture
from recordings.webm import Layout, SealDiffered, _master
from telehealth.errors import Refusal
from telehealth.frames import CLOCK_RATE, EncodedFrame, TrackKind

KEY = bytes.fromhex("3000009d012a40014000f000")


class Leg:
    """One leg's line and what it said."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.faults: list[Refusal] = []
        self.asked = 0
        self.track = TrackCapture(self.clock, on_fault=self.faults.append, ask_key=self._ask)

    def send(self, kind: TrackKind, data: bytes, at: float, *, key: bool = True, after: float = 0.0) -> None:
        """A frame captured at a steady moment, which comes so many seconds later."""
        self.clock.seconds = max(self.clock.seconds, at + after)
        stamp = round(at * CLOCK_RATE[kind])
        self.track.frame(EncodedFrame(kind, data, stamp, key, at + after))

    def _ask(self) -> None:
        self.asked += 1


def kept(leg: Leg) -> tuple[int, dict[What, int]]:
    """How many frames are in the line, and how many are told as lost."""
    batch = leg.track.take()
    lost = {What.AUDIO_LOST: 0, What.VIDEO_LOST: 0}
    for segment in batch.segments:
        for record in records(segment):
            if record.what in lost:
                lost[record.what] += record.packets
    return batch.frames, lost


@pytest.mark.parametrize(("kind", "lost"), [("video", What.VIDEO_LOST), ("audio", What.AUDIO_LOST)])
def test_ten_thousand_frames_in_a_second_are_a_few_hundred_and_the_rest_is_lost(kind: TrackKind, lost: What) -> None:
    leg = Leg()
    leg.send(kind, KEY, 1000.0)
    for n in range(10_000):
        leg.send(kind, b"\x10", 1000 + n / 10_000)
    frames, told = kept(leg)
    assert 100 < frames < 800
    assert told == {What.AUDIO_LOST: 0, What.VIDEO_LOST: 0, lost: 10_001 - frames}
    assert kept(leg) == (0, {What.AUDIO_LOST: 0, What.VIDEO_LOST: 0}), "told once"


def test_a_flood_that_goes_on_costs_no_more_than_what_browsers_send_at_most() -> None:
    leg = Leg()
    frames = 0
    for second in range(30):
        for n in range(2000):
            leg.send("video", KEY, 1000 + second + n / 2000)
        frames += kept(leg)[0]
    assert frames <= 300 + 30 * 120
    assert leg.asked <= 30


def test_a_flood_of_pictures_costs_no_sound() -> None:
    leg = Leg()
    for n in range(10_000):
        leg.send("video", KEY, 1000 + n / 1000)
        if n % 20 == 0:
            leg.send("audio", b"\xfc\x00", 1000 + n / 1000)
    assert kept(leg)[1][What.AUDIO_LOST] == 0


def test_after_a_flood_pictures_go_on_with_a_key_frame_which_is_asked_for() -> None:
    leg = Leg()
    for n in range(1000):
        leg.send("video", KEY, 1000 + n / 10_000)
    kept(leg)
    assert leg.asked == 0
    leg.send("video", b"\x11", 1010.0, key=False)
    assert (kept(leg)[0], leg.asked) == (0, 1)
    leg.send("video", KEY, 1010.1)
    leg.send("video", b"\x11", 1010.2, key=False)
    assert (kept(leg)[0], leg.asked) == (2, 1)


@pytest.mark.parametrize("late", [0.0, 4.0], ids=["in time", "four seconds at once"])
def test_the_fastest_screen_and_the_shortest_packets_of_browsers_lose_nothing(late: float) -> None:
    """60 pictures and 100 packets a second, of which now and then four seconds come at one moment."""
    leg = Leg()
    for n in range(60 * 300):
        at = 1000 + n / 300
        after = late - (at - 1000) % late if late and (at - 1000) % 20 < late else 0.0
        if n % 5 == 0:
            leg.send("video", KEY, at, key=n % 300 == 0, after=after)
        if n % 3 == 0:
            leg.send("audio", b"\xfc\x00", at, after=after)
    assert kept(leg) == (60 * 160, {What.AUDIO_LOST: 0, What.VIDEO_LOST: 0})
    assert leg.faults == []


def test_reports_and_losses_by_the_ten_thousand_are_few_records() -> None:
    leg = Leg()
    leg.send("audio", b"\xfc\x00", 1000.0)
    for n in range(10_000):
        leg.clock.seconds = 1000 + n / 10_000
        leg.track.sender_report("audio", n, n)
        leg.track.lost("video", 3)
    found = [record for segment in leg.track.take().segments for record in records(segment)]
    assert len(found) < 200
    assert sum(record.packets for record in found if record.what is What.VIDEO_LOST) == 30_000


def test_clusters_begin_with_key_frames_that_are_half_a_second_apart() -> None:
    segment = log(frames_of(20, key_every=1))
    inner = list(parsed(list(parsed(woven(surveyed(segment), segment)))[1][2]))
    clusters = [list(parsed(body)) for ident, _, body in inner if ident == CLUSTER]
    moments = [number(first(cluster, 0xE7)) for cluster in clusters]
    assert len(moments) == 40
    assert all(later - earlier >= 500 for earlier, later in itertools.pairwise(moments))
    assert len(list(parsed(first(inner, CUES)))) == len(clusters)


def test_a_key_frame_soon_after_a_cluster_of_another_kind_is_still_found() -> None:
    layout = Layout(True, (320, 240))
    for n, (moment, key) in enumerate([(0, True), (5000, False), (5100, True), (5300, True), (5600, True)]):
        layout.add(n, moment, 10, key)
    assert [cluster.moment for cluster in layout.clusters if cluster.seek] == [0, 5100, 5600]


def test_sound_far_from_its_pictures_makes_no_more_cues() -> None:
    layout = Layout(True, (320, 240))
    for n in range(2000):
        layout.add(n, 100_000 + n * 10 if n % 2 else n * 10, 10, n % 2 == 1)
    assert sum(cluster.seek for cluster in layout.clusters) <= 41


@pytest.mark.parametrize("octets", [(1 << 28) - 1, 1 << 28])
def test_an_element_whose_size_does_not_fit_is_not_written(octets: int) -> None:
    """All ones would say that the size is unknown (RFC 8794 §6.2)."""
    with pytest.raises(SealDiffered):
        _master(CUES, bytes(octets))
