"""Links: who may issue them, over which channel, and what ends them."""

from datetime import timedelta

import pytest
from identity_house import ADMIN, PLACE, START, House
from sqlalchemy import update

from telehealth.access import Caller
from telehealth.errors import NotFound, WrongState
from telehealth.events import CodeVoided, LinkRevoked
from telehealth.identity.faults import ChannelNotAllowed, CodeExpired, ContactUnfit, LinkUnknown, PasscodeWeak
from telehealth.identity.standing import Window, window_of
from telehealth.store.tables import links, visits

PHONE = "+43 660 1234567"


async def own(house: House) -> Caller:
    ada = await house.enrolled()
    return Caller("user", ada.user, "clinician")


async def test_a_link_shows_its_secrets_once_and_stores_hashes(house: House) -> None:
    ada = await own(house)
    visit = await house.visit(ada.id)
    link = await house.link(visit, passcode="  Tulip-2031 ")
    assert link.passcode is not None
    assert link.passcode.reveal() == "Tulip-2031"
    assert len(link.token.reveal()) == 43
    await house.store.checkpoint()
    for place in house.folder.rglob("*"):
        if place.is_file():
            content = place.read_bytes()
            assert link.token.reveal().encode() not in content
            assert b"ulip-2031" not in content
            assert b"ulip2031" not in content
    assert [e for e in await house.entries() if e[0] == "link.issue"] == [
        ("link.issue", "intent"),
        ("link.issue", "done"),
    ]


async def test_the_window_follows_the_clinics_rules(house: House) -> None:
    window = window_of(START, 30, house.limits)
    assert (window.opens, window.closes) == (START - timedelta(minutes=15), START + timedelta(minutes=90))


async def test_clinicians_issue_for_their_own_visits_alone(house: House) -> None:
    ada = await own(house)
    visit = await house.visit(ada.id)
    window = window_of(house.clock.now(), 30, house.limits)
    await house.links.issue(ada, visit, channel="spoken", window=window)
    for other in (Caller("user", "usr_other", "clinician"), Caller("user", "usr_x", "auditor")):
        with pytest.raises(NotFound):
            await house.links.issue(other, visit, channel="spoken", window=window)
        with pytest.raises(NotFound):
            await house.links.new_budget(other, visit, "lnk_x")
    with pytest.raises(NotFound):
        await house.links.issue(ada, "vis_unknown", channel="spoken", window=window)


async def test_a_new_link_revokes_the_earlier_one_and_closes_its_sockets(house: House) -> None:
    ada = await own(house)
    visit = await house.visit(ada.id)
    old = await house.link(visit)
    house.clock.step(seconds=1)
    new = await house.link(visit)
    assert house.heard(LinkRevoked) == [LinkRevoked(visit, old.id)]
    with pytest.raises(LinkUnknown):
        await house.joining.open(old.token.reveal(), **PLACE)
    await house.joining.open(new.token.reveal(), **PLACE)
    views = (await house.links.of([visit]))[visit]
    assert [(view.id, view.state, view.tries_left) for view in views] == [(old.id, "revoked", 5), (new.id, "live", 5)]


async def test_revoking_works_once_and_at_once(house: House) -> None:
    ada = await own(house)
    visit, other = await house.visit(ada.id), await house.visit(ada.id)
    link = await house.link(visit)
    with pytest.raises(NotFound):
        await house.links.revoke(ada, other, link.id)
    await house.links.revoke(ada, visit, link.id)
    with pytest.raises(NotFound):
        await house.links.revoke(ada, visit, link.id)
    assert house.heard(LinkRevoked) == [LinkRevoked(visit, link.id)]
    assert ("link.revoke", "done") in await house.entries()


async def test_revoking_works_while_the_log_is_down(house: House) -> None:
    ada = await own(house)
    visit = await house.visit(ada.id)
    link = await house.link(visit)
    await house.audit.close()
    await house.links.revoke(ada, visit, link.id)
    with pytest.raises(LinkUnknown):
        await house.joining.open(link.token.reveal(), **PLACE)


async def test_without_the_log_no_link_is_issued(house: House) -> None:
    ada = await own(house)
    visit = await house.visit(ada.id)
    await house.audit.close()
    with pytest.raises(Exception, match="log_unavailable"):
        await house.link(visit)
    assert await house.rows(links) == []


async def test_high_assurance_refuses_codes_by_mail(house: House) -> None:
    ada = await own(house)
    high = await house.visit(ada.id, contact="pat@example.org", assurance="high")
    with pytest.raises(ChannelNotAllowed):
        await house.link(high, "email")
    await house.link(high, "spoken")
    standard = await house.visit(ada.id, contact="pat@example.org")
    await house.link(standard, "email")
    with pytest.raises(ChannelNotAllowed):
        await house.link(standard, "pigeon")


@pytest.mark.parametrize("contact", [None, "the neighbour", "0660 1234567", "+43", "a@b@c"])
async def test_a_channel_needs_a_contact_that_fits(house: House, contact: str | None) -> None:
    ada = await own(house)
    visit = await house.visit(ada.id, contact=contact)
    for channel in ("sms", "email"):
        with pytest.raises(ContactUnfit):
            await house.link(visit, channel)


@pytest.mark.parametrize("passcode", ["short", "1111-1111", "- - - - - - - -", "x" * 65])
async def test_weak_passcodes_are_refused(house: House, passcode: str) -> None:
    visit = await house.visit((await own(house)).id)
    with pytest.raises(PasscodeWeak):
        await house.link(visit, passcode=passcode)


async def test_a_visit_that_is_over_gets_no_link(house: House) -> None:
    ada = await own(house)
    visit = await house.visit(ada.id)
    async with house.store.begin() as connection:
        await connection.execute(update(visits).values(state="ended"))
    with pytest.raises(WrongState):
        await house.link(visit)


async def test_rescheduling_moves_the_window(house: House) -> None:
    ada = await own(house)
    visit = await house.visit(ada.id)
    link = await house.link(visit)
    later = START + timedelta(days=1)
    await house.links.move(ada, visit, Window(later, later + timedelta(hours=1)))
    _, step = await house.joining.open(link.token.reveal(), **PLACE)
    assert (step.step, step.opens_at) == ("early", later)


async def test_cancelling_revokes_every_link(house: House) -> None:
    ada = await own(house)
    visit = await house.visit(ada.id)
    link = await house.link(visit)
    await house.links.revoke_all(ADMIN, visit)
    assert house.heard(LinkRevoked) == [LinkRevoked(visit, link.id)]


async def test_a_new_budget_voids_the_present_code(house: House) -> None:
    ada = await own(house)
    visit = await house.visit(ada.id)
    link = await house.link(visit, "spoken")
    cookie, _ = await house.joining.open(link.token.reveal(), **PLACE)
    await house.joining.mint(cookie.reveal())
    code = house.events[-1].code.reveal()
    assert (await house.links.new_budget(ada, visit, link.id)).passcode is None
    assert house.heard(CodeVoided) == [CodeVoided(visit, link.id)]
    with pytest.raises(CodeExpired):
        await house.joining.verify(cookie.reveal(), code, **PLACE)


async def test_a_new_budget_replaces_a_passcode(house: House) -> None:
    ada = await own(house)
    visit = await house.visit(ada.id)
    link = await house.link(visit)
    budget = await house.links.new_budget(ada, visit, link.id)
    assert budget.passcode is not None
    cookie, _ = await house.joining.open(link.token.reveal(), **PLACE)
    await house.joining.verify(cookie.reveal(), budget.passcode.reveal(), **PLACE)
    house.clock.step(hours=2)
    with pytest.raises(WrongState):
        await house.links.new_budget(ada, visit, link.id)
