"""What is confirmed with the code, from where one may join, and whose face was compared."""

from typing import Any

import pytest
from identity_house import ADMIN, PLACE, House
from sqlalchemy import select, update

from telehealth.access import Caller
from telehealth.errors import Malformed, NotFound, WrongState
from telehealth.events import CodeMinted, IdentitySeen
from telehealth.identity.confirming import answer_right, asked_of, initials_of
from telehealth.identity.faults import CodeWrong, OutsideArea, TriesUsedUp, Unauthenticated
from telehealth.identity.fence import Fence
from telehealth.identity.sightings import Look
from telehealth.store.tables import links, participants, sightings, visits

AWAY = {"address": "203.0.113.7", "device": "a browser"}


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("Canary Patient", "CP"),
        ("Canary Patient", " c. p. "),
        ("Canary Mary-Jane Patient", "cp"),
        ("Canary Mary-Jane Patient", "CMJP"),
        ("Žofia Ödön", "zo"),
        ("Žofia Ödön", "ŽÖ"),
        ("أحمد علي", "ا ع"),
        ("أحمد علي", "أع"),
        ("Cher", "c"),
        ("王 小明", "王小"),
    ],
)
def test_initials_are_read_as_people_write_them(name: str, typed: str) -> None:
    assert answer_right("initials", typed, name)


@pytest.mark.parametrize("typed", ["", " ", ".", "PC", "C", "CPX", "Canary Patient"])
def test_other_initials_are_wrong(typed: str) -> None:
    assert not answer_right("initials", typed, "Canary Patient")


def test_a_name_of_no_letters_is_never_right() -> None:
    assert initials_of("– –") == ("", "")
    assert not answer_right("initials", "", "– –")
    assert not answer_right("birth_year", "", "")
    assert not answer_right("question", "", "")


@pytest.mark.parametrize(
    ("typed", "right"), [("1980", True), ("١٩٨٠", True), (" 19 80", True), ("80", False), ("1981", False)]
)
def test_the_year_of_birth_is_read_in_every_script(typed: str, right: bool) -> None:
    assert answer_right("birth_year", typed, "1980-02-03") is right


def test_the_clinics_question_is_read_without_accents_case_and_signs() -> None:
    assert answer_right("question", " lindengasse, 7 ", "Lindengasse 7")
    assert not answer_right("question", "lindengasse", "Lindengasse 7")


@pytest.mark.parametrize(
    ("chosen", "rule", "channel", "born", "asked"),
    [
        (None, "sent", "sms", True, "birth_year"),
        (None, "sent", "email", False, "initials"),
        (None, "sent", "passcode", True, "none"),
        (None, "always", "spoken", False, "initials"),
        (None, "never", "sms", True, "none"),
        ("none", "always", "sms", True, "none"),
        ("question", "never", "passcode", False, "question"),
        ("birth_year", "sent", "sms", False, "initials"),
    ],
)
def test_the_clinics_choice_goes_before_its_rule(chosen: Any, rule: Any, channel: str, born: bool, asked: str) -> None:
    assert asked_of(chosen, rule, channel, born=born) == asked


async def arrived(house: House, **more: Any) -> tuple[str, str, str]:
    """A pre-session, its code, its visit."""
    ada = await house.enrolled()
    visit = await house.visit(ada.user, **more)
    link = await house.link(visit, "spoken")
    cookie, _ = await house.joining.open(link.token.reveal(), **PLACE)
    await house.joining.mint(cookie.reveal())
    return cookie.reveal(), house.heard(CodeMinted)[-1].code.reveal(), visit


async def test_a_wrong_answer_and_a_wrong_code_are_one_refusal_and_one_try(house: House) -> None:
    cookie, code, _ = await arrived(house, confirm="initials")
    step = await house.joining.step(cookie)
    assert (step.confirm, step.question, step.scheduled_at, step.opens_at) == ("initials", None, None, None)
    with pytest.raises(Malformed):
        await house.joining.verify(cookie, code, **PLACE)
    said = []
    for typed, answer in ((code, "XX"), ("000000", "CP"), ("000000", "XX"), (code, "")):
        with pytest.raises(CodeWrong) as refused:
            await house.joining.verify(cookie, typed, answer, **PLACE)
        said.append((refused.value.code, refused.value.message, refused.value.tries_left))
    assert [one[2] for one in said] == [4, 3, 2, 1]
    assert len({one[:2] for one in said}) == 1
    token, _ = await house.joining.verify(cookie, code, "CP", **PLACE)
    assert (await house.joining.step(token.reveal())).scheduled_at is not None


async def test_answers_are_tries(house: House) -> None:
    cookie, code, _ = await arrived(house, confirm="initials")
    for _ in range(5):
        with pytest.raises(CodeWrong):
            await house.joining.verify(cookie, code, "XX", **PLACE)
    with pytest.raises(TriesUsedUp):
        await house.joining.verify(cookie, code, "CP", **PLACE)


async def test_who_is_outside_of_the_fence_neither_opens_nor_comes_back(house: House) -> None:
    cookie, code, visit = await arrived(house)
    token, _ = await house.joining.verify(cookie, code, **PLACE)
    countries = {"192.0.2.7": "AT", "203.0.113.7": "US"}
    house.joining._fence = Fence(["AT"], [], lambda address: countries.get(address or ""))
    await house.joining.resolve(token.reveal(), **PLACE)
    held, (link,) = token.reveal(), await house.rows(links)
    for act in (
        lambda: house.joining.open("x" * 43, **AWAY),
        lambda: house.joining.resumed(held, "x" * 43, **AWAY),
        lambda: house.joining.step(held, **AWAY),
        lambda: house.joining.mint(held, **AWAY),
        lambda: house.joining.verify(held, code, **AWAY),
        lambda: house.joining.details(held, "here", "+43 1", **AWAY),
        lambda: house.joining.resolve(held, **AWAY),
        lambda: house.joining.afterwards(held, **AWAY),
        lambda: house.joining.resolve(held, address=None, device=None),
    ):
        with pytest.raises(OutsideArea):
            await act()
    await house.joining.resolve(token.reveal(), **PLACE)  # back home, the session is as good as before
    refused = [one for one in await house.audit.entries(limit=1000) if one.outcome == "refused"]
    assert {one.visit for one in refused} == {None, visit}
    assert {one.subject for one in refused} == {None, link["id"]}


async def test_a_session_is_over_when_more_is_asked_than_its_link_can_give(house: House) -> None:
    ada = await house.enrolled()
    visit = await house.visit(ada.user, contact="pat@example.org")
    link = await house.link(visit, "email")
    cookie, _ = await house.joining.open(link.token.reveal(), **PLACE)
    await house.joining.mint(cookie.reveal())
    await house.outbox.deliver_due()
    token, _ = await house.joining.verify(cookie.reveal(), house.mail.sent[-1][1].text[:6], "CP", **PLACE)
    await house.joining.resolve(token.reveal(), **PLACE)
    async with house.store.begin() as connection:
        await connection.execute(update(visits).where(visits.c.id == visit).values(assurance="high"))
    with pytest.raises(Unauthenticated):
        await house.joining.resolve(token.reveal(), **PLACE)
    with pytest.raises(Unauthenticated):
        await house.joining.step(token.reveal(), **PLACE)


async def seated(house: House) -> tuple[Caller, str, str, str]:
    """The clinician, the visit, the patient's participant and the link's passcode; the patient is in the call."""
    ada = await house.enrolled()
    visit = await house.visit(ada.user, assurance="high")
    link = await house.link(visit)
    assert link.passcode
    cookie, _ = await house.joining.open(link.token.reveal(), **PLACE)
    _, joined = await house.joining.verify(cookie.reveal(), link.passcode.reveal(), **PLACE)
    async with house.store.begin() as connection:
        await connection.execute(update(participants).values(state="admitted"))
    clinician = Caller("user", ada.user, "clinician", session="ses_a")
    return clinician, visit, joined.participant, link.token.reveal() + " " + link.passcode.reveal()


async def test_what_was_compared_is_entered_with_kinds_and_never_numbers(house: House) -> None:
    clinician, visit, patient, _ = await seated(house)
    look = Look(patient, frozenset({"photo_document", "birth_date"}), "same", "passport")
    made = await house.sightings.record(clinician, visit, look)
    (row,) = await house.rows(sightings)
    assert (row["by"], row["compared"], row["document"], row["outcome"]) == (
        clinician.id,
        ["birth_date", "photo_document"],
        "passport",
        "same",
    )
    assert [one.id for one in await house.sightings.of(clinician, visit)] == [made.id]
    (entered,) = [
        one for one in await house.audit.entries(limit=1000) if one.action == "identity.seen" and one.outcome == "done"
    ]
    assert entered.detail["document"] == "passport"
    assert house.heard(IdentitySeen)[-1] == IdentitySeen(visit, patient, "same")


@pytest.mark.parametrize(
    ("compared", "outcome", "document"),
    [
        (set(), "unsure", None),
        ({"name", "birth_date"}, "same", None),
        ({"photo_document"}, "same", None),
        ({"known_in_person"}, "same", "passport"),
    ],
)
async def test_nobody_is_the_same_without_a_face(house: House, compared: Any, outcome: Any, document: Any) -> None:
    clinician, visit, patient, _ = await seated(house)
    with pytest.raises(Malformed):
        await house.sightings.record(clinician, visit, Look(patient, frozenset(compared), outcome, document))
    assert await house.rows(sightings) == []


async def test_only_who_takes_part_looks_and_only_at_who_is_there(house: House) -> None:
    clinician, visit, patient, _ = await seated(house)
    look = Look(patient, frozenset({"known_in_person"}), "same")
    bea = await house.enrolled("bea")
    for stranger in (Caller("user", bea.user, "clinician", session="ses_b"), ADMIN):
        with pytest.raises(NotFound):
            await house.sightings.record(stranger, visit, look)
        with pytest.raises(NotFound):
            await house.sightings.of(stranger, visit)
    other = await house.visit(bea.user)
    with pytest.raises(NotFound):
        await house.sightings.record(Caller("user", bea.user, "clinician", session="ses_b"), other, look)
    async with house.store.begin() as connection:
        await connection.execute(update(participants).values(state="waiting"))
    with pytest.raises(WrongState):
        await house.sightings.record(clinician, visit, look)


async def test_another_browser_is_another_face(house: House) -> None:
    clinician, visit, patient, secrets = await seated(house)
    await house.sightings.record(clinician, visit, Look(patient, frozenset({"known_in_person"}), "same"))
    token, passcode = secrets.split()
    cookie, _ = await house.joining.open(token, **AWAY)
    async with house.store.read() as connection:
        assert await connection.scalar(select(participants.c.sighted)) == "same"  # opening changes nothing
    await house.joining.verify(cookie.reveal(), passcode, **AWAY)
    async with house.store.read() as connection:
        assert await connection.scalar(select(participants.c.sighted)) is None
    assert house.heard(IdentitySeen)[-1] == IdentitySeen(visit, patient, None)
