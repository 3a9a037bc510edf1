"""What visits leave behind when they have gone: nothing that grows with their number."""

import gc
from collections import Counter

from media_parts import KeepingSink, opus, vp8
from room_parts import Person, turn

from signaling.rtc import MediaPort

OURS = ("signaling.rtc.", "pylibsrtp.", "OpenSSL.", "asyncio.")
ROUNDS = 8  # more than the last visit alone may still hold of one kind until the loop turns


async def visit(port: MediaPort, number: int) -> None:
    """Two people meet, one is recorded, restarts ICE and comes again beside the old leg; then everybody goes."""
    people = [Person(port, name) for name in ("anna", "ben", "anna")]
    for person in people[:2]:
        await person.open(f"visit_{number}")
        await person.connect()
    people[0].leg.attach(KeepingSink())
    for count in range(1, 20):
        people[0].raw.send_rtp(opus(count, 960 * count))
        people[1].raw.send_rtp(vp8(count, 3000 * count, key=count == 1))
    await turn()
    people[0].raw.ufrag = "again"
    people[0].raw.answer = await people[0].leg.restart(people[0].raw.offer)
    await people[2].open(f"visit_{number}")
    await people[2].connect()
    people[0].leg.detach("withdrawn")
    for person in people:
        await person.leg.close("visit_ended")
        person.raw.close()


def held() -> Counter[str]:
    """How many objects of ours, of the libraries below, and of tasks and futures there are."""
    gc.collect()
    kinds = Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.get_objects() if _plain(one))
    del kinds["asyncio.events.TimerHandle"]  # the loop sweeps out cancelled ones by the hundred
    return Counter({name: count for name, count in kinds.items() if name.startswith(OURS)})


def _plain(one: object) -> bool:
    return isinstance(type(one).__module__, str)


async def test_visits_that_are_over_leave_no_object_no_secret_and_no_way_in(port: MediaPort) -> None:
    await visit(port, 0)  # what is made once is made now
    before = held()
    for number in range(1, ROUNDS + 1):
        await visit(port, number)
    after = held()
    assert {name: count - before[name] for name, count in after.items() if count - before[name] >= ROUNDS} == {}
    for secret in ("OpenSSL.SSL.Connection", "pylibsrtp.Session"):
        assert after[secret] <= before[secret] + 1  # which the last visit may hold until the loop turns
    assert port.legs() == ()
    assert port._fragments == {}
    assert all(not door.proven for door in port._udp)
