"""Reading every sealed recording again, a little at a time, so that damage is found while a backup still helps.

A recording's turn follows from its id: ids are random, so their order spreads the work evenly over the period, and
nothing needs to be remembered. A start looks back a day; what a longer standstill left out comes a period later.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from recordings.catalogue import Catalogue
from recordings.envelope import FileTruncated, MalformedEnvelope, SegmentForged, WrongKey
from recordings.rounds import Rounds
from recordings.rows import RecordingRow, StoredFile
from recordings.sealing import Readable, verify
from recordings.states import State
from recordings.vault.store import VaultFailed, VaultMissing
from recordings.verifying import finished_of
from telehealth.audit.actions import Action
from telehealth.audit.entry import SYSTEM, Code, Entry, Outcome
from telehealth.audit.log import Act, AuditLog
from telehealth.clock import Clock
from telehealth.errors import Refusal
from telehealth.ids import Kind
from telehealth.keys.keystore import KeyStore
from telehealth.keys.provider import KeyDestroyed, UnwrapFailed
from telehealth.log import get_logger

_log = get_logger(__name__)
LOOK_SECONDS = 3600.0
PACE = 20_000_000  # octets a second, at most
_LOOK_BACK = timedelta(days=1)
_SORTED = "234567abcdefghijklmnopqrstuvwxyz"  # the characters of an id as they sort
_DIGITS = 8  # of an id that a moment is turned into: 32^8 turns in a period
_MICRO = timedelta(microseconds=1)
_START = datetime(2000, 1, 1, tzinfo=UTC)
_DAMAGE = (FileTruncated, MalformedEnvelope, SegmentForged, WrongKey, VaultMissing, KeyDestroyed, UnwrapFailed)

Pause = Callable[[float], Awaitable[object]]
Turns = tuple[str, str | None]


@dataclass(slots=True)
class Figures:
    """Counters since the start: whole files and their octets; files found `damaged`; looks `put_off` by a partner.

    `reached`: up to when (POSIX seconds) all turns were taken, 0 before the first look.
    """

    files: int = 0
    octets: int = 0
    damaged: int = 0
    put_off: int = 0
    reached: float = 0.0


class PacedReads:
    """Reads no faster than `pace` octets a second: after each read it rests as long as that took its share."""

    def __init__(self, vault: Readable, pace: float, pause: Pause) -> None:
        self._vault = vault
        self._pace = pace
        self._pause = pause

    async def read(self, name: str, offset: int, length: int) -> bytes:
        data = await self._vault.read(name, offset, length)
        await self._pause(len(data) / self._pace)
        return data


class Scrub:
    """One look at a time; its owner calls `look` about every hour. `days` 0: never."""

    def __init__(
        self,
        catalogue: Catalogue,
        keys: KeyStore,
        log: AuditLog,
        vault: Readable,
        clock: Clock,
        rounds: Rounds,
        days: int,
        *,
        pace: float = PACE,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self._catalogue = catalogue
        self._keys = keys
        self._log = log
        self._reads = PacedReads(vault, pace, pause)
        self._clock = clock
        self._rounds = rounds
        self._period = timedelta(days=days)
        self._reached: datetime | None = None
        self.figures = Figures()

    async def run(self) -> None:
        """Look again and again, until the rounds end."""
        await self._rounds.every(LOOK_SECONDS, self.look, "scrub")

    def gauges(self) -> list[tuple[str, str, Callable[[], float]]]:
        """Names, texts and values for metrics."""
        figures = self.figures
        return [
            ("scrub_files", "Sealed files read again and found whole", lambda: float(figures.files)),
            ("scrub_bytes", "Octets of them", lambda: float(figures.octets)),
            ("scrub_damaged", "Sealed files found damaged", lambda: float(figures.damaged)),
            ("scrub_put_off", "Looks that a missing partner broke off", lambda: float(figures.put_off)),
            ("scrub_reached", "Until when all turns were taken, POSIX seconds", lambda: figures.reached),
        ]

    async def look(self) -> None:
        """Verify every recording whose turn came since the last look. Entered before any key is asked for.

        The first bad segment of a file is an alarm and an entry; the file's rest is left alone, the others go on.
        Raises LogUnavailable, and what a partner that is away refuses with; the turns then come at the next look.
        """
        if not self._period:
            return
        now = self._clock.now()
        since = self._reached or now - min(_LOOK_BACK, self._period)
        try:
            await self._verify_all(turns(since, now, self._period))
        except Refusal:
            self.figures.put_off += 1
            raise
        self._reached = now
        self.figures.reached = now.timestamp()

    async def _verify_all(self, spans: list[Turns]) -> None:
        due = [row.id for span in spans async for row in self._sealed(*span)]
        if not due:
            return
        before = (self.figures.files, self.figures.octets, self.figures.damaged)
        async with self._log.act(Entry(Action.RECORDING_VERIFY, Outcome.DONE, SYSTEM)) as act:
            for recording in due:
                await self._verify(recording)
                self._count(act, before)

    def _count(self, act: Act, before: tuple[int, int, int]) -> None:
        files, octets, damaged = before
        act.detail["files"] = self.figures.files - files
        act.detail["bytes"] = self.figures.octets - octets
        act.detail["damaged"] = self.figures.damaged - damaged

    async def _sealed(self, after: str, until: str | None) -> AsyncIterator[RecordingRow]:
        while page := await self._catalogue.in_states((State.SEALED,), after):
            for row in page:
                if until is not None and row.id > until:
                    return
                yield row
            after = page[-1].id

    async def _verify(self, recording: str) -> None:
        for file in await self._catalogue.files_of(recording):
            if file.state != "sealed":
                continue
            try:
                await self._open(file)
            except _DAMAGE as damage:
                await self._damaged(file, damage)
            except VaultFailed as failure:
                if type(failure) is not VaultFailed:
                    raise  # a store elsewhere is away
                await self._damaged(file, failure)  # the disk does not give it back

    async def _open(self, file: StoredFile) -> None:
        row = file.row
        dek = await self._keys.open(row.file_id, wrapped_share=row.wrapped_share, wrapping_key=row.wrapping_key)
        await verify(self._reads, row.name, dek, row.recording_id, finished_of(file))
        self.figures.files += 1
        self.figures.octets += file.size

    async def _damaged(self, file: StoredFile, damage: Refusal) -> None:
        recording = await self._catalogue.recording(file.row.recording_id)
        sealed = {one.id for one in await self._catalogue.files_of(recording.id) if one.state == "sealed"}
        if recording.state != State.SEALED or file.id not in sealed:
            return  # it is being deleted, or that part of it
        self.figures.damaged += 1
        _log.error("recording.damaged", recording=recording.id, file=file.id, code=damage.code)
        detail: dict[str, Code] = {"code": damage.code}
        entry = Entry(
            Action.RECORDING_VERIFY,
            Outcome.FAILED,
            SYSTEM,
            visit=recording.visit,
            recording=recording.id,
            patient=recording.patient_lookup.hex(),
            subject=file.id,
            detail=detail,
        )
        await self._log.enter_closing(entry)


def turns(since: datetime, until: datetime, period: timedelta) -> list[Turns]:
    """Between which ids (first excluded, last included; None: no end) the turns lie that came in this time. Pure."""
    if until - since >= period:
        return [("", None)]
    first, last = _place(since, period), _place(until, period)
    if (since - _START) // period == (until - _START) // period:
        return [(first, last)]
    return [(first, None), ("", last)]


def _place(moment: datetime, period: timedelta) -> str:
    """The id whose turn is now."""
    number = (moment - _START) % period // _MICRO * 32**_DIGITS // (period // _MICRO)
    digits = [_SORTED[number >> 5 * at & 31] for at in reversed(range(_DIGITS))]
    return f"{Kind.RECORDING}_{''.join(digits)}"
