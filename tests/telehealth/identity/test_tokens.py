"""Bearer tokens: scoped, dated, revocable, stored as hashes."""

import pytest
from identity_house import ADMIN, House

from telehealth.access import Action, Caller, may
from telehealth.errors import Forbidden, Malformed, NotFound
from telehealth.identity.faults import Unauthenticated
from telehealth.store.tables import api_tokens

HERE = "192.0.2.7"


async def test_a_token_acts_for_its_user_within_its_scopes(house: House) -> None:
    root = await house.enrolled("root", "admin")
    name, token = await house.tokens.create(ADMIN, root.user, "backup", ["recordings:read"], 30)
    caller = await house.tokens.resolve(token.reveal(), address=HERE)
    assert (caller.kind, caller.id, caller.session) == ("token", root.user, name)
    assert may(caller, Action.RECORDINGS_READ)
    assert not may(caller, Action.RECORDINGS_MANAGE)
    assert not may(caller, Action.USERS_MANAGE)
    (row,) = await house.rows(api_tokens)
    assert token.reveal() not in repr(row)
    assert [one.label for one in await house.tokens.list(ADMIN)] == ["backup"]


async def test_unknown_over_revoked_and_orphaned_tokens_are_refused_alike(house: House) -> None:
    root = await house.enrolled("root", "admin")
    ada = await house.enrolled("ada")
    _, short = await house.tokens.create(ADMIN, root.user, "short", ["metrics"], 1)
    name, revoked = await house.tokens.create(ADMIN, root.user, "revoked", ["metrics"], 30)
    _, orphan = await house.tokens.create(ADMIN, ada.user, "orphan", ["visits:read"], 30)
    await house.tokens.revoke(ADMIN, name)
    await house.people.change(ADMIN, ada.user, disabled=True)
    await house.tokens.resolve(short.reveal(), address=HERE)
    house.clock.step(days=1)
    for bearer in (short.reveal(), revoked.reveal(), orphan.reveal(), "tht_unknown"):
        with pytest.raises(Unauthenticated):
            await house.tokens.resolve(bearer, address=HERE)
    with pytest.raises(NotFound):
        await house.tokens.revoke(ADMIN, name)
    assert ("token.try", "refused") in await house.entries()


async def test_a_user_enabled_again_does_not_get_the_old_tokens_back(house: House) -> None:
    ada = await house.enrolled("ada")
    _, token = await house.tokens.create(ADMIN, ada.user, "one", ["visits:read"], 30)
    await house.people.change(ADMIN, ada.user, disabled=True)
    await house.people.change(ADMIN, ada.user, disabled=False)
    with pytest.raises(Unauthenticated):
        await house.tokens.resolve(token.reveal(), address=HERE)


async def test_bad_tokens_are_not_made(house: House) -> None:
    root = await house.enrolled("root", "admin")
    for label, scopes, days in (("x", ["all"], 30), ("x", [], 30), ("x", ["metrics"], 0), ("", ["metrics"], 1)):
        with pytest.raises(Malformed):
            await house.tokens.create(ADMIN, root.user, label, scopes, days)
    with pytest.raises(NotFound):
        await house.tokens.create(ADMIN, "usr_unknown", "x", ["metrics"], 1)
    with pytest.raises(Forbidden):
        await house.tokens.create(Caller("user", "usr_x", "auditor"), root.user, "x", ["metrics"], 1)
    assert await house.rows(api_tokens) == []
