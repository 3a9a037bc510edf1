"""What identity needs of other rooms."""

from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Protocol

from telehealth.audit.entry import Entry
from telehealth.outbox.messages import Kind, Message
from telehealth.store.engine import Connection


class Fields(Protocol):
    """Field encryption and keyed look-ups: telehealth.keys.fields.FieldCipher."""

    def seal(self, text: str, *, table: str, column: str, row: str) -> bytes: ...

    def open(self, blob: bytes, *, table: str, column: str, row: str) -> str: ...

    def lookup(self, purpose: str, text: str) -> bytes: ...


class Audit(Protocol):
    """The log's writing side: telehealth.audit.log.AuditLog."""

    async def enter(self, entry: Entry) -> int:
        """Returns when durable. Raises LogUnavailable."""
        ...

    async def enter_closing(self, entry: Entry) -> None:
        """Never refuses: kept in a reserved spool while the log is down."""
        ...

    def act(self, entry: Entry) -> AbstractAsyncContextManager[Any]:
        """Enter the intent, let the block act, enter the outcome with what the block put into `detail`.

        Never inside a transaction: a log that hesitates must not hold up the database. Raises LogUnavailable.
        """
        ...

    async def enter_throttled(self, entry: Entry, source: str) -> None:
        """Aggregated by source and minute, so that strangers cannot fill the log."""
        ...


class Post(Protocol):
    """Where codes are handed over for delivery: telehealth.outbox.Outbox."""

    def offers(self, channel: str) -> bool:
        """Whether this server can send over the channel."""
        ...

    async def queue(
        self,
        channel: str,
        to: str,
        message: Message,
        *,
        visit: str | None,
        link: str | None,
        kind: Kind = "link",
        expires: datetime,
        connection: Connection | None = None,
    ) -> str: ...
