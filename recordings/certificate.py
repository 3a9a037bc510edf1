"""The certificate of a deletion: what was destroyed, how, and from when it holds; signed, verifiable offline."""

import base64
import binascii
import hashlib
from dataclasses import asdict, dataclass
from typing import ClassVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from recordings.canonical import Json, canonical, parse_canonical
from recordings.manifest import build
from telehealth.errors import Reason, Refusal

VERSION = 2
_STATUS = ("pending", "final")
_SCOPE = ("recording", "part")
_SINCE_2: dict[str, Json] = {"scope": "recording", "participant_id": None, "asked_at": "", "previous_sha256": None}


class CertificateRefused(Refusal):
    """The certificate was changed, is not one, or was signed by another key."""

    code: ClassVar[str] = "certificate_refused"
    reason = Reason.INVALID
    message = "The certificate does not verify."


@dataclass(frozen=True, slots=True)
class DestroyedFile:
    """A ciphertext file that was removed: its octets and SHA-256 (empty where it was never whole)."""

    file_id: str
    kind: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class DestroyedKey:
    """A bucket whose epoch key was destroyed, the files whose shares went, and the key that replaced it."""

    bucket: str
    old_epoch_key: str
    new_epoch_key: str | None
    file_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReadBack:
    """An attempt to open a file after destruction, and how it failed (a code)."""

    file_id: str
    outcome: str


@dataclass(frozen=True, slots=True)
class ResidualCopy:
    """Where copies may still lie, what of (`ciphertext`, `keys`), and until when (RFC 3339, None: unknown)."""

    place: str
    what: str
    until: str | None


@dataclass(frozen=True, slots=True)
class Certificate:
    """All that is attested. Times are RFC 3339; people, visit and patient are ids or pseudonyms, never names.

    `scope`: the whole recording, or the part of `participant_id`. `status`: pending until `effective_after`; the final
    one names the pending one's bytes in `previous_sha256` (hex). `audit_index`, `audit_size`, `audit_root` (hex): the
    entry of the destruction, and a tree it stands in.
    """

    version: int
    certificate_id: str
    recording_id: str
    scope: str
    participant_id: str | None
    visit_id: str
    subject_ids: tuple[str, ...]
    files: tuple[DestroyedFile, ...]
    keys: tuple[DestroyedKey, ...]
    method: str
    assurance: str
    tool: str
    asked_by: str
    asked_at: str
    approved_by: str | None
    executed_by: str
    reason: str
    rule: str
    hold_checked_at: str
    destroyed_at: str
    effective_after: str
    status: str
    previous_sha256: str | None
    read_back: tuple[ReadBack, ...]
    residual: tuple[ResidualCopy, ...]
    audit_index: int
    audit_size: int
    audit_root: str


def issue(certificate: Certificate, key: Ed25519PrivateKey) -> bytes:
    """Canonical JSON `{"certificate": …, "public_key": base64, "signature": base64}`.

    Raises ValueError for another version, an unknown status or scope.
    """
    if certificate.version != VERSION or certificate.status not in _STATUS or certificate.scope not in _SCOPE:
        raise ValueError("this certificate cannot be issued")
    body: dict[str, Json] = asdict(certificate)
    document: dict[str, Json] = {
        "certificate": body,
        "public_key": base64.b64encode(key.public_key().public_bytes_raw()).decode("ascii"),
        "signature": base64.b64encode(key.sign(_domain(VERSION) + canonical(body))).decode("ascii"),
    }
    return canonical(document)


def verify(data: bytes, public_key: bytes) -> Certificate:
    """The certificate, if these exact bytes were issued under this raw Ed25519 key. Raises CertificateRefused.

    Version 1, which had no parts and no second certificate, is read as well.
    The key must come from elsewhere than the certificate; the one inside only says which one to ask for.
    """
    try:
        document = parse_canonical(data)
        body, signature, named = document["certificate"], document["signature"], document["public_key"]
        if len(document) != 3 or named != base64.b64encode(public_key).decode("ascii"):
            raise CertificateRefused
        signed = base64.b64decode(str(signature), validate=True)
        if not isinstance(body, dict):
            raise CertificateRefused
        version = body["version"]
        if type(version) is not int or version not in (1, VERSION):
            raise CertificateRefused
        if signature != base64.b64encode(signed).decode("ascii"):
            raise CertificateRefused
        Ed25519PublicKey.from_public_bytes(public_key).verify(signed, _domain(version) + canonical(body))
        certificate = build(Certificate, body if version == VERSION else _as_2(body))
    except (ValueError, KeyError, TypeError, binascii.Error, InvalidSignature, RecursionError):
        raise CertificateRefused from None
    return certificate


def follows(final: Certificate, pending: bytes) -> bool:
    """Whether a final certificate is the successor of exactly these bytes."""
    return final.status == "final" and final.previous_sha256 == hashlib.sha256(pending).hexdigest()


def _domain(version: int) -> bytes:
    return f"telehealth deletion certificate v{version}\n".encode("ascii")


def _as_2(body: dict[str, Json]) -> dict[str, Json]:
    """A body of version 1 with what version 2 says more. Raises ValueError where it says that already."""
    if _SINCE_2.keys() & body.keys():
        raise ValueError("fields of another version")
    return {**body, **_SINCE_2}
