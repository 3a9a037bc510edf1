"""The rows of exports, in SQL; one transaction per method decides every race."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, update

from recordings.export.states import State, Step, after, sources
from recordings.export.wire import Format, Protection
from recordings.export.wish import Wish
from telehealth.errors import NotFound, WrongState
from telehealth.store import nodes as lives
from telehealth.store.engine import Store
from telehealth.store.tables import exports

_NAMES = (("recording", "recording_id"), ("copy", "copy_id"), ("file", "file_id"), ("aside", "aside_id"))
OPEN = (State.QUEUED, State.RUNNING)


@dataclass(frozen=True, slots=True)
class ExportRow:
    """One export as the database knows it; `size`: octets of what is downloaded, 0 until it is ready."""

    id: str
    recording: str
    asked_by: str
    purpose: str
    reason_sealed: bytes | None
    format: Format
    protection: Protection
    recipient: str | None
    language: str
    copy: str | None
    state: State
    failure: str | None
    file: str | None
    aside: str | None
    size: int
    milliseconds: int
    downloads: int
    created_at: datetime
    ended_at: datetime | None
    expires_at: datetime | None


def new_row(
    name: str, recording: str, by: str, wish: Wish, reason: bytes | None, copy: str | None, now: datetime
) -> ExportRow:
    """A queued export. `reason`: sealed."""
    return ExportRow(
        id=name,
        recording=recording,
        asked_by=by,
        purpose=wish.purpose,
        reason_sealed=reason,
        format=wish.format,
        protection=wish.protection,
        recipient=wish.secret.reveal() if wish.protection == "recipient" else None,
        language=wish.language,
        copy=copy,
        state=State.QUEUED,
        failure=None,
        file=None,
        aside=None,
        size=0,
        milliseconds=0,
        downloads=0,
        created_at=now,
        ended_at=None,
        expires_at=None,
    )


class ExportLedger:
    """Owns the rows of `exports`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(self, row: ExportRow) -> None:
        values = asdict(row)
        values |= {column: values.pop(name) for name, column in (*_NAMES, ("size", "bytes"))}
        async with self._store.begin() as connection:
            await connection.execute(insert(exports).values(values))

    async def get(self, export: str) -> ExportRow:
        """Raises NotFound."""
        found = await self._rows(select(exports).where(exports.c.id == export))
        if not found:
            raise NotFound
        return found[0]

    async def of(self, recording: str) -> list[ExportRow]:
        """Every export of a recording, newest first."""
        query = select(exports).where(exports.c.recording_id == recording)
        return await self._rows(query.order_by(exports.c.created_at.desc(), exports.c.id.desc()))

    async def in_states(self, states: Iterable[State]) -> list[ExportRow]:
        """Oldest first."""
        query = select(exports).where(exports.c.state.in_([state.value for state in states]))
        return await self._rows(query.order_by(exports.c.created_at, exports.c.id))

    async def open_count(self) -> int:
        """How many wait or are being made."""
        wanted = exports.c.state.in_([state.value for state in OPEN])
        async with self._store.read() as connection:
            return int(await connection.scalar(select(func.count()).select_from(exports).where(wanted)) or 0)

    async def made_elsewhere(self) -> set[str]:
        """The recordings of which another living server may be making an export; none where this one is alone."""
        async with self._store.read() as connection:
            if len(await lives.living(connection)) < 2:
                return set()
        return {row.recording for row in await self.in_states(OPEN)}

    async def due(self, now: datetime) -> list[ExportRow]:
        """Ready ones whose life is over."""
        return await self._rows(select(exports).where(exports.c.state == State.READY, exports.c.expires_at <= now))

    async def step(self, export: str, step: Step, **values: Any) -> ExportRow:
        """Take a step of the table of states, or raise WrongState; of two at once, one."""
        wanted = (exports.c.id == export, exports.c.state.in_([state.value for state in sources(step)]))
        async with self._store.begin() as connection:
            state = await connection.scalar(select(exports.c.state).where(*wanted).with_for_update())
            if state is None:
                raise WrongState
            values |= {"state": after(State(state), step)}
            done = await connection.execute(update(exports).where(*wanted, exports.c.state == state).values(values))
            if done.rowcount != 1:
                raise WrongState
        return await self.get(export)

    async def note(self, export: str, **values: Any) -> None:
        """Change columns that decide nothing."""
        async with self._store.begin() as connection:
            await connection.execute(update(exports).where(exports.c.id == export).values(values))

    async def downloaded(self, export: str) -> None:
        """Count one more download."""
        async with self._store.begin() as connection:
            more = {"downloads": exports.c.downloads + 1}
            await connection.execute(update(exports).where(exports.c.id == export).values(more))

    async def _rows(self, query: Any) -> list[ExportRow]:
        async with self._store.read() as connection:
            found: Sequence[Any] = (await connection.execute(query)).mappings().all()
        return [_row(dict(row)) for row in found]


def _row(values: dict[str, Any]) -> ExportRow:
    values |= {name: values.pop(column) for name, column in (*_NAMES, ("size", "bytes"))}
    return ExportRow(**{**values, "state": State(values["state"])})
