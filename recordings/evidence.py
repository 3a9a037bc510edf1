"""What a deletion can show for itself: gathered while it runs, kept in the row, signed at the end."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recordings.certificate import (
    VERSION,
    Certificate,
    DestroyedFile,
    DestroyedKey,
    ReadBack,
    ResidualCopy,
    issue,
)
from recordings.rows import RecordingRow, StoredFile
from recordings.seal import TOOL
from recordings.vault.store import Vault, VaultMissing
from telehealth.audit.note import Checkpoint
from telehealth.clock import rfc3339
from telehealth.errors import Reason, Refusal
from telehealth.ids import Kind, new_id
from telehealth.keys.keystore import KeyStore
from telehealth.keys.provider import KeyDestroyed
from telehealth.secret import Secret

METHOD = "cryptographic-erase, then ciphertext removed"
_CHUNK = 1_048_576


class NotProvenDestroyed(Refusal):
    """A key still opens, or the key store has no record of having destroyed it: nothing is certified."""

    code: ClassVar[str] = "destruction_not_proven"
    reason = Reason.UNAVAILABLE
    message = "The destruction of a key could not be proven, so no certificate was issued."


@dataclass(frozen=True, slots=True)
class Issued:
    """A signed certificate, when it was issued and from when it holds, backups included."""

    blob: bytes
    issued_at: datetime
    effective_after: datetime


async def gather(keys: KeyStore, files: Sequence[StoredFile]) -> tuple[dict[str, Any], datetime]:
    """The key store's evidence and a failed attempt to open every file, as JSON; and since when no key opens.

    Destroys what is not destroyed yet. Raises Held, NotProvenDestroyed.
    """
    changes: list[dict[str, Any]] = []
    moments: list[datetime] = []
    assurance = ""
    for file in files:
        proof = await keys.destroy([file.id])
        if proof.unknown or not await _refuses(keys, file):
            raise NotProvenDestroyed
        assurance = proof.assurance
        moments.append(proof.destroyed_at)
        changes += [
            {"file": file.id, "bucket": change.bucket, "old": change.old_epoch_key, "new": change.new_epoch_key}
            for change in proof.buckets
        ]
    nothing = await keys.destroy([])
    found = {"changes": changes, "read_back": KeyDestroyed.code, "assurance": assurance or nothing.assurance}
    return found, max(moments, default=nothing.destroyed_at)


async def _refuses(keys: KeyStore, file: StoredFile) -> bool:
    row = file.row
    try:
        await keys.open(row.file_id, wrapped_share=row.wrapped_share, wrapping_key=row.wrapping_key)
    except KeyDestroyed:
        return True
    return False


async def digest_of(vault: Vault, name: str) -> tuple[str, int]:
    """SHA-256 (hex) and size of a file as it lies there; empty and 0 where there is none."""
    digest, size = hashlib.sha256(), 0
    try:
        while chunk := await vault.read(name, size, _CHUNK):
            digest.update(chunk)
            size += len(chunk)
    except VaultMissing:
        return "", 0
    return digest.hexdigest(), size


class Certifier:
    """Signs certificates. `backup_days`: the greatest age of a backup of key store or provider."""

    def __init__(self, signing_key: Secret[bytes], backup_days: int) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(signing_key.reveal())
        self._backups = timedelta(days=backup_days)

    @property
    def public_key(self) -> bytes:
        """32 octets (RFC 8032)."""
        return self._key.public_key().public_bytes_raw()

    def certificate(self, row: RecordingRow, files: Sequence[StoredFile], head: Checkpoint, now: datetime) -> Issued:
        """Attest what a row with its evidence says. Raises NotProvenDestroyed without evidence."""
        evidence, rule, destroyed_at = row.destruction, row.delete_rule, row.destroyed_at
        if evidence is None or rule is None or destroyed_at is None or row.delete_entry is None:
            raise NotProvenDestroyed
        effective = destroyed_at + self._backups
        certificate = Certificate(
            version=VERSION,
            certificate_id=new_id(Kind.CERTIFICATE),
            recording_id=row.id,
            visit_id=row.visit,
            subject_ids=tuple(party["participant"] for party in row.facts["parties"]),
            files=tuple(DestroyedFile(file.id, file.row.kind, file.sha256 or "", file.size) for file in files),
            keys=_keys(evidence),
            method=METHOD,
            assurance=evidence["assurance"],
            tool=TOOL,
            asked_by=row.delete_asked_by or "",
            approved_by=None,
            executed_by="server",
            reason=row.delete_reason or "",
            rule=f"{rule['class']}: {rule['days']} days, at least {rule['minimum_days']}",
            hold_checked_at=rule["hold_checked_at"],
            destroyed_at=rfc3339(destroyed_at),
            effective_after=rfc3339(effective),
            status="final" if now >= effective else "pending",
            read_back=tuple(ReadBack(file.id, evidence["read_back"]) for file in files),
            residual=_residual(effective if self._backups else None),
            audit_index=row.delete_entry,
            audit_size=head.size,
            audit_root=head.root.hex(),
        )
        return Issued(issue(certificate, self._key), now, effective)


def _keys(evidence: Mapping[str, Any]) -> tuple[DestroyedKey, ...]:
    """One line for each epoch key that was destroyed, with the files whose shares went with it."""
    by_key: dict[tuple[str, str, str | None], list[str]] = {}
    for change in evidence["changes"]:
        by_key.setdefault((change["bucket"], change["old"], change["new"]), []).append(change["file"])
    return tuple(DestroyedKey(*names, tuple(sorted(files))) for names, files in sorted(by_key.items(), key=str))


def _residual(keys_until: datetime | None) -> tuple[ResidualCopy, ...]:
    ciphertext = ResidualCopy("backups and remnants of the recordings' disk", "ciphertext", None)
    if keys_until is None:
        return (ciphertext,)
    return (ResidualCopy("backups of key store and provider", "keys", rfc3339(keys_until)), ciphertext)
