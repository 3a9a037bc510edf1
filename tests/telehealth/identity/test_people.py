"""Invitations, enrolment, roles, reset: who may what changes only through entries."""

import asyncio
from datetime import timedelta

import pyotp
import pytest
from identity_house import ADMIN, PASSWORD, PLACE, House

from telehealth.access import Caller
from telehealth.errors import Forbidden, Malformed, NotFound
from telehealth.events import SessionEnded
from telehealth.identity.faults import (
    EnrolmentCodeWrong,
    InvitationOver,
    LastAdmin,
    LoginTaken,
    PasswordWeak,
    SignInRefused,
    Unauthenticated,
)
from telehealth.store.tables import invitations, users

CLINICIAN = Caller("user", "usr_x", "clinician")


async def first_admin(house: House) -> str:
    invitation = await house.people.first_admin_invitation()
    assert invitation is not None
    done, _ = await house.finish(invitation.token.reveal(), login="root", name="Rita Root")
    return done.user.id


async def test_the_set_up_link_makes_the_first_admin_once(house: House) -> None:
    old = await house.people.first_admin_invitation()
    invitation = await house.people.first_admin_invitation()
    assert old is not None
    assert invitation is not None
    with pytest.raises(InvitationOver):
        await house.enrolment.look(old.token.reveal())
    offer = await house.enrolment.look(invitation.token.reveal())
    assert (offer.purpose, offer.login, offer.name) == ("first_admin", None, None)
    assert offer.qr_svg.startswith("data:image/svg+xml")
    done, _ = await house.finish(invitation.token.reveal(), login="root", name="Rita Root")
    assert (done.user.role, done.user.name, len(done.recovery_codes)) == ("admin", "Rita Root", 10)
    assert (await house.sessions.resolve(done.token.reveal(), **PLACE)).role == "admin"
    assert await house.people.first_admin_invitation() is None
    with pytest.raises(InvitationOver):
        await house.enrolment.look(invitation.token.reveal())
    entered = await house.entries()
    acts = ("user.create", "mfa.enrol", "signin.ok")
    assert entered[:3] == [(act, "intent") for act in acts]
    assert sorted(entered[3:]) == sorted((act, "done") for act in acts)


async def test_two_who_finish_at_once_make_one_admin(house: House) -> None:
    invitation = await house.people.first_admin_invitation()
    assert invitation is not None
    token = invitation.token.reveal()
    tries = await asyncio.gather(
        *(house.finish(token, login=f"root{n}", name="R") for n in range(3)), return_exceptions=True
    )
    assert sum(isinstance(one, InvitationOver) for one in tries) == 2
    assert len(await house.rows(users)) == 1


async def test_a_set_up_link_runs_out(house: House) -> None:
    invitation = await house.people.first_admin_invitation()
    assert invitation is not None
    assert invitation.expires_at - house.clock.now() == timedelta(hours=24)
    house.clock.step(hours=24)
    with pytest.raises(InvitationOver):
        await house.enrolment.look(invitation.token.reveal())
    with pytest.raises(InvitationOver):
        await house.enrolment.look("never issued")


async def test_looking_twice_offers_the_same_authenticator_and_stores_none(house: House) -> None:
    invitation = await house.people.add(ADMIN, "ada", "Ada", "clinician")
    first, second = [await house.enrolment.look(invitation.token.reveal()) for _ in range(2)]
    assert first.totp_secret == second.totp_secret
    assert first.totp_secret.reveal() in first.totp_uri.reveal()
    assert (first.login, first.name) == ("ada", "Ada")
    assert (await house.rows(users))[0]["totp_sealed"] is None


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaaaa", "password123456", "ada.lovelace-1", "x" * 201])
async def test_weak_passwords_are_refused_and_the_link_still_works(house: House, password: str) -> None:
    invitation = await house.people.add(ADMIN, "ada.lovelace", "Ada", "clinician")
    with pytest.raises(PasswordWeak):
        await house.finish(invitation.token.reveal(), password=password)
    await house.finish(invitation.token.reveal())


async def test_a_wrong_code_does_not_enrol(house: House) -> None:
    invitation = await house.people.add(ADMIN, "ada", "Ada", "clinician")
    with pytest.raises(EnrolmentCodeWrong):
        await house.finish(invitation.token.reveal(), code="123")
    offer = await house.enrolment.look(invitation.token.reveal())
    stale = pyotp.TOTP(offer.totp_secret.reveal()).at(house.clock.now() - timedelta(minutes=2))
    with pytest.raises(EnrolmentCodeWrong):
        await house.finish(invitation.token.reveal(), code=stale)


async def test_names_are_sealed_and_sign_in_names_unique_whatever_their_case(house: House) -> None:
    await house.people.add(ADMIN, "Ada", "Canary Name", "clinician")
    with pytest.raises(LoginTaken):
        await house.people.add(ADMIN, "ADA", "Other", "auditor")
    (user,) = await house.people.list(ADMIN)
    assert (user.login, user.name, user.enrolled, user.disabled) == ("Ada", "Canary Name", False, False)
    assert await house.people.name_of([user.id, "usr_unknown"]) == {user.id: "Canary Name"}
    assert (await house.people.find(ADMIN, "aDa")).id == user.id
    await house.store.checkpoint()
    for place in house.folder.rglob("*"):
        assert not place.is_file() or b"Canary Name" not in place.read_bytes()
    entered = await house.entries()
    assert entered[:2] == [("user.create", "intent"), ("user.create", "done")]
    assert ("user.create", "refused") in entered


async def test_only_admins_manage_people(house: House) -> None:
    for act in (
        house.people.add(CLINICIAN, "ada", "Ada", "admin"),
        house.people.list(CLINICIAN),
        house.people.change(CLINICIAN, "usr_x", role="admin"),
        house.people.reset(CLINICIAN, "usr_x"),
    ):
        with pytest.raises(Forbidden):
            await act
    assert await house.rows(users) == []


async def test_bad_input_is_refused(house: House) -> None:
    for login, name, role in (("a b", "Ada", "admin"), ("ada", " ", "admin"), ("ada", "Ada", "owner")):
        with pytest.raises(Malformed):
            await house.people.add(ADMIN, login, name, role)
    with pytest.raises(NotFound):
        await house.people.change(ADMIN, "usr_unknown", disabled=True)


async def test_the_last_admin_stays_admin(house: House) -> None:
    root = await first_admin(house)
    with pytest.raises(LastAdmin):
        await house.people.change(ADMIN, root, role="auditor")
    with pytest.raises(LastAdmin):
        await house.people.change(ADMIN, root, disabled=True)
    invited = await house.people.add(ADMIN, "second", "Second", "admin")
    with pytest.raises(LastAdmin):
        await house.people.change(ADMIN, root, disabled=True)
    await house.finish(invited.token.reveal())
    assert (await house.people.change(ADMIN, root, disabled=True)).disabled


async def test_a_new_role_ends_the_sessions_under_the_old_one(house: House) -> None:
    ada = await house.enrolled()
    changed = await house.people.change(ADMIN, ada.user, role="auditor")
    assert changed.role == "auditor"
    assert house.heard(SessionEnded) == [SessionEnded(ada.user)]
    with pytest.raises(Unauthenticated):
        await house.sessions.info(ada.session.reveal())
    assert [e for e in await house.entries() if e[0] == "user.role"] == [("user.role", "intent"), ("user.role", "done")]


async def test_a_reset_voids_everything_old_at_once(house: House) -> None:
    ada = await house.enrolled()
    first = await house.people.reset(ADMIN, ada.user)
    second = await house.people.reset(ADMIN, ada.user)
    with pytest.raises(Unauthenticated):
        await house.sessions.info(ada.session.reveal())
    for code in (house.code_of(ada), ada.recovery[0]):
        with pytest.raises(SignInRefused):
            await house.sign_in.attempt("ada", PASSWORD, code, **PLACE)
    with pytest.raises(InvitationOver):
        await house.enrolment.look(first.token.reveal())
    assert (await house.enrolment.look(second.token.reveal())).purpose == "reset"
    _, secret = await house.finish(second.token.reveal())
    assert secret != ada.totp.secret
    house.clock.step(seconds=30)
    await house.sign_in.attempt("ada", PASSWORD, pyotp.TOTP(secret).at(house.clock.now()), **PLACE)


async def test_a_disabled_user_cannot_enrol(house: House) -> None:
    invitation = await house.people.add(ADMIN, "ada", "Ada", "clinician")
    assert invitation.user is not None
    await house.people.change(ADMIN, invitation.user, disabled=True)
    with pytest.raises(InvitationOver):
        await house.enrolment.look(invitation.token.reveal())


async def test_without_the_log_nobody_is_added(house: House) -> None:
    await house.audit.close()
    with pytest.raises(Exception, match="log_unavailable"):
        await house.people.add(ADMIN, "ada", "Ada", "clinician")
    assert await house.rows(users) == []
    assert await house.rows(invitations) == []
