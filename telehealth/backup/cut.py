"""One moment of the whole server, taken while it runs.

While the key store stands still, in this order: the database's picture, the log's head, the key folder, open captures.
- Rows come before keys and no share changes between: every file that has a row has its share, dead ones are dead.
- Rows come before the head: every entry that a row names is in the log.
- The head comes before the keys: every sealed detail in the log has its key.
- Captures are opened, not copied: sealing takes their names away, never their bytes from whoever has them open.
Wrapping keys turn over without the key store; a cut that lacks one that its rows name is taken again.
"""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from telehealth.audit.ledger import Signed
from telehealth.audit.log import AuditLog
from telehealth.backup.refusals import BackupBusy
from telehealth.backup.tarball import Small
from telehealth.backup.tombstones import ENDED, TOMBSTONES, DestroyedPart, Tombstones
from telehealth.config import Config
from telehealth.keys.keystore import KeyStore
from telehealth.store.copying import Snapshot

AGAIN = 3
MOST_OPEN = 256  # captures held open at once; further ones are looked for by name when their turn comes
_DYING = ("deleting", "deleted")
_PASSING = ".new"  # ends the names that a write leaves for a moment
KINDS = ("capture", "track", "manifest")  # exports live for days and can be made again


class FileRow(NamedTuple):
    """A file that is not gone, of a recording that is not being deleted."""

    id: str
    recording: str
    kind: str
    state: str
    size: int
    sha256: str | None
    wrapping_key: str
    place: str


@dataclass(slots=True)
class Cut:
    """Give it back with `close`."""

    snapshot: Snapshot
    signed: Signed
    keys: list[Small]
    captures: dict[str, BinaryIO] = field(default_factory=dict)

    def files(self) -> Iterator[FileRow]:
        """What a backup has to bring back."""
        dying = {id_ for (id_,) in self.snapshot.rows("recordings", "id", state=_DYING)}
        columns = ("id", "recording_id", "kind", "state", "bytes", "sha256", "wrapping_key", "place")
        for row in self.snapshot.rows("files", *columns, state=("open", "ended", "sealed"), kind=KINDS):
            if row[1] not in dying:
                yield FileRow(*row)

    def tombstones(self) -> Tombstones:
        """So that a restore of older data brings none of these back."""
        recordings = tuple(id_ for (id_,) in self.snapshot.rows("recordings", "id", state=_DYING))
        begun = sorted(self.snapshot.rows("destroyed_parts", "entry", "recording_id", "participant_id", "files"))
        parts = tuple(DestroyedPart(recording=id_, participant=who, files=files) for _, id_, who, files in begun)
        ended = b"".join(content for name, content in self.keys if name == ENDED)
        return Tombstones(recordings=recordings, parts=parts).proven(ended)

    def key_files(self) -> Iterator[Small]:
        """What goes into the set of keys."""
        yield Small(TOMBSTONES, self.tombstones().model_dump_json().encode())
        yield from (Small(f"keys/{name}", content) for name, content in self.keys)

    def close(self) -> None:
        for file in self.captures.values():
            file.close()
        self.snapshot.close()


async def cut_of(config: Config, keystore: KeyStore, log: AuditLog) -> Cut:
    """Raises BackupBusy when wrapping keys turn over all the time, OSError, and what key store and database raise."""
    for _ in range(AGAIN):
        async with keystore.still():
            cut = await asyncio.to_thread(_taken, config, log)
        if await asyncio.to_thread(_has_wrapping_keys, cut, config):
            return cut
        await asyncio.to_thread(cut.close)
    raise BackupBusy("wrapping keys")


def _taken(config: Config, log: AuditLog) -> Cut:
    snapshot = Snapshot.open(config.places.database)
    try:
        signed = log.signed()
        cut = Cut(snapshot, signed, key_folder(config))
        names = snapshot.rows("files", "id", kind=("capture",), state=("open", "ended"))
        for (file_id,) in list(names)[:MOST_OPEN]:
            name = f"{file_id}.capture"
            try:
                cut.captures[name] = (config.places.recordings / name).open("rb")
            except FileNotFoundError:
                continue  # its row came first
    except BaseException:
        snapshot.close()
        raise
    return cut


def key_folder(config: Config) -> list[Small]:
    """Every file of the key store and, with the provider `file`, its wrapped keys; never the root key. Blocks.

    Some hundred octets for each day and class of recordings, and for each person in the log: it is held in memory.
    """
    folder, root = config.places.keys, config.places.root_key.absolute()
    found: list[Small] = []
    for above, _, names in os.walk(folder):
        for name in names:
            path = Path(above) / name
            if path.absolute() == root or name == "lock" or name.endswith(_PASSING) or not path.is_file():
                continue
            try:
                found.append(Small(str(path.relative_to(folder)), path.read_bytes()))
            except FileNotFoundError:
                continue  # forgotten this moment
    return sorted(found)


def _has_wrapping_keys(cut: Cut, config: Config) -> bool:
    if config.keys.provider != "file":
        return True  # they are not ours to copy
    ours = {name.removeprefix("provider/").removesuffix(".key") for name, _ in cut.keys if name.startswith("provider/")}
    return all(row.wrapping_key in ours for row in cut.files())
