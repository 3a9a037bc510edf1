"""What is forwarded: heads, repeats, key frames, reports and limits between publishers and receivers."""

import asyncio
import struct

import pytest
from media_parts import (
    AUDIO_TYPE,
    MID_ID,
    REPEAT_TYPE,
    TIME_ID,
    VIDEO_SSRC,
    ManualClock,
    opus,
    vp8,
)
from room_parts import PAIR, Come, Person, extensions, headed, receiver_report, sender_report, sound, turn

from signaling.rtc import rtcp

PLI, NACK, REMB = (206, 1), (205, 1), (206, 15)


async def test_the_head_of_a_packet_says_what_the_receivers_offer_agreed(come: Come, clock: ManualClock) -> None:
    def renumber(person: Person) -> None:
        person.raw.renumbered = {f"a=extmap:{MID_ID} ": "a=extmap:9 ", f"a=extmap:{TIME_ID} ": "a=extmap:11 "}
        person.raw.renumbered |= {f" {AUDIO_TYPE}\r\n": " 100\r\n", f":{AUDIO_TYPE} opus": ":100 opus"}

    anna, ben = await come("anna"), await come("ben", change=renumber)
    anna.raw.send_rtp(headed(opus(1, 960), mid="0", level=0x85, sent=7))
    packet = await ben.raw.hear_rtp()
    assert packet[1] & 0x7F == 100
    moment = int(clock.seconds * 262_144) & 0xFFFFFF
    assert extensions(packet) == {9: b"2", 1: b"\x85", 11: moment.to_bytes(3, "big")}


async def test_a_picture_starts_with_a_key_frame_that_was_asked_for(come: Come) -> None:
    anna = await come("anna")
    anna.raw.send_rtp(vp8(1, 0, key=True))
    await turn()
    ben = await come("ben")
    anna.raw.send_rtp(vp8(2, 3000, key=False))
    assert struct.unpack("!I", (await anna.raw.hear(*PLI))[8:12]) == (VIDEO_SSRC,)
    anna.raw.send_rtp(vp8(3, 6000, key=True), vp8(4, 9000, key=False))
    first, second = await ben.hear_many(2)
    assert first.payload[1] == 0x10
    assert second.sequence == first.sequence + 1
    assert second.timestamp == first.timestamp + 3000


async def test_however_many_ask_a_publisher_is_asked_for_one_key_frame_a_second(come: Come, clock: ManualClock) -> None:
    anna, *others = [await come(name, PAIR * 3) for name in ("anna", "ben", "carla", "dora")]
    anna.raw.send_rtp(vp8(1, 0, key=True))
    for other in others:
        source = (await other.hear()).ssrc
        fir = struct.pack("!BBHIIIBxxx", 0x84, 206, 4, 9, 0, source, 1)
        for _ in range(5):
            other.raw.send_rtcp(rtcp.picture_loss(9, source) + fir)
    await anna.raw.hear(*PLI)
    for other in others:
        other.raw.send_rtcp(rtcp.picture_loss(9, other.sources("3")[0]))
    await asyncio.sleep(0.08)  # more than a tick of the port, in which its clock stands
    assert anna.leg.stats().key_frame_requests == 1
    clock.seconds += 1.01
    await anna.raw.hear(*PLI)
    await turn()
    assert anna.leg.stats().key_frame_requests == 2
    assert sum(other.leg.stats().key_frames_heard for other in others) == 33


async def test_a_lost_packet_is_repeated_from_the_history_as_rtx(come: Come) -> None:
    anna, ben = await come("anna"), await come("ben")
    anna.raw.send_rtp(*(vp8(65_534 + step, 3000 * step, key=step == 0, body=b"%d" % step) for step in range(5)))
    sent = await ben.hear_many(5)
    ben.raw.send_rtcp(rtcp.negative_acknowledgement(9, sent[0].ssrc, [sent[1].sequence, sent[3].sequence]))
    one, other = await ben.hear_many(2)
    assert {one.payload_type, other.payload_type} == {REPEAT_TYPE}
    assert {one.ssrc, other.ssrc} == {ben.sources("3")[1]}
    for repeat, original in ((one, sent[1]), (other, sent[3])):
        assert repeat.payload == struct.pack("!H", original.sequence) + original.payload
        assert repeat.timestamp == original.timestamp
    assert ben.leg.stats().retransmitted == 2


async def test_what_is_missing_upstream_is_asked_for_and_takes_its_place(come: Come, clock: ManualClock) -> None:
    anna, ben = await come("anna"), await come("ben")
    anna.raw.send_rtp(vp8(1, 0, key=True), vp8(3, 6000, key=False))
    first, third = await ben.hear_many(2)
    clock.seconds += 0.02
    request = await anna.raw.hear(*NACK)
    assert struct.unpack("!IHH", request[8:16]) == (VIDEO_SSRC, 2, 0)
    anna.raw.send_rtp(headed(vp8(2, 3000, key=False), mid="1"))
    second = await ben.hear()
    assert [first.sequence + 1, first.sequence + 2] == [second.sequence, third.sequence]


async def test_an_outage_leaves_no_hole_in_the_numbers(come: Come, clock: ManualClock) -> None:
    anna, ben = await come("anna"), await come("ben")
    anna.raw.send_rtp(opus(1, 0), vp8(1, 0, key=True))
    heard, seen = await ben.hear_many(2)
    clock.seconds += 6.0
    anna.raw.send_rtp(opus(301, 300 * 960), vp8(400, 540_000, key=False), vp8(401, 543_000, key=True))
    voice, picture = await ben.hear_many(2)
    assert (voice.sequence, voice.timestamp) == (heard.sequence + 1, heard.timestamp + 300 * 960)
    assert (picture.sequence, picture.payload[1]) == (seen.sequence + 1, 0x10)
    clock.seconds += 1.0
    await anna.raw.hear(201)
    assert anna.leg.stats().loss == 0.0
    assert anna.leg.stats().nacks == 0


@pytest.mark.parametrize("away", [4.0, 10.0])  # seconds: the second is so long that nothing more goes out meanwhile
async def test_what_an_outage_swallowed_is_not_taken_for_a_narrow_way(
    come: Come, clock: ManualClock, away: float
) -> None:
    anna, ben = await come("anna"), await come("ben")
    anna.raw.send_rtp(opus(1, 0), vp8(1, 0, key=True))
    voice, picture = await ben.hear_many(2)

    async def second(highest: int, lost: int) -> None:
        """Of both sources, with a limit as low as browsers say after an outage."""
        for of in (voice, picture):
            ben.raw.send_rtcp(receiver_report(of.ssrc, lost=lost, highest=of.sequence + highest))
        ben.raw.send_rtcp(rtcp.bandwidth_limit(9, [picture.ssrc], 60_000))
        await turn()
        clock.seconds += 1.01
        await anna.raw.hear(201)

    await second(0, 0)
    clock.seconds += away
    await asyncio.sleep(0.06)
    for number in range(3):
        await second(0, 230)  # what was on its way when the path died
        anna.raw.send_rtp(opus(2 + number, 960 * number + 960), vp8(2 + number, 3000 * number + 3000, key=True))
        await ben.hear_many(2)
    await second(1, 230)  # the first report that knows what came afterwards
    assert (ben.leg.stats().sent_loss, ben.leg.stats().available_bitrate) == (0.0, None)
    for _ in range(4):
        await second(3, 230)  # but this is loss
    assert ben.leg.stats().sent_loss > 0.8
    assert ben.leg.stats().available_bitrate is not None


async def test_reports_run_on_our_clock_and_the_receivers_timestamps(come: Come, clock: ManualClock) -> None:
    anna, ben = await come("anna"), await come("ben")
    anna.raw.send_rtp(opus(1, 480_000), vp8(1, 900_000, key=True))
    heard, seen = await ben.hear_many(2)
    ntp = 5_000 << 32
    anna.raw.send_rtcp(sender_report(0x1111, ntp, 480_000) + sender_report(VIDEO_SSRC, ntp, 900_000))
    await turn()
    clock.seconds += 3.0
    found: dict[int, tuple[float, int]] = {}
    while len(found) < 2:
        ssrc, moment, stamp = struct.unpack("!IQI", (await ben.raw.hear(200))[4:20])
        if moment / (1 << 32) - 2_208_988_800 > clock.now().timestamp() - 1:  # not one from before the clock moved
            found[ssrc] = (moment / (1 << 32) - 2_208_988_800, stamp)
    assert found[heard.ssrc][0] == pytest.approx(clock.now().timestamp(), abs=0.2)
    assert found[heard.ssrc][1] == pytest.approx(heard.timestamp + 3 * 48_000, abs=10)
    assert found[seen.ssrc][1] == pytest.approx(seen.timestamp + 3 * 90_000, abs=10)


async def test_a_round_trip_is_told_by_the_receivers_echo(come: Come, clock: ManualClock) -> None:
    anna, ben = await come("anna"), await come("ben")
    anna.raw.send_rtp(opus(1, 0))
    source = (await ben.hear()).ssrc
    moment = round((clock.now().timestamp() + 2_208_988_800) * 65_536) & 0xFFFFFFFF
    clock.seconds += 0.25
    ben.raw.send_rtcp(receiver_report(source, lost=64, last=moment, delay=round(0.05 * 65_536)))
    await turn()
    assert ben.leg.stats().sent_rtt == pytest.approx(0.2, abs=0.01)
    assert ben.leg.stats().sent_loss == pytest.approx(0.25)


async def test_a_publisher_hears_the_least_of_what_receivers_can_take(come: Come, clock: ManualClock) -> None:
    anna, ben, carla = [await come(name, PAIR * 2) for name in ("anna", "ben", "carla")]
    anna.raw.send_rtp(vp8(1, 0, key=True))
    for other, limit in ((ben, 2_000_000), (carla, 400_000)):
        source = (await other.hear()).ssrc
        for took in (0.01, 2.0):  # packets queue: only then is the browser's limit believed
            moment = round((clock.now().timestamp() + 2_208_988_800 - took) * 65_536) & 0xFFFFFFFF
            other.raw.send_rtcp(receiver_report(source, last=moment) + rtcp.bandwidth_limit(9, [source], limit))
    await turn()
    assert carla.leg.stats().available_bitrate == pytest.approx(400_000, rel=0.01)
    clock.seconds += 1.01
    told, expected = 0.0, 0.9 * 400_000 / 2 + 50_000  # carla sees two pictures; sound besides
    while told != pytest.approx(expected, rel=0.01):  # earlier ones are of before she said it
        remb = await anna.raw.hear(*REMB)
        told = (int.from_bytes(remb[17:20], "big") & 0x3FFFF) << (remb[17] >> 2)
    assert anna.leg.stats().allowed_bitrate == pytest.approx(told, rel=0.01)


async def test_a_picture_that_does_not_fit_beside_the_sound_is_paused_and_tried_again(
    come: Come, clock: ManualClock
) -> None:
    anna, ben = await come("anna"), await come("ben")
    anna.raw.send_rtp(opus(1, 0), vp8(1, 0, key=True))
    voice, picture = await ben.hear_many(2)
    for took in (0.01, 2.0):
        moment = round((clock.now().timestamp() + 2_208_988_800 - took) * 65_536) & 0xFFFFFFFF
        ben.raw.send_rtcp(receiver_report(voice.ssrc, last=moment) + rtcp.bandwidth_limit(9, [1], 50_000))
    for _ in range(5):
        ben.raw.send_rtcp(receiver_report(voice.ssrc))
        await turn()
        clock.seconds += 1.01
        await anna.raw.hear(201)
    assert ben.leg.stats().pictures_paused == 1
    anna.raw.send_rtp(vp8(2, 3000, key=False), opus(2, 960))
    assert (await ben.hear()).sequence == voice.sequence + 1
    for _ in range(5):
        ben.raw.send_rtcp(receiver_report(voice.ssrc))
        await turn()
        clock.seconds += 1.01
        await anna.raw.hear(201)
    assert ben.leg.stats().pictures_paused == 0
    anna.raw.send_rtp(vp8(3, 6000, key=False), vp8(4, 9000, key=True))
    back = await ben.hear()
    assert (back.sequence, back.payload[1]) == (picture.sequence + 1, 0x10)


async def test_sound_that_may_be_repeated_is_the_very_same_datagram(come: Come) -> None:
    def repeats(person: Person) -> None:
        opus_line = f"a=rtpmap:{AUDIO_TYPE} opus/48000/2"
        person.raw.renumbered = {opus_line: f"{opus_line}\r\na=rtcp-fb:{AUDIO_TYPE} nack"}

    anna, ben = await come("anna", change=repeats), await come("ben", change=repeats)
    assert f"a=rtcp-fb:{AUDIO_TYPE} nack\r\n" in ben.raw.answer
    anna.raw.send_rtp(opus(1, 960))
    datagram = await ben.raw.receive()
    packet = ben.raw.incoming.unprotect(datagram)
    source, number = struct.unpack("!I", packet[8:12])[0], int.from_bytes(packet[2:4], "big")
    ben.raw.send_rtcp(rtcp.negative_acknowledgement(9, source, [number]))
    assert await ben.raw.receive() == datagram
    anna.raw.send_rtp(opus(3, 2880))
    assert struct.unpack("!IHH", (await anna.raw.hear(*NACK))[8:16]) == (0x1111, 2, 0)


async def test_sound_goes_out_twice_while_much_of_it_is_lost(come: Come, clock: ManualClock) -> None:
    anna, ben = await come("anna"), await come("ben")
    anna.raw.send_rtp(sound(1, 0))
    source = (await ben.hear()).ssrc
    for _ in range(3):
        ben.raw.send_rtcp(receiver_report(source, lost=26))
        await turn()
        clock.seconds += 1.01
        await asyncio.sleep(0.06)
    anna.raw.send_rtp(sound(2, 960))
    once = await ben.raw.receive_media()
    anna.raw.send_rtp(sound(3, 1920))
    other, twice = await ben.raw.receive_media(), await ben.raw.receive_media()
    assert (once == twice, once == other) == (True, False)
