"""What a deletion can show for itself: gathered while it runs, kept in the row, signed at the end."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
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
    verify,
)
from recordings.rows import RecordingRow, StoredFile
from recordings.seal import TOOL
from recordings.vault.store import Vault, VaultMissing
from telehealth.audit.note import Checkpoint
from telehealth.clock import parse_rfc3339, rfc3339
from telehealth.errors import Reason, Refusal
from telehealth.ids import Kind, new_id
from telehealth.keys.keystore import KeyStore
from telehealth.keys.provider import KeyDestroyed
from telehealth.secret import Secret

OVER_AGE = "backups of the key store that are older than promised"
METHOD = "cryptographic-erase, then ciphertext removed"
SOFTWARE = "software-keystore"  # keys that are files: whoever may read them may copy them
_CHUNK = 1_048_576
_LATER = timedelta(seconds=1)  # than now: what is left then has no date
CopiesLeft = Callable[[], Awaitable[bool]]  # whether a known backup of keys is older than promised, or cannot be seen


async def nothing_left() -> bool:
    """No backup of keys is known."""
    return False


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
    is_final: bool


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
    found = {
        "changes": changes,
        "read_back": KeyDestroyed.code,
        "provider": nothing.provider,
        "assurance": assurance or nothing.assurance,
    }
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


@dataclass(frozen=True, slots=True)
class CopyAges:
    """The greatest ages, in days, that copies may reach: of the key store's backups, of the provider's own storage.

    This is the one place that says when no copy that was told of can bring a key back any more.
    """

    key_store_days: int = 0
    provider_days: int = 0

    def effective_after(self, destroyed_at: datetime) -> datetime:
        """When the last copy from before the destruction has aged out."""
        return destroyed_at + timedelta(days=max(self.key_store_days, self.provider_days))


@dataclass(frozen=True, slots=True)
class Case:
    """What a destruction's row says, of a whole recording or (`participant`) of somebody's part."""

    recording: str
    participant: str | None
    visit: str
    subjects: tuple[str, ...]
    asked_by: str
    asked_at: datetime
    approved_by: str | None
    reason: str
    rule: Mapping[str, Any]
    entry: int
    destruction: Mapping[str, Any]
    destroyed_at: datetime


def case_of(row: RecordingRow) -> Case:
    """A whole recording's destruction. Raises NotProvenDestroyed without evidence."""
    rule, evidence, at, entry = row.delete_rule, row.destruction, row.destroyed_at, row.delete_entry
    if rule is None or evidence is None or at is None or entry is None:
        raise NotProvenDestroyed
    return Case(
        recording=row.id,
        participant=None,
        visit=row.visit,
        subjects=tuple(party["participant"] for party in row.facts["parties"]),
        asked_by=row.delete_asked_by or "",
        asked_at=row.delete_asked_at or at,
        approved_by=row.delete_approved_by,
        reason=row.delete_reason or "",
        rule=rule,
        entry=entry,
        destruction=evidence,
        destroyed_at=at,
    )


class Certifier:
    """Signs certificates, and knows from when they hold. `copies_left` is asked before one is called final."""

    def __init__(self, signing_key: Secret[bytes], ages: CopyAges) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(signing_key.reveal())
        self._ages = ages
        self.copies_left: CopiesLeft = nothing_left

    @property
    def public_key(self) -> bytes:
        """32 octets (RFC 8032)."""
        return self._key.public_key().public_bytes_raw()

    def effective_after(self, destroyed_at: datetime, promised: datetime | None = None) -> datetime:
        """By the ages configured now, and never before what an earlier certificate `promised`."""
        found = self._ages.effective_after(destroyed_at)
        return found if promised is None else max(found, promised)

    async def certificate(self, case: Case, files: Sequence[StoredFile], head: Checkpoint, now: datetime) -> Issued:
        """Attest a destruction: final where there never was a copy to wait for, else pending.

        So a pending one's `effective_after` is always behind `destroyed_at`, and a final one's never. Raises
        NotProvenDestroyed where keys of files were destroyed and no file is named.
        """
        evidence, rule = case.destruction, case.rule
        if evidence["changes"] and not files:
            raise NotProvenDestroyed
        effective = self.effective_after(case.destroyed_at)
        over_age = await self.copies_left()
        if over_age:
            effective = max(effective, now + _LATER)
        is_final = effective <= case.destroyed_at
        certificate = Certificate(
            version=VERSION,
            certificate_id=new_id(Kind.CERTIFICATE),
            recording_id=case.recording,
            scope="recording" if case.participant is None else "part",
            participant_id=case.participant,
            visit_id=case.visit,
            subject_ids=case.subjects,
            files=tuple(DestroyedFile(file.id, file.row.kind, file.sha256 or "", file.size) for file in files),
            keys=_keys(evidence),
            method=METHOD,
            assurance=evidence["assurance"],
            tool=TOOL,
            asked_by=case.asked_by,
            asked_at=rfc3339(case.asked_at),
            approved_by=case.approved_by,
            executed_by="server",
            reason=case.reason,
            rule=f"{rule['class']}: {rule['days']} days, at least {rule['minimum_days']}",
            hold_checked_at=rule["hold_checked_at"],
            destroyed_at=rfc3339(case.destroyed_at),
            effective_after=rfc3339(effective),
            status="final" if is_final else "pending",
            previous_sha256=None,
            read_back=tuple(ReadBack(file.id, evidence["read_back"]) for file in files),
            residual=self._residual(case, now, over_age=over_age),
            audit_index=case.entry,
            audit_size=head.size,
            audit_root=head.root.hex(),
        )
        return Issued(issue(certificate, self._key), now, effective, is_final)

    def final(self, pending: bytes, case: Case, head: Checkpoint, now: datetime) -> Issued | None:
        """The successor of a pending certificate, None while its time has not come.

        Raises CertificateRefused where the pending one is not what was signed here.
        """
        first = verify(pending, self.public_key)
        effective = self.effective_after(case.destroyed_at, parse_rfc3339(first.effective_after))
        if now < effective:
            return None
        certificate = replace(
            first,
            version=VERSION,
            certificate_id=new_id(Kind.CERTIFICATE),
            asked_at=first.asked_at or rfc3339(case.asked_at),
            effective_after=rfc3339(effective),
            status="final",
            previous_sha256=hashlib.sha256(pending).hexdigest(),
            residual=self._residual(case, now),
            audit_size=head.size,
            audit_root=head.root.hex(),
        )
        return Issued(issue(certificate, self._key), now, effective, True)

    def _residual(self, case: Case, now: datetime, *, over_age: bool = False) -> tuple[ResidualCopy, ...]:
        """What `effective_after` waits for, and what nothing waits for because nobody can count it."""
        provider = case.destruction.get("provider", "key provider")
        waits = (
            (f"copies of the storage of {provider}", self._ages.provider_days),
            ("backups of the key store", self._ages.key_store_days),
        )
        found = []
        for place, days in waits:
            until = case.destroyed_at + timedelta(days=days)
            if now < until:
                found.append(ResidualCopy(place, "keys", rfc3339(until)))
        if over_age:
            found.append(ResidualCopy(OVER_AGE, "keys", None))
        if case.destruction["assurance"] == SOFTWARE:
            found.append(ResidualCopy("copies of the root key and key folder that nobody counted", "keys", None))
        found.append(ResidualCopy("backups and remnants of the recordings' disk", "ciphertext", None))
        return tuple(found)


def _keys(evidence: Mapping[str, Any]) -> tuple[DestroyedKey, ...]:
    """One line for each epoch key that was destroyed, with the files whose shares went with it."""
    by_key: dict[tuple[str, str, str | None], list[str]] = {}
    for change in evidence["changes"]:
        by_key.setdefault((change["bucket"], change["old"], change["new"]), []).append(change["file"])
    return tuple(DestroyedKey(*names, tuple(sorted(files))) for names, files in sorted(by_key.items(), key=str))
