"""A whole house in this process, with recordings in it; no server, no browsers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyrage
from sqlalchemy import insert

from telehealth.access import SYSTEM
from telehealth.backup.restoring import Order, Restored, Restoring
from telehealth.backup.wishes import Wish
from telehealth.clock import SystemClock
from telehealth.config import Config, load
from telehealth.frames import EncodedFrame
from telehealth.house import House, open_house
from telehealth.ids import Kind, new_id
from telehealth.store.tables import users, visits

PATIENT = b"p" * 32


class MovedClock(SystemClock):
    """The machine's clock, moved by what a test says."""

    def __init__(self) -> None:
        self.by = timedelta()

    def now(self) -> datetime:
        return super().now() + self.by


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


class Ear:
    """Hears nothing in particular."""

    def first_stored(self, recording: str, participant: str) -> None: ...
    def fault(self, recording: str, code: str) -> None: ...
    def sealed(self, recording: str) -> None: ...


@dataclass
class Furnished:
    """An installation in `folder`, backed up to two places beside it."""

    folder: Path
    more: dict[str, str] = field(default_factory=dict)
    clock: MovedClock = field(default_factory=MovedClock)

    def __post_init__(self) -> None:
        identity = pyrage.x25519.Identity.generate()
        self.recipient = str(identity.to_public())
        self.identity = self.folder / "identity.txt"
        self.identity.write_text(f"{identity}\n")
        self.to, self.keys_to = self.folder / "to", self.folder / "keys-to"
        for place in (self.to, self.keys_to):
            place.mkdir()
        self.config = self.at("clinic")
        self.visit, self.clinician = new_id(Kind.VISIT), new_id(Kind.USER)
        self.patient = Somebody(new_id(Kind.PARTICIPANT), "patient")

    def at(self, name: str) -> Config:
        """The configuration of an installation in that folder."""
        base = self.folder / name
        settings = {
            "PLACES__DATABASE": f"sqlite:///{base / 'db' / 'telehealth.db'}",
            "PLACES__KEYS": str(base / "keys"),
            "PLACES__ROOT_KEY": str(self.folder / "root" / "root.key"),
            "PLACES__AUDIT": str(base / "audit"),
            "PLACES__RECORDINGS": str(base / "recordings"),
            "RECORDING__BACKUP_DAYS": "7",
            "BACKUP__TO": str(self.to),
            "BACKUP__KEYS_TO": str(self.keys_to),
            "BACKUP__RECIPIENTS": self.recipient,
            "BACKUP__ONE_FILESYSTEM_IS_MEANT": "true",
        }
        return load(None, {f"TELEHEALTH_{name}": value for name, value in (settings | self.more).items()})

    @asynccontextmanager
    async def open(self, config: Config | None = None) -> AsyncIterator[House]:
        async with open_house(config or self.config, self.clock) as house:
            await house.recordings.start()
            try:
                yield house
            finally:
                await house.recordings.close()

    @property
    def wish(self) -> Wish:
        return Wish(self.to, self.keys_to, (self.recipient,), one_filesystem_is_meant=True)

    async def furnish(self, house: House) -> None:
        """A clinician and a visit, by their rows."""
        person: dict[str, Any] = {"id": self.clinician, "role": "clinician", "login_lookup": b"l" * 32}
        now = house.clock.now()
        async with house.base.store.begin() as connection:
            await connection.execute(
                insert(users).values(
                    **person, login_sealed=b"", name_sealed=b"", recovery_hashes=[], disabled=False, created_at=now
                )
            )
            await connection.execute(
                insert(visits).values(
                    id=self.visit,
                    clinician_id=self.clinician,
                    state="in_call",
                    patient_name_sealed=b"",
                    patient_lookup=PATIENT,
                    scheduled_at=now,
                    minutes=30,
                    assurance="standard",
                    recording_planned=True,
                    created_at=now,
                )
            )

    async def begin(self, house: House, packets: int = 30, size: int = 97, *others: Somebody) -> str:
        """A recording under way, so many packets of 20 ms and about `size` octets of everybody in it."""
        parties = (self.patient, *others)
        recording = await house.recordings.begin(
            visit=self.visit,
            clinician=self.clinician,
            patient_lookup=PATIENT,
            parties=parties,
            purpose="treatment_record",
            consents=tuple(Yes(one.participant, house.clock.now()) for one in parties),
            listener=Ear(),
        )
        sinks, began = [house.recordings.sink(recording, one.participant) for one in parties], house.clock.steady()
        for number in range(packets):
            stamp = number * 960
            for sink in sinks:
                sink.frame(EncodedFrame("audio", opus(stamp, size), stamp, True, began + number * 0.02))
            if number % 200 == 199:
                await asyncio.sleep(0.01)  # capture writes meanwhile
        return recording

    async def recorded(self, house: House, *others: Somebody) -> str:
        """A sealed recording."""
        recording = await self.begin(house, 30, 97, *others)
        await house.recordings.stop(recording, "clinician")
        await house.recordings.settle()
        return recording

    async def plays(self, house: House, recording: str) -> bool:
        """Every file of it decrypts and verifies."""
        found = await house.recordings.verify(SYSTEM, recording)
        return not found.damaged

    def order(self, **changes: Any) -> Order:
        given: dict[str, Any] = {"place": self.to, "keys_place": self.keys_to, "identity": self.identity}
        return Order(**{**given, **changes})

    async def restore(self, config: Config, **changes: Any) -> Restored:
        def run() -> Restored:
            return Restoring(config, self.order(**changes), self.clock.now(), lambda _text: None).run()

        return await asyncio.to_thread(run)


def opus(seed: int, size: int = 97) -> bytes:
    """A whole Opus packet (RFC 6716: CELT, 20 ms, one frame) that compresses badly."""
    return b"\xfc" + (seed * 2654435761 % 2**64).to_bytes(8, "big") * ((size - 1) // 8)
