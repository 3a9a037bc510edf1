"""What must be true of a house on whose disk the power was cut: opened by itself, without doors, and looked through."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.crash_media import Found, decoded
from recordings.certificate import CertificateRefused, verify
from recordings.manifest import Manifest
from recordings.playback import open_file
from recordings.rows import RecordingRow
from telehealth.audit.entry import Outcome
from telehealth.audit.reading import EntryFilter
from telehealth.audit.verify import verify_folder
from telehealth.auditing import log_verifier
from telehealth.clock import SystemClock
from telehealth.config import Config, load
from telehealth.errors import Refusal
from telehealth.house import House, open_house
from telehealth.keys.provider import KeyDestroyed
from tests.faults.power_story import Filmed, Told

LOST_AT_MOST = 2.0  # seconds of media before the power went
_PATIENCE = 20.0


@dataclass(slots=True)
class Cut:
    """One cut's outcome. `lost`: seconds of each role; `recovery`: seconds until nothing was unsealed."""

    moment: float
    said: list[str] = field(default_factory=list)
    lost: list[float] = field(default_factory=list)
    recovery: float = 0.0
    unreadable: int = 0
    falsely_complete: int = 0
    acknowledged_lost: int = 0


def places(folder: Path) -> dict[str, str]:
    return {
        "PLACES__DATABASE": f"sqlite:///{folder / 'telehealth.db'}",
        "PLACES__KEYS": str(folder / "keys"),
        "PLACES__ROOT_KEY": str(folder / "root" / "root.key"),
        "PLACES__AUDIT": str(folder / "audit"),
        "PLACES__RECORDINGS": str(folder / "recordings"),
    }


def look(folder: Path, told: Told, moment: float, owed: Mapping[str, int]) -> Cut:
    """Recover the house and look through it. `owed`: durable segments of capture files when the power went."""
    config = load(None, {f"TELEHEALTH_{name}": text for name, text in places(folder).items()})
    cut = Cut(moment)
    try:
        asyncio.run(_look(config, told, cut, owed))
    except Exception as fault:  # noqa: BLE001  # whatever it is: told, and counted
        cut.unreadable += 1
        cut.said.append(f"it does not come up again: {type(fault).__name__}: {fault}")
    return cut


async def _look(config: Config, told: Told, cut: Cut, owed: Mapping[str, int]) -> None:
    async with open_house(config, SystemClock()) as house:
        begun = time.monotonic()
        await house.recordings.start()
        try:
            async with asyncio.timeout(_PATIENCE):
                await house.recordings.settle()
            cut.recovery = time.monotonic() - begun
            await _Looking(house, told, cut, owed).all()
        finally:
            await house.recordings.close()
        name, key, _ = await log_verifier(house.keyring)
    verdict = await asyncio.to_thread(verify_folder, config.places.audit, key, name)
    if not verdict.ok:
        cut.said.append(f"audit log: {verdict.problems[:3]}")


class _Looking:
    def __init__(self, house: House, told: Told, cut: Cut, owed: Mapping[str, int]) -> None:
        self._house = house
        self._told = told
        self._cut = cut
        self._owed = owed

    async def all(self) -> None:
        catalogue = self._house.recordings.catalogue
        rows = {row.id: row for row in await catalogue.in_states(_EVERY)}
        for row in rows.values():
            if row.state not in ("sealed", "deleted", "deleting"):
                self._unreadable(f"{row.id} is {row.state} after recovery")
        for recording in self._told.kept:
            await self._plays(rows.get(recording), "kept since long")
        if self._told.victim:
            await self._victim(rows.get(self._told.victim))
        for call in self._told.calls:
            found = [row for row in rows.values() if row.visit == call.film.call.visit.id]
            await self._call(call, found[0] if found else None)

    async def _call(self, call: Filmed, row: RecordingRow | None) -> None:
        moment = self._cut.moment
        if row is None:
            if moment >= call.shown:
                self._unreadable("shown as recording, and no row")
            return
        found = await self._plays(row, "recorded")
        if row.state != "sealed":
            return
        manifest = await self._manifest(row)
        self._ends(call, row, manifest)
        self._segments(row, manifest)
        if moment < call.shown:
            return
        for role in ("clinician", "patient"):
            if role not in found:
                self._unreadable(f"{row.id}: nothing of the {role}")
                continue
            lost = call.film.lost(role, found[role], call.owed_until(moment))
            self._cut.lost.append(lost)
            if lost > (LOST_AT_MOST if moment < call.sealed else 0.5):
                self._cut.said.append(f"{lost:.2f} s of the {role} lost")

    def _ends(self, call: Filmed, row: RecordingRow, manifest: Manifest | None) -> None:
        """Interrupted if its end was not asked for, not if it was shown as ended; else either."""
        moment, broken = self._cut.moment, row.interrupted
        if manifest is not None and manifest.interrupted and not broken:
            self._cut.falsely_complete += 1
            self._cut.said.append(f"{row.id}: the manifest says interrupted, the row does not")
        if moment < call.stop_asked and not broken:
            self._cut.falsely_complete += 1
            self._cut.said.append(f"{row.id} passes for whole, and the power went while it ran")
        if moment >= call.ended and broken:
            self._cut.said.append(f"{row.id} was shown as ended, and says interrupted")

    def _segments(self, row: RecordingRow, manifest: Manifest | None) -> None:
        for source in manifest.sources if manifest else ():
            owed = max(source.acknowledged or 0, self._owed.get(source.file_id, 0))
            if source.segments < owed:
                self._cut.acknowledged_lost += owed - source.segments
                self._cut.said.append(f"{row.id}: {source.segments} of {owed} acknowledged segments")

    async def _victim(self, row: RecordingRow | None) -> None:
        told, moment = self._told, self._cut.moment
        if row is None:
            self._unreadable("the recording to be deleted has no row")
        elif row.state == "sealed":
            if moment >= told.certified:
                self._cut.said.append("deleted, certified, and there again")
            await self._plays(row, "not deleted")
        else:
            await self._destroyed(row)

    async def _destroyed(self, row: RecordingRow) -> None:
        told, said = self._told, self._cut.said
        if self._cut.moment < told.delete_asked:
            said.append("deleted before anybody asked")
        entries = await self._house.log.entries(limit=100, only=EntryFilter(recording=row.id))
        if not any(one.action == "recording.delete" and one.outcome == Outcome.INTENT for one in entries):
            said.append("destruction without its entry")
        if row.certificate is None:
            said.append(f"{row.state} without a certificate after recovery")
            return
        try:
            verify(row.certificate, told.key)
        except CertificateRefused:
            said.append("the certificate does not verify")
        if self._cut.moment >= told.certified and row.certificate != told.certificate:
            said.append("another certificate than was shown")
        for file in await self._house.recordings.catalogue.files_of(row.id, gone=True):
            if await self._house.base.keystore.present(file.id):
                said.append(f"certified, and the share of {file.id} is there")

    async def _plays(self, row: RecordingRow | None, which: str) -> dict[str, Found]:
        """Every track of a sealed recording, decoded, by role."""
        if row is None or row.state != "sealed":
            self._unreadable(f"{which}: {'no row' if row is None else row.state}")
            return {}
        house, found = self._house, dict[str, Found]()
        try:
            for file in await house.recordings.catalogue.files_of(row.id):
                if file.is_sealed_track and file.track is not None:
                    opened = await open_file(house.base.keystore, house.storing.vault, file)
                    webm = b"".join([piece async for piece in opened.chunks(0, opened.size)])
                    found[file.track.role] = await asyncio.to_thread(decoded, webm)
        except (Refusal, KeyDestroyed, ValueError) as fault:
            self._unreadable(f"{which} {row.id}: {type(fault).__name__} {fault}")
        return found

    async def _manifest(self, row: RecordingRow) -> Manifest | None:
        house = self._house
        for file in await house.recordings.catalogue.files_of(row.id):
            if file.is_sealed_manifest:
                opened = await open_file(house.base.keystore, house.storing.vault, file)
                return Manifest.parse(b"".join([piece async for piece in opened.chunks(0, opened.size)]))
        self._unreadable(f"{row.id} has no manifest")
        return None

    def _unreadable(self, what: str) -> None:
        self._cut.unreadable += 1
        self._cut.said.append(what)


_EVERY = ("capturing", "paused", "interrupted", "sealing", "sealed", "deleting", "deleted")
