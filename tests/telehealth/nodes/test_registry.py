"""Two servers never run one visit: on both databases, with clocks and beats by hand."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update

from telehealth.draining import Draining, ServerDraining
from telehealth.errors import NotFound
from telehealth.ids import Kind, new_id
from telehealth.nodes.folder import LogOfAnother, log_name, name_log
from telehealth.nodes.logs import ServerLogs
from telehealth.nodes.registry import NodeNameTaken, OthersRun, Registry, RunsElsewhere, TakenForDead
from telehealth.store import nodes as rows
from telehealth.store.engine import Store
from telehealth.store.tables import participants, users, visits
from telehealth.visits.states import ParticipantState
from telehealth.visits.store import VisitStore
from tests.partners.databases import Databases, PostgresDatabases, SqliteDatabases

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


class HandClock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def now(self) -> datetime:
        return NOW

    def steady(self) -> float:
        return self.seconds


class NoCipher:
    """Nothing sealed is read here."""

    def seal(self, text: str, *, table: str, column: str, row: str) -> bytes:
        return text.encode()

    def open(self, blob: bytes, *, table: str, column: str, row: str) -> str:
        return blob.decode()

    def lookup(self, purpose: str, text: str) -> bytes:
        return b"l" * 32


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    if request.param == "sqlite":
        yield SqliteDatabases(tmp_path_factory.mktemp("schema"))
        return
    postgres = PostgresDatabases()
    yield postgres
    postgres.stop()


class Servers:
    def __init__(self, store: Store) -> None:
        self.store, self.clock, self.draining = store, HandClock(), dict[str, Draining]()

    def make(self, name: str) -> Registry:
        self.draining[name] = Draining()
        return Registry(self.store, self.clock, name, self.draining[name], beat=0.001)

    async def started(self, name: str) -> Registry:
        registry = self.make(name)
        await registry.start()
        return registry

    async def visit(self) -> tuple[str, str]:
        """A visit and somebody in it."""
        user, visit, person = new_id(Kind.USER), new_id(Kind.VISIT), new_id(Kind.PARTICIPANT)
        async with self.store.begin() as c:
            await c.execute(
                insert(users).values(
                    id=user, role="clinician", login_lookup=user.encode()[:32], login_sealed=b"", name_sealed=b"",
                    recovery_hashes=[], disabled=False, created_at=NOW,
                )
            )  # fmt: skip
            await c.execute(
                insert(visits).values(
                    id=visit, clinician_id=user, state="open", patient_name_sealed=b"", patient_lookup=b"p" * 32,
                    scheduled_at=NOW, minutes=30, assurance="standard", recording_planned=False, created_at=NOW,
                )
            )  # fmt: skip
            values = {"id": person, "visit_id": visit, "role": "patient", "state": "waiting"}
            await c.execute(insert(participants).values(values))
        return visit, person

    async def passes(self, seconds: float, *alive: Registry) -> None:
        """Time goes by, second after second; only these beat."""
        for _ in range(int(seconds)):
            self.clock.seconds += 1.0
            for registry in alive:
                await registry.beat()


@pytest.fixture
async def servers(databases: Databases, tmp_path: Path) -> AsyncIterator[Servers]:
    store = await asyncio.to_thread(Store.open, await asyncio.to_thread(databases.of, tmp_path))
    yield Servers(store)
    await store.close()


async def test_a_visit_runs_where_it_was_taken_first(servers: Servers) -> None:
    a, b = await servers.started("a"), await servers.started("b")
    visit, _ = await servers.visit()
    assert await b.place(visit) == b.id  # nobody's yet: wherever its people come
    await a.take(visit)
    with pytest.raises(RunsElsewhere) as elsewhere:
        await b.take(visit)
    assert elsewhere.value.node == a.id
    assert await b.place(visit) == a.id
    await a.take(visit)  # ours stays ours
    assert await b.elsewhere() == {visit: a.id}


async def test_of_many_that_take_at_once_one_has_it(servers: Servers) -> None:
    everybody = [await servers.started(name) for name in ("a", "b", "c", "d")]
    visit, _ = await servers.visit()
    taken = await asyncio.gather(*(one.take(visit) for one in everybody), return_exceptions=True)
    assert sum(result is None for result in taken) == 1
    assert sum(isinstance(result, RunsElsewhere) for result in taken) == 3


async def test_who_beats_keeps_its_visits_and_who_stands_still_loses_them(servers: Servers) -> None:
    a, b = await servers.started("a"), await servers.started("b")
    visit, _ = await servers.visit()
    await a.take(visit)
    told: list[str] = []
    b.on_death(told.append)
    await servers.passes(30, a, b)
    assert not told
    await servers.passes(5, b)
    assert not told
    await servers.passes(2, b)
    assert told == [a.id]
    assert await b.place(visit) == b.id
    await b.take(visit)
    with pytest.raises(TakenForDead):
        await a.beat()
    with pytest.raises(TakenForDead):  # for ever
        await a.beat()


async def test_whoever_ever_kept_a_log_is_known_for_ever_and_at_its_last_address(servers: Servers) -> None:
    a = Registry(servers.store, servers.clock, "a", Draining(), address="old.example:1", beat=0.001)
    await a.start()
    await a.end()
    moved = Registry(servers.store, servers.clock, "a", Draining(), address="new.example:2", beat=0.001)
    await moved.start()
    await servers.started("b")
    await moved.end()
    others = await ServerLogs(servers.store, "b").others()
    assert [(one.name, one.address) for one in others] == [("a", "new.example:2")]


async def test_a_database_that_was_away_makes_nobody_dead(servers: Servers) -> None:
    a, b = await servers.started("a"), await servers.started("b")
    await servers.passes(2, a, b)
    servers.clock.seconds += 60.0  # nobody could beat, and nobody could look
    await b.beat()
    await b.beat()
    await a.beat()
    await servers.passes(10, a, b)
    assert [one.id for one in b.others] == [a.id]


async def test_a_server_that_lost_a_visit_writes_nothing_about_it(servers: Servers) -> None:
    """Fenced by the database: whatever the old owner still believes, its admission is not written."""
    a, b = await servers.started("a"), await servers.started("b")
    visit, person = await servers.visit()
    await a.take(visit)
    old = VisitStore(servers.store, NoCipher(), a.mine)
    await old.change(visit, screen_share_forbidden=True)
    await servers.passes(7, b)
    await b.take(visit)
    for write in (
        old.set_person(person, ParticipantState.ADMITTED, admitted_at=NOW),
        old.change(visit, state="in_call"),
    ):
        with pytest.raises(RunsElsewhere):
            await write
    async with servers.store.read() as c:
        assert (await c.scalar(select(participants.c.state).where(participants.c.id == person))) == "waiting"
    new = VisitStore(servers.store, NoCipher(), b.mine)
    await new.set_person(person, ParticipantState.ADMITTED, admitted_at=NOW)


async def test_two_never_both_admit_whoever_is_faster(servers: Servers) -> None:
    a, b = await servers.started("a"), await servers.started("b")
    stores = {one.id: VisitStore(servers.store, NoCipher(), one.mine) for one in (a, b)}
    made = [await servers.visit() for _ in range(12)]
    for visit, _ in made:
        await a.take(visit)
    await servers.passes(7, b)  # a is dead and does not know

    taken = {visit: asyncio.Event() for visit, _ in made}

    async def stolen(visit: str, person: str) -> int:
        await b.take(visit)
        taken[visit].set()
        await stores[b.id].set_person(person, ParticipantState.ADMITTED, admitted_at=NOW)
        return 1

    async def held(visit: str, person: str) -> int:
        await taken[visit].wait()
        try:
            await stores[a.id].set_person(person, ParticipantState.REMOVED, left_at=NOW)
        except RunsElsewhere:
            return 0
        return 1

    results = await asyncio.gather(
        *(work for visit, person in made for work in (stolen(visit, person), held(visit, person)))
    )
    assert sum(results[::2]) == len(made)
    assert not sum(results[1::2])  # nothing the old one wrote after the visit was taken
    async with servers.store.read() as c:  # what the new owner wrote is what stands, and nothing came after it
        states = set((await c.execute(select(participants.c.state))).scalars())
    assert states == {"admitted"}


async def test_a_server_that_goes_gives_its_visits_back_at_once(servers: Servers) -> None:
    a, b = await servers.started("a"), await servers.started("b")
    visit, _ = await servers.visit()
    await a.take(visit)
    await a.end()
    await b.take(visit)


async def test_while_one_drains_newcomers_go_to_another(servers: Servers) -> None:
    a, b = await servers.started("a"), await servers.started("b")
    (running, _), (fresh, _) = await servers.visit(), await servers.visit()
    await a.take(running)
    servers.draining["a"].begin()
    await servers.passes(1, a, b)
    assert await a.place(running) == a.id
    assert await a.place(fresh) == b.id
    servers.draining["b"].begin()
    await servers.passes(2, a, b)
    with pytest.raises(ServerDraining):
        await a.place(fresh)
    await a.release(running)
    with pytest.raises(ServerDraining):
        await b.place(running)


async def test_the_oldest_leads_and_then_the_next(servers: Servers) -> None:
    a, b = await servers.started("a"), await servers.started("b")
    assert a.leads
    assert not b.leads
    await servers.passes(7, b)
    assert b.leads
    await asyncio.wait_for(b.wait_leading(), 1)


async def test_a_name_is_one_servers_and_free_again_after_its_death(servers: Servers) -> None:
    a = await servers.started("a")
    another = servers.make("a")
    waiting = asyncio.create_task(another.start())
    async with asyncio.timeout(5):
        while not waiting.done():
            await a.beat()
            await asyncio.sleep(0.001)
    with pytest.raises(NodeNameTaken):
        await waiting
    again = servers.make("a")
    starting = asyncio.create_task(again.start())
    async with asyncio.timeout(5):
        while not starting.done():
            servers.clock.seconds += 1.0
            await asyncio.sleep(0.005)
    await starting
    with pytest.raises(TakenForDead):
        await a.beat()


async def test_a_server_without_a_name_starts_beside_nobody(servers: Servers) -> None:
    await servers.make("").alone()
    a = await servers.started("a")
    waiting = asyncio.create_task(servers.make("").alone())
    async with asyncio.timeout(5):
        while not waiting.done():
            await a.beat()
            await asyncio.sleep(0.001)
    with pytest.raises(OthersRun):
        await waiting


async def test_a_visit_that_is_none_is_nobodys(servers: Servers) -> None:
    a = await servers.started("a")
    for ask in (a.take, a.place):
        with pytest.raises(NotFound):
            await ask("vis_none")


async def test_a_neighbour_frozen_with_its_rows_locked_holds_nobody_up(servers: Servers) -> None:
    if servers.store.backend == "sqlite":
        return  # it has no rows to lock: whoever writes has all of it
    a, b = await servers.started("a"), await servers.started("b")
    async with servers.store.begin() as frozen:
        await rows.beat(frozen, a.id, draining=False)
        await asyncio.create_task(servers.passes(8, b))
        async with servers.store.read() as c:
            assert {row.name: row.beat for row in await rows.living(c)}["b"] > 8
    await servers.passes(1, a, b)
    assert a.others


async def test_time_is_the_databases(servers: Servers) -> None:
    a, b = await servers.started("a"), await servers.started("b")
    assert abs(a.time() - b.time()) < 2.0
    assert abs(a.time() - datetime.now(UTC).timestamp()) < 60.0


async def test_a_row_changed_by_hand_does_not_help_the_dead(servers: Servers) -> None:
    """What counts is the node's life, not the name that stands in the visit."""
    a, b = await servers.started("a"), await servers.started("b")
    visit, _ = await servers.visit()
    await servers.passes(7, b)
    async with servers.store.begin() as c:
        await c.execute(update(visits).where(visits.c.id == visit).values(node=a.id))
    assert await b.place(visit) == b.id
    await b.take(visit)


def test_a_log_keeps_its_name(tmp_path: Path) -> None:
    name_log(tmp_path, "a")
    assert log_name(tmp_path) == "a"
    with pytest.raises(LogOfAnother):
        name_log(tmp_path, "b")
    name_log(tmp_path, "")
    assert log_name(tmp_path) == "a"


def test_an_older_log_stays_what_it_was(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("telehealth-log\n")
    name_log(tmp_path, "a")
    assert log_name(tmp_path) == ""
