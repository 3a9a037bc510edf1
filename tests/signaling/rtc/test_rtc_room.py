"""Rooms: who is heard where, and what a change of people does to the others."""

import socket
import struct
from collections import Counter

import pytest
from media_parts import (
    AUDIO_TYPE,
    VIDEO_TYPE,
    KeepingSink,
    ManualClock,
    RawBrowser,
    opus,
    vp8,
)
from room_parts import PAIR, Come, Person, screen, turn

from signaling.rtc import LegState, MediaPort, OfferRefused, PortFull, Slot
from telehealth.clock import SystemClock
from telehealth.frames import EncodedFrame

PLI = (206, 1)


async def test_two_people_hear_and_see_each_other_under_the_sources_their_answers_name(come: Come) -> None:
    anna, ben = await come("anna"), await come("ben")
    assert anna.told[-1] == (Slot("2", "ben", "audio"), Slot("3", "ben", "camera"))
    assert ben.leg.slots() == (Slot("2", "anna", "audio"), Slot("3", "anna", "camera"))
    anna.raw.send_rtp(opus(1000, 960), vp8(2000, 90, key=True))
    heard, seen = await ben.hear_many(2)
    assert (heard.ssrc, heard.payload, heard.payload_type) == (ben.sources("2")[0], b"\xfcsound", AUDIO_TYPE)
    assert (seen.ssrc, seen.payload_type, seen.marker) == (ben.sources("3")[0], VIDEO_TYPE, True)
    assert seen.payload == b"\x10\x10picture"


async def test_two_people_hear_and_see_each_other_over_ipv6(built: bool, sink: KeepingSink) -> None:
    port = await MediaPort.open("::1", 0, public_addresses=["::1"], clock=SystemClock(), compiled=built)
    anna, ben = Person(port, "anna"), Person(port, "ben")
    for person, to in ((anna, sink), (ben, None)):
        person.raw.socket.close()
        person.raw.socket = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        person.raw.socket.setblocking(False)
        person.raw.server = ("::1", port.port)
        await person.open(sink=to)
        assert f"udp 2130706431 ::1 {port.port} typ host" in person.raw.answer
        await person.connect()
    anna.raw.send_rtp(opus(1, 960), vp8(1, 90, key=True))
    assert [packet.payload for packet in await ben.hear_many(2)] == [b"\xfcsound", b"\x10\x10picture"]
    ben.raw.send_rtp(opus(1, 960))
    assert (await anna.hear()).payload == b"\xfcsound"
    anna.raw.send_rtp(*(opus(number, 960 * number) for number in range(2, 12)))
    assert [packet.payload for packet in await ben.hear_many(10)] == 10 * [b"\xfcsound"]
    await sink.until(lambda s: Counter(frame.kind for frame in s.frames) == {"audio": 11, "video": 1})
    assert (anna.leg.stats().path, ben.leg.stats().path) == ("udp6", "udp6")
    assert (port.stats().get("compiled_packets", 0) >= 10) is built, "by the way that is tested"
    await port.close()
    for person in (anna, ben):
        person.raw.close()


async def test_rooms_do_not_hear_each_other(come: Come) -> None:
    anna, ben = await come("anna"), await come("ben", room="other")
    anna.raw.send_rtp(opus(1, 960), vp8(1, 90, key=True))
    await turn()
    assert (anna.leg.slots(), ben.leg.slots()) == ((), ())
    assert (anna.leg.stats().packets, ben.leg.stats().sent_packets) == (2, 0)


async def test_two_pictures_of_one_payload_type_are_told_apart_by_mid(come: Come) -> None:
    anna = await come("anna", (*PAIR, ("video", "sendonly")))
    ben = await come("ben", (*PAIR, ("video", "recvonly")))
    assert ben.leg.slots() == (Slot("2", "anna", "audio"), Slot("3", "anna", "camera"), Slot("4", "anna", "screen"))
    anna.raw.send_rtp(vp8(1, 0, key=True), screen(1, 0, key=True), vp8(2, 3000, key=False))
    camera, shared, again = await ben.hear_many(3)
    assert (camera.payload[2:], shared.payload[2:], again.payload[2:]) == (b"picture", b"screen", b"picture")
    assert (camera.ssrc, shared.ssrc) == (ben.sources("3")[0], ben.sources("4")[0])


async def test_a_screen_that_may_not_be_shared_goes_to_nobody_and_the_rest_goes_on(come: Come) -> None:
    anna = await come("anna", (*PAIR, ("video", "sendonly")))
    anna.leg.show_screen(False)
    ben = await come("ben", (*PAIR, ("video", "recvonly")))
    assert ben.leg.slots() == (Slot("2", "anna", "audio"), Slot("3", "anna", "camera"))
    anna.raw.send_rtp(vp8(1, 0, key=True), screen(1, 0, key=True), vp8(2, 3000, key=False))
    assert [seen.payload[2:] for seen in await ben.hear_many(2)] == [b"picture", b"picture"]
    anna.leg.show_screen(True)
    assert ben.leg.slots()[2:] == (Slot("4", "anna", "screen"),)
    anna.raw.send_rtp(screen(2, 3000, key=True))
    assert (await ben.hear()).payload[2:] == b"screen"
    anna.leg.show_screen(False)
    assert ben.told[-1] == (Slot("2", "anna", "audio"), Slot("3", "anna", "camera"))
    anna.raw.send_rtp(screen(3, 6000, key=True), vp8(3, 6000, key=False))
    assert (await ben.hear()).payload[2:] == b"picture"


async def test_one_who_leaves_and_one_who_comes_continue_numbers_and_clock(come: Come, clock: ManualClock) -> None:
    anna, ben = await come("anna"), await come("ben")
    anna.raw.send_rtp(opus(500, 96_000), vp8(900, 90_000, key=True))
    heard, seen = await ben.hear_many(2)
    await anna.leg.close("left")
    assert (await ben.raw.hear(203))[4:8] == struct.pack("!I", heard.ssrc)
    assert ben.told[-1] == ()
    clock.seconds += 2.0
    carla = await come("carla")
    assert ben.told[-1] == (Slot("2", "carla", "audio"), Slot("3", "carla", "camera"))
    carla.raw.send_rtp(opus(40_000, 7), vp8(50_000, 7, key=True))
    heard_after, seen_after = await ben.hear_many(2)
    assert (heard_after.ssrc, heard_after.sequence) == (heard.ssrc, heard.sequence + 1)
    assert (seen_after.ssrc, seen_after.sequence) == (seen.ssrc, seen.sequence + 1)
    assert heard_after.timestamp == heard.timestamp + 2 * 48_000
    assert seen_after.timestamp == seen.timestamp + 2 * 90_000


async def test_a_new_leg_of_a_person_takes_over_without_a_hole(come: Come, clock: ManualClock) -> None:
    ben, old = await come("ben"), await come("anna")
    old.raw.send_rtp(opus(1, 0), vp8(1, 0, key=True))
    heard, seen = await ben.hear_many(2)
    told = len(ben.told)
    new = await come("anna")
    clock.seconds += 0.5
    new.raw.send_rtp(vp8(700, 5, key=False))
    await turn()
    old.raw.send_rtp(vp8(2, 45_000, key=False))
    assert (await ben.hear()).sequence == seen.sequence + 1
    new.raw.send_rtp(vp8(701, 3005, key=True), opus(800, 77))
    picture, voice = await ben.hear_many(2)
    assert (picture.ssrc, picture.sequence) == (seen.ssrc, seen.sequence + 2)
    assert (voice.ssrc, voice.sequence, voice.timestamp) == (heard.ssrc, heard.sequence + 1, heard.timestamp + 24_000)
    old.raw.send_rtp(opus(2, 960), vp8(3, 48_000, key=True))
    await turn()
    await old.leg.close("replaced")
    new.raw.send_rtp(opus(801, 1037))
    assert (await ben.hear()).sequence == voice.sequence + 1
    assert len(ben.told) == told
    assert ben.leg.slots()[0].publisher == "anna"


async def test_a_sink_attached_later_gets_nothing_that_came_before_and_nothing_after_it_is_detached(
    come: Come, sink: KeepingSink
) -> None:
    anna = await come("anna")
    anna.raw.send_rtp(opus(1, 960), opus(3, 2880), vp8(1, 0, key=True))
    await turn()
    anna.leg.attach(sink)
    with pytest.raises(ValueError, match="one sink"):
        anna.leg.attach(KeepingSink())
    await anna.raw.hear(*PLI)
    anna.raw.send_rtp(opus(4, 3840), opus(2, 1920), vp8(2, 3000, key=False), vp8(3, 6000, key=True))
    await sink.until(lambda s: len(s.frames) == 2)
    assert [frame.timestamp for frame in sink.frames] == [3840, 6000]
    anna.leg.detach("withdrawn")
    anna.raw.send_rtp(opus(5, 4800))
    await turn()
    assert (len(sink.frames), sink.closings, sink.after_closing) == (2, ["withdrawn"], 0)
    again = KeepingSink()
    anna.leg.attach(again)
    anna.raw.send_rtp(opus(6, 5760))
    await again.until(lambda s: bool(s.frames))
    assert anna.leg.state is LegState.CONNECTED


async def test_a_call_outlives_a_recorder_that_fails(come: Come) -> None:
    class Failing(KeepingSink):
        def frame(self, frame: EncodedFrame) -> None:
            raise OSError("disk full")

    failing = Failing()
    anna, ben = await come("anna", sink=failing), await come("ben")
    anna.raw.send_rtp(opus(1, 960), opus(2, 1920))
    await ben.hear_many(2)
    assert failing.closings == ["sink_failed"]
    assert anna.leg.state is LegState.CONNECTED


async def test_a_fault_of_one_receiver_ends_its_leg_alone(come: Come) -> None:
    class Told(list[tuple[Slot, ...]]):
        def append(self, slots: tuple[Slot, ...]) -> None:
            raise RuntimeError("fault")

    def broken(person: Person) -> None:
        person.told = Told()

    anna, ben = await come("anna", PAIR * 2), await come("ben", PAIR * 2, change=broken)
    carla = await come("carla", PAIR * 2)
    assert await ben.leg.wait_closed() == "leg_failed"
    anna.raw.send_rtp(opus(1, 960))
    assert (await carla.hear()).payload == b"\xfcsound"


async def test_eight_people_are_enough_and_a_third_leg_of_one_ends_the_first(
    still_port: MediaPort, sink: KeepingSink
) -> None:
    people = [Person(still_port, f"p{number}", ()) for number in range(9)]
    for person in people[:8]:
        await person.open()
    with pytest.raises(PortFull):
        await people[8].open()
    again = [Person(still_port, "p0", ()), Person(still_port, "p0", ())]
    for person in again:
        await person.open()
    assert await people[0].leg.wait_closed() == "replaced"
    assert again[0].leg.state is LegState.NEW
    for person in [*people, *again]:
        person.raw.close()


async def test_a_section_that_rests_frees_its_place_and_comes_back_as_what_it_was(come: Come) -> None:
    anna = await come("anna", (*PAIR, ("video", "sendonly")))
    ben = await come("ben", (*PAIR, ("video", "recvonly")))
    assert Slot("4", "anna", "screen") in ben.leg.slots()
    anna.raw.more = (*PAIR, ("video", "inactive"))
    assert "a=inactive" in await anna.leg.restart(anna.raw.offer)
    assert Slot("4", "anna", "screen") not in ben.leg.slots()
    assert ben.told[-1] == ben.leg.slots()
    anna.raw.more = (*PAIR, ("video", "sendonly"))
    await anna.leg.restart(anna.raw.offer)
    assert Slot("4", "anna", "screen") in ben.leg.slots()


async def test_too_few_sections_give_every_sound_first_and_more_are_filled_when_offered(come: Come) -> None:
    for name in ("anna", "ben"):
        await come(name, ())
    carla = await come("carla", (("audio", "recvonly"), ("video", "recvonly"), ("audio", "recvonly")))
    assert {(slot.publisher, slot.source) for slot in carla.leg.slots()} == {
        ("anna", "audio"),
        ("ben", "audio"),
        ("anna", "camera"),
    }
    before = carla.leg.slots()
    carla.raw.more = (*carla.raw.more, ("video", "recvonly"))
    carla.raw.answer = await carla.leg.restart(carla.raw.offer)
    assert set(carla.leg.slots()) == {*before, Slot("5", "ben", "camera")}
    assert len(carla.sources("5")) == 2


async def test_a_room_leg_may_only_listen_and_has_a_largest_number_of_sections(
    still_port: MediaPort, come: Come
) -> None:
    anna = await come("anna")
    listener = Person(still_port, "lisa")
    listener.raw.renumbered = {"a=sendonly": "a=recvonly"}
    await listener.open()
    await listener.connect()
    assert {slot.publisher for slot in listener.leg.slots()} == {"anna"}
    assert anna.leg.slots() == ()
    crowd = RawBrowser(still_port.port, more=PAIR * 13)
    with pytest.raises(OfferRefused):
        await still_port.open_leg("leg_crowd", crowd.offer, room="room", publisher="crowd")
    listener.raw.close()
    crowd.close()


async def test_the_answer_puts_a_persons_sound_and_picture_into_one_stream(come: Come) -> None:
    anna = await come("anna", PAIR * 2)
    streams = [line.split()[0] for line in anna.raw.answer.splitlines() if line.startswith("a=msid:")]
    assert streams == ["a=msid:person0", "a=msid:person0", "a=msid:person1", "a=msid:person1"]
