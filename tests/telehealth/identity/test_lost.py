"""A lost link: sent once more to the contact on file, and nobody learns or loses anything by asking."""

import asyncio
from typing import Any

import pytest
from identity_house import ADMIN, PLACE, House
from sqlalchemy import event, update

from telehealth.config import Config
from telehealth.errors import Malformed
from telehealth.events import CodeMinted, ParticipantSignedOut
from telehealth.identity.faults import LinkUnknown, SlowDown, TriesUsedUp
from telehealth.identity.lost import A_CONTACT, AN_ADDRESS, WAITING
from telehealth.store.tables import link_spares, links, outbox, presessions, visits

MAIL = "pat@example.org"


async def asked(house: House, contact: str = MAIL, address: str = "192.0.2.7") -> None:
    await house.lost.ask(contact, address=address, device="a browser")


async def sent(house: House) -> str:
    """Answer the one request that waits; the token that went out."""
    before = len(house.mail.sent)
    await house.lost.answer_one()
    await house.outbox.deliver_due()
    assert len(house.mail.sent) == before + 1
    to, message = house.mail.sent[-1]
    assert to == MAIL
    return str(message.text.split("/join#")[1].split()[0])


async def opened(house: House, token: str) -> str:
    cookie, step = await house.joining.open(token, **PLACE)
    assert step.step == "code"
    return str(cookie.reveal())


async def test_the_old_link_stays_good_until_the_new_one_passes_the_code(house: House) -> None:
    ada = await house.enrolled()
    visit = await house.visit(ada.user, contact=MAIL)
    link = await house.link(visit)
    assert link.passcode
    await asked(house, " PAT@Example.org ")
    fresh = await sent(house)
    assert fresh != link.token.reveal()
    old, new = await opened(house, link.token.reveal()), await opened(house, fresh)
    with pytest.raises(Exception, match="code_wrong"):
        await house.joining.verify(new, "not it", **PLACE)
    await opened(house, link.token.reveal())
    await house.joining.verify(new, link.passcode.reveal(), **PLACE)
    with pytest.raises(LinkUnknown):
        await house.joining.open(link.token.reveal(), **PLACE)
    with pytest.raises(Exception, match="unauthenticated"):
        await house.joining.verify(old, link.passcode.reveal(), **PLACE)
    await opened(house, fresh)
    assert ("link.reissue", "done") in await house.entries()
    assert ("link.lost", "done") in await house.entries()


async def test_every_link_that_was_sent_works_so_that_asking_again_voids_nothing(house: House) -> None:
    ada = await house.enrolled()
    link = await house.link(await house.visit(ada.user, contact=MAIL))
    tokens = [link.token.reveal()]
    for _ in range(A_CONTACT):
        await asked(house)
        tokens.append(await sent(house))
    for token in tokens:
        await opened(house, token)


async def test_somebody_in_the_visit_stays_in_it_while_strangers_ask(house: House) -> None:
    ada = await house.enrolled()
    link = await house.link(await house.visit(ada.user, contact=MAIL))
    assert link.passcode
    token, _ = await house.joining.verify(await opened(house, link.token.reveal()), link.passcode.reveal(), **PLACE)
    await asked(house)
    await opened(house, await sent(house))
    await house.joining.resolve(token.reveal(), **PLACE)
    assert house.heard(ParticipantSignedOut) == []


async def test_known_and_unknown_contacts_are_answered_by_the_same_work(house: House) -> None:
    ada = await house.enrolled()
    await house.link(await house.visit(ada.user, contact=MAIL))
    seen: list[str] = []
    event.listen(
        house.store._engine.sync_engine, "before_cursor_execute", lambda _c, _k, statement, *_: seen.append(statement)
    )
    work = []
    for number, contact in enumerate((MAIL, "nobody@example.org", "+43 660 7654321")):
        seen.clear()
        await asked(house, contact, f"198.51.100.{number}")
        work.append(tuple(seen))
    assert len(set(work)) == 1
    assert len(work[0]) >= 3
    for _ in range(3):
        await house.lost.answer_one()
    assert len(await house.rows(outbox)) == 1


async def test_a_new_link_brings_no_new_tries(house: House) -> None:
    ada = await house.enrolled()
    link = await house.link(await house.visit(ada.user, contact=MAIL))
    assert link.passcode
    old = await opened(house, link.token.reveal())
    for _ in range(3):
        with pytest.raises(Exception, match="code_wrong"):
            await house.joining.verify(old, "wrong", **PLACE)
    await asked(house)
    new = await opened(house, await sent(house))
    for _ in range(2):
        with pytest.raises(Exception, match="code_wrong"):
            await house.joining.verify(new, "wrong", **PLACE)
    with pytest.raises(TriesUsedUp):
        await house.joining.verify(new, link.passcode.reveal(), **PLACE)


async def test_asking_has_an_end_for_a_contact_and_for_an_address(house: House) -> None:
    ada = await house.enrolled()
    await house.link(await house.visit(ada.user, contact=MAIL))
    for number in range(A_CONTACT + 2):
        await asked(house, address=f"198.51.100.{number}")
    for _ in range(A_CONTACT):
        await sent(house)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(house.lost.answer_one(), 0.05)
    for number in range(AN_ADDRESS):
        await asked(house, f"someone{number}@example.org", "203.0.113.9")
    with pytest.raises(SlowDown):
        await asked(house, address="203.0.113.9")
    house.clock.step(hours=1)
    await asked(house, address="203.0.113.9")


async def test_a_full_line_tells_everybody_to_wait(house: House) -> None:
    for number in range(WAITING):
        await asked(house, f"a{number}@example.org", f"2001:db8:0:{number:x}::1")
    with pytest.raises(SlowDown):
        await asked(house, "b@example.org", "192.0.2.1")


@pytest.mark.parametrize("contact", ["0660 1234567", "nobody", "a@b@c", "", "x" * 190])
async def test_what_is_no_contact_is_said_to_be_none(house: House, contact: str) -> None:
    with pytest.raises(Malformed):
        await asked(house, contact)


async def nothing_sent(house: House) -> None:
    await asked(house)
    await house.lost.answer_one()
    assert await house.rows(outbox) == []
    assert await house.rows(link_spares) == []


@pytest.mark.parametrize("why", ["revoked", "expired", "used_up", "over", "one_channel"])
async def test_nothing_is_sent_for_what_would_not_open(house: House, why: str) -> None:
    ada = await house.enrolled()
    high: dict[str, Any] = {"assurance": "high"} if why == "one_channel" else {}
    visit = await house.visit(ada.user, contact=MAIL)
    link = await house.link(visit, "email" if high else "passcode")
    changes: dict[str, dict[str, Any]] = {
        "expired": {"expires_at": house.clock.now()},
        "used_up": {"tries": 5},
    }
    if why == "revoked":
        await house.links.revoke(ADMIN, visit, link.id)
    async with house.store.begin() as connection:
        if why in changes:
            await connection.execute(update(links).where(links.c.id == link.id).values(**changes[why]))
        if why == "over":
            await connection.execute(update(visits).where(visits.c.id == visit).values(state="ended"))
        if high:
            await connection.execute(update(visits).where(visits.c.id == visit).values(**high))
    await nothing_sent(house)


async def test_a_spare_of_a_revoked_link_opens_nothing(house: House) -> None:
    ada = await house.enrolled()
    visit = await house.visit(ada.user, contact=MAIL)
    link = await house.link(visit)
    await asked(house)
    fresh = await sent(house)
    await house.links.revoke(ADMIN, visit, link.id)
    with pytest.raises(LinkUnknown):
        await house.joining.open(fresh, **PLACE)


async def test_many_openers_bar_nobody_who_opened_before(house: House) -> None:
    ada = await house.enrolled()
    link = await house.link(await house.visit(ada.user), "spoken")
    mine = await opened(house, link.token.reveal())
    for _ in range(49):
        await opened(house, link.token.reveal())
    await house.joining.mint(mine)
    await house.joining.verify(mine, house.heard(CodeMinted)[-1].code.reveal(), **PLACE)
    assert await house.rows(presessions) == []


@pytest.mark.parametrize(
    ("known", "clinic", "words"), [("ar", "en", "زيارتك"), ("en", "ar", "Your video"), (None, "ar", "زيارتك")]
)
async def test_a_lost_link_comes_in_the_patients_language_where_known_else_the_clinics(
    house: House, known: str | None, clinic: str, words: str
) -> None:
    ada = await house.enrolled()
    link = await house.link(await house.visit(ada.user, contact=MAIL))
    house.lost._config = Config.model_validate({"server": {"language": clinic}})
    await house.joining.open(link.token.reveal(), **PLACE, language=known)
    await asked(house)
    await sent(house)
    _, message = house.mail.sent[-1]
    assert words in message.text
    assert words in message.subject
    assert message.calendar


async def test_a_code_comes_in_the_language_of_the_page_that_asked_for_it(house: House) -> None:
    ada = await house.enrolled()
    link = await house.link(await house.visit(ada.user, contact=MAIL), "email")
    for language, words in (("ar", "رمزك"), ("en", "is your code")):
        cookie, _ = await house.joining.open(link.token.reveal(), **PLACE, language=language)
        await house.joining.mint(cookie.reveal())
        await house.outbox.deliver_due()
        assert words in house.mail.sent[-1][1].text
        house.clock.step(minutes=1)
