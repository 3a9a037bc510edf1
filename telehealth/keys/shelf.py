"""Buckets on disk: one folder, or two that hold the same. All of it blocks: call it in a thread."""

import fcntl
import os
import time
from collections.abc import Iterable
from pathlib import Path

from telehealth.durable import private_folder, sync_folder
from telehealth.errors import Malformed, Reason, Refusal
from telehealth.keys import disk
from telehealth.keys.bucket import Header, parse_header
from telehealth.keys.provider import KeysExposed
from telehealth.log import get_logger

log = get_logger(__name__)
_MARK = "mark"  # of the last change, where several processes take turns
_AGAIN = 0.002  # seconds


class KeyStoreBusy(Refusal):
    """Another process has this key store open."""

    code = "key_store_busy"
    reason = Reason.UNAVAILABLE
    message = "The key store is open in another process."


class Shelf:
    """Owns the bucket files; `places` are its folders, written in order, all before a write returns."""

    def __init__(self, places: tuple[Path, ...]) -> None:
        self.places = places
        self._mark = b""
        self._lock: int | None = None

    @property
    def claimed(self) -> bool:
        """Whether the folders are this process's."""
        return self._lock is not None

    def claim(self, patience: float = 0.0) -> None:
        """Make the folders, take them for this process alone, clear torn writes. Raises KeyStoreBusy, KeysExposed.

        `patience`: seconds to wait for a process that has them.
        """
        if self.claimed:
            return
        for place in self.places:
            private_folder(place)
            if disk.exposed(place):
                raise KeysExposed(f"chmod 700 {place}")
        handle = os.open(self.places[0] / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            _lock(handle, patience)
        except BlockingIOError as error:
            os.close(handle)
            raise KeyStoreBusy from error
        self._lock = handle
        self.clear_torn()

    def changing(self) -> None:
        """Say, before a change, that what other processes remember of the folders is no longer so."""
        self._mark = os.urandom(16)
        disk.write(self.places[0] / _MARK, self._mark)

    def changed(self) -> bool:
        """Whether another process has begun a change since this was last asked, or `changing` was called."""
        path = self.places[0] / _MARK
        found = path.read_bytes() if path.exists() else b""
        before, self._mark = self._mark, found
        return found != before

    def clear_torn(self) -> None:
        """Remove temporary files that an interrupted write left."""
        for place in self.places:
            torn = list(place.glob(".*.new"))
            for path in torn:
                path.unlink()
            if torn:
                sync_folder(place)

    def release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def headers(self) -> dict[str, Header]:
        """By file name, the latest header any place has, none of them authenticated; what does not parse is alarmed."""
        return _headers(self.places)

    def behind(self, wanted: Iterable[Header]) -> list[Header]:
        """Those of these that some place lacks, or has otherwise: every place was given the same bytes."""
        alike = ((header, self.blobs(header.file_name)) for header in wanted)
        return [header for header, blobs in alike if len(blobs) < len(self.places) or len(set(blobs)) > 1]

    def blobs(self, file_name: str) -> list[bytes]:
        """What each place has under this name; places that lack it are left out."""
        return [path.read_bytes() for place in self.places if (path := place / file_name).exists()]

    def put(self, file_name: str, blob: bytes) -> None:
        for place in self.places:
            disk.write(place / file_name, blob)

    def drop(self, file_name: str) -> None:
        for place in self.places:
            disk.remove(place / file_name)


def _lock(handle: int, patience: float) -> None:
    """Raises BlockingIOError once `patience` is over."""
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise
            time.sleep(_AGAIN)
        else:
            return


def _headers(places: tuple[Path, ...]) -> dict[str, Header]:
    found: dict[str, Header] = {}
    for path in (path for place in places for path in place.glob("bkt_*.bucket")):
        try:
            header, _ = parse_header(path.read_bytes())
        except Malformed as error:
            log.error("keys.bucket_malformed", bucket=path.name.partition(".")[0], where=error.where)
            continue
        if header.file_name != path.name:
            log.error("keys.bucket_misnamed", bucket=path.name.partition(".")[0])
        elif path.name not in found or found[path.name].revision < header.revision:
            found[path.name] = header
    return found


def apart(first: Path, second: Path) -> int:
    """How many buckets the two places do not hold byte for byte alike. Blocks; authenticates nothing."""
    mine, theirs = ({path.name: path.read_bytes() for path in at.glob("bkt_*.bucket")} for at in (first, second))
    return sum(mine.get(name) != theirs.get(name) for name in mine.keys() | theirs.keys())


def survey(place: Path) -> tuple[int, int, int]:
    """Buckets, shares and held shares by the headers alone, beside a running server. Blocks; authenticates nothing."""
    headers = _headers((place,)).values()
    held = sum(len(header.files) for header in headers if header.held)
    return len(headers), sum(len(header.files) for header in headers), held
