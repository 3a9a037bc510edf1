"""Bringing a killed installation back into empty places. Blocks, but for `settled`.

Until everything is in place and checked, a folder `restoring` beside the log keeps any server from starting there.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from pydantic import ValidationError

from recordings.vault.home import MARKER, Home
from telehealth import places
from telehealth.audit.entry import Code
from telehealth.audit.note import parse_verifier_key
from telehealth.audit.verify import verify_folder
from telehealth.backup import tarball
from telehealth.backup.agefile import Identity, Sealed, decrypt, identities_in
from telehealth.backup.destination import Destination, named_faults
from telehealth.backup.manifest import Manifest, Object
from telehealth.backup.refusals import (
    BackupMissing,
    BackupNewer,
    BackupTampered,
    BackupTooOld,
    RestoreNotEmpty,
    RootKeyMissing,
)
from telehealth.backup.settling import leave_note
from telehealth.backup.standing import over_age
from telehealth.backup.tombstones import ENDED, TOMBSTONES, Tombstones
from telehealth.config import Config
from telehealth.durable import private_folder, sync_folder
from telehealth.store import copying


@dataclass(frozen=True, slots=True)
class Order:
    """Where backups lie, what opens them. `set_id` None: the newest. `signer`: its key in hex, from elsewhere."""

    place: Path
    keys_place: Path
    identity: Path
    set_id: str | None = None
    signer: str | None = None
    over_age_is_meant: bool = False


@dataclass(frozen=True, slots=True)
class Restored:
    """What is in place now. `remote`: sealed files that were not copied and must still lie in the remote store."""

    set_id: str
    made_at: str
    keys: str
    rows: int
    files: int
    remote: int
    entries: int
    trouble: int


class Restoring:
    """One restore; `run` once."""

    def __init__(self, config: Config, order: Order, now: datetime, tell: Callable[[str], None]) -> None:
        self._config = config
        self._order = order
        self._now = now
        self._tell = tell
        self._data = Destination(order.place, "data")
        self._keys = Destination(order.keys_place, "keys")
        self._identities: list[Identity] = identities_in(order.identity)
        self._scratch = config.places.audit / places.RESTORING

    def run(self) -> Restored:
        """Raises BackupMissing, BackupTampered, BackupNewer, BackupTooOld, IdentityWrong, RestoreNotEmpty, OSError …"""
        with named_faults(self._order.place):
            data = self._data.manifest(self._chosen(), signer=self._order.signer)
            first, newest = self._chosen_keys(data)
        self._refuse(data, first)
        with ExitStack() as stack:
            for folder in places.folders(self._config).values():
                private_folder(folder)
            hold = places.Hold(self._config.places.audit)
            hold.take()
            stack.callback(hold.give_back)
            private_folder(self._scratch)
            sync_folder(self._scratch.parent)
            return self._restore(data, first, newest)

    def _restore(self, data: Manifest, first: Manifest, newest: Manifest) -> Restored:
        self._tell("keys")
        tombstones = self._restore_keys(first, newest)
        self._tell("audit log")
        self._restore_log(data)
        self._tell("database")
        rows = self._restore_database(data)
        files = self._restore_recordings(data)
        about: dict[str, Code] = {
            "set": data.id,
            "signer": data.signer,
            "made_at": data.made_at,
            "keys": first.id,
            "entries": data.log.size,
            "over_age": first.id in over_age([first.id], self._config.recording.backup_days, self._now),
        }
        self._tell("making it durable")
        for folder in (self._config.places.keys, self._config.places.audit, self._config.places.recordings):
            tarball.sync_all(folder)
        leave_note(self._config.places.audit, about, tombstones)
        shutil.rmtree(self._scratch)
        sync_folder(self._scratch.parent)
        remote = sum(one.sealed is None for one in data.objects)
        return Restored(data.id, data.made_at, first.id, rows, files, remote, data.log.size, len(data.trouble))

    # Choosing

    def _chosen(self) -> str:
        sets = self._data.sets()
        if not sets or (self._order.set_id is not None and self._order.set_id not in sets):
            raise BackupMissing(str(self._order.place))
        return self._order.set_id or sets[-1]

    def _chosen_keys(self, data: Manifest) -> tuple[Manifest, Manifest]:
        """The keys taken with these data, or else the newest; and the newest, which knows what was destroyed since."""
        sets = self._keys.sets()
        if not sets:
            raise BackupMissing(str(self._order.keys_place))
        newest = self._keys.manifest(sets[-1], signer=data.signer)
        if data.id not in sets:
            return newest, newest
        if sha256(self._keys.raw(data.id)).hexdigest() != data.keys_sha256:
            raise BackupTampered("keys")
        return self._keys.manifest(data.id, signer=data.signer), newest

    def _refuse(self, data: Manifest, keys: Manifest) -> None:
        if not copying.knows(data.schema_revision):
            raise BackupNewer(data.version)
        days = self._config.recording.backup_days
        if not self._order.over_age_is_meant and over_age([keys.id], days, self._now):
            raise BackupTooOld(keys.id)
        found = [*_occupied(self._config)]
        if found:
            raise RestoreNotEmpty(found[0])
        if keys.provider == "file" and not self._config.places.root_key.exists():
            raise RootKeyMissing(str(self._config.places.root_key))

    # Putting in place

    def _member(self, place: Destination, manifest: Manifest, name: str, scratch: Path) -> Path:
        """A member, decrypted and checked, in a scratch folder."""
        target = scratch / f"{manifest.kind}-{manifest.id}-{name}"
        with target.open("wb") as file:
            folder = place.folder(manifest.id)
            decrypt(folder / name, manifest.member(name).sealed, self._identities, file.write)
        return target

    def _restore_keys(self, first: Manifest, newest: Manifest) -> Tombstones:
        """The key folder, and what must stay destroyed.

        A provider of its own destroys keys for good, so buckets taken later hold what older ones no longer open:
        newer buckets are put beside them. With `file`, its keys came along and older buckets open.
        """
        folder = private_folder(self._config.places.keys / places.RESTORING)  # keys stay on their own disk
        archive, latest = self._member(self._keys, first, "keys.age", folder), None
        if newest.id != first.id:
            latest = self._member(self._keys, newest, "keys.age", folder)
        tarball.unpacked(archive, folder)
        if latest is not None:
            wanted = ("keys/shares/",) if first.provider != "file" else ()
            tarball.laid_over(latest, folder, lambda name: name == TOMBSTONES or name.startswith(wanted))
        tombstones = _destroyed(folder / TOMBSTONES, latest or archive)
        for inner in sorted((folder / "keys").iterdir()):
            inner.rename(self._config.places.keys / inner.name)
        shutil.rmtree(folder)
        return tombstones

    def _restore_log(self, data: Manifest) -> None:
        archive = self._member(self._data, data, "log.age", self._scratch)
        tarball.unpacked(archive, self._config.places.audit)
        name, key = parse_verifier_key(data.log.verifier)
        verdict = verify_folder(self._config.places.audit, key, name)
        if not verdict.ok or (verdict.size, verdict.root) != (data.log.size, data.log.root):
            raise BackupTampered("log")

    def _restore_database(self, data: Manifest) -> int:
        lines = self._member(self._data, data, "database.age", self._scratch)
        try:
            with lines.open("rb") as file:
                counts = copying.load(self._config.places.database, file)
        except copying.CopyMalformed:
            raise BackupTampered("database") from None
        copied = [one.name.partition(".")[0] for one in data.objects if one.sealed is not None]
        copying.bring_home(self._config.places.database, copied)
        return sum(counts.values())

    def _restore_recordings(self, data: Manifest) -> int:
        folder, done = self._config.places.recordings, 0
        captures = [one for one in data.members if one.name.endswith(".capture.age")]
        total = len(captures) + len(data.objects)
        for member in captures:
            source = self._data.folder(data.id) / member.name
            self._put(source, member.sealed, folder / member.name.removesuffix(".age"))
            done += 1
        for item in data.objects:
            if item.sealed is not None:
                self._put(self._data.object_path(item.sha256), _whole(item), folder / item.name)
                done += 1
            self._tell(f"recordings: {done} of {total} files")
        Home(folder, self._config.places.keys / MARKER).move_in()
        return done

    def _put(self, source: Path, sealed: Sealed, target: Path) -> None:
        with tarball.fresh(target) as file:
            decrypt(source, sealed, self._identities, file.write)


def _destroyed(tombstones: Path, newest: Path) -> Tombstones:
    """Those whose keys were destroyed by the time of the newest keys. Raises BackupTampered."""
    ended = b"".join(content for name, content in tarball.contents(newest) if name == f"keys/{ENDED}")
    try:
        return Tombstones.model_validate_json(tombstones.read_bytes()).proven(ended)
    except ValidationError:
        raise BackupTampered(TOMBSTONES) from None


def _whole(item: Object) -> Sealed:
    """What the object must be. Raises BackupTampered when the manifest contradicts itself."""
    if item.sealed is None or (item.sealed.plain_sha256, item.sealed.plain_size) != (item.sha256, item.size):
        raise BackupTampered(item.name)
    return item.sealed


def _occupied(config: Config) -> Iterator[str]:
    """Our places that hold something; the root key may be there already. Blocks."""
    root = config.places.root_key.absolute()
    second = [config.places.keys_second] if config.places.keys_second else []
    for folder in (config.places.keys, *second, config.places.audit, config.places.recordings):
        if folder.exists() and any(path.absolute() != root for path in folder.iterdir()):
            yield str(folder)
    if not copying.is_empty(config.places.database):
        yield "places.database"
