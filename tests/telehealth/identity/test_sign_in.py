"""Sign-in: one answer for everything wrong, each code once, slower and slower."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from identity_house import ADMIN, PASSWORD, PLACE, Enrolment_, House
from sqlalchemy import event

from telehealth.identity.faults import SignInRefused, SlowDown, Unauthenticated
from telehealth.store.tables import attempts, users


async def attempt(house: House, person: Enrolment_, **changes: str) -> str:
    given = {"login": person.login, "password": PASSWORD, "code": house.code_of(person), **PLACE, **changes}
    token, _ = await house.sign_in.attempt(
        given["login"], given["password"], given["code"], address=given["address"], device=given["device"]
    )
    return token.reveal()


async def test_name_password_and_code_open_a_session(house: House) -> None:
    ada = await house.enrolled()
    token, info = await house.sign_in.attempt(" ADA ", PASSWORD, house.code_of(ada), **PLACE)
    caller = await house.sessions.resolve(token.reveal(), **PLACE)
    assert (caller.id, caller.role, caller.kind) == (ada.user, "clinician", "user")
    assert (info.user.name, info.idle_seconds) == ("Dr ada", 900)
    assert ("signin.ok", "done") in await house.entries()


async def test_everything_wrong_gives_the_same_answer_after_the_same_work(house: House) -> None:
    ada = await house.enrolled()
    gone = await house.enrolled("gone")
    await house.people.add(ADMIN, "invited", "Not Yet", "clinician")
    await house.people.change(ADMIN, gone.user, disabled=True)
    seen: list[str] = []
    event.listen(
        house.store._engine.sync_engine,
        "before_cursor_execute",
        lambda _c, _k, statement, *_: seen.append(statement),
    )
    works = []
    for wrong in (
        {"login": "nobody"},
        {"login": "invited"},
        {"login": "gone", "code": house.code_of(gone)},
        {"password": "wrong"},
        {"code": "000000"},
    ):
        seen.clear()
        with pytest.raises(SignInRefused) as refused:
            await attempt(house, ada, **wrong, address=f"198.51.100.{len(works)}")
        works.append((tuple(seen), refused.value.message, refused.value.retry_after))
    assert len(set(works)) == 1


async def test_a_totp_code_works_once(house: House) -> None:
    ada = await house.enrolled()
    await attempt(house, ada)
    with pytest.raises(SignInRefused):
        await attempt(house, ada)
    house.clock.step(seconds=30)
    await attempt(house, ada)


async def test_an_older_code_than_the_last_used_is_refused(house: House) -> None:
    ada = await house.enrolled()
    older = house.code_of(ada)
    house.clock.step(seconds=30)
    await attempt(house, ada)
    with pytest.raises(SignInRefused):
        await attempt(house, ada, code=older)


async def test_the_code_used_at_enrolment_does_not_sign_in(house: House) -> None:
    ada = await house.enrolled()
    house.clock.step(seconds=-30)
    with pytest.raises(SignInRefused):
        await attempt(house, ada)


async def test_one_code_typed_twice_at_once_opens_one_session(house: House) -> None:
    ada = await house.enrolled()
    tries = await asyncio.gather(*(attempt(house, ada) for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(one, str) for one in tries) == 1
    assert sum(isinstance(one, SignInRefused) for one in tries) == 3


async def test_each_recovery_code_works_once(house: House) -> None:
    ada = await house.enrolled()
    assert len(set(ada.recovery)) == 10
    tries = await asyncio.gather(
        *(attempt(house, ada, code=ada.recovery[3].upper()) for _ in range(3)), return_exceptions=True
    )
    assert sum(isinstance(one, str) for one in tries) == 1
    await attempt(house, ada, code=ada.recovery[4].replace("-", " "))
    (row,) = await house.rows(users)
    assert len(row["recovery_hashes"]) == 8


async def test_failures_slow_down_more_and_more_also_after_a_restart(
    house: House, restarted: Callable[[], Awaitable[House]]
) -> None:
    ada = await house.enrolled()
    waits = []
    for _ in range(8):
        with pytest.raises((SignInRefused, SlowDown)) as refused:
            await attempt(house, ada, password="wrong")
        if refused.type is SlowDown:
            assert refused.value.retry_after is not None
            waits.append(refused.value.retry_after)
            house.clock.step(seconds=refused.value.retry_after)
    assert waits == [5, 10]
    with pytest.raises(SignInRefused):
        await attempt(house, ada, password="wrong")
    later = await restarted()
    with pytest.raises(SlowDown):
        await attempt(later, ada)
    later.clock.step(seconds=900)
    await attempt(later, ada)
    with pytest.raises(SignInRefused):
        await attempt(later, ada, password="wrong")


async def test_many_tries_at_once_get_no_more_than_one_after_the_other(house: House) -> None:
    ada = await house.enrolled()
    tries = await asyncio.gather(*(attempt(house, ada, password="x") for _ in range(12)), return_exceptions=True)
    assert sum(isinstance(one, SignInRefused) for one in tries) == 5
    assert sum(isinstance(one, SlowDown) for one in tries) == 7


async def test_a_stranger_elsewhere_does_not_lock_somebody_out(house: House) -> None:
    ada = await house.enrolled()
    for _ in range(6):
        with pytest.raises((SignInRefused, SlowDown)):
            await attempt(house, ada, password="x", address="203.0.113.9")
    await attempt(house, ada)


async def test_unknown_names_slow_down_like_known_ones(house: House) -> None:
    ada = await house.enrolled()
    for login in ("ada", "nobody"):
        kinds = []
        for _ in range(6):
            with pytest.raises((SignInRefused, SlowDown)) as refused:
                await attempt(house, ada, login=login, password="x")
            kinds.append(refused.type)
        assert kinds == [SignInRefused] * 5 + [SlowDown]


async def test_without_the_log_nobody_signs_in_no_code_is_used_up_and_no_try_lost(house: House) -> None:
    ada = await house.enrolled()
    await house.audit.close()
    with pytest.raises(Exception, match="log_unavailable"):
        await attempt(house, ada)
    assert [row["failures"] for row in await house.rows(attempts)] == [0]
    (row,) = await house.rows(users)
    assert row["totp_last_step"] == int(house.clock.now().timestamp()) // 30 - 1


async def test_a_disabled_user_is_out_at_once(house: House) -> None:
    ada = await house.enrolled()
    token = await attempt(house, ada)
    await house.people.change(ADMIN, ada.user, disabled=True)
    with pytest.raises(Unauthenticated):
        await house.sessions.resolve(token, **PLACE)
    house.clock.step(seconds=30)
    with pytest.raises(SignInRefused):
        await attempt(house, ada)
