"""Whose a recording is among several servers, in SQL: its row names the life of the server that captures or seals it.

Who is dead is decided in the table of nodes, for good, so what a dead one held may be taken over, and nothing else.
"""

from collections.abc import Awaitable, Callable
from typing import ClassVar

from sqlalchemy import select, update

from telehealth.errors import WrongState
from telehealth.store import nodes as lives
from telehealth.store.engine import Connection, Store
from telehealth.store.tables import nodes, recordings

Guard = Callable[[Connection], Awaitable[None]]


class TakenOver(WrongState):
    """Others took this server for dead and went on with the recording."""

    message: ClassVar[str] = "Another server has taken this recording over."


class TenureStore:
    """`node`: this life of the server, set once at the start; None for the only server, whose everything is."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.node: str | None = None

    async def claim(self, recording: str) -> bool:
        """Whether it is ours from now on: nobody living had it. Of several that claim at once one gets it."""
        async with self._store.begin() as connection:
            await lives.briefly(connection)
            found = select(recordings.c.node).where(recordings.c.id == recording).with_for_update()
            row = (await connection.execute(found)).first()
            if row is None:
                return False
            alive = select(nodes.c.id).where(nodes.c.id == row.node, nodes.c.ended_at.is_(None))
            if row.node != self.node and (await connection.execute(alive)).first() is not None:
                return False
            await connection.execute(update(recordings).where(recordings.c.id == recording).values(node=self.node))
        return True

    def guard(self, recording: str) -> Guard:
        """For writes about a recording's files: raises TakenOver once it is another's.

        Else nobody takes it before the transaction ends.
        """

        async def held(connection: Connection) -> None:
            if self.node is None:
                return
            await lives.briefly(connection)
            ours = select(recordings.c.id).where(recordings.c.id == recording, recordings.c.node == self.node)
            if (await connection.execute(ours.with_for_update())).first() is None:
                raise TakenOver

        return held
