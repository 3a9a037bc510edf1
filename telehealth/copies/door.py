"""The patient's way to the copy: link, code, download. Nothing tells a link that never was from one that is over."""

import hmac
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from telehealth.audit.actions import Action
from telehealth.audit.entry import Actor, Code, Entry, Outcome
from telehealth.clock import Clock
from telehealth.copies.copies import CHANNELS
from telehealth.copies.faults import CopyUnknown
from telehealth.copies.messages import code_message
from telehealth.copies.ports import Making, Studio, entry_of
from telehealth.copies.states import State
from telehealth.copies.store import CopyRow, CopyStore
from telehealth.errors import Forbidden, NotFound, WrongState
from telehealth.identity.contacts import address_for
from telehealth.identity.faults import CodeExpired, CodeWrong, ContactUnfit, SlowDown, TriesUsedUp
from telehealth.identity.ports import Audit, Fields, Post
from telehealth.identity.secrets import as_read, new_token, token_hash
from telehealth.ids import Entropy
from telehealth.secret import Secret

CODE_LIFE = timedelta(minutes=10)
SESSION_LIFE = timedelta(minutes=30)
MOST_TRIES, MOST_CODES = 5, 5  # for one link
DIGITS = 6
Pieces = Callable[[int, int], AsyncGenerator[bytes, None]]


@dataclass(frozen=True, slots=True)
class CopyStep:
    """What the page may know before the code; nothing about the patient."""

    channel: str
    expires_at: datetime
    code_length: int = DIGITS


@dataclass(frozen=True, slots=True)
class Opened:
    """After the code: a key to the download, and what it is."""

    session: Secret[str]
    size: int
    mime: str
    name: str


class CopyDoor:
    """Tries are counted before they are looked at; the code is used up by the right one."""

    def __init__(
        self,
        *,
        rows: CopyStore,
        studio: Studio,
        audit: Audit,
        fields: Fields,
        clock: Clock,
        post: Post,
        entropy: Entropy,
        clinic: str,
    ) -> None:
        self._rows = rows
        self._studio = studio
        self._audit = audit
        self._fields = fields
        self._clock = clock
        self._post = post
        self._entropy = entropy
        self._clinic = clinic

    async def open(self, token: str, *, address: str | None, device: str | None) -> CopyStep:
        """Consumes nothing, sends nothing. Raises CopyUnknown."""
        stranger = Actor("stranger", address=address, device=device)
        try:
            row = await self._live(token)
        except CopyUnknown:
            await self._audit.enter_throttled(Entry(Action.COPY_OPEN, Outcome.REFUSED, stranger), address or "unknown")
            raise
        await self._audit.enter_closing(entry_of(Action.COPY_OPEN, Outcome.DONE, stranger, row))
        return CopyStep(row.channel or "told", row.expires_at or self._clock.now())

    async def send_code(self, token: str) -> datetime:
        """Mint a code and send it to the contact on file; until when it is good.

        Raises CopyUnknown, SlowDown, ContactUnfit, LogUnavailable.
        """
        row = await self._live(token)
        if row.channel not in CHANNELS:
            raise ContactUnfit  # the clinic tells it
        recorded = await self._studio.recorded(row.recording)
        to = address_for(row.channel, recorded.contact)
        if to is None:
            raise ContactUnfit
        code, expires = await self._mint(row, _page_of(row))
        message = code_message(row.language, self._clinic, code, int(CODE_LIFE.total_seconds() // 60))
        await self._post.queue(row.channel, to, message, visit=row.visit, link=None, kind="code", expires=expires)
        return expires

    async def tell_code(self, actor: Actor, row: CopyRow) -> tuple[Secret[str], datetime]:
        """A code that staff tells the patient. Raises WrongState, SlowDown, LogUnavailable."""
        if row.state is not State.READY or row.channel != "told":
            raise WrongState
        return await self._mint(row, actor)

    async def verify(self, token: str, code: str, *, address: str | None, device: str | None) -> Opened:
        """Raises CopyUnknown, CodeExpired, CodeWrong, TriesUsedUp, LogUnavailable."""
        row, now = await self._live(token), self._clock.now()
        if row.code_sealed is None or row.code_expires_at is None or row.code_expires_at <= now:
            raise CodeExpired
        actor = Actor("participant", row.id, "patient", address, device)
        try:
            await self._rows.take_try(row.id, MOST_TRIES)
        except WrongState:
            await self._audit.enter_throttled(
                entry_of(Action.COPY_TRY, Outcome.REFUSED, actor, row, {"reason": "tries_used_up"}), row.id
            )
            raise TriesUsedUp from None
        right = self._fields.open(row.code_sealed, table="copies", column="code_sealed", row=row.id)
        if not hmac.compare_digest(right.encode(), as_read(code).encode()):
            left = MOST_TRIES - row.tries - 1
            detail: dict[str, Code] = {"reason": "wrong", "tries_left": left}
            await self._audit.enter_closing(entry_of(Action.COPY_TRY, Outcome.REFUSED, actor, row, detail))
            raise CodeWrong(left)
        session = new_token(self._entropy)
        async with self._audit.act(entry_of(Action.IDENTITY_VERIFIED, Outcome.DONE, actor, row)):
            fresh = {"session_hash": token_hash(session.reveal()), "code_expires_at": now + SESSION_LIFE}
            try:
                await self._rows.use_code(row.id, row.code_sealed, code_sealed=None, tries=0, **fresh)
            except WrongState:
                raise CodeExpired from None
        making = await self._made(row)
        return Opened(session, making.size, making.mime, making.name)

    async def download(
        self, token: str, session: str, *, address: str | None, device: str | None
    ) -> tuple[Making, Pieces]:
        """What is downloaded, and its octets from … to …, entered before the first. Raises CopyUnknown, Forbidden."""
        row, now = await self._live(token), self._clock.now()
        good = row.session_hash is not None and hmac.compare_digest(row.session_hash, token_hash(session))
        if not good or row.code_expires_at is None or row.code_expires_at <= now:
            raise Forbidden
        making = await self._made(row)
        actor = Actor("participant", row.id, "patient", address, device)
        export = row.export or ""
        return making, lambda start, end: self._fetched(row, self._studio.pieces(actor, export, start, end))

    async def _fetched(self, row: CopyRow, pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        try:
            async for piece in pieces:
                yield piece
            await self._rows.note(row.id, fetched_at=self._clock.now())
        finally:
            await pieces.aclose()

    async def _mint(self, row: CopyRow, actor: Actor) -> tuple[Secret[str], datetime]:
        """A code in place of the one before. Raises SlowDown."""
        code = f"{int.from_bytes(self._entropy(16), 'big') % 10**DIGITS:0{DIGITS}d}"
        now = self._clock.now()
        sealed = self._fields.seal(code, table="copies", column="code_sealed", row=row.id)
        async with self._audit.act(entry_of(Action.COPY_CODE, Outcome.DONE, actor, row)):
            try:
                await self._rows.mint(row.id, MOST_CODES, code_sealed=sealed, code_expires_at=now + CODE_LIFE)
            except WrongState:
                raise SlowDown(retry_after=3600) from None
        return Secret(code), now + CODE_LIFE

    async def _live(self, token: str) -> CopyRow:
        try:
            row = await self._rows.by_token(token_hash(token))
        except NotFound:
            raise CopyUnknown from None
        if row.state is not State.READY or row.expires_at is None or row.expires_at <= self._clock.now():
            raise CopyUnknown
        return row

    async def _made(self, row: CopyRow) -> Making:
        """Raises CopyUnknown once it is gone."""
        making = await self._studio.making(row.export) if row.export is not None else None
        if making is None or making.state != "ready":
            raise CopyUnknown
        return making


def _page_of(row: CopyRow) -> Actor:
    """Whoever holds the link, before the code."""
    return Actor("participant", row.id, "patient")
