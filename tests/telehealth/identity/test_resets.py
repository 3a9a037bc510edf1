"""An admin's factors are made void by two others; everybody else's by one."""

from dataclasses import replace

import pytest
from identity_house import ADMIN, PASSWORD, PLACE, Enrolment_, House

from telehealth.access import Caller
from telehealth.errors import Forbidden, NotFound
from telehealth.events import SessionEnded
from telehealth.identity.faults import ApproverTooNew, SecondAdminNeeded, SignInRefused
from telehealth.identity.people import Invitation
from telehealth.identity.resets import ResetRequest


def as_admin(who: Enrolment_) -> Caller:
    return Caller("user", who.user, "admin", session="ses_1", mfa_at=None)


async def three(house: House) -> tuple[Enrolment_, Enrolment_, Enrolment_]:
    """Admins for long enough to approve."""
    ann = await house.enrolled("ann", "admin")
    ben = await house.enrolled("ben", "admin")
    cat = await house.enrolled("cat", "admin")
    house.clock.step(days=2)
    session, _ = await house.sign_in.attempt(cat.login, PASSWORD, house.code_of(cat), **PLACE)
    return ann, ben, replace(cat, session=session)


async def test_one_admin_resets_a_clinician(house: House) -> None:
    ann, _, _ = await three(house)
    dan = await house.enrolled("dan")
    assert isinstance(await house.resets.ask(as_admin(ann), dan.user), Invitation)


async def test_an_admin_is_reset_by_two_others_and_nothing_changes_before(house: House) -> None:
    ann, ben, cat = await three(house)
    asked = await house.resets.ask(as_admin(ann), cat.user)
    assert isinstance(asked, ResetRequest)
    assert await house.resets.ask(as_admin(ann), cat.user) == asked
    await house.sessions.resolve(cat.session.reveal(), **PLACE)
    for alone in (ann, cat):
        with pytest.raises(SecondAdminNeeded):
            await house.resets.approve(as_admin(alone), asked.id)
    with pytest.raises(SecondAdminNeeded):
        await house.resets.approve(Caller("token", ben.user, "admin", frozenset({"users:manage"})), asked.id)
    invitation = await house.resets.approve(as_admin(ben), asked.id)
    assert invitation.user == cat.user
    assert house.heard(SessionEnded) == [SessionEnded(cat.user)]
    with pytest.raises(SignInRefused):
        await house.sign_in.attempt("cat", PASSWORD, house.code_of(cat), **PLACE)
    with pytest.raises(NotFound):
        await house.resets.approve(as_admin(ben), asked.id)
    assert await house.resets.waiting(as_admin(ben)) == []
    entries = await house.entries()
    assert entries.count(("user.reset.ask", "done")) == 1
    assert entries.count(("user.reset", "done")) == 1


async def test_an_account_made_for_the_approval_approves_nothing(house: House) -> None:
    ann, ben, cat = await three(house)
    early = await house.enrolled("puppet", "admin")
    asked = await house.resets.ask(as_admin(ann), cat.user)
    assert isinstance(asked, ResetRequest)
    late = await house.enrolled("later", "admin")
    for made_for_it in (early, late):
        with pytest.raises(SecondAdminNeeded):
            await house.resets.approve(as_admin(made_for_it), asked.id)
    assert (await house.resets.approve(as_admin(ben), asked.id)).user == cat.user


async def test_nobody_takes_an_admins_role_alone_to_reset_them_afterwards(house: House) -> None:
    ann, ben, cat = await three(house)
    with pytest.raises(SecondAdminNeeded):
        await house.people.change(as_admin(ann), cat.user, role="clinician")
    with pytest.raises(SecondAdminNeeded):
        await house.people.change(as_admin(ann), cat.user, role="clinician", disabled=True)
    assert isinstance(await house.resets.ask(as_admin(ann), cat.user), ResetRequest)
    assert (await house.people.change(as_admin(cat), cat.user, role="clinician")).role == "clinician"
    assert (await house.people.change(as_admin(ann), cat.user, role="admin")).role == "admin"
    assert (await house.people.change(ADMIN, cat.user, role="clinician")).role == "clinician"
    with pytest.raises(SecondAdminNeeded):  # cat could be asked until a moment ago
        await house.people.change(as_admin(ann), ben.user, role="clinician")
    house.clock.step(days=1)
    assert (await house.people.change(as_admin(ann), ben.user, role="clinician")).role == "clinician"  # no third to ask


async def test_nobody_shuts_out_a_second_admin_to_act_against_the_third_alone(house: House) -> None:
    ann, ben, cat = await three(house)
    await house.people.change(as_admin(ann), ben.user, disabled=True)  # at once: shutting out waits for nobody
    assert isinstance(await house.resets.ask(as_admin(ann), cat.user), ResetRequest)
    with pytest.raises(SecondAdminNeeded):
        await house.people.change(as_admin(ann), cat.user, role="clinician")
    house.clock.step(hours=24)
    house.clock.step(seconds=-1)
    assert isinstance(await house.resets.ask(as_admin(ann), cat.user), ResetRequest)
    house.clock.step(seconds=1)
    assert isinstance(await house.resets.ask(as_admin(ann), cat.user), Invitation)


async def test_in_a_clinics_first_day_the_refusal_says_what_to_do(house: House) -> None:
    ann, ben = await house.enrolled("ann", "admin"), await house.enrolled("ben", "admin")
    cat = await house.enrolled("cat", "admin")
    asked = await house.resets.ask(as_admin(ann), cat.user)
    assert isinstance(asked, ResetRequest)
    with pytest.raises(ApproverTooNew) as refused:
        await house.resets.approve(as_admin(ben), asked.id)
    assert "telehealth user reset" in refused.value.message
    assert isinstance(await house.resets.ask(ADMIN, cat.user), Invitation)


async def test_who_is_meant_may_refuse_and_a_day_ends_a_request(house: House) -> None:
    ann, ben, cat = await three(house)
    asked = await house.resets.ask(as_admin(ann), cat.user)
    assert isinstance(asked, ResetRequest)
    await house.resets.refuse(as_admin(cat), asked.id)
    with pytest.raises(NotFound):
        await house.resets.approve(as_admin(ben), asked.id)
    again = await house.resets.ask(as_admin(ann), cat.user)
    assert isinstance(again, ResetRequest)
    house.clock.step(days=1)
    with pytest.raises(NotFound):
        await house.resets.approve(as_admin(ben), again.id)
    assert ("user.reset.refuse", "done") in await house.entries()


async def test_the_request_of_somebody_who_is_admin_no_more_is_void(house: House) -> None:
    ann, ben, cat = await three(house)
    asked = await house.resets.ask(as_admin(ann), cat.user)
    assert isinstance(asked, ResetRequest)
    await house.people.change(ADMIN, ann.user, role="clinician")
    with pytest.raises(NotFound):
        await house.resets.approve(as_admin(ben), asked.id)


async def test_without_a_second_admin_one_is_enough_and_so_is_the_servers_own_command_line(
    house: House,
) -> None:
    ann, ben = await house.enrolled("ann", "admin"), await house.enrolled("ben", "admin")
    assert isinstance(await house.resets.ask(as_admin(ann), ben.user), Invitation)
    cat = await house.enrolled("cat", "admin")
    assert isinstance(await house.resets.ask(ADMIN, cat.user), Invitation)


async def test_only_admins_ask_look_and_decide(house: House) -> None:
    ann, _, cat = await three(house)
    asked = await house.resets.ask(as_admin(ann), cat.user)
    assert isinstance(asked, ResetRequest)
    desk = Caller("user", "usr_x", "front_desk")
    for act in (
        house.resets.ask(desk, cat.user),
        house.resets.waiting(desk),
        house.resets.approve(desk, asked.id),
        house.resets.refuse(desk, asked.id),
    ):
        with pytest.raises(Forbidden):
            await act
    with pytest.raises(NotFound):
        await house.resets.ask(as_admin(ann), "usr_unknown")


async def test_a_colleague_made_admin_for_it_approves_no_reset(house: House) -> None:
    ann, ben, dan = (
        *[await house.enrolled(name, "admin") for name in ("ann", "ben")],
        await house.enrolled("dan", "clinician"),
    )
    house.clock.step(days=2)
    await house.people.change(as_admin(ann), dan.user, role="admin")
    asked = await house.resets.ask(as_admin(ann), ben.user)
    assert isinstance(asked, ResetRequest)
    with pytest.raises(ApproverTooNew):
        await house.resets.approve(as_admin(dan), asked.id)


async def test_a_program_makes_nobody_an_admin_and_voids_nobodys_factors(house: House) -> None:
    ann, _, _ = await three(house)
    dan = await house.enrolled("dan")
    program = Caller("token", ann.user, "admin", frozenset({"users:manage"}))
    before = await house.people.list(as_admin(ann))
    for attempt in (
        house.people.add(program, "eve", "Eve", "admin"),
        house.people.change(program, dan.user, role="admin"),
        house.resets.ask(program, dan.user),
    ):
        with pytest.raises(Forbidden):
            await attempt
    assert await house.people.list(as_admin(ann)) == before
    assert isinstance(await house.people.add(program, "eve", "Eve", "clinician"), Invitation)
