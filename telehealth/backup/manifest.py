"""What a backup holds, signed by the server that made it: JSON, LF, Ed25519 signature in hex, LF."""

import re
from datetime import datetime
from typing import Annotated, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from telehealth.backup.agefile import Sealed
from telehealth.backup.refusals import BackupNewer, BackupTampered
from telehealth.clock import parse_rfc3339, rfc3339

FORMAT = 1
_DOMAIN = b"telehealth backup manifest v1\n"
_ID = re.compile(r"[0-9]{8}T[0-9]{9}Z-[0-9a-f]{8}")
_STRICT = ConfigDict(frozen=True, extra="forbid")
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^fil_[a-z2-7]{26}\.(capture|sealed|manifest)$")]


class Member(BaseModel):
    """One encrypted file in the set's own folder."""

    model_config = _STRICT

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,40}(\.capture)?\.age$")]
    sealed: Sealed


class Object(BaseModel):
    """A sealed file of a recording, kept once by its SHA-256. Without `sealed` it lies in the remote store alone."""

    model_config = _STRICT

    name: FileName
    sha256: Hash
    size: int
    sealed: Sealed | None = None


class LogCut(BaseModel):
    """The audit log as it is in the set: entries, root (hex) and the key that its heads verify under."""

    model_config = _STRICT

    size: int
    root: Hash
    verifier: str


class Trouble(BaseModel):
    """What of a live recording could not be taken along, and why (a code)."""

    model_config = _STRICT

    name: FileName
    code: str


class Manifest(BaseModel):
    """`data`: database, log, recordings; `keys`: the key store. Both sets of one backup have one id.

    `signer`: raw Ed25519 key in hex. `keys_sha256`: of the manifest of the keys that were taken with these data.
    """

    model_config = _STRICT

    format: int
    kind: Literal["data", "keys"]
    id: str
    made_at: str
    version: str
    signer: Hash
    log: LogCut
    provider: str
    members: tuple[Member, ...]
    schema_revision: str = ""
    backend: str = ""
    objects: tuple[Object, ...] = ()
    trouble: tuple[Trouble, ...] = ()
    keys_sha256: str = ""

    @property
    def made(self) -> datetime:
        return parse_rfc3339(self.made_at)

    def member(self, name: str) -> Member:
        """Raises BackupTampered."""
        for member in self.members:
            if member.name == name:
                return member
        raise BackupTampered(name)


def set_id(now: datetime, entropy: bytes) -> str:
    """A name that sorts by time."""
    return f"{re.sub(r'[-:.]', '', rfc3339(now))}-{entropy.hex()}"


def is_set_id(name: str) -> bool:
    return _ID.fullmatch(name) is not None


def signed(manifest: Manifest, key: Ed25519PrivateKey) -> bytes:
    """The bytes of the file `manifest`."""
    body = manifest.model_dump_json().encode()
    return body + b"\n" + key.sign(_DOMAIN + body).hex().encode() + b"\n"


def opened(content: bytes, *, signer: str | None = None) -> Manifest:
    """The manifest, if these exact bytes were signed by the key it names, and that is `signer` where one is given.

    Who the key belongs to must be known from elsewhere. Raises BackupTampered, BackupNewer.
    """
    body, _, rest = content.partition(b"\n")
    try:
        probe = _Probe.model_validate_json(body)
        signature = bytes.fromhex(rest[:128].decode("ascii"))
        if rest != signature.hex().encode() + b"\n" or (signer or probe.signer) != probe.signer:
            raise BackupTampered("manifest")
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(probe.signer)).verify(signature, _DOMAIN + body)
        if probe.format > FORMAT:
            raise BackupNewer(probe.version)
        return Manifest.model_validate_json(body)
    except (ValueError, ValidationError, InvalidSignature):
        raise BackupTampered("manifest") from None


class _Probe(BaseModel):
    """What every format's manifest has."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: int
    version: str
    signer: Hash
