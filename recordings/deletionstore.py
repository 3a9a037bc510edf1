"""Deletions in SQL: where a hold and a deletion race, and where requests, parts and certificates are kept."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, insert, or_, select, update
from sqlalchemy.engine import RowMapping

from recordings.catalogue import BEING_DELETED, RECORDING_NAMES, named
from recordings.rows import PartRow, RecordingRow, RequestRow
from telehealth.store.engine import Connection, Store
from telehealth.store.tables import deletion_requests, destroyed_parts, files, nodes, recordings

LEAVING = "leaving"  # a file whose key is about to be destroyed while its recording lives
_NAMES = (("recording", "recording_id"), ("participant", "participant_id"))
_NOT_OF_REQUESTS = ("decided_by", "decided_at", "approved")


@dataclass(frozen=True, slots=True)
class Decision:
    """A request approved: which, by whom, when."""

    request: str
    by: str
    at: datetime


class DeletionStore:
    """One transaction per method decides every race."""

    def __init__(self, store: Store, node: Callable[[], str | None] = lambda: None) -> None:
        self._store = store
        self._node = node  # this life of the server among several

    # Whole recordings

    async def begin(
        self, recording: str, sources: Sequence[str], decision: Decision | None = None, **values: Any
    ) -> bool:
        """Begin to delete it if nothing holds it, it is in one of `sources`, and the request decided is open.

        All of that or nothing: the transaction that a hold races with. What another living server captures or seals is
        not deleted under its hands.
        """
        ours = recordings.c.id == recording, self._free()
        fit = and_(*ours, recordings.c.state.in_(tuple(sources)), recordings.c.held_at.is_(None))
        change = update(recordings).where(fit).values(state="deleting", node=None, **values)
        async with self._store.begin() as connection:
            if not await _undecided(connection, decision):
                return False
            if (await connection.execute(change)).rowcount != 1:
                return False
            await _decide(connection, decision)
        return True

    async def unfinished(self) -> list[RecordingRow]:
        """Deletions that began and whose last entry is not in the log."""
        wanted = (recordings.c.state.in_(BEING_DELETED), recordings.c.deleted_entry.is_(None))
        return await self._recordings(*wanted)

    async def proven(self, recording: str, evidence: Mapping[str, Any], at: datetime) -> None:
        """Its evidence, once: what was kept first stays."""
        condition = and_(recordings.c.id == recording, recordings.c.destroyed_at.is_(None))
        await self._write(update(recordings).where(condition).values(destruction=evidence, destroyed_at=at))

    async def certified(self, recording: str, **values: Any) -> bool:
        """Its first certificate, and no share of its files left, in one transaction; False where it has one."""
        async with self._store.begin() as connection:
            state, first = recordings.c.state == "deleting", recordings.c.certificate.is_(None)
            change = update(recordings).where(recordings.c.id == recording, state, first).values(**values)
            if (await connection.execute(change)).rowcount != 1:
                return False
            gone = {"state": "gone", "wrapped_share": b""}
            theirs = and_(files.c.recording_id == recording, files.c.kind != "export")  # exports end by themselves
            await connection.execute(update(files).where(theirs).values(gone))
        return True

    async def maturing(self, now: datetime) -> list[RecordingRow]:
        """Those whose pending certificate's time has come, or whose final one is not in the log yet."""
        table = recordings
        waits = and_(table.c.state == "deleting", table.c.deleted_entry.is_not(None))
        older = and_(table.c.state == "deleted", table.c.effective_after > table.c.deleted_at)  # by an earlier release
        due = and_(or_(waits, older), table.c.effective_after <= now, table.c.final_certificate.is_(None))
        return await self._recordings(or_(due, _unentered(table)))

    async def finalised(self, recording: str, blob: bytes, now: datetime, effective: datetime) -> None:
        """Keep the final certificate beside the pending one; `deleted` from now on."""
        values = {"final_certificate": blob, "state": "deleted", "deleted_at": now, "effective_after": effective}
        condition = and_(recordings.c.id == recording, recordings.c.final_certificate.is_(None))
        await self._write(update(recordings).where(condition).values(values))

    # Requests

    async def ask(self, row: RequestRow) -> RequestRow:
        """Keep the request, or find the open one for the same thing."""
        async with self._store.begin() as connection:
            same = deletion_requests.c.participant_id.is_not_distinct_from(row.participant)
            wanted = (deletion_requests.c.recording_id == row.recording, same, *_open(row.asked_at))
            found = (await connection.execute(select(deletion_requests).where(*wanted))).mappings().first()
            if found is not None:
                return _request(found)
            await connection.execute(insert(deletion_requests).values(_columns(row)))
        return row

    async def requests(self, now: datetime, *ids: str) -> list[RequestRow]:
        """Open ones, oldest first: all, or those of these recordings."""
        wanted = _open(now) if not ids else (*_open(now), deletion_requests.c.recording_id.in_(ids))
        query = select(deletion_requests).where(*wanted)
        rows = await self._rows(query.order_by(deletion_requests.c.asked_at, deletion_requests.c.id))
        return [_request(row) for row in rows]

    async def request(self, request: str, now: datetime) -> RequestRow | None:
        """An open one."""
        rows = await self._rows(select(deletion_requests).where(deletion_requests.c.id == request, *_open(now)))
        return _request(rows[0]) if rows else None

    async def refuse(self, request: str, by: str, now: datetime) -> bool:
        """False if it is decided or over."""
        values = {"decided_by": by, "decided_at": now, "approved": False}
        wanted = (deletion_requests.c.id == request, *_open(now))
        return await self._write(update(deletion_requests).where(*wanted).values(values)) == 1

    # Parts

    async def begin_part(self, row: PartRow, decision: Decision | None = None, *, again: bool = False) -> bool:
        """Begin to destroy a part of a sealed recording that nothing holds; decides the request with it.

        `again`: it had been destroyed, so whatever holds the recording did not hold this.
        """
        whole, table = recordings.c, destroyed_parts.c
        fit = select(whole.id).where(whole.id == row.recording, whole.state == "sealed")
        fit = fit if again else fit.where(whole.held_at.is_(None))
        taken = select(table.id).where(table.recording_id == row.recording, table.participant_id == row.participant)
        async with self._store.begin() as connection:
            if (await connection.execute(fit.with_for_update())).first() is None:
                return False
            if (await connection.execute(taken)).first() is not None or not await _undecided(connection, decision):
                return False
            await connection.execute(insert(destroyed_parts).values(_columns(row)))
            await _decide(connection, decision)
        return True

    async def parts(self, *ids: str) -> list[PartRow]:
        """The parts of these recordings."""
        return await self._parts(destroyed_parts.c.recording_id.in_(ids))

    async def unfinished_parts(self) -> list[PartRow]:
        """Those that began and whose last entry is not in the log."""
        return await self._parts(destroyed_parts.c.done_entry.is_(None))

    async def maturing_parts(self, now: datetime) -> list[PartRow]:
        """Those whose pending certificate's time has come, or whose final one is not in the log yet."""
        table = destroyed_parts
        final = table.c.final_certificate
        due = and_(table.c.done_entry.is_not(None), table.c.effective_after <= now, final.is_(None), _pending(table))
        return await self._parts(or_(due, _unentered(table)))

    async def note_part(self, part: str, **values: Any) -> None:
        """Change columns that decide nothing."""
        await self._write(update(destroyed_parts).where(destroyed_parts.c.id == part).values(**values))

    async def part_proven(self, part: str, evidence: Mapping[str, Any], at: datetime) -> None:
        """Its evidence, once: what was kept first stays."""
        condition = and_(destroyed_parts.c.id == part, destroyed_parts.c.destroyed_at.is_(None))
        await self._write(update(destroyed_parts).where(condition).values(destruction=evidence, destroyed_at=at))

    async def part_certified(self, row: PartRow, octets: int, **values: Any) -> bool:
        """The part's certificate, its files gone, and what the recording measures now, in one transaction.

        False, and nothing, where it has one.
        """
        async with self._store.begin() as connection:
            first = destroyed_parts.c.id == row.id, destroyed_parts.c.certificate.is_(None)
            if (await connection.execute(update(destroyed_parts).where(*first).values(**values))).rowcount != 1:
                return False
            gone = {"state": "gone", "wrapped_share": b""}
            await connection.execute(update(files).where(files.c.id.in_(tuple(row.files))).values(gone))
            await connection.execute(update(recordings).where(recordings.c.id == row.recording).values(bytes=octets))
        return True

    async def mark_leaving(self, part: PartRow) -> bool:
        """Its sealed files are leaving, if its recording lives and nothing holds it; a hold takes turns with this."""
        whole = recordings.c
        fit = select(whole.id).where(whole.id == part.recording, whole.state == "sealed", whole.held_at.is_(None))
        async with self._store.begin() as connection:
            if (await connection.execute(fit.with_for_update())).first() is None:
                return False
            mine = files.c.id.in_(tuple(part.files)), files.c.state == "sealed"
            await connection.execute(update(files).where(*mine).values(state=LEAVING))
        return True

    async def take(self, recording: str) -> bool:
        """Whether this server works on it now: no other living one does. Until `give_back`, or this server is dead."""
        if self._node() is None:
            return True
        mine = update(recordings).where(recordings.c.id == recording, self._free())
        return await self._write(mine.values(node=self._node())) == 1

    async def give_back(self, recording: str) -> None:
        """Others may have it."""
        if self._node() is not None:
            mine = update(recordings).where(recordings.c.id == recording, recordings.c.node == self._node())
            await self._write(mine.values(node=None))

    def _free(self) -> ColumnElement[bool]:
        """No other living server captures, seals or destroys it."""
        alive = select(nodes.c.id).where(nodes.c.ended_at.is_(None))
        whose = recordings.c.node
        return or_(whose.is_(None), whose == self._node(), whose.not_in(alive))

    async def mark_files(self, ids: Sequence[str], source: str, target: str) -> None:
        """Change the state of those of these files that are in `source`."""
        wanted = (files.c.id.in_(tuple(ids)), files.c.state == source)
        await self._write(update(files).where(*wanted).values(state=target))

    async def _recordings(self, *wanted: ColumnElement[bool]) -> list[RecordingRow]:
        rows = await self._rows(select(recordings).where(*wanted).order_by(recordings.c.id))
        return [RecordingRow(**named(row, RECORDING_NAMES)) for row in rows]

    async def _parts(self, *wanted: ColumnElement[bool]) -> list[PartRow]:
        rows = await self._rows(select(destroyed_parts).where(*wanted).order_by(destroyed_parts.c.id))
        return [PartRow(**named(row, _NAMES)) for row in rows]

    async def _rows(self, query: Any) -> Sequence[RowMapping]:
        async with self._store.read() as connection:
            return (await connection.execute(query)).mappings().all()

    async def _write(self, statement: Any) -> int:
        async with self._store.begin() as connection:
            return int((await connection.execute(statement)).rowcount)


def _open(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (deletion_requests.c.decided_at.is_(None), deletion_requests.c.expires_at > now)


def _pending(table: Any) -> ColumnElement[bool]:
    """A certificate that was not final when it was signed."""
    found: ColumnElement[bool] = table.c.effective_after > table.c.destroyed_at
    return found


def _unentered(table: Any) -> ColumnElement[bool]:
    return and_(table.c.final_certificate.is_not(None), table.c.final_entry.is_(None))


async def _undecided(connection: Connection, decision: Decision | None) -> bool:
    """Whether the request can be decided; nobody else decides it before this transaction ends."""
    if decision is None:
        return True
    wanted = (deletion_requests.c.id == decision.request, *_open(decision.at))
    open_one = select(deletion_requests.c.id).where(*wanted).with_for_update()
    return (await connection.execute(open_one)).first() is not None


async def _decide(connection: Connection, decision: Decision | None) -> None:
    if decision is None:
        return
    values = {"decided_by": decision.by, "decided_at": decision.at, "approved": True}
    await connection.execute(update(deletion_requests).where(deletion_requests.c.id == decision.request).values(values))


def _request(row: RowMapping) -> RequestRow:
    values = named(row, _NAMES)
    return RequestRow(**{name: value for name, value in values.items() if name not in _NOT_OF_REQUESTS})


def _columns(row: RequestRow | PartRow) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in row.__dataclass_fields__}
    return values | {column: values.pop(name) for name, column in _NAMES}
