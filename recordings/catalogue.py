"""The catalogue: which recordings and files there are, in SQL. One transaction per method decides every race."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict, fields
from datetime import date, datetime
from typing import Any

from sqlalchemy import and_, delete, insert, or_, select, update
from sqlalchemy.engine import RowMapping

from recordings.found import conditions
from recordings.partners import FileKind, FinishedFile, KeyedFile, file_name
from recordings.rows import FileAt, Filter, GrantRow, Page, RecordingRow, RetentionRule, StoredFile, TrackFacts
from telehealth.access import Kind, Object
from telehealth.errors import NotFound
from telehealth.store import care
from telehealth.store import nodes as lives
from telehealth.store.engine import Connection, Store
from telehealth.store.tables import files, grants, recordings, retention_rules
from telehealth.store.upsert import insert as upsert

BEING_DELETED = ("deleting", "deleted")
RECORDING_NAMES = (("visit", "visit_id"), ("clinician", "clinician_id"), ("size", "bytes"))
_GRANT_NAMES = (("recording", "recording_id"), ("user", "user_id"), ("size", "bytes"))


class Catalogue:
    """Owns the rows of recordings, files, grants and retention rules; a `FileLedger` for capture and sealing."""

    def __init__(self, store: Store, guard: Callable[[Connection], Awaitable[None]] | None = None) -> None:
        self._store = store
        self._guard = guard  # asked in the transaction of single writes

    def guarded(self, guard: Callable[[Connection], Awaitable[None]]) -> "Catalogue":
        """The same, for whoever may write only while `guard` raises nothing."""
        return Catalogue(self._store, guard)

    # Recordings

    async def add(self, **values: Any) -> None:
        """A new recording in state `capturing`; keys are column names."""
        await self._write(insert(recordings).values(state="capturing", **values))

    async def recording(self, recording: str) -> RecordingRow:
        """Raises NotFound."""
        rows = await self._rows(select(recordings).where(recordings.c.id == recording))
        if not rows:
            raise NotFound
        return _recording(rows[0])

    async def object_of(self, row: RecordingRow, now: datetime) -> Object:
        """The recording as the rules of access look at it."""
        async with self._store.read() as connection:
            circle = (await care.circles(connection, [row.visit], now))[row.visit]
        patient, held = row.patient_lookup.hex(), row.held_at is not None
        return Object(
            Kind.RECORDING, row.id, row.clinician, circle.team, circle.opened, row.visit, patient, None, row.state, held
        )

    async def find(self, wanted: Filter, limit: int, after: str | None) -> Page:
        """One page, newest first; an unknown cursor gives an empty page."""
        query = select(recordings).where(*conditions(wanted))
        if after is not None:
            mark = select(recordings.c.started_at).where(recordings.c.id == after).scalar_subquery()
            same = and_(recordings.c.started_at == mark, recordings.c.id < after)
            query = query.where(or_(recordings.c.started_at < mark, same))
        order = (recordings.c.started_at.desc(), recordings.c.id.desc())
        rows = await self._rows(query.order_by(*order).limit(limit + 1))
        items = [_recording(row) for row in rows[:limit]]
        return Page(items, items[-1].id if len(rows) > limit else None)

    async def in_states(self, states: Iterable[str], after: str = "", limit: int = 500) -> list[RecordingRow]:
        """Recordings in any of `states` whose id follows `after`, in order of id."""
        query = select(recordings).where(recordings.c.state.in_(tuple(states)), recordings.c.id > after)
        return [_recording(row) for row in await self._rows(query.order_by(recordings.c.id).limit(limit))]

    async def held(self) -> list[RecordingRow]:
        """Every recording under hold."""
        query = select(recordings).where(recordings.c.held_at.is_not(None))
        return [_recording(row) for row in await self._rows(query)]

    async def move(self, recording: str, sources: Sequence[str], target: str, **values: Any) -> bool:
        """Change the state and `values` if it is in one of `sources`; whether it was."""
        condition = and_(recordings.c.id == recording, recordings.c.state.in_(tuple(sources)))
        return await self._write(update(recordings).where(condition).values(state=target, **values)) == 1

    async def note(self, recording: str, **values: Any) -> None:
        """Change columns that decide nothing."""
        await self._write(update(recordings).where(recordings.c.id == recording).values(**values))

    async def mark_held(self, recording: str, by: str, at: datetime, reason_sealed: bytes) -> bool:
        """Hold unless its deletion has begun; whether it holds now."""
        condition = and_(recordings.c.id == recording, recordings.c.state.not_in(BEING_DELETED))
        values = {"held_by": by, "held_at": at, "hold_reason_sealed": reason_sealed}
        return await self._write(update(recordings).where(condition).values(values)) == 1

    async def mark_released(self, recording: str) -> bool:
        """End a hold; whether there was one."""
        condition = and_(recordings.c.id == recording, recordings.c.held_at.is_not(None))
        values = {"held_by": None, "held_at": None, "hold_reason_sealed": None}
        return await self._write(update(recordings).where(condition).values(values)) == 1

    async def forget(self, recording: str) -> None:
        """Remove a recording that never stored anything, and its files' rows."""
        async with self._store.begin() as connection:
            await connection.execute(delete(files).where(files.c.recording_id == recording))
            await connection.execute(delete(recordings).where(recordings.c.id == recording))

    async def fold(self) -> None:
        """Leave no copy of what was overwritten in the database's write-ahead log."""
        await self._store.checkpoint()

    # Files

    async def added(self, row: KeyedFile) -> None:
        values = {
            "id": row.file_id,
            "recording_id": row.recording_id,
            "participant_id": row.participant_id,
            "kind": row.kind.value,
            "part": row.part,
            "state": "open",
            "day": row.day.isoformat(),
            "bucket": row.bucket,
            "wrapping_key": row.wrapping_key,
            "wrapped_share": row.wrapped_share,
            "created_at": row.created_at,
        }
        await self._write(insert(files).values(values))

    async def progressed(self, file_id: str, segments: int, octets: int) -> None:
        await self.change_file(file_id, segments=segments, bytes=octets)

    async def sealed(self, sealed: FinishedFile) -> None:
        await self.change_file(
            sealed.file_id,
            state="sealed",
            bytes=sealed.size,
            plain_bytes=sealed.plain_size,
            segments=sealed.segments,
            sha256=sealed.sha256,
            track=asdict(TrackFacts.of(sealed.track)) if sealed.track else None,
        )

    async def gone(self, file_id: str) -> None:
        """The row stays, without its share, so that a late look finds out what became of the file."""
        await self.change_file(file_id, state="gone", wrapped_share=b"")

    async def change_file(self, file: str, **values: Any) -> None:
        """Set columns of one file; a missing one is fine."""
        await self._write(update(files).where(files.c.id == file).values(**values))

    async def files_of(self, recording: str, *, gone: bool = False) -> list[StoredFile]:
        """Its files in order of creation, without exports; those already gone only when asked for."""
        query = select(files).where(files.c.recording_id == recording, files.c.kind != "export")
        query = query if gone else query.where(files.c.state != "gone")
        return [_file(row) for row in await self._rows(query.order_by(files.c.created_at, files.c.id))]

    async def files_named(self, ids: Sequence[str]) -> list[StoredFile]:
        """Those of these files that are sealed, of any recording."""
        query = select(files).where(files.c.id.in_(tuple(ids)), files.c.state == "sealed")
        return [_file(row) for row in await self._rows(query.order_by(files.c.created_at, files.c.id))]

    async def export_files(self) -> list[StoredFile]:
        """The files of exports that are not gone, of every recording."""
        query = select(files).where(files.c.kind == "export", files.c.state != "gone")
        return [_file(row) for row in await self._rows(query.order_by(files.c.created_at, files.c.id))]

    async def sealed_tracks(self, recordings_wanted: Sequence[str]) -> dict[str, list[StoredFile]]:
        """The sealed tracks of these recordings, in order of creation."""
        query = select(files).where(
            files.c.recording_id.in_(tuple(recordings_wanted)), files.c.kind == "track", files.c.state == "sealed"
        )
        found: dict[str, list[StoredFile]] = {}
        for row in await self._rows(query.order_by(files.c.created_at, files.c.id)):
            found.setdefault(row["recording_id"], []).append(_file(row))
        return found

    async def inventory(self) -> list[FileAt]:
        """Every file that is not gone."""
        columns = (files.c.id, files.c.kind, files.c.state, files.c.bytes, files.c.sha256)
        query = select(*columns, recordings.c.state.label("recording_state")).join(recordings)
        return [_file_at(row) for row in await self._rows(query.where(files.c.state != "gone"))]

    # Places

    async def to_ship(self, limit: int, after: StoredFile | None = None) -> list[StoredFile]:
        """Sealed files of sealed recordings that are not elsewhere yet, oldest first; only those behind `after`."""
        wanted = (files.c.place != "remote", files.c.state == "sealed", recordings.c.state == "sealed")
        stays = files.c.kind == "export"  # here, for its short life
        query = select(files).join(recordings).where(*wanted, ~stays).order_by(files.c.created_at, files.c.id)
        if after is not None:
            same = and_(files.c.created_at == after.row.created_at, files.c.id > after.id)
            query = query.where(or_(files.c.created_at > after.row.created_at, same))
        return [_file(row) for row in await self._rows(query.limit(limit))]

    async def placed(self, file: str, place: str) -> bool:
        """Note where a sealed file is; False where it is being deleted."""
        alive = files.c.recording_id.in_(select(recordings.c.id).where(recordings.c.state == "sealed"))
        wanted = (files.c.id == file, files.c.state == "sealed", alive)
        return await self._write(update(files).where(*wanted).values(place=place)) == 1

    async def remote_among(self, wanted: Sequence[str]) -> set[str]:
        """Which of these files are elsewhere, verified."""
        query = select(files.c.id).where(files.c.id.in_(tuple(wanted)), files.c.place == "remote")
        return {row["id"] for row in await self._rows(query)}

    async def never_sealed(self, file: str) -> bool:
        """Whether the file is known and was not whole yet, so that it cannot have left."""
        rows = await self._rows(select(files.c.state).where(files.c.id == file))
        return bool(rows) and rows[0]["state"] in ("open", "ended")

    # Grants

    async def add_grant(self, row: GrantRow) -> None:
        values = asdict(row)
        values |= {column: values.pop(name) for name, column in _GRANT_NAMES}
        await self._write(insert(grants).values(values))

    async def change_grant(self, grant: str, **values: Any) -> None:
        await self._write(update(grants).where(grants.c.id == grant).values(**values))

    async def open_grants(self, recording: str | None = None) -> list[GrantRow]:
        """Grants that nobody closed yet, expired ones included."""
        query = select(grants).where(grants.c.closed_at.is_(None))
        if recording is not None:
            query = query.where(grants.c.recording_id == recording)
        return [_grant(row) for row in await self._rows(query.order_by(grants.c.created_at))]

    async def playable(self, recording: str, tracks: Iterable[str]) -> bool:
        """Whether it is sealed, and each of these files of it too."""
        wanted = set(tracks)
        mine = (files.c.id.in_(wanted), files.c.state == "sealed", files.c.recording_id == recording)
        query = select(files.c.id).join(recordings).where(*mine, recordings.c.state == "sealed")
        return len(await self._rows(query)) == len(wanted)

    async def read_elsewhere(self, recording: str) -> bool:
        """Whether other servers live, and may give out octets: by an open grant, or of an export that is there."""
        export = (files.c.recording_id == recording, files.c.kind == "export", files.c.state == "sealed")
        if not await self.open_grants(recording) and not await self._rows(select(files.c.id).where(*export)):
            return False
        async with self._store.read() as connection:
            return len(await lives.living(connection)) > 1

    # Retention

    async def rules(self) -> list[RetentionRule]:
        columns = [retention_rules.c[field.name] for field in fields(RetentionRule)]
        return [RetentionRule(**row) for row in await self._rows(select(*columns).order_by(columns[0]))]

    async def set_rules(self, rules: Sequence[RetentionRule], by: str | None, at: datetime) -> None:
        """Write all of `rules`; classes not named keep theirs."""
        async with self._store.begin() as connection:
            for rule in rules:
                values = asdict(rule) | {"changed_by": by, "changed_at": at}
                row = upsert(connection, retention_rules).values(values)
                key = [retention_rules.c.retention_class]
                await connection.execute(row.on_conflict_do_update(index_elements=key, set_=values))

    async def _rows(self, query: Any) -> Sequence[RowMapping]:
        async with self._store.read() as connection:
            return (await connection.execute(query)).mappings().all()

    async def _write(self, statement: Any) -> int:
        """Run one statement in its own transaction; how many rows it touched."""
        async with self._store.begin() as connection:
            if self._guard is not None:
                await self._guard(connection)
            return int((await connection.execute(statement)).rowcount)


def _recording(row: RowMapping) -> RecordingRow:
    return RecordingRow(**named(row, RECORDING_NAMES))


def _file(row: RowMapping) -> StoredFile:
    core = KeyedFile(
        file_id=row["id"],
        recording_id=row["recording_id"],
        kind=FileKind(row["kind"]),
        participant_id=row["participant_id"],
        part=row["part"],
        wrapped_share=row["wrapped_share"],
        wrapping_key=row["wrapping_key"],
        bucket=row["bucket"],
        day=date.fromisoformat(row["day"]),
        created_at=row["created_at"],
    )
    return StoredFile(
        row=core,
        state=row["state"],
        segments=row["segments"],
        size=row["bytes"],
        plain_size=row["plain_bytes"],
        sha256=row["sha256"],
        track=TrackFacts(**row["track"]) if row["track"] else None,
        place=row["place"],
    )


def _file_at(row: RowMapping) -> FileAt:
    name = file_name(row["id"], FileKind(row["kind"]))
    return FileAt(row["id"], name, row["state"], row["bytes"], row["sha256"], row["recording_state"])


def _grant(row: RowMapping) -> GrantRow:
    return GrantRow(**named(row, _GRANT_NAMES))


def named(row: RowMapping, names: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Columns by the names they have in `recordings.rows`."""
    values = dict(row)
    return values | {name: values.pop(column) for name, column in names}
