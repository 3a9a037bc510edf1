"""Who patients were is forgotten on time, whole, wherever the process dies; a recording keeps who it is of."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from privacy_canaries import EVERYTHING, IDENTIFIERS, VISIT_AT
from privacy_mortal import NOW, Killed
from privacy_planted import STAFF, Planted, planted_in
from sqlalchemy import select, update

from telehealth.access import Caller, Refused, command_line
from telehealth.audit.actions import Action
from telehealth.store.tables import alerts, metadata, participants, recordings, visits
from telehealth.visits.rows import VisitRow
from telehealth.visits.store import VisitStore
from tests.partners.databases import Databases

CANARIES = tuple(
    text
    for several in IDENTIFIERS.values()
    for text in several
    if len(text) > 6 and text != "2029-11-23"  # when a visit was stays
)
# Sealed columns that a purge empties; every other one must be the clinic's own.
PURGED = {
    "alerts": "by its own age",
    "consents": "receipt",
    "copies": "code",
    "deletion_requests": "note",
    "destroyed_parts": "note",
    "exports": "reason",
    "glass_cases": "note",
    "glasses": "words",
    "guests": "name and contact",
    "links": "secrets",
    "outbox": "address and body",
    "participants": "place and number",
    "recordings": "reasons",
    "visits": "name, contact, birth date, question",
}


async def row_of(planted: Planted, visit: str) -> VisitRow:
    found = await VisitStore(planted.store, planted.fields).get(visit)
    assert found is not None
    return found


def told(text: str) -> list[str]:
    return [one for one in CANARIES if one in text]


async def outcomes(planted: Planted) -> dict[str, list[str]]:
    """By visit: how its purges were entered."""
    found: dict[str, list[str]] = {}
    for one in await planted.audit.entries(limit=1000):
        if one.action == Action.IDENTITY_PURGE and one.visit:
            found.setdefault(one.visit, []).append(f"{one.detail['stage']} {one.outcome}")
    return found


def test_every_sealed_column_is_purged_or_the_clinics_own() -> None:
    sealed = {table.name for table in metadata.sorted_tables for one in table.columns if one.name.endswith("_sealed")}
    assert sealed - set(STAFF) - set(PURGED) == set()


async def test_nothing_says_any_more_who_it_was(any_planted: Planted) -> None:
    planted = any_planted
    visit = await planted.visit(await planted.clinician(), recording="deleted")
    await planted.alert(VISIT_AT)
    assert told(await planted.readable()) == list(CANARIES)
    swept = await planted.purge.sweep()
    assert (swept.trimmed, swept.purged, swept.addresses) == (0, 1, 1)
    left = await planted.readable()
    assert told(left) == []
    assert planted.fields.lookup("patient", "Zora Quimbyton").decode("utf-8", "replace") not in left
    assert await outcomes(planted) == {visit: ["whole intent", "whole done"]}
    again = await planted.purge.sweep()
    assert (again.trimmed, again.purged, again.addresses) == (0, 0, 0)
    row = await row_of(planted, visit)
    assert (row.patient.name, row.patient.contact, row.patient.birth_date) == ("", None, None)


async def test_nothing_of_it_stays_in_the_databases_file(planted: Planted) -> None:
    await planted.visit(await planted.clinician())
    file = planted.folder / "telehealth.db"
    await planted.store.checkpoint()
    assert b"voiceprint-9f31c2" in await asyncio.to_thread(file.read_bytes)  # the receipt lies in clear
    await planted.purge.sweep()
    files = [one for one in planted.folder.glob("telehealth.db*") if b"voiceprint-9f31c2" in one.read_bytes()]
    assert files == []


@pytest.mark.parametrize("state", ["sealed", "deleting", "interrupted"])
async def test_a_recording_that_is_here_keeps_who_it_is_of_and_no_more(state: str, planted: Planted) -> None:
    visit = await planted.visit(await planted.clinician(), recording=state)
    async with planted.store.begin() as c:
        await c.execute(update(recordings).values(held_by="usr_x", held_at=NOW))
    swept = await planted.purge.sweep()
    assert (swept.trimmed, swept.purged) == (1, 0)
    row = await row_of(planted, visit)
    assert row.patient.name == EVERYTHING
    assert row.patient.birth_date == "1941-03-17"
    assert row.patient.contact is None
    async with planted.store.read() as c:
        person = (await c.execute(select(participants))).mappings().one()
    assert (person["location_sealed"], person["callback_sealed"], person["session_hash"]) == (None, None, None)
    assert person["public_key"] is not None  # it checks the receipt
    assert (await planted.purge.sweep()).trimmed == 0
    async with planted.store.begin() as c:
        await c.execute(update(recordings).values(state="deleted"))
    assert (await planted.purge.sweep()).purged == 1
    assert told(await planted.readable()) == []
    assert await outcomes(planted) == {
        visit: ["kept_recording intent", "kept_recording done", "whole intent", "whole done"]
    }


async def test_the_clock_is_the_visits_own(planted: Planted) -> None:
    clinician = await planted.clinician()
    ended = NOW - timedelta(days=30)
    young = await planted.visit(clinician, at=ended, ended_at=ended + timedelta(seconds=1))
    old = await planted.visit(clinician, at=ended - timedelta(hours=1), ended_at=ended)
    never = await planted.visit(clinician, at=ended - timedelta(hours=1), ended_at=None, state="booked")
    running = await planted.visit(clinician, at=ended - timedelta(days=9), ended_at=None, state="in_call")
    due = await planted.purge.due(command_line())
    assert {one.visit for one in due} == {old, never}
    await planted.purge.sweep()
    async with planted.store.read() as c:
        kept = set((await c.execute(select(visits.c.id).where(visits.c.purged_at.is_(None)))).scalars())
    assert kept == {young, running}
    assert await planted.purge.up_to_date()
    planted.clock.moment += timedelta(days=2)
    assert not await planted.purge.up_to_date()


async def test_the_preview_changes_nothing_and_is_for_admins(planted: Planted) -> None:
    await planted.visit(await planted.clinician(), recording="sealed")
    before = await planted.readable()
    (due,) = await planted.purge.due(command_line())
    assert (due.whole, due.kept) == (False, 1)
    assert await planted.readable() == before
    for role in ("clinician", "auditor", "front_desk"):
        with pytest.raises(Refused):
            await planted.purge.due(Caller("user", "usr_x", role))  # type: ignore[arg-type]


async def test_pages_are_walked_to_their_end(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("telehealth.store.privacy.PAGE", 2)
    clinician = await planted.clinician()
    for number in range(7):
        await planted.visit(clinician, at=VISIT_AT + timedelta(minutes=number // 3))
    assert len(await planted.purge.due(command_line())) == 7
    assert (await planted.purge.sweep()).purged == 7


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_killed_anywhere_and_run_again_it_comes_to_the_same(
    after: bool, sqlite_databases: Databases, tmp_path: Path
) -> None:
    """The n-th entry or transaction kills, for every n."""
    killed = 0
    for n in range(1, 30):
        folder = tmp_path / str(n)
        await asyncio.to_thread(folder.mkdir)
        planted = await planted_in(folder, await asyncio.to_thread(sqlite_databases.of, folder))
        clinician = await planted.clinician()
        plain, kept = await planted.visit(clinician), await planted.visit(clinician, recording="sealed")
        planted.mortal.at, planted.mortal.after = n, after
        died = False
        try:
            await planted.purge.sweep()
        except Killed:
            died = True
            killed += 1
        planted.mortal.at = -1
        await planted.purge.sweep()
        entered = await outcomes(planted)
        assert "whole intent" in entered[plain], n
        assert "whole done" in entered[plain], n
        assert "kept_recording done" in entered[kept], n
        async with planted.store.read() as c:
            rows = list(await c.execute(select(visits.c.purged_at, visits.c.trimmed_at, visits.c.purge_entry)))
            stale = (await c.execute(select(alerts.c.id))).scalars().all()
        assert all(row.trimmed_at and row.purge_entry is not None for row in rows), n
        assert sum(row.purged_at is not None for row in rows) == 1
        assert stale == []
        await planted.store.close()
        await planted.audit.close()
        if not died:
            break
    assert killed >= 6
