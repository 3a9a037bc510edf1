"""Looking a backup over: without opening it, or whole with an identity. Blocks; changes nothing."""

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from telehealth.audit.note import parse_verifier_key
from telehealth.audit.verify import verify_folder
from telehealth.backup import tarball
from telehealth.backup.agefile import Identity, Sealed, decrypt, digest_of
from telehealth.backup.destination import Destination
from telehealth.backup.manifest import Manifest
from telehealth.backup.refusals import BackupMissing, BackupNewer, BackupTampered, IdentityWrong
from telehealth.backup.standing import over_age
from telehealth.errors import Malformed
from telehealth.keys.bucket import parse_header


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong where: a code, the set, and what in it."""

    code: str
    set_id: str
    about: str


@dataclass(slots=True)
class Verdict:
    """`opened`: everything was decrypted too."""

    sets: int = 0
    key_sets: int = 0
    octets: int = 0
    opened: bool = False
    faults: list[Fault] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.faults


class Verifying:
    """One look at two places; `identities` empty: hashes, completeness and ages alone."""

    def __init__(
        self,
        place: Path,
        keys_place: Path | None,
        identities: list[Identity],
        *,
        backup_days: int,
        now: datetime,
        signer: str | None,
        tell: Callable[[str], None],
    ) -> None:
        self._data = Destination(place, "data")
        self._keys = Destination(keys_place, "keys") if keys_place else None
        self._identities = identities
        self._days = backup_days
        self._now = now
        self._signer = signer
        self._tell = tell
        self._seen: dict[str, Sealed] = {}
        self._verdict = Verdict(opened=bool(identities))

    def run(self, only: str | None = None) -> Verdict:
        """All sets, or one. Raises BackupMissing where there is none, OSError."""
        sets = [one for one in self._data.sets() if only in (None, one)]
        if not sets:
            raise BackupMissing(str(self._data.place))
        self._verdict.sets = len(sets)
        for set_id in sets:
            self._guarded(set_id, self._data_set)
        for set_id in self._key_sets(only):
            self._verdict.key_sets += 1
            self._guarded(set_id, self._key_set)
        return self._verdict

    def _key_sets(self, only: str | None) -> list[str]:
        found = self._keys.sets() if self._keys else []
        for one in over_age(found, self._days, self._now):
            self._fault("backup_too_old", one, "keys")
        return [one for one in found if only in (None, one)]

    def _fault(self, code: str, set_id: str, about: str) -> None:
        self._verdict.faults.append(Fault(code, set_id, about))

    def _guarded(self, set_id: str, look: Callable[[str], None]) -> None:
        try:
            look(set_id)
        except (BackupTampered, BackupMissing, BackupNewer, IdentityWrong) as fault:
            self._fault(fault.code, set_id, fault.about)

    def _data_set(self, set_id: str) -> None:
        manifest = self._data.manifest(set_id, signer=self._signer)
        self._tell(f"{set_id}: data")
        self._members(self._data, manifest)
        for item in manifest.objects:
            if item.sealed is not None:
                self._object(set_id, self._data.object_path(item.sha256), item.sealed)
        for trouble in manifest.trouble:
            self._fault(f"recording_{trouble.code}", set_id, trouble.name)
        self._pair(manifest)
        if self._identities:
            with tempfile.TemporaryDirectory(prefix="telehealth-verify-") as scratch:
                self._open(manifest, Path(scratch))

    def _pair(self, manifest: Manifest) -> None:
        """The keys that were taken with the data are those, or have been pruned."""
        if self._keys is None or not manifest.keys_sha256 or manifest.id not in self._keys.sets():
            return
        if sha256(self._keys.raw(manifest.id)).hexdigest() != manifest.keys_sha256:
            raise BackupTampered("keys")

    def _key_set(self, set_id: str) -> None:
        assert self._keys is not None
        manifest = self._keys.manifest(set_id, signer=self._signer)
        self._tell(f"{set_id}: keys")
        self._members(self._keys, manifest)

    def _members(self, place: Destination, manifest: Manifest) -> None:
        for member in manifest.members:
            self._file(place.folder(manifest.id) / member.name, member.sealed)

    def _object(self, set_id: str, path: Path, sealed: Sealed) -> None:
        """Each once, however many sets name it."""
        if self._seen.get(path.name) == sealed:
            return
        self._seen[path.name] = sealed
        try:
            self._file(path, sealed)
            if self._identities:
                decrypt(path, sealed, self._identities, lambda _piece: None)
        except (BackupTampered, IdentityWrong) as fault:
            self._fault(fault.code, set_id, fault.about)

    def _file(self, path: Path, sealed: Sealed) -> None:
        try:
            found = digest_of(path)
        except FileNotFoundError:
            raise BackupTampered(path.name) from None
        if found != (sealed.sha256, sealed.size):
            raise BackupTampered(path.name)
        self._verdict.octets += sealed.size

    # With an identity

    def _open(self, manifest: Manifest, scratch: Path) -> None:
        self._log(manifest, scratch)
        shares = self._shares(manifest, scratch)
        there = {item.name for item in manifest.objects} | {
            member.name.removesuffix(".age") for member in manifest.members if member.name.endswith(".capture.age")
        }
        excused = {trouble.name for trouble in manifest.trouble}
        for name, file_id in self._rows(manifest, scratch):
            if name not in there and name not in excused:
                self._fault("file_without_copy", manifest.id, name)
            if shares is not None and file_id not in shares:
                self._fault("file_without_key", manifest.id, name)

    def _member(self, place: Destination, manifest: Manifest, name: str, scratch: Path) -> Path:
        target = scratch / f"{manifest.kind}-{name}"
        with target.open("wb") as file:
            source = place.folder(manifest.id) / name
            decrypt(source, manifest.member(name).sealed, self._identities, file.write)
        return target

    def _log(self, manifest: Manifest, scratch: Path) -> None:
        folder = scratch / "log"
        folder.mkdir()
        tarball.unpacked(self._member(self._data, manifest, "log.age", scratch), folder)
        name, key = parse_verifier_key(manifest.log.verifier)
        verdict = verify_folder(folder, key, name)
        if not verdict.ok or (verdict.size, verdict.root) != (manifest.log.size, manifest.log.root):
            raise BackupTampered("log")

    def _shares(self, manifest: Manifest, scratch: Path) -> set[str] | None:
        """Files that have a share in the keys of the same moment; None where those are not there (any more)."""
        if self._keys is None or manifest.id not in self._keys.sets():
            return None
        keys = self._keys.manifest(manifest.id, signer=self._signer)
        archive = self._member(self._keys, keys, "keys.age", scratch)
        found: set[str] = set()
        for name, content in tarball.contents(archive):
            if name.endswith(".bucket"):
                try:
                    found.update(parse_header(content)[0].files)
                except Malformed:
                    raise BackupTampered(name.rpartition("/")[2]) from None
        return found

    def _rows(self, manifest: Manifest, scratch: Path) -> Iterator[tuple[str, str]]:
        """Name and id of every file that a restore must bring back, by the database itself."""
        dying: set[str] = set()
        columns: list[str] = []
        table = ""
        with self._member(self._data, manifest, "database.age", scratch).open("rb") as lines:
            for line in lines:
                row = json.loads(line)
                if isinstance(row, dict):
                    table, columns = row.get("table", ""), [name for name, _ in row.get("columns", ())]
                elif table == "recordings":
                    seen = dict(zip(columns, row, strict=True))
                    if seen["state"] in ("deleting", "deleted"):
                        dying.add(seen["id"])
                elif table == "files":
                    seen = dict(zip(columns, row, strict=True))
                    name = _expected(seen)
                    if name is not None and seen["recording_id"] not in dying:
                        yield name, seen["id"]


def _expected(row: dict[str, object]) -> str | None:
    """The vault name of a file that is whole, or a capture; None for what is gone or was being sealed."""
    endings = {"track": "sealed", "manifest": "manifest"}
    if row["kind"] == "capture":
        return f"{row['id']}.capture" if row["state"] in ("open", "ended") else None
    return f"{row['id']}.{endings[str(row['kind'])]}" if row["state"] == "sealed" else None
