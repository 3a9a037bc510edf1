"""Participants in the database: a visit's clinician, its patient, its guests; what they said is opened here."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from sqlalchemy import and_, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from telehealth.ids import Kind, new_id
from telehealth.store.locks import hold
from telehealth.store.tables import guests, links, participants
from telehealth.visits.ports import Mine, anybody
from telehealth.visits.rows import PersonRow
from telehealth.visits.states import ParticipantState

_PERSONS = select(*participants.c, guests.c.id.label("guest_id"), guests.c.name_sealed).select_from(
    participants.outerjoin(links, participants.c.link_id == links.c.id).outerjoin(
        guests, links.c.guest_id == guests.c.id
    )
)


class Database(Protocol):
    """The part of `telehealth.store.engine.Store` used here."""

    def begin(self) -> AbstractAsyncContextManager[AsyncConnection]: ...
    def read(self) -> AbstractAsyncContextManager[AsyncConnection]: ...


class Cipher(Protocol):
    """The part of `telehealth.keys.FieldCipher` used here."""

    def seal(self, text: str, *, table: str, column: str, row: str) -> bytes: ...
    def open(self, blob: bytes, *, table: str, column: str, row: str) -> str: ...
    def lookup(self, purpose: str, text: str) -> bytes: ...


class PersonStore:
    """Rows in, rows out; every method is one transaction. `mine`: for writes of whoever runs the visit."""

    def __init__(self, database: Database, cipher: Cipher, mine: Mine | None = None) -> None:
        self._database = database
        self._cipher = cipher
        self._mine = mine or anybody

    async def people(self, visit: str) -> Sequence[PersonRow]:
        async with self._database.read() as connection:
            found = await connection.execute(_PERSONS.where(participants.c.visit_id == visit))
            return [self._person(row) for row in found]

    async def person(self, participant: str) -> PersonRow | None:
        async with self._database.read() as connection:
            row = (await connection.execute(_PERSONS.where(participants.c.id == participant))).first()
        return None if row is None else self._person(row)

    async def host(self, visit: str, user: str) -> PersonRow:
        """The clinician's own participant in the visit, made at their first entry; never a second one."""
        mine = and_(participants.c.visit_id == visit, participants.c.user_id == user)
        async with self._database.begin() as connection:
            await hold(connection, "host", visit)
            row = (await connection.execute(_PERSONS.where(mine))).first()
            if row is None:
                values = {
                    "id": new_id(Kind.PARTICIPANT),
                    "visit_id": visit,
                    "user_id": user,
                    "role": "clinician",
                    "state": ParticipantState.INVITED,
                }
                await connection.execute(insert(participants).values(values))
                row = (await connection.execute(_PERSONS.where(mine))).one()
        return self._person(row)

    async def set_person(self, participant: str, state: ParticipantState, **values: Any) -> None:
        """A participant's state, and other columns with it."""
        changed = update(participants).where(participants.c.id == participant).values(state=state, **values)
        async with self._database.begin() as connection:
            await self._mine(connection, participant=participant)
            await connection.execute(changed)

    def _opened(self, table: str, column: str, row: Any) -> str | None:
        blob = getattr(row, column)
        return None if blob is None else self._cipher.open(blob, table=table, column=column, row=row.id)

    def _person(self, row: Any) -> PersonRow:
        return PersonRow(
            id=row.id,
            visit=row.visit_id,
            role=row.role,
            state=ParticipantState(row.state),
            link=row.link_id,
            user=row.user_id,
            public_key=row.public_key,
            location=self._opened("participants", "location_sealed", row),
            callback=self._opened("participants", "callback_sealed", row),
            waiting_since=row.waiting_since,
            admitted_at=row.admitted_at,
            sighted=row.sighted,
            name=self._guest_name(row),
        )

    def _guest_name(self, row: Any) -> str | None:
        if row.guest_id is None:
            return None
        return self._cipher.open(row.name_sealed, table="guests", column="name_sealed", row=row.guest_id)
