"""One's own devices, password, and proving both factors again by typing them."""

import pytest
from identity_house import PASSWORD, PLACE, Enrolment_, House

from telehealth.access import Caller
from telehealth.errors import NotFound
from telehealth.events import SessionEnded
from telehealth.identity.devices import device_name
from telehealth.identity.faults import PasswordWeak, SignInRefused, SlowDown, StepUpNeeded, Unauthenticated

FRESH = "nine green herons wade"


async def caller_of(house: House, who: Enrolment_) -> Caller:
    return await house.sessions.resolve(who.session.reveal(), **PLACE)


async def elsewhere(house: House, who: Enrolment_, device: str) -> str:
    token, info = await house.sign_in.attempt(
        who.login, PASSWORD, house.code_of(who), address="192.0.2.8", device=device
    )
    house.clock.step(seconds=30)
    await house.sessions.resolve(token.reveal(), **PLACE)
    return info.id


AGENT = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"


async def test_devices_are_listed_by_name_the_latest_first_and_ended_one_or_all(house: House) -> None:
    ada = await house.enrolled()
    here = await caller_of(house, ada)
    other = await elsewhere(house, ada, AGENT)
    third = await elsewhere(house, ada, "")
    found = await house.sessions.devices(here)
    assert [(one.name, one.current) for one in found] == [("", False), ("Firefox 140, Windows", False), ("", True)]
    await house.sessions.end_one(here, other)
    assert house.heard(SessionEnded) == [SessionEnded(ada.user, other)]
    with pytest.raises(NotFound):
        await house.sessions.end_one(here, other)
    assert await house.sessions.end_others(here) == 1
    assert house.heard(SessionEnded)[1:] == [SessionEnded(ada.user, third)]
    assert [one.current for one in await house.sessions.devices(here)] == [True]


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (None, ""),
        ("curl/8", ""),
        (AGENT, "Firefox 140, Windows"),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML) Chrome/140.0.0.0 Safari/537.36",
            "Chrome 140, Linux",
        ),
        ("Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (KHTML) Version/18.2 Safari/605.1.15", "Safari 18, Mac"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0) Version/18.0 Mobile Safari/604.1", "Safari 18, iPhone"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge 140, Windows"),
        ("Firefox/" + "9" * 500, "Firefox 9999"),
    ],
)
def test_browsers_are_named_as_people_know_them(agent: str | None, name: str) -> None:
    assert device_name(agent) == name


async def test_a_new_password_ends_every_other_session_and_the_old_token(house: House) -> None:
    ada = await house.enrolled()
    here = await caller_of(house, ada)
    other = await elsewhere(house, ada, AGENT)
    token = await house.own_password.change(here, PASSWORD, FRESH)
    assert (await house.sessions.resolve(token.reveal(), **PLACE)).session == here.session
    with pytest.raises(Unauthenticated):
        await caller_of(house, ada)
    assert house.heard(SessionEnded) == [SessionEnded(ada.user, other)]
    with pytest.raises(SignInRefused):
        await house.sign_in.attempt("ada", PASSWORD, house.code_of(ada), **PLACE)
    await house.sign_in.attempt("ada", FRESH, house.code_of(ada), **PLACE)
    assert ("password.change", "done") in await house.entries()


async def test_a_wrong_old_password_or_a_weak_new_one_changes_nothing(house: House) -> None:
    ada = await house.enrolled()
    here = await caller_of(house, ada)
    for weak in ("short", PASSWORD, "password password"):
        with pytest.raises(PasswordWeak):
            await house.own_password.change(here, PASSWORD, weak)
    for _ in range(5):
        with pytest.raises(SignInRefused):
            await house.own_password.change(here, "wrong", FRESH)
    with pytest.raises(SlowDown):
        await house.own_password.change(here, PASSWORD, FRESH)
    house.clock.step(minutes=1)
    await house.sign_in.attempt("ada", PASSWORD, house.code_of(ada), **PLACE)


async def test_both_factors_typed_again_are_a_fresh_proof_and_a_new_token(house: House) -> None:
    ada = await house.enrolled()
    house.clock.step(minutes=10)
    here = await caller_of(house, ada)
    with pytest.raises(StepUpNeeded):
        house.sessions.require_recent(here)
    for password, code in (("wrong", house.code_of(ada)), (PASSWORD, "000000")):
        with pytest.raises(SignInRefused):
            await house.sign_in.prove_again(here, password, code)
    token = await house.sign_in.prove_again(here, PASSWORD, house.code_of(ada))
    again = await house.sessions.resolve(token.reveal(), **PLACE)
    house.sessions.require_recent(again)
    assert again.session == here.session
    with pytest.raises(Unauthenticated):
        await caller_of(house, ada)
    with pytest.raises(SignInRefused):
        await house.sign_in.prove_again(again, PASSWORD, house.code_of(ada))
    assert ("mfa.prove", "done") in await house.entries()
