"""Bearer tokens: scoped, dated, revocable, stored as hashes."""

import pytest
from identity_house import ADMIN, House

from telehealth.access import Action, Caller, may
from telehealth.errors import Forbidden, Malformed, NotFound, WrongState
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


async def test_a_reset_revokes_the_tokens_too(house: House) -> None:
    ada = await house.enrolled("ada")
    _, token = await house.tokens.create(ADMIN, ada.user, "one", ["visits:read"], 30)
    await house.people.reset(ADMIN, ada.user)
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


async def test_a_rotated_token_has_a_successor_and_both_work_for_the_overlap(house: House) -> None:
    root = await house.enrolled("root", "admin")
    name, old = await house.tokens.create(ADMIN, root.user, "backup", ["recordings:read"], 30, ["192.0.2.0/24"])
    house.clock.step(days=10)
    successor, new = await house.tokens.rotate(ADMIN, name, overlap_hours=24)
    for bearer in (old, new):
        caller = await house.tokens.resolve(bearer.reveal(), address=HERE)
        assert caller.scopes == frozenset({"recordings:read"})
    first, second = await house.tokens.list(ADMIN)
    assert (first.successor, second.networks) == (successor, ("192.0.2.0/24",))
    assert (second.expires_at - second.created_at).days == 30
    with pytest.raises(WrongState):
        await house.tokens.rotate(ADMIN, name, overlap_hours=1)
    house.clock.step(hours=24)
    await house.tokens.resolve(new.reveal(), address=HERE)
    with pytest.raises(Unauthenticated):
        await house.tokens.resolve(old.reveal(), address=HERE)
    assert ("token.rotate", "done") in await house.entries()
    with pytest.raises(NotFound):
        await house.tokens.rotate(ADMIN, "tok_unknown", overlap_hours=1)
    with pytest.raises(Malformed):
        await house.tokens.rotate(ADMIN, successor, overlap_hours=169)


async def test_a_token_works_only_in_its_networks(house: House) -> None:
    root = await house.enrolled("root", "admin")
    networks = ["192.0.2.64/26", "2001:db8::/32"]
    _, token = await house.tokens.create(ADMIN, root.user, "x", ["metrics"], 1, networks)
    for inside in ("192.0.2.65", "::ffff:192.0.2.65", "2001:db8::1"):
        await house.tokens.resolve(token.reveal(), address=inside)
    for outside in ("192.0.2.7", "2001:db9::1", "unknown", "", None):
        with pytest.raises(Unauthenticated):
            await house.tokens.resolve(token.reveal(), address=outside)
    for bad in (["somewhere"], ["192.0.2.0/33"], [f"10.0.{n}.0/24" for n in range(21)]):
        with pytest.raises(Malformed):
            await house.tokens.create(ADMIN, root.user, "x", ["metrics"], 1, bad)
