"""Playing sealed recordings: short grants, entered in the log before a key is released, and byte ranges under them."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

from recordings.catalogue import Catalogue
from recordings.coverage import Coverage
from recordings.envelope import Octets
from recordings.grants import PATIENCE, Lately
from recordings.refusals import GrantNeeded, NotPlayable, RangeNotSatisfiable, TooManyGrants
from recordings.rows import GrantRow, RecordingRow, StoredFile
from recordings.sealed import FileClosed, OpenFile
from recordings.states import State
from recordings.vault.store import Vault
from telehealth import access
from telehealth.access import Caller, require
from telehealth.audit.actions import Action
from telehealth.audit.entry import SYSTEM, Actor, Code, Entry, Outcome
from telehealth.audit.faults import LogUnavailable
from telehealth.audit.log import AuditLog
from telehealth.clock import Clock
from telehealth.errors import NotFound, Refusal
from telehealth.ids import Kind, new_id
from telehealth.keys.keystore import KeyStore

MOST_GRANTS = 32  # open at once, for one person
EndOf = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Grant:
    """Leave to play `tracks` (file ids) until `expires_at`."""

    id: str
    recording: str
    expires_at: datetime
    tracks: tuple[str, ...]


@dataclass(slots=True)
class _Live:
    """A grant in force: the keys are here and nowhere else; dropping this drops them."""

    row: GrantRow
    actor: Actor
    session: str | None
    visit: str
    expires_at: datetime
    tracks: Mapping[str, OpenFile]
    playable: Lately  # another server may destroy it
    size: int = 0
    ranges: int = 0
    coverage: dict[str, Coverage] = field(default_factory=dict)
    ended: bool = False


class Playback:
    """Owns the grants in force. They end with the process; `close_stale` enters those that a crash left open."""

    def __init__(
        self, catalogue: Catalogue, keys: KeyStore, log: AuditLog, vault: Vault, clock: Clock, seconds: int = 60
    ) -> None:
        self._catalogue = catalogue
        self._keys = keys
        self._log = log
        self._vault = vault
        self._clock = clock
        self._term = timedelta(seconds=seconds)
        self._live: dict[str, _Live] = {}
        self._others: list[EndOf] = []

    def also_end(self, end: EndOf) -> None:
        """What else of a recording has to end, and be gone, before its keys are destroyed."""
        self._others.append(end)

    async def grant(self, caller: Caller, recording: str, purpose: str) -> Grant:
        """Open a sealed recording's tracks for this person and session.

        Raises NotFound, Forbidden, NotPlayable, TooManyGrants, LogUnavailable and what the key store refuses with.
        """
        row = await self._catalogue.recording(recording)
        thing = await self._catalogue.object_of(row, self._clock.now())
        verdict = require(caller, access.Action.RECORDINGS_PLAY, thing, purpose=purpose)
        if row.state != State.SEALED:
            raise NotPlayable
        if sum(live.row.user == caller.id for live in self._live.values()) >= MOST_GRANTS:
            raise TooManyGrants
        now = self._clock.now()
        mine = GrantRow(new_id(Kind.GRANT), recording, caller.id, purpose, now, now + self._term, None, 0, 0)
        intent = _entry(Action.PLAYBACK_GRANT, Outcome.INTENT, caller.actor(), row, mine)
        intent = replace(intent, detail={**intent.detail, **access.told(verdict)})
        async with self._log.act(intent):  # durable before any key is asked for
            tracks = await self._open_tracks(row)
            await self._catalogue.add_grant(mine)
            playable = Lately(partial(self._catalogue.playable, recording, tuple(tracks)), self._clock)
            live = _Live(mine, caller.actor(), caller.session, row.visit, mine.expires_at, tracks, playable)
            self._live[mine.id] = live
            await self._refuse_if_deleting(live)
            await self._refuse_if_taken_away(caller, live, row)
        return Grant(mine.id, recording, mine.expires_at, tuple(tracks))

    async def renew(self, caller: Caller, grant: str) -> datetime:
        """Another term from now on, if the rules still allow it.

        Raises GrantNeeded once it ended, its tracks are being destroyed, or for somebody else's; and as `grant`.
        """
        live = self._playing(caller, grant)
        await self._refuse_if_gone(live)
        thing = await self._catalogue.object_of(await self._catalogue.recording(live.row.recording), self._clock.now())
        require(caller, access.Action.RECORDINGS_PLAY, thing, purpose=live.row.purpose)
        live.expires_at = self._clock.now() + self._term
        counts = {"expires_at": live.expires_at, "bytes": live.size, "ranges": live.ranges}
        await self._catalogue.change_grant(grant, **counts)
        return live.expires_at

    async def close(self, caller: Caller, grant: str) -> None:
        """Give the grant back. Raises GrantNeeded for one that is not the caller's or has ended."""
        await self._end(self._mine(caller, grant), "closed")

    def read_range(self, caller: Caller, grant: str, track: str, start: int, end: int) -> AsyncGenerator[Octets, None]:
        """Octets start..end (end exclusive, cut at the track's end) of a track, in pieces of at most 256 KiB.

        Raises at once GrantNeeded, NotFound for a foreign track, RangeNotSatisfiable. The pieces raise GrantNeeded
        when the grant ends underway, and SegmentForged or FileTruncated before any octet whose tag failed.
        """
        live = self._playing(caller, grant)
        file = _track(live, track)
        if not 0 <= start < min(end, file.size):
            raise RangeNotSatisfiable
        live.ranges += 1
        return self._chunks(live, file, start, min(end, file.size))

    def size(self, caller: Caller, grant: str, track: str) -> int:
        """A track's size in octets. Raises GrantNeeded, NotFound."""
        return _track(self._playing(caller, grant), track).size

    async def end_all(
        self,
        *,
        recording: str | None = None,
        user: str | None = None,
        session: str | None = None,
        visit: str | None = None,
    ) -> None:
        """End the grants of a recording, person, session or visit now: their keys are dropped and streams break off.

        Of a recording, or a part, whose end stands in the database: also those that another server may be giving out.
        """
        wanted = {"recording": recording, "user": user, "session": session, "visit": visit}
        for live in list(self._live.values()):
            having = {"session": live.session, "recording": live.row.recording}
            having |= {"user": live.row.user, "visit": live.visit}
            if all(value is None or having[name] == value for name, value in wanted.items()):
                await self._end(live, "revoked")
        if recording is not None:
            elsewhere = await self._catalogue.read_elsewhere(recording)
            for end in self._others:
                await end(recording)
            if elsewhere:
                await asyncio.sleep(PATIENCE)

    async def expire(self) -> int:
        """End the grants whose term is over, or whose tracks another server destroys; how many whose term is over."""
        now = self._clock.now()
        over = [live for live in self._live.values() if live.expires_at <= now]
        for live in over:
            await self._end(live, "expired")
        for live in list(self._live.values()):
            if not await live.playable.stands():
                await self._end(live, "revoked")
        return len(over)

    async def close_stale(self) -> int:
        """At start: close in the catalogue and the log what a crash left open; how many."""
        rows = [row for row in await self._catalogue.open_grants() if row.id not in self._live]
        for row in rows:
            recording = await self._catalogue.recording(row.recording)
            detail: dict[str, Code] = {"bytes": row.size, "ranges": row.ranges, "exact": False}
            await self._enter_close(
                _entry(Action.PLAYBACK_CLOSE, Outcome.DONE, SYSTEM, recording, row), "crash", detail
            )
            await self._catalogue.change_grant(row.id, closed_at=self._clock.now())
        return len(rows)

    async def shut(self) -> None:
        """End every grant."""
        await self.end_all()

    def _playing(self, caller: Caller, grant: str) -> _Live:
        """A grant that may be used: nothing is watched while the log is down. Raises GrantNeeded, LogUnavailable."""
        if not self._log.healthy:
            raise LogUnavailable
        return self._mine(caller, grant)

    def _mine(self, caller: Caller, grant: str) -> _Live:
        live = self._live.get(grant)
        if live is None or live.ended or (live.row.user, live.session) != (caller.id, caller.session):
            raise GrantNeeded
        if live.expires_at <= self._clock.now():
            raise GrantNeeded
        return live

    async def _open_tracks(self, row: RecordingRow) -> dict[str, OpenFile]:
        files = [file for file in await self._catalogue.files_of(row.id) if file.is_sealed_track]
        return {file.id: await open_file(self._keys, self._vault, file) for file in files}

    async def _refuse_if_deleting(self, live: _Live) -> None:
        """A deletion that began while the keys were being opened may not have seen this grant to end it."""
        try:
            await self._refuse_if_gone(live)
        except GrantNeeded:
            raise NotPlayable from None

    async def _refuse_if_gone(self, live: _Live) -> None:
        """What another server destroys ends here, too. Raises GrantNeeded."""
        if not await live.playable.stands():
            await self._end(live, "revoked")
            raise GrantNeeded

    async def _refuse_if_taken_away(self, caller: Caller, live: _Live, row: RecordingRow) -> None:
        """Whoever left the visit's circle while the keys were being opened had no grant yet that could be ended."""
        try:
            thing = await self._catalogue.object_of(row, self._clock.now())
            require(caller, access.Action.RECORDINGS_PLAY, thing, purpose=live.row.purpose)
        except Refusal:
            await self._end(live, "revoked")
            raise

    async def _chunks(self, live: _Live, file: OpenFile, start: int, end: int) -> AsyncGenerator[Octets, None]:
        at, track = start, file.id
        pieces = file.chunks(start, end)
        try:
            async for piece in pieces:
                await self._refuse_if_gone(live)
                if live.ended or live.expires_at <= self._clock.now():
                    raise GrantNeeded
                at += len(piece)
                live.size += len(piece)
                yield piece
        except FileClosed:
            raise GrantNeeded from None
        finally:
            await pieces.aclose()
            live.coverage.setdefault(track, Coverage()).add(start, at)

    async def _end(self, live: _Live, why: str) -> None:
        """Drop the keys at once, then write down what was read."""
        live.ended = True
        if self._live.pop(live.row.id, None) is None:
            return
        tracks, live.tracks = live.tracks, {}
        for file in tracks.values():
            file.close()
        recording = await self._catalogue.recording(live.row.recording)
        entry = _entry(Action.PLAYBACK_CLOSE, Outcome.DONE, live.actor, recording, live.row)
        spans = {track: coverage.text() for track, coverage in live.coverage.items()}
        await self._enter_close(entry, why, {"bytes": live.size, "ranges": live.ranges, **spans})
        closed = {"closed_at": self._clock.now(), "bytes": live.size, "ranges": live.ranges}
        await self._catalogue.change_grant(live.row.id, **closed)

    async def _enter_close(self, entry: Entry, why: str, detail: dict[str, Code]) -> None:
        await self._log.enter_closing(replace(entry, detail={**entry.detail, "why": why, **detail}))


def _track(live: _Live, track: str) -> OpenFile:
    file = live.tracks.get(track)
    if file is None:
        raise NotFound
    return file


async def open_file(keys: KeyStore, vault: Vault, file: StoredFile) -> OpenFile:
    """Ask for a file's key and open it. The entry that allows this is already durable."""
    row = file.row
    dek = await keys.open(row.file_id, wrapped_share=row.wrapped_share, wrapping_key=row.wrapping_key)
    return await OpenFile.open(vault, file, dek)


def _entry(action: Action, outcome: Outcome, actor: Actor, recording: RecordingRow, grant: GrantRow) -> Entry:
    return Entry(
        action=action,
        outcome=outcome,
        actor=actor,
        visit=recording.visit,
        recording=recording.id,
        patient=recording.patient_lookup.hex(),
        subject=grant.id,
        purpose=grant.purpose,
    )
