"""Who a credential was a moment ago is remembered for that moment, per place, and never a refusal."""

from datetime import UTC, datetime, timedelta

import pytest

from telehealth.access import Caller
from telehealth.identity.faults import Unauthenticated
from telehealth.secret import Secret
from telehealth.web.lately import MOMENT, MOST, Lately
from telehealth.web.proxies import Source


class Watch:
    def __init__(self) -> None:
        self.at = datetime(2026, 3, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


class Door:
    """Counts who is looked up; refuses once closed."""

    def __init__(self) -> None:
        self.asked, self.closed = 0, False

    async def __call__(self) -> Caller:
        self.asked += 1
        if self.closed:
            raise Unauthenticated
        return Caller("user", f"usr{self.asked}", "admin")


HERE = Source("192.0.2.1", "a browser")
ELSEWHERE = Source("192.0.2.2", "a browser")


async def test_a_look_up_is_spared_for_half_a_second_and_no_longer() -> None:
    watch, door = Watch(), Door()
    lately = Lately(watch)
    first = await lately.who(Secret("token"), HERE, door)
    watch.at += MOMENT - timedelta(milliseconds=1)
    assert await lately.who(Secret("token"), HERE, door) is first
    assert door.asked == 1
    watch.at += timedelta(milliseconds=1)
    door.closed = True
    with pytest.raises(Unauthenticated):
        await lately.who(Secret("token"), HERE, door)


async def test_another_credential_or_place_or_a_clock_that_went_back_is_looked_up() -> None:
    watch, door = Watch(), Door()
    lately = Lately(watch)
    await lately.who(Secret("token"), HERE, door)
    await lately.who(Secret("other"), HERE, door)
    await lately.who(Secret("token"), ELSEWHERE, door)
    assert door.asked == 3
    watch.at -= timedelta(hours=1)
    await lately.who(Secret("token"), HERE, door)
    assert door.asked == 4


async def test_a_refusal_is_never_remembered() -> None:
    watch, door = Watch(), Door()
    lately, door.closed = Lately(watch), True
    with pytest.raises(Unauthenticated):
        await lately.who(Secret("token"), HERE, door)
    door.closed = False
    assert (await lately.who(Secret("token"), HERE, door)).id == "usr2"


async def test_it_remembers_a_bounded_number() -> None:
    watch, door = Watch(), Door()
    lately = Lately(watch)
    for number in range(MOST + 1):
        await lately.who(Secret(str(number)), HERE, door)
    await lately.who(Secret("1"), HERE, door)
    assert door.asked == MOST + 1
    await lately.who(Secret("0"), HERE, door)
    assert door.asked == MOST + 2
