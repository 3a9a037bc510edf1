"""Eight people in one room: everybody gets everybody else and nobody themselves, and a place left is taken again."""

import pytest
from media_parts import AUDIO_TYPE, VIDEO_TYPE, vp8
from room_parts import PAIR, Come, Person, sound

from signaling.rtc import LegState, PortFull

PEOPLE = 8
EACH = PAIR * (PEOPLE - 1)  # receiving sections for everybody else


def spoken(name: str, number: int) -> bytes:
    """What one says in a round: it names them and the round."""
    return f"{name} speaks {number}".encode()


def shown(name: str, number: int) -> bytes:
    return f"{name} waves {number}".encode()


def publish(person: Person, number: int, *, key: bool) -> None:
    """One packet of sound and one picture."""
    person.raw.send_rtp(
        sound(number, 960 * number, spoken(person.name, number)),
        vp8(number, 3000 * number, key=key, body=shown(person.name, number)),
    )


def expected(person: Person, number: int, *, key: bool) -> dict[int, tuple[int, bytes]]:
    """Payload type and payload by the SSRC that the person's own answer names for the section."""
    head = b"\x10\x10" if key else b"\x10\x11"
    return {
        person.sources(slot.mid)[0]: (
            (AUDIO_TYPE, spoken(slot.publisher, number))
            if slot.source == "audio"
            else (VIDEO_TYPE, head + shown(slot.publisher, number))
        )
        for slot in person.leg.slots()
    }


def everybody_faces_the_others(people: list[Person]) -> None:
    """Each has one section of sound and one of a camera for every other one, and no more."""
    for person in people:
        others = {other.name for other in people} - {person.name}
        slots = person.leg.slots()
        assert {(slot.publisher, slot.source) for slot in slots} == {
            (name, source) for name in others for source in ("audio", "camera")
        }
        assert len({slot.mid for slot in slots}) == len(slots) == 2 * len(others)
        assert person.told[-1] == slots if person.told else person is people[-1], "who came last knows by the answer"


async def everybody_gets_the_others(people: list[Person], number: int, *, key: bool) -> None:
    """All publish once; each gets exactly the packets of the others, and so nothing of an earlier round either."""
    for person in people:
        publish(person, number, key=key)
    for person in people:
        packets = await person.hear_many(2 * (len(people) - 1))
        found = {packet.ssrc: (packet.payload_type, packet.payload) for packet in packets}
        assert found == expected(person, number, key=key)


async def gather(come: Come) -> list[Person]:
    return [await come(f"p{number}", EACH) for number in range(PEOPLE)]


async def test_eight_people_hear_and_see_the_seven_others_and_never_themselves(come: Come) -> None:
    people = await gather(come)
    everybody_faces_the_others(people)
    assert [len(person.leg.slots()) for person in people] == [14] * PEOPLE
    await everybody_gets_the_others(people, 1, key=True)
    await everybody_gets_the_others(people, 2, key=False)
    for person in people:
        stats = person.leg.stats()
        assert (stats.packets, stats.sent_packets) == (4, 28)


async def test_one_of_eight_leaves_and_a_ninth_takes_the_place(come: Come) -> None:
    people = await gather(come)
    await everybody_gets_the_others(people, 1, key=True)
    with pytest.raises(PortFull):
        await come("p8", EACH)
    gone = people.pop(3)
    places = [{slot.mid for slot in person.leg.slots() if slot.publisher == gone.name} for person in people]
    await gone.leg.close("left")
    everybody_faces_the_others(people)
    await everybody_gets_the_others(people, 2, key=False)
    ninth = await come("p8", EACH)
    for person, place in zip(people, places, strict=True):
        assert {slot.mid for slot in person.leg.slots() if slot.publisher == ninth.name} == place
    people.append(ninth)
    everybody_faces_the_others(people)
    await everybody_gets_the_others(people, 3, key=True)
    await everybody_gets_the_others(people, 4, key=False)
    assert [person.leg.state for person in people] == [LegState.CONNECTED] * PEOPLE
    assert gone.leg.state is LegState.CLOSED
