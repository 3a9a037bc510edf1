"""Two at once, on both kinds of database: what must happen once happens once."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from identity_house import ADMIN, CHEAP, PASSWORD, PLACE, House
from software_key import SoftwareKey

from telehealth.audit.entry import Actor
from telehealth.errors import Refusal
from telehealth.events import CodeMinted
from telehealth.identity.faults import (
    CodeExpired,
    InvitationOver,
    LastAdmin,
    PasskeyRefused,
    SignInRefused,
    TooManyPasskeys,
)
from telehealth.identity.hashing import Hasher
from telehealth.identity.passkeys import MOST
from telehealth.store.tables import participants, users


async def test_first_openings_of_one_link_at_once_make_one_participant(house: House) -> None:
    ada = await house.enrolled()
    link = await house.link(await house.visit(ada.user))
    await asyncio.gather(*(house.joining.open(link.token.reveal(), **PLACE) for _ in range(8)))
    assert len(await house.rows(participants)) == 1


async def test_a_code_given_by_a_hundred_at_once_from_many_browsers_opens_one_session(house: House) -> None:
    ada = await house.enrolled()
    for _ in range(2):
        link = await house.link(await house.visit(ada.user), "spoken")
        cookies = [(await house.joining.open(link.token.reveal(), **PLACE))[0].reveal() for _ in range(4)]
        await house.joining.mint(cookies[0])
        code = house.heard(CodeMinted)[-1].code.reveal()
        given = (house.joining.verify(cookies[at % 4], code, **PLACE) for at in range(100))
        done = await asyncio.gather(*given, return_exceptions=True)
        assert all(isinstance(one, Refusal) for one in done if isinstance(one, BaseException))
        assert sum(not isinstance(one, BaseException) for one in done) == 1
    assert [row["session_hash"] is not None for row in await house.rows(participants)] == [True, True]


async def test_admins_who_disable_each_other_at_once_leave_one(house: House) -> None:
    first, second = await house.enrolled("ada", "admin"), await house.enrolled("grace", "admin")
    results = await asyncio.gather(
        house.people.change(ADMIN, first.user, disabled=True),
        house.people.change(ADMIN, second.user, disabled=True),
        return_exceptions=True,
    )
    assert sum(isinstance(result, LastAdmin) for result in results) == 1
    assert sum(not row["disabled"] for row in await house.rows(users)) == 1


async def test_two_who_set_up_at_once_make_one_first_admin(house: House) -> None:
    invitation = await house.people.first_admin_invitation()
    assert invitation is not None
    given = {"name": "Dr Somebody", "password": PASSWORD}
    results = await asyncio.gather(
        *(house.finish(invitation.token.reveal(), login=login, **given) for login in ("ada", "grace")),
        return_exceptions=True,
    )
    assert sum(isinstance(result, InvitationOver) for result in results) == 1
    assert len(await house.rows(users)) == 1


class Overtaken(Hasher):
    """Something else happens while a password is being looked at."""

    def __init__(self, meanwhile: Callable[[], Awaitable[object]]) -> None:
        super().__init__(CHEAP)
        self._meanwhile = meanwhile

    async def verify(self, stored: str | None, text: str, source: str | None = None) -> bool:
        right = await super().verify(stored, text, source)
        await self._meanwhile()
        return right


async def test_a_passcode_replaced_while_it_is_looked_at_opens_nothing(house: House) -> None:
    ada = await house.enrolled()
    visit = await house.visit(ada.user)
    link = await house.link(visit)
    assert link.passcode is not None
    cookie, _ = await house.joining.open(link.token.reveal(), **PLACE)
    house.verifying._hasher = Overtaken(lambda: house.links.new_budget(ADMIN, visit, link.id))
    with pytest.raises(CodeExpired):
        await house.joining.verify(cookie.reveal(), link.passcode.reveal(), **PLACE)
    assert [row["session_hash"] for row in await house.rows(participants)] == [None]


@pytest.mark.parametrize("how", ["reset", "disabled"])
async def test_an_account_reset_or_disabled_during_a_sign_in_is_not_signed_in(house: House, how: str) -> None:
    ada = await house.enrolled()
    house.sign_in._hasher = Overtaken(
        lambda: (
            house.people.reset(ADMIN, ada.user)
            if how == "reset"
            else house.people.change(ADMIN, ada.user, disabled=True)
        )
    )
    with pytest.raises(SignInRefused):
        await house.sign_in.attempt(ada.login, PASSWORD, house.code_of(ada), **PLACE)
    assert await house.sessions.of(ada.user) == []


async def test_many_new_passkeys_at_once_are_no_more_than_the_most(house: House) -> None:
    who = await house.enrolled()
    caller = await house.sessions.resolve(who.session.reveal(), **PLACE)
    keys = [SoftwareKey() for _ in range(MOST + 6)]
    made = [key.make(await house.passkeys.creation_options(caller)) for key in keys]
    came = await asyncio.gather(
        *(house.passkeys.add(caller, one, f"key {at}") for at, one in enumerate(made)), return_exceptions=True
    )
    assert sum(isinstance(one, TooManyPasskeys) for one in came) == 6
    assert len(await house.passkeys.list(caller)) == MOST


async def test_a_passkey_of_somebody_disabled_meanwhile_opens_nothing(house: House) -> None:
    who, key = await house.enrolled(), SoftwareKey()
    caller = await house.sessions.resolve(who.session.reveal(), **PLACE)
    await house.passkeys.add(caller, key.make(await house.passkeys.creation_options(caller)), "laptop")
    held = house.passkey_sign_in
    proved = await held._proved(key.use(held.options()), "passkey-sign-in", "", Actor("stranger", **PLACE))
    await house.people.change(ADMIN, who.user, disabled=True)
    with pytest.raises(PasskeyRefused):
        async with house.store.begin() as connection:
            await held._remember(connection, proved)
