"""Histories, gaps, queues and shares: bounds and choices without a network."""

import random
from itertools import pairwise

import pytest

from signaling.rtc.downlink import PICTURE_LEAST, Downlink, order_of_pictures
from signaling.rtc.estimate import FLOOR, QueueDelay, UplinkEstimate
from signaling.rtc.extensions import find_extension
from signaling.rtc.gaps import MOST, Gaps
from signaling.rtc.history import MOST_OCTETS, MOST_PACKETS, History
from signaling.rtc.reception import Reception
from signaling.rtc.timeline import SenderClock


def test_a_history_keeps_the_newest_packets_within_its_bounds() -> None:
    history = History()
    for number in range(2_000):
        history.keep(number, 0, number, bytes(100))
    assert len(history) == MOST_PACKETS
    assert history.find(1_399) is None
    kept = history.find(1_400)
    assert kept is not None
    assert kept.timestamp == 1_400
    for number in range(2_000, 3_000):
        history.keep(number, 0, number, bytes(1_400))
        assert history.octets <= MOST_OCTETS
    assert len(history) == MOST_OCTETS // 1_400
    history.keep(2_999, 0, 7, b"other")
    again = history.find(2_999)
    assert again is not None
    assert again.timestamp == 2_999
    history.clear()
    assert (len(history), history.octets) == (0, 0)


def test_no_more_than_a_bounded_number_of_packets_is_ever_asked_for() -> None:
    gaps = Gaps(0.0)
    gaps.open(0, 100_000, 0.0)
    assert len(gaps.missing) == MOST
    assert gaps.due(0.1, 0.05)[-1] == 99_999
    assert gaps.fill(99_999) == pytest.approx(0.1)
    assert gaps.fill(99_999) is None
    gaps.due(2.0, 0.05)
    assert gaps.missing == {}


@pytest.mark.parametrize("start", [0, 1, 65_530])
def test_numbers_count_on_across_the_wrap_in_any_order(start: int) -> None:
    dice = random.Random(start)
    reception = Reception(1, 90_000)
    first = reception.take(start, 0, 100, 0.0)
    for block in range(20_000):
        window = [start + 1 + 8 * block + step for step in range(8)]
        dice.shuffle(window)
        for number in window:
            assert reception.take(number & 0xFFFF, 0, 100, 0.0) - first == number - start
    assert reception.lost == 0


def test_a_limit_is_believed_only_where_packets_queue_or_are_lost() -> None:
    link = Downlink()
    link.took(0.02)
    assert not link.announce(200_000)
    assert link.available is None
    for _ in range(8):
        link.took(0.5)
    assert link.announce(200_000)
    assert link.available == 200_000
    assert link.divide(50_000.0, 1, 0.0).each == 130_000
    lossy = Downlink()
    for _ in range(8):
        lossy.lose(0.4, 500_000)
    assert lossy.available is not None
    assert lossy.available < 400_000


def narrow() -> Downlink:
    """Of a way that 290 kbit/s filled until its browser asked for 205, and that is empty again."""
    link = Downlink()
    link.took(0.02)
    link.lose(0.0, 290_000)
    for _ in range(8):
        link.took(0.4)
    assert link.announce(205_000)
    for _ in range(20):
        link.took(0.02)
    return link


def test_where_packets_queued_before_the_limit_rises_slowly_and_falls_at_the_first_word() -> None:
    link = narrow()
    limits = []
    for _ in range(12):
        link.lose(0.0, 250_000)
        link.announce(400_000)  # what its browser believes meanwhile does not lift it
        limits.append(link.available or 0)
    assert limits[0] == round(205_000 * 1.08)
    assert limits[5] > 290_000  # up to what filled the way as quickly as any
    assert all(later / earlier < 1.02 for earlier, later in pairwise(limits[5:]))
    assert not link.queues
    assert link.announce(210_000)  # no queue is long yet: the fall alone is believed
    assert link.available == 210_000
    link.announce(100_000)
    assert link.available == round(0.65 * 290_000)  # jitter may say anything; what the way carried is known


def test_a_way_that_became_wider_is_used_as_quickly_as_any() -> None:
    link = narrow()
    for _ in range(60):
        link.lose(0.0, 0.9 * (link.available or 0))
    assert link.available is not None
    assert link.available > 1_500_000
    assert not link.announce(300_000)  # jitter alone is the likelier reason again


def test_a_longer_way_is_no_queue_for_ever() -> None:
    """From Wi-Fi to mobile: every round trip takes 90 ms more from now on."""
    link = narrow()
    for _ in range(90):
        link.took(0.11)
        link.lose(0.0, 0.9 * (link.available or 3_000_000))
        link.announce(3_000_000)
    assert not link.queues
    assert (link.available or 3_000_000) > 1_500_000


def test_a_limit_that_nothing_tries_does_not_rise() -> None:
    """Sound alone for ten minutes says nothing about how much a camera may take; a minute at the limit does."""
    link = narrow()
    for _ in range(600):
        link.took(0.02)
        link.lose(0.0, 60_000)
    assert 290_000 <= (link.available or 0) < 320_000
    link.announce(400_000)
    assert link.announce(200_000)  # and what is known is still known: a fall counts without a queue


def test_what_was_pushed_into_a_way_is_not_what_it_carries() -> None:
    link = Downlink()
    link.took(0.02)
    link.lose(0.0, 2_000_000)
    for _ in range(8):
        link.took(0.4)
    assert link.announce(250_000)
    for _ in range(20):
        link.took(0.02)
    for _ in range(15):
        link.lose(0.0, 0.9 * (link.available or 0))
    assert (link.available or 0) < 420_000


def test_sound_keeps_its_room_and_pictures_that_do_not_fit_are_paused_then_tried_with_longer_pauses() -> None:
    link, tries, now = Downlink(), [], 0.0
    shown_before = 2
    while now < 120.0:
        link.took(0.02 if now == 0.0 else 1.0)
        link.announce(130_000)
        shares = link.divide(50_000.0, 2, now)
        if shares.pictures > shown_before:
            tries.append(now)
        shown_before = shares.pictures
        now += 1.0
    assert shares.pictures < 2 or shares.each == PICTURE_LEAST
    pauses = [later - earlier for earlier, later in pairwise(tries)]
    assert len(tries) >= 2
    assert pauses == sorted(pauses)


def test_a_paused_picture_does_not_make_the_limit_fall_further() -> None:
    link = Downlink()
    link.took(0.02)
    for _ in range(8):
        link.took(1.0)
    link.announce(60_000)
    for second in range(4):
        link.divide(50_000.0, 1, float(second))
    assert link.divide(50_000.0, 1, 4.0).pictures == 0
    assert not link.announce(20_000)
    assert link.available == 60_000


def test_screens_are_kept_before_cameras() -> None:
    assert order_of_pictures(["camera", "camera", "screen"]) == [2, 0, 1]


def test_a_queue_on_the_way_is_seen_and_jitter_alone_is_none() -> None:
    dice, delay = random.Random(7), QueueDelay()
    for step in range(600):
        at = 60.0 + step / 30  # its 24 bits wrap meanwhile
        delay.heard(int(at * 262_144) & 0xFFFFFF, at + 1_000.0 + dice.random() * 0.05)
    assert delay.seconds < 0.06
    for step in range(60):
        at = 80.0 + step / 30
        delay.heard(int(at * 262_144) & 0xFFFFFF, at + 1_000.4)
    assert delay.seconds > 0.3


def test_an_estimate_falls_to_what_arrives_while_packets_queue() -> None:
    estimate = UplinkEstimate()
    assert estimate.update(0.0, 400_000, 0.3) == 320_000
    assert estimate.update(0.0, 300_000, 0.09) == 320_000
    assert estimate.update(0.0, 10_000, 0.3) == FLOOR
    estimate.heard = 10_000
    assert estimate.announced == FLOOR


def test_the_quickest_report_sets_a_senders_clock_and_a_jump_is_followed() -> None:
    clock = SenderClock()
    assert clock.since(0, 1.0) is None
    clock.heard(100 << 32, 10.2)
    clock.heard(101 << 32, 11.0)
    clock.heard(102 << 32, 12.3)
    assert clock.since(102 << 32, 12.3) == pytest.approx(0.3, abs=0.02)
    clock.heard(9_000 << 32, 13.0)
    assert clock.since(9_000 << 32, 13.0) == 0.0


def test_extensions_of_both_forms_are_found_and_broken_ones_never_raise() -> None:
    one = bytes([0x90]) + bytes(11) + b"\xbe\xde\x00\x02\x10\x85\x00\x32\x01\x02\x03\x00"
    two = bytes([0x90]) + bytes(11) + b"\x10\x00\x00\x02\x01\x01\x85\x00\x03\x02\x0a\x0b"
    assert find_extension(memoryview(one), len(one), 1) == b"\x85"
    assert find_extension(memoryview(one), len(one), 3) == b"\x01\x02\x03"
    assert find_extension(memoryview(two), len(two), 3) == b"\x0a\x0b"
    assert find_extension(memoryview(two), len(two), 9) is None
    dice = random.Random(7)
    for _ in range(3_000):
        broken = bytearray(dice.choice([one, two]))
        for _ in range(dice.randrange(4)):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        size = dice.randrange(12, len(broken) + 1)
        find_extension(memoryview(bytes(broken) + bytes(64)), size, dice.randrange(16))
