"""Sources and sections that change, end and pile up over the life of a leg."""

import asyncio
import contextlib

import pytest
from media_parts import (
    AUDIO_TYPE,
    LIMIT,
    REPEAT_SSRC,
    VIDEO_SSRC,
    VIDEO_TYPE,
    KeepingSink,
    ManualClock,
    RawBrowser,
    opus,
    rtp,
    vp8,
)
from OpenSSL import SSL
from room_parts import PAIR, SCREEN_SSRC, Come, screen, turn

from signaling.rtc import Leg, OfferRefused

OTHER_SOUND, OTHER_CAMERA = 0x9999, 0x8888
SHARES = (*PAIR, ("video", "sendonly"))


def other_sound(sequence: int, timestamp: int) -> bytes:
    return rtp(AUDIO_TYPE, sequence, timestamp, OTHER_SOUND, b"\xfcother")


def other_camera(sequence: int, timestamp: int) -> bytes:
    return rtp(VIDEO_TYPE, sequence, timestamp, OTHER_CAMERA, b"\x10\x10another", marker=True)


async def test_later_offers_cannot_pile_up_sections_that_receive(come: Come) -> None:
    ben = await come("ben", (("audio", "recvonly"),) * 20)
    first = ben.raw.offer
    ben.raw.renumbered = {f"a=mid:{mid}\r\n": f"a=mid:x{mid}\r\n" for mid in range(2, 22)}
    mids = " ".join(str(mid) for mid in range(22))
    ben.raw.renumbered[f"BUNDLE {mids}"] = "BUNDLE 0 1 " + " ".join(f"x{mid}" for mid in range(2, 22))
    with pytest.raises(OfferRefused) as refused:
        await ben.leg.restart(ben.raw.offer)
    assert refused.value.fault == "too_many_sections"
    assert "a=mid:21" in await ben.leg.restart(first)
    anna = await come("anna", ())
    anna.raw.send_rtp(opus(1, 960))
    assert (await ben.hear()).payload == b"\xfcsound"


async def test_a_source_of_repeats_is_forgotten_when_an_offer_names_another(come: Come) -> None:
    anna = await come("anna")
    for ssrc in range(50_000, 50_040):
        anna.raw.renumbered = {str(REPEAT_SSRC): str(ssrc)}
        await anna.leg.restart(anna.raw.offer)
    assert list(anna.leg._traffic._receiver._repeats) == [50_039]


async def test_a_goodbye_behind_many_small_records_is_read_at_once(leg: Leg, raw: RawBrowser) -> None:
    for _ in range(50):
        raw.ssl.send(b"x")
    raw.flush()
    with contextlib.suppress(SSL.Error):
        raw.ssl.shutdown()
    raw.flush()
    async with asyncio.timeout(LIMIT):
        assert await leg.wait_closed() == "closed_by_peer"


@pytest.mark.parametrize("mid", ["named", "bare"])
async def test_late_packets_of_a_screen_that_was_stopped_are_nobodys_picture(
    come: Come, sink: KeepingSink, mid: str
) -> None:
    anna = await come("anna", SHARES, sink=sink)
    anna.raw.send_rtp(vp8(1, 0, key=True), screen(1, 0, key=True))
    await sink.until(lambda s: len(s.of("video")) == 1)
    anna.raw.more = (*PAIR, ("video", "inactive"))
    await anna.leg.restart(anna.raw.offer)
    bare = rtp(VIDEO_TYPE, 2, 3000, SCREEN_SSRC, b"\x10\x10screen", marker=True)
    anna.raw.send_rtp(screen(2, 3000, key=True) if mid == "named" else bare, vp8(2, 3000, key=True))
    await sink.until(lambda s: len(s.of("video")) == 2)
    assert [frame.data[1:] for frame in sink.of("video")] == [b"picture", b"picture"]
    anna.raw.more = SHARES
    await anna.leg.restart(anna.raw.offer)
    ben = await come("ben", (*PAIR, ("video", "recvonly")))
    anna.raw.send_rtp(screen(3, 6000, key=True))
    seen = await ben.hear()
    assert (seen.payload[2:], seen.ssrc) == (b"screen", ben.sources("4")[0])


async def test_another_source_in_a_section_goes_on_with_the_receivers_clock(come: Come, clock: ManualClock) -> None:
    anna, ben = await come("anna"), await come("ben")
    anna.raw.send_rtp(opus(1, 960), vp8(1, 3000, key=True))
    sound, picture = await ben.hear_many(2)
    clock.seconds += 0.1
    anna.raw.send_rtp(other_sound(700, 960 + (1 << 30)), other_camera(700, 3000 + (1 << 30)))
    sound_after, picture_after = await ben.hear_many(2)
    assert sound_after.payload == b"\xfcother"
    assert sound_after.timestamp - sound.timestamp == 4_800
    assert picture_after.timestamp - picture.timestamp == 9_000
    assert sound_after.sequence - sound.sequence == picture_after.sequence - picture.sequence == 1


async def test_what_waits_at_a_change_of_source_is_recorded_and_what_is_missing_is_told(
    come: Come, sink: KeepingSink
) -> None:
    anna = await come("anna", sink=sink)
    anna.raw.send_rtp(opus(1, 960), opus(3, 2880), other_sound(70, 5000), other_sound(71, 5960))
    await sink.until(lambda s: len(s.frames) == 4)
    assert [frame.data for frame in sink.frames] == [b"\xfcsound", b"\xfcsound", b"\xfcother", b"\xfcother"]
    assert sink.losses == [("audio", 1)]


async def test_what_waits_when_a_camera_is_turned_off_is_told(come: Come, sink: KeepingSink) -> None:
    anna = await come("anna", sink=sink)
    anna.raw.send_rtp(vp8(1, 0, key=True), vp8(3, 6000, key=True))
    await sink.until(lambda s: len(s.frames) == 1)
    await turn()
    half = rtp(VIDEO_TYPE, 4, 9000, VIDEO_SSRC, b"\x10\x10half a picture")
    anna.raw.send_rtp(half)
    await turn()
    anna.raw.renumbered = {"a=mid:1\r\n": "a=mid:1\r\na=inactive\r\n"}
    await anna.leg.restart(anna.raw.offer)
    assert [frame.timestamp for frame in sink.frames] == [0, 6000]
    assert sink.losses == [("video", 1), ("video", 1)]


async def test_nothing_that_waits_is_recorded_once_recording_ends(come: Come, sink: KeepingSink) -> None:
    anna = await come("anna", sink=sink)
    anna.raw.send_rtp(opus(1, 960), opus(3, 2880))
    await sink.until(lambda s: len(s.frames) == 1)
    await turn()
    anna.leg.detach("withdrawn")
    anna.raw.send_rtp(other_sound(70, 5000))
    await turn()
    assert (len(sink.frames), sink.losses, sink.closings, sink.after_closing) == (1, [], ["withdrawn"], 0)
