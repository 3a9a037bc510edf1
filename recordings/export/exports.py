"""Exports: asked for, made in turn by worker processes, kept encrypted for a short life, destroyed.

intent in the log → row `queued` → keys opened, worker runs → file verified, `ready` → outcome in the log.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from datetime import timedelta

from recordings.catalogue import Catalogue
from recordings.export.downloads import Download, Downloads
from recordings.export.entries import entry_of, with_detail
from recordings.export.ledger import OPEN, ExportLedger, ExportRow, new_row
from recordings.export.making import Live, Maker
from recordings.export.outlet import CODECS, FormatUnavailable, available
from recordings.export.refusals import ExportInterrupted, ExportsFull, PlainNotAllowed, ReasonNeeded
from recordings.export.states import State, Step
from recordings.export.views import ExportView, view
from recordings.export.wish import Asked, Wish, checked
from recordings.refusals import NotPlayable
from recordings.rows import RecordingRow
from recordings.sealer import Sealer
from recordings.states import State as RecordingState
from recordings.tasks import Tasks
from recordings.vault.store import Vault
from telehealth.access import Action as Act
from telehealth.access import Caller, require
from telehealth.audit.actions import Action
from telehealth.audit.entry import SYSTEM, Actor, Code, Outcome
from telehealth.audit.log import AuditLog
from telehealth.clock import Clock
from telehealth.errors import Refusal, WrongState
from telehealth.ids import Kind, new_id
from telehealth.keys.fields import FieldCipher
from telehealth.keys.keystore import KeyStore
from telehealth.log import get_logger
from telehealth.sections import Export
from telehealth.store.engine import Store

_log = get_logger(__name__)


class Exports:
    """Owns the queue, the workers and the rows. `start` once, `close` last."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        sealer: Sealer,
        keys: KeyStore,
        log: AuditLog,
        vault: Vault,
        fields: FieldCipher,
        clock: Clock,
        store: Store,
        settings: Export,
    ) -> None:
        self._catalogue = catalogue
        self._log = log
        self._fields = fields
        self._clock = clock
        self.settings = settings
        self.ledger = ExportLedger(store)
        self.downloads = Downloads(catalogue, keys, log, vault, clock, self.ledger)
        self._maker = Maker(catalogue, sealer, keys, vault, clock, self.ledger)
        self._tasks = Tasks()
        self._turns = asyncio.Semaphore(settings.at_once)
        self._live: dict[str, Live] = {}

    # Asking

    async def ask(self, caller: Caller, recording: str, asked: Asked) -> ExportView:
        """Queue one. Raises NotFound, Forbidden, NotPlayable, ExportsFull, PlainNotAllowed, ReasonNeeded,
        FormatUnavailable, RecipientUnfit, PassphraseUnfit, LogUnavailable: nothing was opened.
        """
        wish = Wish.of(asked)
        row = await self._catalogue.recording(recording)
        await self._require(caller, Act.RECORDINGS_EXPORT, row, wish.purpose)
        if wish.protection == "plain" and not self.settings.allow_plain:
            raise PlainNotAllowed
        if wish.protection == "plain" and not wish.reason:
            raise ReasonNeeded
        return await self.begin(caller.actor(), row, wish)

    async def begin(self, actor: Actor, recording: RecordingRow, wish: Wish, copy: str | None = None) -> ExportView:
        """Queue one whose right was looked at already. `copy`: the patient's request that it serves."""
        if recording.state != RecordingState.SEALED:
            raise NotPlayable
        if not await asyncio.to_thread(available, wish.format):
            raise FormatUnavailable
        row = self._row(actor, recording, checked(wish), copy)
        if await self.ledger.open_count() >= self.settings.waiting + self.settings.at_once:
            raise ExportsFull
        private = wish.private()
        entry = entry_of(Action.RECORDING_EXPORT, Outcome.INTENT, actor, recording, row)
        intent = await self._log.enter(replace(entry, private=private))
        await self.ledger.add(row)
        live = Live(row, recording, actor, wish.secret, intent, private)
        self._live[row.id] = live
        live.task = self._tasks.start(self._make(live), "export")
        if (await self._catalogue.recording(recording.id)).state != RecordingState.SEALED:
            await self._stop(live)  # a deletion that began meanwhile may not have seen it
            raise NotPlayable
        return self._view(row)

    # Looking

    async def list(self, caller: Caller, recording: str) -> list[ExportView]:
        """A recording's exports, newest first. Raises NotFound, Forbidden."""
        row = await self._catalogue.recording(recording)
        await self._require(caller, Act.RECORDINGS_READ, row)
        return [self._view(one) for one in await self.ledger.of(recording)]

    async def show(self, caller: Caller, export: str) -> ExportView:
        """Raises NotFound, Forbidden."""
        return self._view(await self.may_touch(caller, export))

    async def may_touch(self, caller: Caller, export: str) -> ExportRow:
        """The row, for whoever may export that recording for that purpose. Raises NotFound, Forbidden."""
        row = await self.ledger.get(export)
        recording = await self._catalogue.recording(row.recording)
        await self._require(caller, Act.RECORDINGS_EXPORT, recording, row.purpose)
        return row

    async def formats(self) -> Sequence[str]:
        """What this build of the codecs can make."""
        return [name for name in CODECS if await asyncio.to_thread(available, name)]

    async def download(self, caller: Caller, export: str) -> Download:
        """What there is to download. Raises NotFound, Forbidden."""
        return await self.downloads.look(await self.may_touch(caller, export))

    def pieces(self, caller: Caller, export: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """Octets start..end of it, for whoever `download` let pass; raises as `Downloads.pieces`."""
        return self.downloads.pieces(caller.actor(), export, start, end)

    # Ending

    async def cancel(self, caller: Caller, export: str) -> ExportView:
        """The worker is gone and nothing is kept. Raises NotFound, Forbidden, WrongState once it has ended."""
        await self.may_touch(caller, export)
        live = self._live.get(export)
        if live is None or live.is_ending:
            raise WrongState
        live.stopped_by = caller.id
        await self._stop(live)
        return self._view(await self.ledger.get(export))

    async def remove(self, caller: Caller, export: str) -> ExportView:
        """Destroy a finished one: key first. Raises NotFound, Forbidden, WrongState."""
        row = await self.may_touch(caller, export)
        await self._remove(row, caller.actor(), "asked")
        return self._view(await self.ledger.get(export))

    async def end_all(self, recording: str) -> None:
        """Before a recording, or a part of it, is destroyed: none of its exports is left, and none is made."""
        for live in [live for live in self._live.values() if live.recording.id == recording]:
            await self._stop(live)
        for row in await self.ledger.of(recording):
            if row.state is State.READY:
                await self._remove(row, SYSTEM, "recording_deleted")
        left = [file.row for file in await self._catalogue.export_files() if file.row.recording_id == recording]
        await self._maker.place(recording).forget(left)  # what could not be destroyed when its making failed

    async def sweep(self) -> int:
        """Destroy those whose life is over, and what broken ones left; how many. One that fails waits for the next."""
        due = await self.ledger.due(self._clock.now())
        done = 0
        for row in due:
            try:
                await self._remove(row, SYSTEM, "expired")
                done += 1
            except Refusal as refusal:
                _log.error("export.left", export=row.id, code=refusal.code)
        await self._clear()
        return done

    # Rounds

    async def start(self) -> None:
        """Close what a kill left open: it failed, its outcome is entered, its files are destroyed."""
        for row in await self.ledger.in_states(OPEN):
            recording = await self._catalogue.recording(row.recording)
            ended = await self.ledger.step(
                row.id, Step.FAIL, failure=ExportInterrupted.code, ended_at=self._clock.now()
            )
            entry = entry_of(Action.RECORDING_EXPORT, Outcome.FAILED, SYSTEM, recording, ended)
            await self._log.enter_closing(with_detail(entry, {"code": ExportInterrupted.code}))
        await self._clear()

    async def _clear(self) -> None:
        """Destroy the files of exports neither ready nor being made, here or by a living other; the rest waits."""
        busy = {live.recording.id for live in self._live.values()}
        files = await self._catalogue.export_files()
        busy |= await self.ledger.made_elsewhere()  # before those that are ready: what becomes it now is in either
        kept = {row.file for row in await self.ledger.in_states((State.READY,))}
        for file in files:
            busy |= {live.recording.id for live in self._live.values()}
            if file.id in kept or file.row.recording_id in busy:
                continue
            try:
                await self._maker.place(file.row.recording_id).forget([file.row])
            except Refusal as refusal:
                _log.error("export.left", file=file.id, code=refusal.code)

    async def close(self) -> None:
        """Cancel what is made; the workers are gone when this returns."""
        for live in list(self._live.values()):
            live.end()
        await self._tasks.settle()

    async def settle(self) -> None:
        """Wait until nothing waits and nothing is made."""
        await self._tasks.settle()

    # Making

    async def _make(self, live: Live) -> None:
        """One export from its turn to its outcome; the outcome is always entered."""
        code: str | None = None
        try:
            async with self._turns:
                await self.ledger.step(live.row.id, Step.BEGIN)
                await self._maker.make(live, self._life(live.row))
        except asyncio.CancelledError:
            code = "cancelled"
        except Refusal as refusal:
            code = refusal.code
        except Exception as error:  # noqa: BLE001  # entered and logged as a failure of this export
            code = "export_failed"
            _log.error("export.broke", export=live.row.id, code=type(error).__name__, exc_info=True)
        live.is_ending = True
        await asyncio.shield(self._concluded(live, code))

    async def _concluded(self, live: Live, code: str | None) -> None:
        """State, files and outcome; with a code nothing of it is left."""
        try:
            await self._conclude(live, code)
        finally:
            self._live.pop(live.row.id, None)

    async def _conclude(self, live: Live, code: str | None) -> None:
        if code is not None:
            step = Step.CANCEL if code == "cancelled" else Step.FAIL
            try:
                await self.ledger.step(live.row.id, step, failure=code, ended_at=self._clock.now())
                await self._maker.place(live.recording.id).forget([file.row for file in live.files])
            except WrongState:
                code = None  # it was ready before it was stopped
            except Refusal as refusal:  # what is left is destroyed by a sweep, or before its recording
                _log.error("export.left", export=live.row.id, code=refusal.code)
        row = await self.ledger.get(live.row.id)
        outcome = Outcome.DONE if code is None else Outcome.REFUSED if code == "cancelled" else Outcome.FAILED
        detail: dict[str, Code] = {"intent": live.intent, "bytes": row.size, **({"code": code} if code else {})}
        if code == "cancelled" and live.stopped_by is not None:
            detail["by"] = live.stopped_by
        entry = entry_of(Action.RECORDING_EXPORT, outcome, live.actor, live.recording, row)
        await self._log.enter_closing(replace(with_detail(entry, detail), private=live.private))

    async def _stop(self, live: Live) -> None:
        """It is being made no more, and its outcome stands, when this returns."""
        live.end()
        if live.task is not None:
            await asyncio.wait({live.task})
        if live.row.id in self._live:  # cancelled before its first step
            await self._concluded(live, "cancelled")

    async def _remove(self, row: ExportRow, actor: Actor, why: str) -> None:
        """Key, then octets, then the state; can be repeated after a kill at any point."""
        if row.state is not State.READY:
            raise WrongState
        self.downloads.end(row.id)
        files = [file.row for file in await self._catalogue.export_files() if file.id == row.file]
        await self._maker.place(row.recording).forget(files)
        self.downloads.end(row.id)  # those that had come in between, with the key of before
        await self.ledger.step(row.id, Step.REMOVE)
        recording = await self._catalogue.recording(row.recording)
        entry = entry_of(Action.EXPORT_REMOVE, Outcome.DONE, actor, recording, row)
        await self._log.enter_closing(with_detail(entry, {"why": why}))

    async def _require(self, caller: Caller, action: Act, row: RecordingRow, purpose: str | None = None) -> None:
        """Raises Refused, Unseen, PurposeNeeded."""
        require(caller, action, await self._catalogue.object_of(row, self._clock.now()), purpose=purpose)

    def _row(self, actor: Actor, recording: RecordingRow, wish: Wish, copy: str | None) -> ExportRow:
        name, now = new_id(Kind.EXPORT), self._clock.now()
        why = wish.reason
        sealed = self._fields.seal(why, table="exports", column="reason_sealed", row=name) if why else None
        return new_row(name, recording.id, actor.id, wish, sealed, copy, now)

    def _life(self, row: ExportRow) -> timedelta:
        """A patient's copy lives as long as its link."""
        settings = self.settings
        return timedelta(days=settings.copy_days) if row.copy is not None else timedelta(hours=settings.keep_hours)

    def _view(self, row: ExportRow) -> ExportView:
        live = self._live.get(row.id)
        length = live.recording.milliseconds if live else 0
        return view(row, min(0.99, live.done_ms / length) if live and length else 0.0)
