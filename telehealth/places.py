"""The four places on disk: made, checked, and held by one process at a time."""

import fcntl
import os
from pathlib import Path
from urllib.parse import urlsplit

from telehealth.config import Config
from telehealth.durable import private_folder
from telehealth.errors import Reason, Refusal

LOCK = "server.lock"
RESTORING = "restoring"  # in the audit log's folder while a restore is under way


class AlreadyRunning(Refusal):
    """Another process holds the audit log's folder."""

    code = "already_running"
    reason = Reason.CONFLICT
    message = "Another process is already using this data folder."


class RestoreUnfinished(Refusal):
    """A restore broke off here; half of a server must not start."""

    code = "restore_unfinished"
    reason = Reason.CONFLICT
    message = "A restore broke off in these places. Empty them, then restore again."


class OneFilesystem(Refusal):
    """Beyond loopback, whoever takes the disk with the recordings must not have the keys as well."""

    code = "one_filesystem"
    reason = Reason.CONFLICT
    message = (
        "Keys and recordings lie on one filesystem. Move places.keys to another one, "
        "or set places.one_filesystem_is_meant = true."
    )


def database_file(config: Config) -> Path | None:
    """The SQLite file, None for a database server."""
    parts = urlsplit(config.places.database)
    if not parts.scheme.startswith("sqlite"):
        return None
    return Path(parts.path.removeprefix("/")) if parts.path else None


def folders(config: Config) -> dict[str, Path]:
    """The folders we keep things in, by the name of their key."""
    places = config.places
    found = {"keys": places.keys, "root_key": places.root_key.parent, "audit": places.audit}
    if places.keys_second is not None:
        found["keys_second"] = places.keys_second
    file = database_file(config)
    if file is not None:
        found["database"] = file.parent
    return {**found, "recordings": places.recordings}


def prepare(config: Config) -> None:
    """Make the folders, for us alone; refuse keys beside recordings beyond loopback, and half of a restore.

    Blocks. Raises OneFilesystem, RestoreUnfinished, OSError.
    """
    if (config.places.audit / RESTORING).exists():
        raise RestoreUnfinished
    for folder in folders(config).values():
        private_folder(folder)
    if config.server.loopback or config.places.one_filesystem_is_meant:
        return
    if together(config):
        raise OneFilesystem


def together(config: Config) -> bool:
    """Whether keys and recordings lie on one filesystem. Blocks. Raises OSError."""
    recordings = config.places.recordings.stat().st_dev
    folders = (config.places.keys, config.places.root_key.parent, config.places.keys_second)
    return recordings in {folder.stat().st_dev for folder in folders if folder is not None}


class Hold:
    """The lock on the data folder; it goes with the process, so a killed one leaves nothing to clear."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK
        self._handle: int | None = None

    def take(self) -> None:
        """Raises AlreadyRunning, OSError. Blocks for a moment only."""
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise AlreadyRunning from None
        except OSError:
            os.close(handle)
            raise
        self._handle = handle

    def wait(self) -> None:
        """Take it once whoever has it gives it back. Blocks."""
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
        self._handle = handle

    def give_back(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
