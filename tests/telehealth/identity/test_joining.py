"""The way in: link, code, session; every limit counted, every code once."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import timedelta

import pyotp
import pytest
from identity_house import ADMIN, PLACE, START, House
from sqlalchemy import event, insert, update

from telehealth.errors import Malformed
from telehealth.events import CodeMinted, CodeVoided, ParticipantSignedOut
from telehealth.identity.faults import (
    CodeExpired,
    CodeNotMintedHere,
    CodeWrong,
    LinkUnknown,
    SlowDown,
    TooEarly,
    TriesUsedUp,
    Unauthenticated,
    VisitOver,
)
from telehealth.identity.links import IssuedLink
from telehealth.identity.standing import Window
from telehealth.ids import Kind, new_id
from telehealth.store.guests import GuestFacts
from telehealth.store.tables import attempts, guests, links, outbox, participants, visits
from tests.partners.databases import Databases

PHONE = "+43 660 1234567"


async def arrived(house: House, channel: str = "passcode", **changes: object) -> tuple[IssuedLink, str, str]:
    """A link, its pre-session cookie and its visit."""
    ada = await house.enrolled()
    contact = {"sms": PHONE, "email": "pat@example.org"}.get(channel)
    visit = await house.visit(ada.user, contact=contact)
    link = await house.link(visit, channel, **changes)
    cookie, step = await house.joining.open(link.token.reveal(), **PLACE)
    assert step.step == "code"
    return link, cookie.reveal(), visit


async def wrong(house: House, cookie: str, times: int = 1) -> list[int]:
    left = []
    for _ in range(times):
        with pytest.raises(CodeWrong) as refused:
            await house.joining.verify(cookie, "nothing like it", **PLACE)
        left.append(refused.value.tries_left)
    return left


async def a_guests(house: House, visit: str, channel: str = "passcode", **changes: object) -> IssuedLink:
    """A link of a guest who is invited just now."""
    guest = new_id(Kind.GUEST)
    name = house.fields.seal("Rita Relative", table="guests", column="name_sealed", row=guest)
    values = {"id": guest, "visit_id": visit, "role": "relative", "name_sealed": name, "invited_by": "usr_ada"}
    async with house.store.begin() as connection:
        await connection.execute(insert(guests).values(**values, created_at=house.clock.now()))
    return await house.link(visit, channel, guest=GuestFacts(guest, "relative", name, None), **changes)


async def spoken(house: House, cookie: str) -> str:
    await house.joining.mint(cookie)
    return str(house.heard(CodeMinted)[-1].code.reveal())


async def test_the_passcode_opens_a_session_however_it_is_typed(house: House) -> None:
    _, cookie, visit = await arrived(house, passcode="Tulip-2031")
    token, joined = await house.joining.verify(cookie, " tuLIP ٢٠٣١", **PLACE)
    caller = await house.joining.resolve(token.reveal(), **PLACE)
    assert (caller.kind, caller.role, caller.visit, caller.participant) == (
        "participant",
        "patient",
        visit,
        joined.participant,
    )
    with pytest.raises(Unauthenticated):
        await house.joining.verify(cookie, "Tulip-2031", **PLACE)
    with pytest.raises(Unauthenticated):
        await house.joining.resolve(cookie, **PLACE)
    entered = await house.entries()
    assert ("link.open", "done") in entered
    assert ("identity.verified", "done") in entered


async def test_opening_shows_nothing_of_the_patient_and_uses_nothing_up(house: House) -> None:
    link, _, _ = await arrived(house)
    for _ in range(12):
        _, step = await house.joining.open(link.token.reveal(), **PLACE)
    assert "Canary" not in repr(asdict(step))
    assert set(asdict(step)) == {
        "step",
        "channel",
        "opens_at",
        "scheduled_at",
        "code_length",
        "confirm",
        "question",
        "details_given",
        "language_hint",
        "role",
    }
    assert len(await house.rows(participants)) == 1
    assert (await house.rows(links))[0]["tries"] == 0


async def test_unknown_expired_revoked_and_used_up_links_do_the_same_work(house: House) -> None:
    ada = await house.enrolled()
    revoked, expired, used_up = [await house.link(await house.visit(ada.user)) for _ in range(3)]
    visit = (await house.rows(links))[0]["visit_id"]
    await house.links.revoke(ADMIN, visit, revoked.id)
    async with house.store.begin() as connection:
        await connection.execute(update(links).where(links.c.id == expired.id).values(expires_at=house.clock.now()))
        await connection.execute(update(links).where(links.c.id == used_up.id).values(tries=5))
    seen: list[str] = []
    event.listen(
        house.store._engine.sync_engine,
        "before_cursor_execute",
        lambda _c, _k, statement, *_: seen.append(statement),
    )
    answers = []
    tokens = ["x" * 43, *(link.token.reveal() for link in (revoked, expired, used_up))]
    for number, token in enumerate(tokens):
        seen.clear()
        with pytest.raises(LinkUnknown) as refused:
            await house.joining.open(token, address=f"198.51.100.{number}", device="a browser")
        answers.append((tuple(seen), refused.value.code, refused.value.message, refused.value.retry_after))
    assert len(set(answers)) == 1
    asked = [statement for statement in answers[0][0] if statement != "BEGIN"]
    assert len(asked) == 1
    refusals = [stored for stored in await house.audit.entries(limit=1000) if stored.action == "link.open"]
    assert {(stored.outcome, stored.visit, stored.subject) for stored in refusals} == {("refused", None, None)}


async def test_strangers_cannot_fill_the_log(house: House) -> None:
    for _ in range(50):
        with pytest.raises(LinkUnknown):
            await house.joining.open("x" * 43, **PLACE)
    assert len(await house.entries()) == 1


async def test_too_early_is_no_error_and_opens_by_itself(house: House) -> None:
    ada = await house.enrolled()
    visit = await house.visit(ada.user)
    opens = house.clock.now() + timedelta(hours=1)
    link = await house.link(visit, "spoken", window=Window(opens, opens + timedelta(hours=1)))
    cookie, step = await house.joining.open(link.token.reveal(), **PLACE)
    assert (step.step, step.opens_at) == ("early", opens)
    with pytest.raises(TooEarly):
        await house.joining.mint(cookie.reveal())
    with pytest.raises(TooEarly):
        await house.joining.verify(cookie.reveal(), "000000", **PLACE)
    house.clock.step(hours=1)
    assert (await house.joining.step(cookie.reveal())).step == "code"
    assert (await house.joining.mint(cookie.reveal())).channel == "spoken"


async def test_five_wrong_codes_use_the_budget_up(house: House) -> None:
    link, cookie, _ = await arrived(house)
    assert link.passcode is not None
    assert await wrong(house, cookie, 5) == [4, 3, 2, 1, 0]
    with pytest.raises(TriesUsedUp):
        await house.joining.verify(cookie, link.passcode.reveal(), **PLACE)
    with pytest.raises(LinkUnknown):
        await house.joining.open(link.token.reveal(), **PLACE)
    assert (await house.entries()).count(("code.try", "refused")) >= 5


async def test_many_wrong_codes_at_once_are_no_more_than_five(house: House) -> None:
    _, cookie, _ = await arrived(house)
    tries = await asyncio.gather(
        *(house.joining.verify(cookie, "wrong", **PLACE) for _ in range(12)), return_exceptions=True
    )
    assert sum(isinstance(one, CodeWrong) for one in tries) == 5
    assert sum(isinstance(one, TriesUsedUp) for one in tries) == 7


async def test_neither_a_new_code_nor_a_restart_gives_new_tries(
    house: House, restarted: Callable[[], Awaitable[House]]
) -> None:
    _, cookie, _ = await arrived(house, "spoken")
    await spoken(house, cookie)
    await wrong(house, cookie, 3)
    house.clock.step(minutes=1)
    await spoken(house, cookie)
    assert await wrong(house, cookie) == [1]
    later = await restarted()
    assert await wrong(later, cookie) == [0]
    with pytest.raises(TriesUsedUp):
        await later.joining.verify(cookie, "000000", **PLACE)
    later.clock.step(minutes=1)
    with pytest.raises(TriesUsedUp):
        await later.joining.mint(cookie)


async def test_only_a_logged_budget_gives_new_tries_and_the_day_has_twenty(house: House) -> None:
    link, cookie, visit = await arrived(house)
    for turn in range(4):
        await wrong(house, cookie, 5)
        budget = await house.links.new_budget(ADMIN, visit, link.id)
        assert budget.tries_left == (5 if turn < 3 else 0)
    assert budget.passcode is not None
    with pytest.raises(TriesUsedUp):
        await house.joining.verify(cookie, budget.passcode.reveal(), **PLACE)
    fresh = await house.link(visit)  # nor does another link help
    assert fresh.passcode is not None
    other, _ = await house.joining.open(fresh.token.reveal(), **PLACE)
    with pytest.raises(TriesUsedUp):
        await house.joining.verify(other.reveal(), fresh.passcode.reveal(), **PLACE)
    assert (await house.links.of([visit]))[visit][-1].tries_left == 0


async def test_guests_leave_the_patient_half_of_the_day_whatever_they_try(house: House) -> None:
    link, cookie, visit = await arrived(house)
    assert link.passcode is not None
    for _ in range(3):
        theirs = await a_guests(house, visit)
        guest, _ = await house.joining.open(theirs.token.reveal(), **PLACE)
        for _ in range(5):
            with pytest.raises((CodeWrong, TriesUsedUp)):
                await house.joining.verify(guest.reveal(), "nothing like it", **PLACE)
    days = sorted(row["failures"] for row in await house.rows(attempts))
    assert days == [10, 10]  # of the visit, and of its guests
    with pytest.raises(TriesUsedUp):
        await house.joining.verify(guest.reveal(), "nothing like it", **PLACE)
    await wrong(house, cookie, 4)
    token, _ = await house.joining.verify(cookie, link.passcode.reveal(), **PLACE)
    assert (await house.joining.resolve(token.reveal(), **PLACE)).role == "patient"


async def test_guests_who_ask_for_codes_all_day_leave_the_patient_half_of_them(house: House) -> None:
    _, cookie, visit = await arrived(house, "spoken", window=Window(START, START + timedelta(hours=6)))
    theirs = await a_guests(house, visit, "spoken", window=Window(START, START + timedelta(hours=6)))
    guest, _ = await house.joining.open(theirs.token.reveal(), **PLACE)
    for _ in range(10):
        await spoken(house, guest.reveal())
        house.clock.step(minutes=1)
    with pytest.raises(SlowDown):
        await spoken(house, guest.reveal())
    for _ in range(10):
        await spoken(house, cookie)
        house.clock.step(minutes=1)


async def test_the_next_day_has_tries_again(house: House) -> None:
    ada = await house.enrolled()
    visit = await house.visit(ada.user)
    window = Window(START, START + timedelta(days=3))
    for _ in range(4):
        link = await house.link(visit, window=window)
        cookie, _ = await house.joining.open(link.token.reveal(), **PLACE)
        await wrong(house, cookie.reveal(), 5)
    house.clock.step(days=1)
    await house.links.new_budget(ADMIN, visit, link.id)
    assert await wrong(house, cookie.reveal()) == [4]


async def test_a_right_code_costs_no_try(house: House) -> None:
    _, cookie, visit = await arrived(house, "spoken")
    await wrong_after_code(house, cookie)
    await house.joining.verify(cookie, await next_code(house, cookie), **PLACE)
    assert (await house.links.of([visit]))[visit][-1].tries_left == 4


async def wrong_after_code(house: House, cookie: str) -> None:
    await spoken(house, cookie)
    await wrong(house, cookie)


async def next_code(house: House, cookie: str) -> str:
    house.clock.step(seconds=30)
    return await spoken(house, cookie)


async def test_a_minted_code_works_ten_minutes_and_once(house: House) -> None:
    link, cookie, visit = await arrived(house, "spoken")
    code = await spoken(house, cookie)
    assert len(code) == 6
    assert code.isdecimal()
    house.clock.step(minutes=10)
    with pytest.raises(CodeExpired):
        await house.joining.verify(cookie, code, **PLACE)
    code = await spoken(house, cookie)
    house.clock.step(minutes=9, seconds=59)
    await house.joining.verify(cookie, f"{code[:3]} {code[3:]}", **PLACE)
    again, _ = await house.joining.open(link.token.reveal(), **PLACE)
    with pytest.raises(CodeExpired):
        await house.joining.verify(again.reveal(), code, **PLACE)
    assert house.heard(CodeVoided) == [CodeVoided(visit, link.id)]


async def test_one_code_typed_twice_at_once_opens_one_session(house: House) -> None:
    _, cookie, _ = await arrived(house, "spoken")
    code = await spoken(house, cookie)
    tries = await asyncio.gather(
        *(house.joining.verify(cookie, code, **PLACE) for _ in range(4)), return_exceptions=True
    )
    assert sum(isinstance(one, tuple) for one in tries) == 1
    assert all(isinstance(one, tuple | CodeExpired | Unauthenticated) for one in tries)


async def test_only_the_current_counter_counts(house: House) -> None:
    _, cookie, _ = await arrived(house, "spoken")
    first = await spoken(house, cookie)
    second = await next_code(house, cookie)
    (row,) = await house.rows(links)
    seed = house.fields.open(row["hotp_sealed"], table="links", column="hotp_sealed", row=row["id"])
    codes = pyotp.HOTP(seed)
    assert [codes.at(1), codes.at(2)] == [first, second]
    for other in (codes.at(0), first, codes.at(3), codes.at(4)):
        with pytest.raises(CodeWrong):
            await house.joining.verify(cookie, other, **PLACE)
    await house.joining.verify(cookie, second, **PLACE)


async def test_a_code_of_another_link_does_not_work(house: House) -> None:
    _, cookie, _ = await arrived(house, "spoken")
    code = await spoken(house, cookie)
    ada = (await house.people.list(ADMIN))[0]
    other = await house.link(await house.visit(ada.id), "spoken")
    elsewhere, _ = await house.joining.open(other.token.reveal(), **PLACE)
    await spoken(house, elsewhere.reveal())
    with pytest.raises(CodeWrong):
        await house.joining.verify(elsewhere.reveal(), code, **PLACE)


async def test_no_code_is_minted_or_sent_before_somebody_asks(house: House) -> None:
    _, cookie, _ = await arrived(house, "sms")
    assert await house.rows(outbox) == []
    with pytest.raises(CodeExpired):
        await house.joining.verify(cookie, "000000", **PLACE)


async def test_codes_by_sms_and_mail_go_out_and_work(house: House) -> None:
    for channel, tray, to in (("sms", house.sms, "+436601234567"), ("email", house.mail, "pat@example.org")):
        ada = await house.enrolled(channel)
        contact = PHONE if channel == "sms" else "pat@example.org"
        link = await house.link(await house.visit(ada.user, contact=contact), channel)
        cookie, step = await house.joining.open(link.token.reveal(), **PLACE)
        assert step.code_length == 6
        await house.joining.mint(cookie.reveal())
        await house.outbox.deliver_due()
        ((sent_to, message),) = tray.sent
        assert sent_to == to
        assert "Canary" not in message.text + message.subject
        code = message.text[:6]
        assert code not in message.subject
        await house.joining.verify(cookie.reveal(), code, "C.P.", **PLACE)
    assert house.heard(CodeMinted) == []


async def test_asking_again_needs_a_pause_and_has_an_end(house: House) -> None:
    _, cookie, _ = await arrived(house, "spoken", window=Window(START, START + timedelta(days=2)))
    first = await house.joining.mint(cookie)
    assert first.resend_after - house.clock.now() == timedelta(seconds=30)
    house.clock.step(seconds=10)
    with pytest.raises(SlowDown) as refused:
        await house.joining.mint(cookie)
    assert refused.value.retry_after == 20
    for _ in range(19):
        house.clock.step(seconds=30)
        await house.joining.mint(cookie)
    house.clock.step(seconds=30)
    with pytest.raises(SlowDown):
        await house.joining.mint(cookie)


async def test_asking_twice_at_once_mints_one_code(house: House) -> None:
    _, cookie, _ = await arrived(house, "spoken")
    asked = await asyncio.gather(*(house.joining.mint(cookie) for _ in range(3)), return_exceptions=True)
    assert sum(isinstance(one, SlowDown) for one in asked) == 2
    (minted,) = house.heard(CodeMinted)
    await house.joining.verify(cookie, minted.code.reveal(), **PLACE)


async def test_without_the_log_no_code_is_minted(house: House) -> None:
    _, cookie, _ = await arrived(house, "sms")
    await house.audit.close()
    with pytest.raises(Exception, match="log_unavailable"):
        await house.joining.mint(cookie)
    assert await house.rows(outbox) == []
    assert (await house.rows(links))[0]["hotp_counter"] == 0


async def test_a_passcode_is_not_minted_here(house: House) -> None:
    _, cookie, _ = await arrived(house)
    with pytest.raises(CodeNotMintedHere):
        await house.joining.mint(cookie)


async def test_without_the_log_nobody_is_verified_and_no_try_lost(house: House) -> None:
    link, cookie, visit = await arrived(house)
    assert link.passcode is not None
    await house.audit.close()
    with pytest.raises(Exception, match="log_unavailable"):
        await house.joining.verify(cookie, link.passcode.reveal(), **PLACE)
    assert (await house.links.of([visit]))[visit][0].tries_left == 5
    assert (await house.joining.step(cookie)).step == "code"


async def test_a_reload_resumes_the_same_participant(house: House) -> None:
    link, cookie, _ = await arrived(house)
    assert link.passcode is not None
    token, joined = await house.joining.verify(cookie, link.passcode.reveal(), **PLACE)
    assert (await house.joining.step(token.reveal())).step == "device"
    elsewhere, step = await house.joining.open(link.token.reveal(), **PLACE)
    assert step.step == "code"
    await house.joining.resolve(token.reveal(), **PLACE)  # the link alone puts nobody out
    other, again = await house.joining.verify(elsewhere.reveal(), link.passcode.reveal(), **PLACE)
    assert again == joined
    signed_out = ParticipantSignedOut(joined.visit, joined.participant, replaced=True)
    assert house.heard(ParticipantSignedOut) == [signed_out]
    with pytest.raises(Unauthenticated):
        await house.joining.resolve(token.reveal(), **PLACE)
    await house.joining.resolve(other.reveal(), **PLACE)


async def test_the_same_link_opened_again_keeps_the_verified_session(house: House) -> None:
    link, cookie, _ = await arrived(house)
    assert link.passcode is not None
    token, _ = await house.joining.verify(cookie, link.passcode.reveal(), **PLACE)
    step = await house.joining.resumed(token.reveal(), link.token.reveal(), **PLACE)
    assert step is not None
    assert step.step == "device"
    await house.joining.resolve(token.reveal(), **PLACE)
    assert (await house.entries()).count(("link.open", "done")) == 2
    ada = (await house.people.list(ADMIN))[0]
    other = await house.link(await house.visit(ada.id))
    pending, _ = await house.joining.open(other.token.reveal(), **PLACE)
    for held, opened in (
        (token.reveal(), other.token.reveal()),
        (token.reveal(), "x" * 43),
        (pending.reveal(), other.token.reveal()),
        ("x" * 43, link.token.reveal()),
    ):
        assert await house.joining.resumed(held, opened, **PLACE) is None


async def test_a_revoked_or_expired_link_resumes_nothing(house: House) -> None:
    link, cookie, visit = await arrived(house)
    assert link.passcode is not None
    token, _ = await house.joining.verify(cookie, link.passcode.reveal(), **PLACE)
    async with house.store.begin() as connection:
        await connection.execute(update(links).values(expires_at=house.clock.now()))
    assert await house.joining.resumed(token.reveal(), link.token.reveal(), **PLACE) is None
    async with house.store.begin() as connection:
        await connection.execute(update(visits).values(state="in_call"))
    assert await house.joining.resumed(token.reveal(), link.token.reveal(), **PLACE) is not None
    await house.links.revoke(ADMIN, visit, link.id)
    assert await house.joining.resumed(token.reveal(), link.token.reveal(), **PLACE) is None


async def test_details_are_sealed_and_needed_once(house: House, databases: Databases) -> None:
    link, cookie, _ = await arrived(house)
    assert link.passcode is not None
    with pytest.raises(Unauthenticated):
        await house.joining.details(cookie, "at home", "+43 1 2345")
    token, joined = await house.joining.verify(cookie, link.passcode.reveal(), **PLACE)
    for location, callback in (("", "+43"), ("x" * 201, "+43"), ("home", " "), ("home", "1" * 41)):
        with pytest.raises(Malformed):
            await house.joining.details(token.reveal(), location, callback)
    await house.joining.details(token.reveal(), " Canary Street 1 ", "+43 1 2345")
    assert (await house.joining.step(token.reveal())).details_given
    (row,) = await house.rows(participants)
    opened = house.fields.open(
        row["location_sealed"], table="participants", column="location_sealed", row=joined.participant
    )
    assert opened == "Canary Street 1"
    await house.store.checkpoint()
    assert b"Canary Street" not in await asyncio.to_thread(databases.content, house.folder)


async def test_giving_up_ends_the_session_at_once(house: House) -> None:
    link, cookie, _ = await arrived(house)
    assert link.passcode is not None
    token, joined = await house.joining.verify(cookie, link.passcode.reveal(), **PLACE)
    await house.joining.give_up(token.reveal())
    await house.joining.give_up(token.reveal())
    assert house.heard(ParticipantSignedOut) == [ParticipantSignedOut(joined.visit, joined.participant)]
    with pytest.raises(Unauthenticated):
        await house.joining.resolve(token.reveal(), **PLACE)


async def test_a_removed_participant_stays_out(house: House) -> None:
    link, cookie, _ = await arrived(house)
    assert link.passcode is not None
    token, _ = await house.joining.verify(cookie, link.passcode.reveal(), **PLACE)
    other, _ = await house.joining.open(link.token.reveal(), **PLACE)
    async with house.store.begin() as connection:
        await connection.execute(update(participants).values(state="removed"))
    with pytest.raises(Unauthenticated):
        await house.joining.resolve(token.reveal(), **PLACE)
    with pytest.raises(VisitOver):
        await house.joining.verify(other.reveal(), link.passcode.reveal(), **PLACE)
    _, step = await house.joining.open(link.token.reveal(), **PLACE)
    assert step.step == "over"
    assert (await house.rows(participants))[0]["state"] == "removed"


async def test_the_end_of_the_visit_is_the_end_of_the_session(house: House) -> None:
    link, cookie, _ = await arrived(house)
    assert link.passcode is not None
    token, _ = await house.joining.verify(cookie, link.passcode.reveal(), **PLACE)
    async with house.store.begin() as connection:
        await connection.execute(update(visits).values(state="in_call"))
    house.clock.step(hours=3)
    await house.joining.resolve(token.reveal(), **PLACE)  # the window does not cut a call off
    async with house.store.begin() as connection:
        await connection.execute(update(visits).values(state="ended"))
    with pytest.raises(Unauthenticated):
        await house.joining.resolve(token.reveal(), **PLACE)


async def test_a_revoked_link_ends_the_session_behind_it(house: House) -> None:
    link, cookie, visit = await arrived(house)
    assert link.passcode is not None
    token, _ = await house.joining.verify(cookie, link.passcode.reveal(), **PLACE)
    await house.links.revoke(ADMIN, visit, link.id)
    for act in (house.joining.resolve(token.reveal(), **PLACE), house.joining.step(token.reveal())):
        with pytest.raises(Unauthenticated):
            await act


@pytest.mark.parametrize("hours", [-24, -1, 1, 24])
async def test_a_clock_that_jumps_makes_no_code_live_longer(house: House, hours: int) -> None:
    _, cookie, _ = await arrived(house, "spoken", window=Window(START - timedelta(days=2), START + timedelta(days=2)))
    code = await spoken(house, cookie)
    house.clock.step(minutes=9)
    house.clock.moment += timedelta(hours=hours)
    with pytest.raises(CodeExpired):
        await house.joining.verify(cookie, code, **PLACE)
    again = await spoken(house, cookie)  # and nobody waits for a clock to come back
    await house.joining.verify(cookie, again, **PLACE)
