"""What must be true after a kill and a restart; every broken promise is a sentence."""

import base64
import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av

from benchmarks.crash_house import Dead
from benchmarks.crash_media import Found, decoded
from benchmarks.crash_points import Scene
from recordings.certificate import Certificate, CertificateRefused, verify
from tests.faults.clinic import Answer, Clinic

_UNDER_WAY = ("capturing", "paused", "interrupted", "sealing", "deleting")
_ENTERED_WITHIN = 2.0  # seconds from a state to its entry
_PATIENCE = 30.0  # seconds until what is not recovered counts as never recovered


@dataclass(slots=True)
class Tally:
    """What all kills so far came to. `lost`, `recovery`, `restart`: seconds, one for each kill that had any."""

    unreadable: int = 0
    acknowledged_lost: int = 0
    not_marked: int = 0
    broken_promises: int = 0
    log_unsound: int = 0
    entries_missing: int = 0
    sealed_changed: int = 0
    lost: list[float] = field(default_factory=list)
    recovery: list[float] = field(default_factory=list)
    restart: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    sealed: dict[str, bytes] = field(default_factory=dict)  # by file name, the hash of its octets when first seen


@dataclass(slots=True)
class Checks:
    """The checks after one kill; `said` are its faults."""

    clinic: Clinic
    tally: Tally
    said: list[str] = field(default_factory=list)

    def recovered(self, began: float, restarted: float) -> None:
        """Wait until nothing is under way. `began`: it was started; `restarted`: it answered again."""
        while left := [one["id"] for state in _UNDER_WAY for one in self._in(state)]:
            if time.monotonic() - restarted > _PATIENCE:
                self.said.append(f"not recovered: {left}")
                break
            time.sleep(0.01)
        self.tally.recovery.append(time.monotonic() - restarted)
        self.tally.restart.append(time.monotonic() - began)

    def recording(self, scene: Scene, dead: Dead) -> str | None:
        """The recording that was cut off: kept, marked, whole; its id where it can be played."""
        recording = dead.of_visit(scene.film.call.visit.id)
        if recording is None:
            self._unreadable(scene.shown, "shown as recording, and there is no row")
            return None
        answer = self.clinic.admin.ask("GET", f"/api/v1/recordings/{recording}")
        if answer.status != 200 or answer.json["state"] != "sealed" or not answer.json["manifest"]:
            self._unreadable(scene.shown, f"{recording}: {answer.status} {answer.body[:200]!r}")
            return None
        told = answer.json
        self._marked(scene, dead.recordings[recording], told)
        self._acknowledged(dead, told)
        self._media(scene, told)
        self._entered(told)
        return recording

    def play(self, recording: str) -> dict[str, Found]:
        """Every track by role, decrypted and decoded. Raises ValueError with what is wrong."""
        admin = self.clinic.admin
        made = admin.ask("POST", f"/api/v1/recordings/{recording}/grants", {"purpose": "quality"})
        if made.status != 201:
            raise ValueError(f"no grant: {made.status} {made.code}")
        roles = {one["id"]: one["role"] for one in admin.get(f"/api/v1/recordings/{recording}")["tracks"]}
        found = {}
        for one in made.json["tracks"]:
            whole: Answer = admin.ask("GET", one["url"].removeprefix(admin.house.url))
            if whole.status != 200:
                raise ValueError(f"track {one['id']}: {whole.status} {whole.code}")
            try:
                found[roles[one["id"]]] = decoded(whole.body)
            except av.error.FFmpegError as error:
                raise ValueError(f"track {one['id']}: {error}") from error
        admin.do("DELETE", f"/api/v1/grants/{made.json['id']}")
        return found

    def plays(self, recordings: list[str], *, promise: str) -> None:
        """Every one of these can still be played."""
        for recording in recordings:
            try:
                self.play(recording)
            except ValueError as fault:
                self.tally.broken_promises += 1
                self.said.append(f"{promise} {recording}: {fault}")

    def deletion(self, victim: str, rows: list[Mapping[str, Any]], dead: Dead, opening: set[str], key: bytes) -> bool:
        """The deletion that was cut off: all of it or nothing, and entered; whether the recording is gone.

        `rows`: its files before; `opening`: those of them whose keys opened when the server was dead.
        """
        state, said = dead.recordings[victim], len(self.said)
        entries = self.entries(recording=victim, action="recording.delete")
        if state["certificate"] is not None:
            self._promise(not opening, f"certificate while {opening} open")
            self._promise(not any(row["id"] in name for row in rows for name in dead.names), "certificate before files")
        began = [entry["index"] for entry in entries if entry["outcome"] == "intent"]
        self._promise(len(opening) == len(rows) or bool(began), "destruction without its entry")
        self._promise(len(opening) == len(rows) or state["state"] in ("deleting", "deleted"), "destroyed, and not said")
        told = self.clinic.admin.get(f"/api/v1/recordings/{victim}")
        answer = self.clinic.admin.ask("GET", f"/api/v1/recordings/{victim}/certificate")
        if told["state"] == "deleted":
            self._certified(victim, answer, key, began, {row["id"] for row in rows})
            self._promise(any(entry["outcome"] == "done" for entry in entries), "no last entry")
        else:
            self._promise(told["state"] == "sealed" and answer.status == 404, f"half deleted: {told['state']}")
            self._promise(state["state"] == "sealed", f"{state['state']} before, {told['state']} afterwards")
            self.plays([victim], promise="not deleted, yet unplayable:")
        self.tally.broken_promises += len(self.said) > said
        return bool(told["state"] == "deleted")

    def entries(self, **wanted: str) -> list[dict[str, Any]]:
        """The audit log's entries, newest first."""
        query = "&".join(f"{name}={value}" for name, value in wanted.items())
        items: list[dict[str, Any]] = self.clinic.admin.get(f"/api/v1/audit/entries?limit=200&{query}")["items"]
        return items

    def log_sound(self) -> None:
        verdict = self.clinic.house.command("audit", "verify", check=False)
        if verdict["exit"] != 0:
            self.tally.log_unsound += 1
            self.said.append(f"audit log: {verdict}")

    def unchanged(self, vault: Path) -> None:
        """A sealed file keeps its octets for ever: neither kills nor new wrapping keys touch them."""
        for path in vault.glob("*.sealed"):
            content = hashlib.sha256(path.read_bytes()).digest()
            if self.tally.sealed.setdefault(path.name, content) != content:
                self.tally.sealed_changed += 1
                self.said.append(f"{path.name} is another one")

    def _in(self, state: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.clinic.admin.get(f"/api/v1/recordings?state={state}")["items"]
        return items

    def _unreadable(self, counts: bool, what: str) -> None:
        if counts:
            self.tally.unreadable += 1
            self.said.append(f"unreadable: {what}")

    def _marked(self, scene: Scene, row: Mapping[str, Any], told: Mapping[str, Any]) -> None:
        """Interrupted, unless its end stood in the database (or was shown) before the kill."""
        ended = row["state"] in ("sealing", "sealed") and not row["interrupted"]
        if scene.closed and not ended:
            self.tally.not_marked += 1
            self.said.append("shown as ended, and its end was not kept")
        if (told["interrupted"], told["manifest"]["interrupted"]) != (not ended, not ended):
            self.tally.not_marked += 1
            self.said.append(f"{row['state']} when killed, says interrupted={told['interrupted']}")

    def _acknowledged(self, dead: Dead, told: Mapping[str, Any]) -> None:
        """No segment that lay whole on the disk, or was counted in the table or the log, is missing."""
        kept = {source["file_id"]: source["segments"] for source in told["manifest"]["sources"]}
        captures = [row for row in dead.files_of(told["id"]) if row["kind"] == "capture" and row["state"] != "gone"]
        owed = {row["id"]: max(row["segments"], dead.segments.get(row["id"], 0)) for row in captures}
        for entry in self.entries(recording=told["id"], action="recording.progress"):
            owed[entry["subject"]] = max(owed.get(entry["subject"], 0), entry["detail"]["segments"])
        lost = {file: (count, kept.get(file, 0)) for file, count in owed.items() if kept.get(file, 0) < count}
        lost |= {
            source["file_id"]: (source["acknowledged"], source["segments"])
            for source in told["manifest"]["sources"]
            if source["segments"] < (source["acknowledged"] or 0)
        }
        if lost:
            self.tally.acknowledged_lost += sum(owing - count for owing, count in lost.values())
            self.said.append(f"acknowledged segments lost (owed, kept): {lost}")

    def _media(self, scene: Scene, told: Mapping[str, Any]) -> None:
        """It plays, for everybody who was shown as recorded, up to the kill."""
        try:
            found = self.play(told["id"])
        except ValueError as fault:
            self._unreadable(True, f"{told['id']}: {fault}")
            return
        if not scene.shown:
            return
        for role in ("clinician", "patient"):
            if role not in found:
                self._unreadable(True, f"{told['id']}: nothing of the {role}")
                continue
            until = scene.killed if scene.media_until is None else scene.media_until
            lost = scene.film.lost(role, found[role], until)
            self.tally.lost.append(lost)
            if lost > 1.0:
                self.said.append(f"{lost:.2f} s of the {role} lost")

    def _entered(self, told: Mapping[str, Any]) -> None:
        """Its end stands in the audit log, now or soon: that it broke off if it did, and that it was sealed."""
        owed = {"recording.start", "recording.seal", "recording.interrupt" if told["interrupted"] else "recording.stop"}
        deadline = time.monotonic() + _ENTERED_WITHIN
        while missing := owed - {entry["action"] for entry in self.entries(recording=told["id"])}:
            if time.monotonic() > deadline:
                self.tally.entries_missing += len(missing)
                self.said.append(f"not in the audit log: {sorted(missing)}")
                return
            time.sleep(0.05)

    def _certified(self, victim: str, answer: Answer, key: bytes, began: list[int], files: set[str]) -> None:
        self._promise(answer.status == 200, "destroyed without a certificate")
        if answer.status != 200:
            return
        try:
            certificate: Certificate = verify(answer.body, key)
        except CertificateRefused:
            self._promise(False, "the certificate does not verify")
            return
        self._promise(certificate.recording_id == victim, "another recording's certificate")
        self._promise(certificate.audit_index in began, "the certificate names another entry")
        self._promise(files <= {file.file_id for file in certificate.files}, "the certificate leaves out files")
        refused = self.clinic.admin.ask("POST", f"/api/v1/recordings/{victim}/grants", {"purpose": "quality"})
        self._promise(refused.status != 201, "a deleted recording was granted")
        names = [path.name for path in (self.clinic.house.folder / "recordings").iterdir()]
        self._promise(not any(file in name for file in files for name in names), "ciphertext left behind")

    def _promise(self, kept: bool, what: str) -> None:
        if not kept:
            self.said.append(f"deletion: {what}")


def certificate_key(clinic: Clinic) -> bytes:
    """The key that certificates verify under, as the command line tells it."""
    return base64.b64decode(str(clinic.house.command("keys", "status")["certificate_key"]))
