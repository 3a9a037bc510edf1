"""A list shows exactly what the rules allow one by one, on both kinds of database."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from recordings.catalogue import Catalogue
from recordings.rows import Filter
from telehealth.access import Action, Caller, may, reach
from telehealth.ids import Kind, new_id
from telehealth.keys.fields import FieldCipher
from telehealth.secret import Secret
from telehealth.store import care
from telehealth.store.engine import Store
from telehealth.store.tables import recordings, users, visits
from telehealth.visits.objects import visit_object
from telehealth.visits.rows import Filters
from telehealth.visits.store import VisitStore
from tests.partners.databases import Databases

NOW = datetime(2031, 5, 6, 7, 0, tzinfo=UTC)
ROLES = ("admin", "clinician", "clinician", "clinician", "auditor", "front_desk")


@pytest.fixture
async def store(tmp_path: Path, databases: Databases) -> AsyncIterator[Store]:
    store = await asyncio.to_thread(Store.open, await asyncio.to_thread(databases.of, tmp_path))
    yield store
    await store.close()


async def clinic(store: Store, chance: random.Random) -> tuple[list[tuple[str, str]], list[str]]:
    """People and their roles, and visits with teams and glasses broken now, before, later, in vain."""
    people = [(new_id(Kind.USER), role) for role in ROLES]
    ids = [new_id(Kind.VISIT) for _ in range(14)]
    async with store.begin() as connection:
        for user, role in people:
            person = {"id": user, "role": role, "login_lookup": chance.randbytes(32), "login_sealed": b""}
            more: dict[str, Any] = {"name_sealed": b"", "recovery_hashes": [], "disabled": False, "created_at": NOW}
            await connection.execute(insert(users).values(**person, **more))
        cipher = FieldCipher(Secret(b"f" * 32), Secret(b"l" * 32))
        for visit in ids:
            owner = chance.choice(people[1:4])[0]
            name = cipher.seal("Zora Canary", table="visits", column="patient_name_sealed", row=visit)
            await connection.execute(
                insert(visits).values(
                    id=visit,
                    clinician_id=owner,
                    state="booked",
                    patient_name_sealed=name,
                    patient_lookup=b"p" * 32,
                    scheduled_at=NOW + timedelta(minutes=chance.randrange(600)),
                    minutes=30,
                    assurance="standard",
                    recording_planned=False,
                    created_at=NOW,
                )
            )
            await connection.execute(
                insert(recordings).values(
                    id=new_id(Kind.RECORDING),
                    visit_id=visit,
                    clinician_id=owner,
                    patient_lookup=b"p" * 32,
                    retention_class="visit",
                    state="sealed",
                    started_at=NOW,
                )
            )
            for user, _ in people[:4]:
                if chance.random() < 0.25:
                    await care.join(connection, visit, user, owner, NOW)
                if chance.random() < 0.4:
                    await care.insert_glass(connection, **glass(visit, user, chance))
    return people, ids


def glass(visit: str, user: str, chance: random.Random) -> dict[str, Any]:
    opens = NOW + timedelta(minutes=chance.choice((-60, -1, 0, 1)))
    return {
        "id": new_id(Kind.GLASS),
        "visit_id": visit,
        "user_id": user,
        "reason": "emergency",
        "words_sealed": b"",
        "asked_at": opens,
        "opens_at": opens,
        "expires_at": opens + timedelta(minutes=45),
        "decision": chance.choice((None, None, "approved", "denied")),
        "closed_at": chance.choice((None, None, None, NOW)),
    }


@pytest.mark.parametrize("seed", [3, 4])
async def test_lists_hold_exactly_what_may_be_seen_one_by_one(store: Store, seed: int) -> None:
    chance = random.Random(seed)
    people, ids = await clinic(store, chance)
    booked, catalogue = VisitStore(store, FieldCipher(Secret(b"f" * 32), Secret(b"l" * 32))), Catalogue(store)
    everything = (await catalogue.find(Filter(), 100, None)).items
    seen = 0
    for user, role in people:
        who = Caller("user", user, role)  # type: ignore[arg-type]
        if may(who, Action.VISITS_LIST):
            rows = await booked.page(Filters(reach=reach(who, Action.VISITS_LIST, NOW)), 100)
            one_by_one = set()
            for visit in ids:
                row = await booked.get(visit)
                assert row is not None
                thing = visit_object(row, await booked.circle(visit, NOW), early_minutes=15, late_minutes=60)
                if may(who, Action.VISITS_READ, thing):
                    one_by_one.add(visit)
            assert {row.id for row in rows} == one_by_one
            seen += 0 < len(one_by_one) < len(ids)
        if may(who, Action.RECORDINGS_LIST):
            found = await catalogue.find(Filter(reach=reach(who, Action.RECORDINGS_LIST, NOW)), 100, None)
            allowed = {
                row.id for row in everything if may(who, Action.RECORDINGS_READ, await catalogue.object_of(row, NOW))
            }
            assert {row.id for row in found.items} == allowed
    assert seen == 3  # every clinician sees some and not all: the test can fail


async def test_somebody_there_is_another_clinician_or_admin_with_a_session_that_runs(store: Store) -> None:
    people, _ = await clinic(store, random.Random(1))
    async with store.read() as connection:
        assert not await care.somebody_there(connection, people[0][0], NOW - timedelta(minutes=15), NOW)
