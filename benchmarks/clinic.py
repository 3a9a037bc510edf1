"""The recordings room on a folder of its own: real database, keys, log and disk; one clinician, one visit, no doors."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sqlalchemy import insert

from recordings.service import RecordingService
from recordings.settings import Settings
from recordings.vault.disk import DiskVault
from telehealth import log
from telehealth.access import Caller
from telehealth.base import Base, open_base
from telehealth.clock import Clock, SystemClock
from telehealth.config import Config, load
from telehealth.ids import Kind, new_id
from telehealth.store.tables import users, visits

PATIENT = b"p" * 32
ADMIN = Caller("user", "usr_admin", "admin", session="ses_admin")


@dataclass(frozen=True, slots=True)
class Person:
    participant: str
    role: str


@dataclass(frozen=True, slots=True)
class Yes:
    participant: str
    at: datetime
    text_sha256: str = "ab" * 32
    version: str = "1"


@dataclass(slots=True)
class Listener:
    """Knows who is stored; any fault is kept."""

    stored: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    def first_stored(self, recording: str, participant: str) -> None:
        self.stored.add(participant)
        self.heard.set()

    def fault(self, recording: str, code: str) -> None:
        self.faults.append(code)
        self.heard.set()

    def sealed(self, recording: str) -> None:
        self.heard.set()


@dataclass(frozen=True, slots=True)
class Clinic:
    """What is open, and who is there."""

    base: Base
    service: RecordingService
    clinician: str
    visit: str

    async def begin(self, listener: Listener) -> tuple[str, tuple[Person, Person]]:
        """A recording of two new people, ready to take frames."""
        people = (Person(new_id(Kind.PARTICIPANT), "patient"), Person(new_id(Kind.PARTICIPANT), "clinician"))
        now = self.base.clock.now()
        recording = await self.service.begin(
            visit=self.visit,
            clinician=self.clinician,
            patient_lookup=PATIENT,
            parties=people,
            purpose="treatment_record",
            consents=tuple(Yes(person.participant, now) for person in people),
            listener=listener,
        )
        return recording, people

    async def pictures(self, recording: str) -> int:
        """How many video frames the sealed tracks hold, by the manifest. Raises RuntimeError."""
        return sum(video for _, video in (await self.kept(recording)).values())

    async def kept(self, recording: str) -> dict[str, tuple[int, int]]:
        """How many frames of sound and of video the sealed track of each participant holds. Raises RuntimeError."""
        manifest = await self.service.manifest(ADMIN, recording)
        if manifest is None:
            raise RuntimeError("a recording was not sealed")
        return {track["participant_id"]: (track["audio_frames"], track["video_frames"]) for track in manifest["tracks"]}


def places(folder: Path) -> dict[str, str]:
    """The environment of a server whose data lie in `folder`."""
    return {
        "TELEHEALTH_PLACES__DATABASE": f"sqlite:///{folder / 'telehealth.db'}",
        "TELEHEALTH_PLACES__KEYS": str(folder / "keys"),
        "TELEHEALTH_PLACES__ROOT_KEY": str(folder / "root" / "root.key"),
        "TELEHEALTH_PLACES__AUDIT": str(folder / "audit"),
        "TELEHEALTH_PLACES__RECORDINGS": str(folder / "recordings"),
    }


@asynccontextmanager
async def open_clinic(folder: Path, clock: Clock | None = None) -> AsyncIterator[Clinic]:
    """Open everything, close it in order. Logs nothing below a warning, on stderr."""
    log.configure(sys.stderr, "WARNING")
    config = load(None, os.environ | places(folder))
    async with open_base(config, clock or SystemClock()) as base:
        clinician, visit = await _people(base)
        vault = await asyncio.to_thread(DiskVault, config.places.recordings)
        service = await _service(base, config, vault)
        try:
            yield Clinic(base, service, clinician, visit)
        finally:
            await service.close()
            await vault.close()


async def _service(base: Base, config: Config, vault: DiskVault) -> RecordingService:
    service = RecordingService(
        store=base.store,
        keys=base.keystore,
        log=base.log,
        vault=vault,
        fields=base.fields,
        certificate_key=await base.keyring.secret("certificates"),
        clock=base.clock,
        settings=Settings(least_free_bytes=config.recording.least_free_bytes),
        names_of=_names,
    )
    await service.start()
    return service


async def _names(ids: Sequence[str]) -> Mapping[str, str]:
    return dict.fromkeys(ids, "Clinician")


def _sealed(base: Base, table: str, column: str, row: str) -> bytes:
    return base.fields.seal("bench", table=table, column=column, row=row)


async def _people(base: Base) -> tuple[str, str]:
    clinician, visit, now = new_id(Kind.USER), new_id(Kind.VISIT), base.clock.now()
    async with base.store.begin() as connection:
        await connection.execute(
            insert(users).values(
                id=clinician,
                role="clinician",
                login_lookup=os.urandom(32),
                login_sealed=_sealed(base, "users", "login_sealed", clinician),
                name_sealed=_sealed(base, "users", "name_sealed", clinician),
                recovery_hashes=[],
                disabled=False,
                created_at=now,
            )
        )
        await connection.execute(
            insert(visits).values(
                id=visit,
                clinician_id=clinician,
                state="in_call",
                patient_name_sealed=_sealed(base, "visits", "patient_name_sealed", visit),
                patient_lookup=PATIENT,
                scheduled_at=now,
                minutes=30,
                assurance="standard",
                recording_planned=True,
                created_at=now,
            )
        )
    return clinician, visit
