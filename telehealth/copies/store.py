"""The rows of copies, in SQL; one transaction per method decides every race."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, insert, select, update

from telehealth.copies.states import OPEN, State, Step, sources
from telehealth.errors import NotFound, WrongState
from telehealth.store.engine import Store
from telehealth.store.tables import copies, recordings

_NAMES = (("visit", "visit_id"), ("recording", "recording_id"), ("export", "export_id"))


@dataclass(frozen=True, slots=True)
class CopyRow:
    """One request as the database knows it."""

    id: str
    visit: str
    recording: str
    patient_lookup: bytes
    asked_by: str
    asked_role: str
    language: str
    state: State
    decided_by: str | None
    decline_reason: str | None
    channel: str | None
    export: str | None
    token_hash: bytes | None
    code_sealed: bytes | None
    tries: int
    codes: int
    session_hash: bytes | None
    code_expires_at: datetime | None
    created_at: datetime
    decided_at: datetime | None
    expires_at: datetime | None
    fetched_at: datetime | None


class CopyStore:
    """Owns the rows of `copies`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(self, row: CopyRow) -> bool:
        """False where one for the same recording is open."""
        values = asdict(row)
        values |= {column: values.pop(name) for name, column in _NAMES}
        async with self._store.begin() as connection:
            open_ones = copies.c.state.in_([state.value for state in OPEN])
            mine = and_(copies.c.recording_id == row.recording, open_ones)
            if (await connection.execute(select(copies.c.id).where(mine))).first() is not None:
                return False
            await connection.execute(insert(copies).values(values))
        return True

    async def get(self, copy: str) -> CopyRow:
        """Raises NotFound."""
        return _one(await self._rows(copies.c.id == copy))

    async def by_token(self, token_hash: bytes) -> CopyRow:
        """Raises NotFound."""
        return _one(await self._rows(copies.c.token_hash == token_hash))

    async def of_recording(self, recording: str) -> list[CopyRow]:
        """Newest first."""
        return await self._rows(copies.c.recording_id == recording)

    async def in_states(self, states: Iterable[State], clinician: str | None = None) -> list[CopyRow]:
        """Newest first, at most 200. `clinician`: only of their visits."""
        wanted = [copies.c.state.in_([state.value for state in states])]
        if clinician is not None:
            own = select(recordings.c.id).where(recordings.c.clinician_id == clinician)
            wanted.append(copies.c.recording_id.in_(own))
        return await self._rows(and_(*wanted))

    async def due(self, now: datetime) -> list[CopyRow]:
        """Links whose time is over, at most 200; the others come next."""
        return await self._rows(and_(copies.c.state == State.READY.value, copies.c.expires_at <= now))

    async def step(self, copy: str, step: Step, target: State, **values: Any) -> CopyRow:
        """Take a step of the table of states, or raise WrongState; of two at once, one."""
        wanted = and_(copies.c.id == copy, copies.c.state.in_([state.value for state in sources(step)]))
        await self._change(wanted, {"state": target.value, **values})
        return await self.get(copy)

    async def note(self, copy: str, **values: Any) -> None:
        """Change columns that decide nothing. Raises WrongState for one that is not there."""
        await self._change(copies.c.id == copy, values)

    async def mint(self, copy: str, most: int, **values: Any) -> None:
        """A new code in place of the one before, while there are any left. Raises WrongState."""
        await self._change(and_(copies.c.id == copy, copies.c.codes < most), {"codes": copies.c.codes + 1, **values})

    async def take_try(self, copy: str, most: int) -> None:
        """Count a try before it is looked at. Raises WrongState when all are used up."""
        await self._change(and_(copies.c.id == copy, copies.c.tries < most), {"tries": copies.c.tries + 1})

    async def use_code(self, copy: str, sealed: bytes, **values: Any) -> None:
        """Use this very code up. Raises WrongState when another did."""
        await self._change(and_(copies.c.id == copy, copies.c.code_sealed == sealed), values)

    async def _change(self, condition: Any, values: dict[str, Any]) -> None:
        async with self._store.begin() as connection:
            if (await connection.execute(update(copies).where(condition).values(values))).rowcount != 1:
                raise WrongState

    async def _rows(self, condition: Any) -> list[CopyRow]:
        query = select(copies).where(condition).order_by(copies.c.created_at.desc(), copies.c.id.desc())
        async with self._store.read() as connection:
            found = (await connection.execute(query.limit(200))).mappings().all()
        return [_row(dict(row)) for row in found]


def _one(rows: list[CopyRow]) -> CopyRow:
    if not rows:
        raise NotFound
    return rows[0]


def _row(values: dict[str, Any]) -> CopyRow:
    values |= {name: values.pop(column) for name, column in _NAMES}
    return CopyRow(**{**values, "state": State(values["state"])})
