"""The eighteen identifiers of 45 CFR 164.514(b)(2)(i), planted everywhere, are in nothing that leaves."""

import asyncio
import json
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path

import pytest
from privacy_canaries import BIRTH, EVERYTHING, IDENTIFIERS, VISIT_AT
from privacy_mortal import NOW
from privacy_planted import Planted, planted_in

from telehealth.access import command_line
from telehealth.audit.actions import Action
from telehealth.commands.privacy import as_json
from telehealth.privacy.safe_harbor import age_at, band
from telehealth.privacy.statistics import suppressed
from tests.partners.databases import Databases

OLD = "1931-12-01"  # 97 at the visit


async def left(planted: Planted) -> str:
    """Both exports, as they leave."""
    clinician = await planted.clinician()
    for number in range(6):
        states = {"state": EVERYTHING[:16], "assurance": EVERYTHING[:16]} if number == 5 else {}
        await planted.visit(clinician, recording="sealed", born=OLD if number < 2 else BIRTH, **states)
    await planted.alert(VISIT_AT)
    visits = await planted.leavings.make(command_line(), "visits", "research")
    counts = await planted.leavings.make(command_line(), "statistics", "research")
    assert len(visits.visits or ()) == 6
    return json.dumps([as_json(visits), as_json(counts)], ensure_ascii=False)


def found_in(text: str, canaries: tuple[str, ...]) -> list[str]:
    return [one for one in canaries if one.casefold() in text.casefold()]


@pytest.fixture(scope="module")
def made(sqlite_databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """What left, and all that it was made from."""

    async def make(folder: Path) -> tuple[str, str]:
        planted = await planted_in(folder, await asyncio.to_thread(sqlite_databases.of, folder))
        try:
            return await left(planted), await planted.readable()
        finally:
            await planted.store.close()
            await planted.audit.close()

    return asyncio.run(make(tmp_path_factory.mktemp("left")))


@pytest.mark.parametrize("letter", IDENTIFIERS)
def test_no_export_holds(letter: str, made: tuple[str, str]) -> None:
    text, source = made
    assert found_in(source, IDENTIFIERS[letter]) == list(IDENTIFIERS[letter]), "not planted: this could not fail"
    assert found_in(text, IDENTIFIERS[letter]) == []


def test_there_are_eighteen() -> None:
    assert [name[0] for name in IDENTIFIERS] == list("ABCDEFGHIJKLMNOPQR")


async def test_no_id_of_ours_leaves_and_each_export_has_its_own(planted: Planted) -> None:
    text = await left(planted)
    assert found_in(text, tuple(planted.ids)) == []
    first, second = [await planted.leavings.make(command_line(), "visits", "quality") for _ in range(2)]
    assert not {one.id for one in first.visits or ()} & {one.id for one in second.visits or ()}
    lookup = planted.fields.lookup("patient", "Zora Quimbyton")
    assert lookup.hex() not in text


async def test_of_dates_only_the_year_leaves(planted: Planted) -> None:
    clinician = await planted.clinician()
    await planted.visit(clinician)
    made = await planted.leavings.make(command_line(), "visits", "quality")
    (row,) = made.visits or ()
    assert row.year == 2029
    assert not any(isinstance(value, date | datetime) for value in asdict(row).values())


def test_ages_from_ninety_on_are_one() -> None:
    visit = date(2029, 11, 23)
    assert age_at("1939-11-23", visit) == "90+"
    assert age_at("1939-11-24", visit) == "89"
    assert age_at("1900-01-01", visit) == "90+"
    assert age_at("2029-11-23", visit) == "0"
    assert [age_at(text, visit) for text in (None, "", "yesterday", "2030-01-01", "0001-13-40")] == [None] * 5
    assert [band(age) for age in ("0", "17", "18", "64", "65", "89", "90+", None)] == [
        "0-17",
        "0-17",
        "18-39",
        "40-64",
        "65-89",
        "65-89",
        "90+",
        "unknown",
    ]


async def test_leaving_is_entered_first_with_its_purpose(planted: Planted) -> None:
    await planted.leavings.make(command_line(), "statistics", "public_health")
    entries = [one for one in await planted.audit.entries(limit=100) if one.action == Action.PRIVACY_EXPORT]
    assert [(one.outcome, one.purpose) for one in entries] == [("intent", "public_health"), ("done", "public_health")]


def test_small_numbers_are_not_told_and_cannot_be_worked_out() -> None:
    assert suppressed({"a": 40, "b": 30, "c": 0}, 11) == {"a": 40, "b": 30, "c": 0}
    assert suppressed({"a": 40, "b": 30, "c": 3}, 11) == {"a": 40, "b": None, "c": None}
    assert suppressed({"a": 40, "b": 2, "c": 3}, 11) == {"a": None, "b": None, "c": None}
    assert suppressed({"a": 40, "b": 8, "c": 3}, 11) == {"a": 40, "b": None, "c": None}
    for total in range(1, 40):
        for small in range(1, 11):
            told = suppressed({"a": total, "b": small}, 11)
            hidden = [name for name, count in told.items() if count is None]
            assert hidden == ["a", "b"], (total, small)


async def test_a_year_of_few_visits_is_not_counted(planted: Planted) -> None:
    clinician = await planted.clinician()
    for at in (VISIT_AT, VISIT_AT, VISIT_AT, NOW):
        await planted.visit(clinician, at=at)
    made = await planted.leavings.make(command_line(), "statistics", "quality")
    assert [(one.year, one.visits) for one in made.years or ()] == [(2029, 3), (2031, None)]
