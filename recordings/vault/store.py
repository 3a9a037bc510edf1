"""What a store of encrypted files can do; only ciphertext ever comes here."""

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar, Protocol

from recordings.vault.reading import Reader
from telehealth.errors import NotFound, Reason, Refusal

_NAME = re.compile(r"fil_[a-z2-7]{26}\.(capture|sealing|sealed|manifest|export)")


class VaultFull(Refusal):
    """No room is left (ENOSPC, EDQUOT)."""

    code: ClassVar[str] = "vault_full"
    reason = Reason.UNAVAILABLE
    message = "There is no room left for recordings."


class VaultFailed(Refusal):
    """The store failed; after this the file being written is in an unknown state and its writer is dead."""

    code: ClassVar[str] = "vault_failed"
    reason = Reason.UNAVAILABLE
    message = "The store of recordings failed."


class VaultUnreachable(VaultFailed):
    """A store elsewhere does not answer in time, or answers that it cannot at present."""

    code: ClassVar[str] = "vault_unreachable"
    message = "The remote store of recordings cannot be reached."


class VaultDenied(VaultFailed):
    """A store elsewhere does not take our credentials, or they do not allow this."""

    code: ClassVar[str] = "vault_denied"
    message = "The remote store of recordings does not let us in."


class VaultLocks(VaultFailed):
    """The bucket keeps every object for a time: what is put there could not be deleted."""

    code: ClassVar[str] = "vault_locks"
    message = "The bucket locks its objects, so recordings in it could not be deleted. Take one without object lock."


class VaultFrozen(Refusal):
    """The writer was frozen; what was asked for after that was not written."""

    code: ClassVar[str] = "vault_frozen"
    reason = Reason.CONFLICT
    message = "Nothing more is written to this file."


class VaultMissing(NotFound):
    """There is no such file."""

    code: ClassVar[str] = "vault_missing"


class Writer(Protocol):
    """One new file, written in order by one owner."""

    async def append(self, data: bytes, *, durable: bool = False) -> None:
        """Write all of `data` at the end; `durable`: then do as `sync` does, in the same turn.

        Raises VaultFull, VaultFailed, VaultFrozen; then the writer is dead.
        """
        ...

    async def sync(self) -> None:
        """Return when everything appended survives a power cut. Raises VaultFailed; then the writer is dead."""
        ...

    def freeze(self) -> None:
        """From this instant no append that has not begun to write does so, queued ones included. From any thread."""
        ...

    async def close(self) -> None:
        """Let the file go, once or often; promises nothing about durability. Never raises for the store's faults."""
        ...


class Shelf(Protocol):
    """Whole files by name. Names hold a file id and a kind, nothing about anybody."""

    async def read(self, name: str, offset: int, length: int) -> bytes:
        """Up to `length` octets from `offset`; fewer only at the file's end. Raises VaultMissing."""
        ...

    async def reader(self, name: str) -> Reader:
        """The file, to be read again and again. Raises VaultMissing."""
        ...

    async def size(self, name: str) -> int:
        """The file's size in octets. Raises VaultMissing."""
        ...

    async def delete(self, name: str) -> None:
        """Remove a file durably; a missing one is fine."""
        ...

    async def list(self) -> list[str]:
        """All names, sorted."""
        ...

    async def close(self) -> None:
        """Wait for what runs and give threads and connections back."""
        ...


class Vault(Shelf, Protocol):
    """A shelf on which files are written."""

    async def create(self, name: str) -> Writer:
        """A new, empty file whose name is durable. Raises VaultFailed when the name is taken."""
        ...

    async def rename(self, old: str, new: str) -> None:
        """Give a file its final name, durably and at once. Raises VaultMissing."""
        ...

    async def free_bytes(self) -> int:
        """Octets that can still be written. Raises VaultAway where the folder is not the one that was written to."""
        ...


Source = Callable[[int, int], Awaitable[bytes]]  # offset, length → octets


class RemoteShelf(Shelf, Protocol):
    """A shelf elsewhere that takes whole files. Everything may raise VaultUnreachable, VaultDenied, VaultFailed."""

    async def check(self) -> None:
        """Refuse a place that cannot keep a deletion's promise. Raises VaultLocks, VaultMissing (no such bucket)."""
        ...

    async def upload(self, name: str, size: int, source: Source) -> None:
        """Bring a whole file there; `source` is asked for its octets in order, once each.

        Broken off anywhere no file appears; the next upload of that name sends only what is not there yet.
        """
        ...

    async def sizes(self) -> dict[str, int]:
        """All names and their sizes in octets."""
        ...

    async def unfinished(self) -> Sequence[str]:
        """Names of uploads that were begun and not ended, sorted."""
        ...


def is_ours(name: str) -> bool:
    """Whether this is a name of ours."""
    return _NAME.fullmatch(name) is not None


def checked_name(name: str) -> str:
    """The name itself. Raises ValueError for one that is not a file id and a kind."""
    if not is_ours(name):
        raise ValueError("not a vault name")
    return name
