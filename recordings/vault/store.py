"""What a store of encrypted files can do; only ciphertext ever comes here."""

import re
from typing import ClassVar, Protocol

from telehealth.errors import NotFound, Reason, Refusal

_NAME = re.compile(r"fil_[a-z2-7]{26}\.(capture|sealing|sealed|manifest)")


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

    async def append(self, data: bytes) -> None:
        """Write all of `data` at the end. Raises VaultFull, VaultFailed, VaultFrozen; then the writer is dead."""
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


class Vault(Protocol):
    """Files by name. Names hold a file id and a kind, nothing about anybody."""

    async def create(self, name: str) -> Writer:
        """A new, empty file whose name is durable. Raises VaultFailed when the name is taken."""
        ...

    async def read(self, name: str, offset: int, length: int) -> bytes:
        """Up to `length` octets from `offset`; fewer only at the file's end. Raises VaultMissing."""
        ...

    async def size(self, name: str) -> int:
        """The file's size in octets. Raises VaultMissing."""
        ...

    async def rename(self, old: str, new: str) -> None:
        """Give a file its final name, durably and at once. Raises VaultMissing."""
        ...

    async def delete(self, name: str) -> None:
        """Remove a file durably; a missing one is fine."""
        ...

    async def list(self) -> list[str]:
        """All names, sorted."""
        ...

    async def free_bytes(self) -> int:
        """Octets that can still be written."""
        ...

    async def close(self) -> None:
        """Wait for what runs and give the threads back."""
        ...


def checked_name(name: str) -> str:
    """The name itself. Raises ValueError for one that is not a file id and a kind."""
    if not _NAME.fullmatch(name):
        raise ValueError("not a vault name")
    return name
