"""Reading a sealed recording whole, as proof that it still is."""

from collections.abc import Sequence
from dataclasses import dataclass

from recordings.partners import FinishedFile
from recordings.rows import StoredFile
from recordings.sealing import verify
from recordings.vault.store import Vault
from telehealth.errors import Refusal
from telehealth.keys.keystore import KeyStore


@dataclass(frozen=True, slots=True)
class Verification:
    """`files` that were read, and of each damaged one the code of what is wrong."""

    files: int
    damaged: dict[str, str]


async def verify_recording(keys: KeyStore, vault: Vault, files: Sequence[StoredFile]) -> Verification:
    """Check every tag, size and SHA-256 of the sealed files."""
    sealed = [file for file in files if file.state == "sealed"]
    damaged: dict[str, str] = {}
    for file in sealed:
        row = file.row
        try:
            dek = await keys.open(row.file_id, wrapped_share=row.wrapped_share, wrapping_key=row.wrapping_key)
            await verify(vault, row.name, dek, row.recording_id, finished_of(file))
        except Refusal as fault:
            damaged[file.id] = fault.code
    return Verification(len(sealed), damaged)


def finished_of(file: StoredFile) -> FinishedFile:
    """What the catalogue says that a sealed file is."""
    return FinishedFile(file.id, file.size, file.plain_size, file.segments, file.sha256 or "")
