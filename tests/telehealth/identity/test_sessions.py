"""Sessions end when idle, when old, when told; and say so."""

import pytest
from identity_house import ADMIN, PLACE, House

from telehealth.errors import NotFound
from telehealth.events import SessionEnded
from telehealth.identity.faults import Unauthenticated
from telehealth.identity.sessions import Proof
from telehealth.store.tables import sessions


async def test_fifteen_idle_minutes_end_a_session_and_looking_does_not_count(house: House) -> None:
    ada = await house.enrolled()
    house.clock.step(minutes=14)
    await house.sessions.resolve(ada.session.reveal(), **PLACE)
    house.clock.step(minutes=1)
    with pytest.raises(Unauthenticated):
        await house.sessions.resolve(ada.session.reveal(), **PLACE)


async def test_activity_and_a_live_call_keep_it_but_twelve_hours_end_it(house: House) -> None:
    ada = await house.enrolled()
    for turn in range(71):
        house.clock.step(minutes=10)
        if turn % 2:
            assert (await house.sessions.renew(ada.session.reveal())).idle_seconds == 900
        else:
            await house.sessions.touch_live(ada.user)
    house.clock.step(minutes=10)
    with pytest.raises(Unauthenticated):
        await house.sessions.renew(ada.session.reveal())


async def test_a_live_call_wakes_no_session_that_is_over(house: House) -> None:
    ada = await house.enrolled()
    house.clock.step(minutes=15)
    await house.sessions.touch_live(ada.user)
    with pytest.raises(Unauthenticated):
        await house.sessions.info(ada.session.reveal())


async def test_signing_out_ends_it_says_so_and_is_entered_once(house: House) -> None:
    ada = await house.enrolled()
    caller = await house.sessions.resolve(ada.session.reveal(), **PLACE)
    await house.sessions.end(ada.session.reveal(), **PLACE)
    await house.sessions.end(ada.session.reveal(), **PLACE)
    assert house.heard(SessionEnded) == [SessionEnded(ada.user, caller.session)]
    assert (await house.entries()).count(("signin.out", "done")) == 1


async def test_idle_sessions_are_swept_so_that_sockets_close(house: House) -> None:
    ada = await house.enrolled()
    assert await house.sessions.sweep() == 0
    house.clock.step(minutes=15)
    assert await house.sessions.sweep() == 1
    assert await house.sessions.sweep() == 0
    assert [heard.user for heard in house.heard(SessionEnded)] == [ada.user]
    assert ("session.end", "done") in await house.entries()


async def test_one_lists_and_ends_only_ones_own(house: House) -> None:
    ada, bob = await house.enrolled("ada"), await house.enrolled("bob")
    mine = await house.sessions.resolve(ada.session.reveal(), **PLACE)
    other = await house.sessions.resolve(bob.session.reveal(), **PLACE)
    assert [info.id for info in await house.sessions.of(mine.id)] == [mine.session]
    assert other.session is not None
    assert mine.session is not None
    with pytest.raises(NotFound):
        await house.sessions.end_one(mine, other.session)
    await house.sessions.resolve(bob.session.reveal(), **PLACE)
    await house.sessions.end_one(mine, mine.session)
    with pytest.raises(Unauthenticated):
        await house.sessions.resolve(ada.session.reveal(), **PLACE)


async def test_ending_all_ends_all(house: House) -> None:
    ada = await house.enrolled()
    assert await house.sessions.end_all(ada.user, by=ADMIN) == 1
    assert house.heard(SessionEnded) == [SessionEnded(ada.user)]
    with pytest.raises(Unauthenticated):
        await house.sessions.info(ada.session.reveal())


async def test_the_token_is_nowhere_at_rest(house: House) -> None:
    ada = await house.enrolled()
    await house.store.checkpoint()
    token = ada.session.reveal()
    for place in house.folder.rglob("*"):
        assert not place.is_file() or token.encode() not in place.read_bytes()
    (row,) = await house.rows(sessions)
    assert len(row["token_hash"]) == 32


async def test_a_browser_is_known_by_a_set_up_link_or_a_known_key_and_not_by_a_password_alone(house: House) -> None:
    first, other = browser_key("first"), browser_key("other")

    async def known(proof: Proof, user: str) -> bool | None:
        async with house.store.begin() as connection:
            token, _ = await house.sessions.start(connection, user, proof)
        return (await house.sessions.resolve(token.reveal(), **PLACE)).context.device_known

    ann, ben = await house.enrolled("ann"), await house.enrolled("ben")
    assert await known(Proof("totp", key=first), ann.user) is False
    assert await known(Proof("totp", key=first), ann.user) is False  # nor by using it twice
    assert await known(Proof("totp", key=first, invited=True), ann.user) is True
    assert await known(Proof("totp", key=first), ann.user) is True
    assert await known(Proof("totp", key=other), ann.user) is False
    assert await known(Proof("totp", key=first), ben.user) is False
    assert await known(Proof("totp"), ann.user) is False
    assert await known(Proof("passkey", passkey="pky_1", key=other), ann.user) is True
    assert await known(Proof("totp", key=other), ann.user) is True


async def test_a_device_that_is_lost_is_known_no_more(house: House) -> None:
    key = browser_key("lost")
    ann = await house.enrolled("ann")
    async with house.store.begin() as connection:
        token, session = await house.sessions.start(connection, ann.user, Proof("totp", key=key, invited=True))
    assert (await house.sessions.resolve(token.reveal(), **PLACE)).context.device_known is True
    await house.sessions.forget_device(session)
    async with house.store.begin() as connection:
        again, _ = await house.sessions.start(connection, ann.user, Proof("totp", key=key))
    assert (await house.sessions.resolve(again.reveal(), **PLACE)).context.device_known is False


def browser_key(name: str) -> dict[str, str]:
    return {"kty": "EC", "crv": "P-256", "x": name, "y": name}
