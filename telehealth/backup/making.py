"""Writing the two sets of one backup: keys first, then the data that name them. Blocks; runs in a thread.

A set is one only when its manifest is there, and that is written last. Sealed files of recordings never change: each is
kept once, under its SHA-256, and what an earlier set has is not written again.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from telehealth.audit.files import Files
from telehealth.audit.layout import Layout
from telehealth.backup.agefile import PIECE, Recipient, Sealed, Stopped, encrypt, pieces_of
from telehealth.backup.cut import Cut, FileRow
from telehealth.backup.destination import Destination, named_faults
from telehealth.backup.logcopy import log_files
from telehealth.backup.manifest import Manifest, Member, Object, Trouble, signed
from telehealth.backup.refusals import BackupNewer, BackupTampered
from telehealth.backup.tarball import packed
from telehealth.durable import private_folder, sync_folder
from telehealth.errors import NotFound

Read = Callable[[str, int, int], bytes]  # vault name, offset, length → octets
_ENDINGS = {"track": "sealed", "manifest": "manifest", "capture": "capture"}


@dataclass(frozen=True, slots=True)
class Written:
    """A set that is whole; `fresh`: objects that no earlier set had."""

    manifest: Manifest
    raw: bytes
    fresh: int = 0
    octets: int = 0


@dataclass(slots=True)
class Making:
    """What both sets need. `gone` tells whether a live file was deleted after the cut."""

    cut: Cut
    head: dict[str, Any]  # what all manifests of this backup have in common
    signer: Ed25519PrivateKey
    recipients: list[Recipient]
    read: Read
    gone: Callable[[FileRow], bool]
    tell: Callable[[str], None]
    stop: threading.Event = field(default_factory=threading.Event)

    def keys(self, place: Destination) -> Written:
        """Raises BackupPlaceFull, BackupPlaceFailed."""
        with named_faults(place.place):
            folder = place.begin(self.head["id"])
            self.tell("keys")
            made = encrypt(self._live(packed(self.cut.key_files())), folder / "keys.age", self.recipients)
            return self._finish(place, "keys", [Member(name="keys.age", sealed=made)])

    def data(self, place: Destination, keys: bytes, log: tuple[Layout, Files, bool], with_objects: bool) -> Written:
        """Raises BackupPlaceFull, BackupPlaceFailed and what the vault refuses with."""
        with named_faults(place.place):
            folder = place.begin(self.head["id"])
            rows = list(self.cut.files())
            members, trouble = list[Member](), list[Trouble]()

            def add(name: str, pieces: Iterable[bytes]) -> None:
                members.append(Member(name=name, sealed=encrypt(self._live(pieces), folder / name, self.recipients)))

            for row in rows:
                if row.kind == "capture":
                    self._capture(row, folder, add, trouble)
            self.tell("audit log")
            layout, files, spooled = log
            add("log.age", packed(log_files(layout, files, self.cut.signed, spooled=spooled)))
            self.tell("database")
            add("database.age", self.cut.snapshot.lines())
            objects, fresh, octets = self._objects(place, rows, with_objects, trouble)
            more = {
                "objects": objects,
                "trouble": trouble,
                "keys_sha256": sha256(keys).hexdigest() if keys else "",
                "schema_revision": self.cut.snapshot.revision,
            }
            done = self._finish(place, "data", members, **more)
            return Written(done.manifest, done.raw, fresh, octets + sum(one.sealed.size for one in members))

    def _finish(self, place: Destination, kind: Literal["data", "keys"], members: list[Member], **more: Any) -> Written:
        manifest = Manifest(kind=kind, members=tuple(members), **self.head, **more)
        raw = signed(manifest, self.signer)
        self._check_stop()
        place.finish(manifest.id, raw)
        return Written(manifest, raw)

    def _capture(
        self, row: FileRow, folder: Path, add: Callable[[str, Iterable[bytes]], None], trouble: list[Trouble]
    ) -> None:
        """What has been captured so far: its sealed segments stand each for themselves."""
        name = f"{row.id}.capture"
        file = self.cut.captures.get(name)
        self.tell("captures under way")
        if file is not None:
            add(f"{name}.age", pieces_of(file))
            return
        try:
            self.read(name, 0, 1)
            add(f"{name}.age", self._pieces(name))
        except NotFound:
            (folder / f"{name}.age").unlink(missing_ok=True)
            if not self.gone(row):
                trouble.append(Trouble(name=name, code="missing"))

    def _objects(
        self, place: Destination, rows: list[FileRow], with_objects: bool, trouble: list[Trouble]
    ) -> tuple[tuple[Object, ...], int, int]:
        wanted = [row for row in rows if row.kind != "capture" and row.state == "sealed" and row.sha256]
        known, total = self._known(place, self.head["signer"]), sum(row.size for row in wanted)
        found: list[Object] = []
        fresh = octets = passed = 0
        for row in wanted:
            name, sha = f"{row.id}.{_ENDINGS[row.kind]}", str(row.sha256)
            sealed = known.get(sha)
            if sealed is None and (row.place != "remote" or with_objects):
                sealed = self._object(place, row, name, trouble)
                if sealed is None:
                    continue
                fresh, octets, known[sha] = fresh + 1, octets + sealed.size, sealed
            found.append(Object(name=name, sha256=sha, size=row.size, sealed=sealed))
            passed += row.size
            self.tell(f"recordings: {passed / 1e6:.0f} of {total / 1e6:.0f} MB")
        return tuple(found), fresh, octets

    def _object(self, place: Destination, row: FileRow, name: str, trouble: list[Trouble]) -> Sealed | None:
        path = place.object_path(str(row.sha256))
        private_folder(path.parent)
        making = path.with_name(f".{path.name}.new")
        try:
            sealed = encrypt(self._live(self._pieces(name)), making, self.recipients)
        except NotFound:
            making.unlink(missing_ok=True)
            if not self.gone(row):
                trouble.append(Trouble(name=name, code="missing"))
            return None
        if sealed.plain_sha256 != row.sha256:
            making.unlink()
            if not self.gone(row):
                trouble.append(Trouble(name=name, code="damaged"))
            return None
        making.replace(path)
        sync_folder(path.parent)
        return sealed

    def _pieces(self, name: str) -> Iterator[bytes]:
        offset = 0
        while piece := self.read(name, offset, PIECE):
            offset += len(piece)
            yield piece

    @staticmethod
    def _known(place: Destination, signer: str) -> dict[str, Sealed]:
        """The objects that whole sets of ours name and that are still there."""
        found: dict[str, Sealed] = {}
        for set_id in reversed(place.sets()):
            try:
                manifest = place.manifest(set_id, signer=signer)
            except (BackupTampered, BackupNewer):
                continue  # whoever verifies it hears of it; what it names is written again
            for one in manifest.objects:
                if one.sealed and one.sha256 not in found and place.holds(set_id, one.sha256, one.sealed):
                    found[one.sha256] = one.sealed
        return found

    def _live(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._check_stop()
            yield piece

    def _check_stop(self) -> None:
        if self.stop.is_set():
            raise Stopped
