"""Order, loss, repair, time: what a track makes of packets that come as networks deliver them."""

import random

import pytest
from media_parts import KeepingSink, opus, parse_rtp, vp8

from signaling.rtc.budget import Budget
from signaling.rtc.estimate import CEILING, FLOOR, UplinkEstimate
from signaling.rtc.gaps import Gaps
from signaling.rtc.reorder import Arrived, Gap, Packet, Reorder
from signaling.rtc.stream import Stream
from signaling.rtc.timeline import Timeline
from telehealth.frames import CLOCK_RATE, TrackKind


def packet(datagram: bytes) -> Packet:
    parsed = parse_rtp(datagram)
    return Packet(parsed.sequence, parsed.marker, parsed.timestamp, parsed.payload)


def numbered(sequence: int) -> Packet:
    return packet(opus(sequence, sequence * 960))


def numbers(items: list[Arrived | Gap]) -> list[int | str]:
    return [f"gap {item.packets}" if isinstance(item, Gap) else item.packet.sequence for item in items]


def stream(kind: TrackKind, sink: KeepingSink) -> Stream:
    return Stream(kind, sink, Timeline(CLOCK_RATE[kind]))


@pytest.mark.parametrize("start", [0, 1, 65_530, 32_760])
def test_a_shuffled_window_comes_out_in_order_across_the_wrap(start: int) -> None:
    dice = random.Random(start)
    reorder = Reorder(hold=1.0, capacity=64)
    out: list[int | str] = []
    for block in range(20):
        window = [start + 8 * block + step for step in range(8)]
        first, rest = window[0], window[1:]
        dice.shuffle(rest)
        for number in [first, *rest, dice.choice(rest)]:
            reorder.insert(numbered(number), 0.0)
            out += numbers(reorder.ready(0.0))
    assert out == [number & 0xFFFF for number in range(start, start + 160)]


def test_a_gap_is_shown_once_its_time_is_over_and_late_packets_are_too_late() -> None:
    reorder = Reorder(hold=0.2, capacity=64)
    for number in (1, 2, 5):
        reorder.insert(numbered(number), 0.0)
    assert numbers(reorder.ready(0.1)) == [1, 2]
    assert numbers(reorder.ready(0.2)) == ["gap 2", 5]
    assert reorder.insert(numbered(3), 0.3) is None


def test_more_than_the_capacity_is_never_held() -> None:
    reorder = Reorder(hold=1e9, capacity=16)
    reorder.insert(numbered(0), 0.0)
    reorder.ready(0.0)
    for number in range(2, 18):
        reorder.insert(numbered(number), 0.0)
    assert reorder.ready(0.0) == []
    reorder.insert(numbered(18), 0.0)
    assert numbers(reorder.ready(0.0)) == ["gap 17", 18]


def test_a_sender_that_starts_its_numbers_anew_is_followed() -> None:
    reorder = Reorder(hold=0.2, capacity=64)
    reorder.insert(numbered(30_000), 0.0)
    reorder.ready(0.0)
    for number in range(10, 100):
        reorder.insert(numbered(number), 0.0)
    assert numbers(reorder.ready(0.0))[0] == "gap 1"


def test_missing_packets_are_asked_for_at_most_five_times_with_pauses() -> None:
    gaps = Gaps(0.01)
    gaps.open(65_535, 65_538, 0.0)
    assert gaps.due(0.0, 0.05) == []
    assert gaps.due(0.02, 0.05) == [65_535, 65_536, 65_537]
    assert gaps.due(0.04, 0.05) == []
    asked = sum(bool(gaps.due(step / 20, 0.05)) for step in range(1, 100))
    assert asked == 4
    assert gaps.missing == {}


@pytest.mark.parametrize("seed", range(5))
def test_loss_never_lets_a_picture_through_that_cannot_be_decoded(seed: int, sink: KeepingSink) -> None:
    """Each delta frame handed on follows the frame sent right before it, or a key frame comes first."""
    dice = random.Random(seed)
    track = stream("video", sink)
    now, sent_key = 0.0, True
    for number in range(600):
        key = sent_key or number % 50 == 0
        if dice.random() > 0.05:
            track.take(*packet(vp8(number, number * 3000, key=key)), now)
        sent_key = False
        now += 0.033
        track.advance(now)
    previous = None
    for frame in sink.frames:
        assert frame.key or (previous is not None and frame.timestamp == previous + 3000)
        previous = frame.timestamp
    assert sum(packets for _, packets in sink.losses) > 0
    assert sink.frames


def test_sound_goes_on_after_a_gap_and_the_gap_is_told(sink: KeepingSink) -> None:
    track = stream("audio", sink)
    track.take(*packet(opus(1, 960)), 0.0)
    track.take(*packet(opus(4, 3840)), 0.01)
    track.advance(0.1)
    assert len(sink.frames) == 1
    track.advance(0.25)
    assert [frame.timestamp for frame in sink.frames] == [960, 3840]
    assert sink.losses == [("audio", 2)]


def test_timestamps_rise_across_the_wrap() -> None:
    line = Timeline(48_000)
    assert line.place(0xFFFF_FC40, 0.0) == 0xFFFF_FC40
    assert line.place(0, 0.02) == 1 << 32
    assert line.locate(0xFFFF_FC40) == 0xFFFF_FC40
    assert line.place(0xFFFF_FC40, 0.03) is None


def test_a_clock_that_starts_anew_or_stood_still_goes_on_at_the_steady_time() -> None:
    line = Timeline(48_000)
    line.place(1_000_000, 0.0)
    assert line.place(5, 0.5) == 1_000_000 + 24_000
    assert line.place(965, 0.52) == 1_000_000 + 24_960
    assert line.place(1925, 14.54) == 1_000_000 + 24_960 + round(14.02 * 48_000)
    assert line.locate(1925) == line.place(1925, 14.54)


def test_a_leap_of_hours_is_not_believed() -> None:
    line = Timeline(90_000)
    line.place(0, 0.0)
    assert line.place(90_000 * 3600, 0.5) == 45_000


def test_the_uplink_estimate_falls_with_loss_rises_without_and_keeps_its_bounds() -> None:
    estimate = UplinkEstimate()
    for _ in range(60):
        estimate.update(0.4, 1e6)
    assert estimate.announced == FLOOR
    for _ in range(60):
        estimate.update(0.0, 3e6)
    assert estimate.announced == CEILING
    estimate.limit = 400_000
    assert estimate.update(0.0, 3e6) == 400_000
    held = UplinkEstimate(bits_per_second=900_000)
    assert held.update(0.0, 100_000) == held.update(0.05, 900_000) == 900_000


def test_a_budget_allows_its_burst_and_then_its_rate() -> None:
    budget = Budget(10.0, 5.0, 0.0)
    assert sum(budget.take(0.0) for _ in range(20)) == 5
    assert sum(budget.take(1.0) for _ in range(20)) == 5
    assert sum(budget.take(1.25) for _ in range(20)) == 2
