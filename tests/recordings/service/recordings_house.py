"""A whole recordings house on one folder: real database, keys, log and disk; it can be killed and opened again."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from recordings.retention import Rule
from recordings.service import RecordingService
from recordings.settings import Settings
from recordings.vault.disk import DiskVault
from telehealth.access import Caller, Context
from telehealth.audit.details import FileDetailKeys
from telehealth.audit.leaf import Stored
from telehealth.audit.log import AuditLog, Limits
from telehealth.frames import EncodedFrame
from telehealth.ids import Kind, new_id
from telehealth.keys.fields import FieldCipher
from telehealth.keys.file import FileProvider, prepare_root
from telehealth.keys.keyring import Keyring
from telehealth.keys.keystore import KeyStore
from telehealth.secret import Secret
from telehealth.store.engine import Store
from telehealth.store.tables import users, visits

START = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
CERTIFICATE_KEY = Secret(b"c" * 32)
PATIENT = b"p" * 32
PROVEN = Context(mfa_age=timedelta(seconds=5))
_EMPTY: list[bytes] = []


class HandClock:
    """Stands still until moved."""

    def __init__(self) -> None:
        self.moment, self.seconds = START, 1000.0

    def now(self) -> datetime:
        return self.moment

    def steady(self) -> float:
        return self.seconds

    def move(self, **by: float) -> None:
        step = timedelta(**by)
        self.moment += step
        self.seconds += step.total_seconds()


@dataclass(frozen=True)
class Somebody:
    participant: str
    role: str


@dataclass(frozen=True)
class Yes:
    participant: str
    at: datetime
    text_sha256: str = "ab" * 32
    version: str = "1"


@dataclass
class Ear:
    """A listener that remembers, and can be waited for."""

    stored: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    sealed_ids: list[str] = field(default_factory=list)
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    def first_stored(self, recording: str, participant: str) -> None:
        self.stored.append(participant)
        self.heard.set()

    def fault(self, recording: str, code: str) -> None:
        self.faults.append(code)
        self.heard.set()

    def sealed(self, recording: str) -> None:
        self.sealed_ids.append(recording)
        self.heard.set()

    async def until(self, *, stored: int = 0, faults: int = 0) -> None:
        async with asyncio.timeout(5):
            while len(self.stored) < stored or len(self.faults) < faults:
                await self.heard.wait()
                self.heard.clear()


@dataclass
class House:
    """`open` starts everything, `close` ends it in order, `kill` only lets go of what one process may hold."""

    folder: Path
    settings: Settings = field(
        default_factory=lambda: Settings(rule=Rule(30, 0), least_free_bytes=0, flush_seconds=0.005)
    )
    clock: HandClock = field(default_factory=HandClock)
    clinician: str = field(default_factory=lambda: new_id(Kind.USER))
    visit: str = field(default_factory=lambda: new_id(Kind.VISIT))
    patient: Somebody = field(default_factory=lambda: Somebody(new_id(Kind.PARTICIPANT), "patient"))
    doctor: Somebody = field(default_factory=lambda: Somebody(new_id(Kind.PARTICIPANT), "clinician"))
    limits: Limits = field(
        default_factory=lambda: Limits(retry_every=0.005, brief=2.0, patience=5.0, throttle_tick=0.005)
    )
    copies_left: Any = None  # whether a backup of keys outlives its promise
    quorum: Any = None  # who counts as a second person; None: nobody has to
    provider: Any = None  # makes another one than `file`
    database: str | None = None  # another URL than SQLite's in the folder
    wrap: Any = None  # put between the service and its partners, for faults
    log_files: Any = None
    alone: bool = False  # only the patient is recorded: fewer files, fewer steps
    fresh: bool = True

    async def open(self) -> None:
        self.store = await asyncio.to_thread(Store.open, self.database or f"sqlite:///{self.folder}/db/t.db")
        if self.fresh:
            await self._schema(self.folder / "db" / "t.db")
            await self._people()
            self.fresh = False
        keys_folder = self.folder / "keys"
        self.root = provider = self.provider() if self.provider else await self._file_provider()
        await provider.start()
        keyring = Keyring(keys_folder / "ring", provider, self.clock)
        await keyring.start()
        self.keys = KeyStore(keys_folder / "store", provider, keyring, self.clock)
        await self.keys.start()
        self.log = await AuditLog.open(
            self.folder / "audit",
            signing_key=Secret(b"s" * 32),
            pseudonym_key=Secret(b"q" * 32),
            detail_keys=FileDetailKeys(self.folder / "details", Secret(b"w" * 32)),
            clock=self.clock,
            origin="log.example/audit",
            limits=self.limits,
            files=self.log_files,
        )
        self.vault = await asyncio.to_thread(DiskVault, self.folder / "vault")
        self.fields = FieldCipher(Secret(b"f" * 32), Secret(b"l" * 32))
        self.service = self.make()
        await self.service.start()

    async def _file_provider(self) -> FileProvider:
        root = await asyncio.to_thread(prepare_root, self.folder / "root" / "root.key")
        return FileProvider(self.folder / "keys" / "provider", root)

    def make(self) -> RecordingService:
        wrap = self.wrap or (lambda _name, part: part)
        return RecordingService(
            store=wrap("store", self.store),
            keys=wrap("keys", self.keys),
            log=wrap("log", self.log),
            vault=wrap("vault", self.vault),
            fields=self.fields,
            certificate_key=CERTIFICATE_KEY,
            clock=self.clock,
            settings=self.settings,
            names_of=self.names_of,
            quorum=self.quorum,
            **({"copies_left": self.copies_left} if self.copies_left else {}),
        )

    async def close(self) -> None:
        await self.service.close()
        await self.log.close()
        await self.keys.close()
        await self.vault.close()
        await self.store.close()
        await self.root.close()

    async def restart(self) -> None:
        """Everything ends in order and begins anew."""
        await self.close()
        await self.open()

    async def renew(self) -> None:
        """The service alone is made anew over partners that live on."""
        await self.service.close()
        self.service = self.make()
        await self.service.start()

    async def crash(self) -> None:
        """The captures under way stop where they are, unended, as after `kill -9`; then everything begins anew."""
        for live in self.service._recorder._live.values():
            for leg in live.capture._legs:
                leg._ended = True  # no last segment
                await leg.close()
            if live.capture._pump is not None:
                live.capture._pump.remove_done_callback(live.capture._pump_ended)
                live.capture._pump.cancel()
                await asyncio.wait({live.capture._pump})
        self.service._recorder._live.clear()
        await self.restart()

    async def names_of(self, ids: Sequence[str]) -> Mapping[str, str]:
        return {id_: "Dr. Example" for id_ in ids}

    async def _schema(self, file: Path) -> None:
        """The migrated, empty database: made once, then copied."""
        if self.database is not None:
            await self.store.migrate()
        elif not _EMPTY:
            await self.store.migrate()
            await self.store.checkpoint()
            _EMPTY.append(await asyncio.to_thread(file.read_bytes))
        else:
            await asyncio.to_thread(_copy, file)

    async def _people(self) -> None:
        async with self.store.begin() as connection:
            await connection.execute(
                insert(users).values(
                    id=self.clinician,
                    role="clinician",
                    login_lookup=b"l" * 32,
                    login_sealed=b"",
                    name_sealed=b"",
                    recovery_hashes=[],
                    disabled=False,
                    created_at=START,
                )
            )
            await connection.execute(
                insert(visits).values(
                    id=self.visit,
                    clinician_id=self.clinician,
                    state="in_call",
                    patient_name_sealed=b"",
                    patient_lookup=PATIENT,
                    scheduled_at=START,
                    minutes=30,
                    assurance="standard",
                    recording_planned=True,
                    created_at=START,
                )
            )

    # People

    @property
    def parties(self) -> tuple[Somebody, ...]:
        return (self.patient,) if self.alone else (self.patient, self.doctor)

    @property
    def admin(self) -> Caller:
        """Who proved both factors a moment ago."""
        seen: dict[str, Any] = {"address": "192.0.2.1", "device": "browser", "context": PROVEN}
        return Caller("user", "usr_admin", "admin", session="ses_admin", **seen)

    @property
    def doctor_caller(self) -> Caller:
        return Caller("user", self.clinician, "clinician", session="ses_doctor", context=PROVEN)

    # Recordings

    async def begin(self, ear: Ear | None = None, **changes: Any) -> str:
        given: dict[str, Any] = {
            "visit": self.visit,
            "clinician": self.clinician,
            "patient_lookup": PATIENT,
            "parties": self.parties,
            "purpose": "treatment_record",
            "consents": (
                Yes(self.patient.participant, self.clock.now()),
                Yes(self.doctor.participant, self.clock.now()),
            ),
            "listener": ear or Ear(),
        }
        return await self.service.begin(**{**given, **changes})

    def speak(self, recording: str, seconds: float = 1.0, sinks: Sequence[Any] = ()) -> list[Any]:
        """Both send Opus packets for so long; the clock goes with them. Returns their sinks, to be used again."""
        found = list(sinks) or [self.service.sink(recording, person.participant) for person in self.parties]
        for _ in range(round(seconds * 50)):
            self.clock.move(seconds=0.02)
            for sink in found:
                timestamp = round((self.clock.steady() - 1000) * 48_000)
                sink.frame(EncodedFrame("audio", opus(timestamp), timestamp, True, self.clock.steady()))
        return found

    async def recorded(self, seconds: float = 1.0) -> str:
        """A sealed recording."""
        recording = await self.begin()
        self.speak(recording, seconds)
        await self.service.stop(recording, "clinician")
        await self.service.settle()
        return recording

    async def read(self, caller: Caller, grant: Any, track: str, start: int = 0, end: int = 2**40) -> bytes:
        chunks = self.service.read_range(caller, grant.id, track, start, end)
        async with contextlib.aclosing(chunks):
            return b"".join([piece async for piece in chunks])

    async def entries(self, action: str | None = None) -> list[Stored]:
        found = await self.log.entries(limit=1000)
        return [entry for entry in found if action is None or entry.action == action]

    def disk(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (self.folder / "vault").iterdir()}


def _copy(file: Path) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(_EMPTY[0])


def opus(seed: int) -> bytes:
    """A whole Opus packet (RFC 6716: CELT, 20 ms, one frame) that compresses badly."""
    return b"\xfc" + (seed * 2654435761 % 2**64).to_bytes(8, "big") * 12
