"""Whose audit logs there are beside this server's own: every server that ever used this database keeps one."""

from collections.abc import Sequence
from dataclasses import dataclass

from telehealth.store import nodes as rows
from telehealth.store.engine import Store


@dataclass(frozen=True, slots=True)
class ServerLog:
    """A server by its configured name, and the machine and port it was last started on."""

    name: str
    address: str


class ServerLogs:
    """What one log tells is not the whole story where others exist: it says so, and which."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self.name = name  # of this server; empty for the only one

    async def others(self) -> Sequence[ServerLog]:
        """The servers whose logs are not this one's, living or not, by name."""
        async with self._store.read() as connection:
            found = await rows.logs(connection)
        return [ServerLog(name, address) for name, address in found if name != self.name]
