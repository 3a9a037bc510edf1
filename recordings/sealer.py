"""Sealing in the background: tried until it succeeds, the same way after an orderly end and after a kill."""

import asyncio
from collections.abc import Callable, Mapping

from recordings import facts
from recordings.catalogue import Catalogue
from recordings.claims import Claims
from recordings.holds import Holds
from recordings.manifest import Manifest
from recordings.part import Place
from recordings.playback import open_file
from recordings.progress import NotedLedger
from recordings.recover import AlreadySealed, Kept, recover
from recordings.refusals import ManifestLost
from recordings.rows import RecordingRow
from recordings.states import State
from recordings.tasks import Tasks
from recordings.tenurestore import TenureStore
from recordings.vault.home import VaultAway
from recordings.vault.store import Vault
from telehealth.audit.actions import Action
from telehealth.audit.entry import SYSTEM, Code, Entry, Outcome
from telehealth.audit.log import AuditLog
from telehealth.clock import Clock, parse_rfc3339
from telehealth.errors import Refusal
from telehealth.keys.keystore import KeyStore
from telehealth.log import get_logger

_log = get_logger(__name__)
AT_ONCE = 2  # seals under way; more wait in order
RETRY_SECONDS = (1.0, 5.0, 30.0, 120.0, 600.0)  # the last one again and again
AWAY_SECONDS = 5.0  # between looks for a vault that is away
_WAITING = (State.SEALING, State.INTERRUPTED)
_BROKEN_OFF = (State.CAPTURING, State.PAUSED)


class Sealer:
    """Owns the way from `sealing` or `interrupted` to `sealed`."""

    def __init__(
        self,
        catalogue: Catalogue,
        keys: KeyStore,
        log: AuditLog,
        vault: Vault,
        holds: Holds,
        claims: Claims,
        tenure: TenureStore,
        tasks: Tasks,
        clock: Clock,
    ) -> None:
        self._catalogue = catalogue
        self._keys = keys
        self._log = log
        self._vault = vault
        self._holds = holds
        self._claims = claims
        self._tenure = tenure
        self._tasks = tasks
        self._clock = clock
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._closing = asyncio.Event()

    def start(self, recording: str, told: Callable[[str], None] = lambda _recording: None) -> None:
        """Seal it in the background; `told` is called once it can be played."""
        self._tasks.start(self._until_sealed(recording, told), f"seal {recording}")

    async def recover_all(self) -> int:
        """Mark what a kill broke off, and seal all that is not sealed; how many recordings that is.

        Only what nobody living captures or seals, here or on another server.
        """
        found = await self._catalogue.in_states((*_BROKEN_OFF, *_WAITING), limit=100_000)
        rows = [row for row in found if row.id not in self._claims and await self._tenure.claim(row.id)]
        for row in rows:
            if row.state in _BROKEN_OFF:
                await self._enter(row, Action.RECORDING_INTERRUPT, {"reason": "server_stopped"})
                values = {"interrupted": True, "stop_reason": "server_stopped"}
                await self._catalogue.move(row.id, _BROKEN_OFF, State.INTERRUPTED, **values)
        for row in rows:
            state = State.INTERRUPTED if row.state in _BROKEN_OFF else row.state
            await self._enter(row, Action.RECORDING_RECOVER, {"state": state})
            self.start(row.id)
        return len(rows)

    def close(self) -> None:
        """Try nothing again; what is not sealed is recovered at the next start."""
        self._closing.set()

    async def manifest(self, row: RecordingRow) -> Manifest:
        """A sealed recording's manifest, whole and authentic.

        Raises ManifestLost, and what the vault and the envelope refuse with.
        """
        file = next((file for file in await self._catalogue.files_of(row.id) if file.is_sealed_manifest), None)
        if file is None:
            raise ManifestLost
        opened = await open_file(self._keys, self._vault, file)
        return Manifest.parse(b"".join([piece async for piece in opened.chunks(0, opened.size)]))

    async def _until_sealed(self, recording: str, told: Callable[[str], None]) -> None:
        attempts = 0
        while not self._closing.is_set():
            fault = await self._tried(recording)
            if fault is None:
                if (await self._catalogue.recording(recording)).state == State.SEALED:
                    told(recording)
                return
            if isinstance(fault, VaultAway):  # somebody mounts it at any time: looked for often, said once
                delay = AWAY_SECONDS
                attempts = attempts or self._logged(recording, 1, fault)
            else:
                delay = RETRY_SECONDS[min(attempts, len(RETRY_SECONDS) - 1)]
                attempts = self._logged(recording, attempts + 1, fault)
            try:
                await asyncio.wait_for(self._closing.wait(), delay)
            except TimeoutError:
                continue  # the delay is over

    async def _tried(self, recording: str) -> Exception | None:
        """What it failed of; None where nothing is left to do."""
        async with self._slots:
            try:
                with self._claims.having(recording):
                    await self._seal(recording)
            except Exception as fault:  # noqa: BLE001  # whatever it is, it is logged and tried again
                return fault
        return None

    def _logged(self, recording: str, attempts: int, fault: Exception) -> int:
        """Log a failed attempt; its number."""
        if isinstance(fault, Refusal):
            _log.error("seal.refused", recording=recording, code=fault.code, attempts=attempts)
        else:
            _log.error("seal.failed", recording=recording, attempts=attempts, exc_info=fault)
        return attempts

    async def _seal(self, recording: str) -> None:
        row = await self._catalogue.recording(recording)
        if row.state not in _WAITING or not await self._tenure.claim(recording):
            return
        await self._vault.free_bytes()  # raises VaultAway: captures that are out of sight are not sealed empty
        guarded = self._catalogue.guarded(self._tenure.guard(recording))
        ledger = NotedLedger(guarded, self._log, self._tasks, row.id, row.visit)
        day = row.started_at.date()
        place = Place(row.id, day, row.retention_class, self._vault, self._keys, ledger, self._clock)
        files = await self._catalogue.files_of(row.id)
        kept = [Kept(file.row, file.is_whole, file.segments) for file in files]
        sealed = await recover(facts.order(row), kept, place)
        manifest = await self.manifest(row) if isinstance(sealed, AlreadySealed) else sealed.manifest
        detail: dict[str, Code] = {
            "milliseconds": manifest.duration_ms,
            "tracks": len(manifest.tracks),
            "interrupted": manifest.interrupted,
        }
        await self._enter(row, Action.RECORDING_SEAL, detail)  # first: killed before the move, it stands there twice
        await self._catalogue.move(row.id, _WAITING, State.SEALED, node=None, **self._totals(row, manifest))
        await self._holds.follow(await self._catalogue.recording(row.id))

    def _totals(self, row: RecordingRow, manifest: Manifest) -> Mapping[str, object]:
        return {
            "sealed_at": self._clock.now(),
            "interrupted": row.interrupted or manifest.interrupted,
            "stopped_at": row.stopped_at or parse_rfc3339(manifest.ended_at),
            "milliseconds": manifest.duration_ms,
            "bytes": sum(track.size for track in manifest.tracks),
        }

    async def _enter(self, row: RecordingRow, action: Action, detail: Mapping[str, Code]) -> None:
        patient = row.patient_lookup.hex()
        entry = Entry(action, Outcome.DONE, SYSTEM, visit=row.visit, recording=row.id, patient=patient, detail=detail)
        await self._log.enter_closing(entry)
