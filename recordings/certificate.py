"""The certificate of a deletion: what was destroyed, how, and from when it holds; signed, verifiable offline."""

import base64
import binascii
from dataclasses import asdict, dataclass
from typing import ClassVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from recordings.canonical import Json, canonical, parse_canonical
from recordings.manifest import build
from telehealth.errors import Reason, Refusal

VERSION = 1
DOMAIN = b"telehealth deletion certificate v1\n"
_STATUS = ("pending", "final")


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

    `status`: pending until `effective_after`, then final. `audit_index`, `audit_size`, `audit_root` (hex): the
    entry of the destruction, and the tree it stands in.
    """

    version: int
    certificate_id: str
    recording_id: str
    visit_id: str
    subject_ids: tuple[str, ...]
    files: tuple[DestroyedFile, ...]
    keys: tuple[DestroyedKey, ...]
    method: str
    assurance: str
    tool: str
    asked_by: str
    approved_by: str | None
    executed_by: str
    reason: str
    rule: str
    hold_checked_at: str
    destroyed_at: str
    effective_after: str
    status: str
    read_back: tuple[ReadBack, ...]
    residual: tuple[ResidualCopy, ...]
    audit_index: int
    audit_size: int
    audit_root: str


def issue(certificate: Certificate, key: Ed25519PrivateKey) -> bytes:
    """Canonical JSON `{"certificate": …, "public_key": base64, "signature": base64}`.

    Raises ValueError for another version or an unknown status.
    """
    if certificate.version != VERSION or certificate.status not in _STATUS:
        raise ValueError("this certificate cannot be issued")
    body = _body(certificate)
    document: dict[str, Json] = {
        "certificate": body,
        "public_key": base64.b64encode(key.public_key().public_bytes_raw()).decode("ascii"),
        "signature": base64.b64encode(key.sign(DOMAIN + canonical(body))).decode("ascii"),
    }
    return canonical(document)


def verify(data: bytes, public_key: bytes) -> Certificate:
    """The certificate, if these exact bytes were issued under this raw Ed25519 key. Raises CertificateRefused.

    The key must come from elsewhere than the certificate; the one inside only says which one to ask for.
    """
    try:
        document = parse_canonical(data)
        body, signature, named = document["certificate"], document["signature"], document["public_key"]
        if len(document) != 3 or named != base64.b64encode(public_key).decode("ascii"):
            raise CertificateRefused
        signed = base64.b64decode(str(signature), validate=True)
        Ed25519PublicKey.from_public_bytes(public_key).verify(signed, DOMAIN + canonical(body))
        certificate = build(Certificate, body)
        if signature != base64.b64encode(signed).decode("ascii") or certificate.version != VERSION:
            raise CertificateRefused
    except (ValueError, KeyError, TypeError, binascii.Error, InvalidSignature, RecursionError):
        raise CertificateRefused from None
    return certificate


def _body(certificate: Certificate) -> dict[str, Json]:
    return asdict(certificate)
