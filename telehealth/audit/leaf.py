"""The exact bytes of a leaf, and the pseudonyms that stand in it."""

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from telehealth.audit.entry import Actor, Code, Entry
from telehealth.audit.tree import Hash, leaf_hash
from telehealth.clock import parse_rfc3339, rfc3339
from telehealth.secret import Secret

VERSION = 1
MAX_LEAF = 8192  # bytes; the limits of an entry keep it below


@dataclass(frozen=True, slots=True)
class Stamped:
    """An entry with its time and its 32 hex digits of chance, which keep leaves unguessable and never entered twice.

    `closing`: the act has happened, so the entry must be made even if its detail cannot be sealed.
    `late`: it waited in the spool.
    """

    entry: Entry
    at: datetime
    nonce: str
    closing: bool = False
    late: bool = False


@dataclass(frozen=True, slots=True)
class Stored:
    """An entry as the log holds it: pseudonyms where people were. `index` is its place; `leaf` its exact bytes."""

    index: int
    at: datetime
    action: str
    outcome: str
    actor_kind: str
    actor_role: str
    actor: str
    visit: str | None
    recording: str | None
    patient: str | None
    subject: str | None
    purpose: str | None
    detail: Mapping[str, Code]
    sealed: str | None
    nonce: str
    late: bool
    leaf: bytes

    @property
    def hash(self) -> Hash:
        return leaf_hash(self.leaf)

    @property
    def key_subject(self) -> str:
        """Whose detail key seals this entry's private text."""
        return key_subject(self.patient, self.actor_kind, self.actor)


class Pseudonyms:
    """Keyed hashes (HMAC-SHA-256, hex) in the place of people's ids; without the key nobody can tell whose they are."""

    __slots__ = ("_key",)

    def __init__(self, key: Secret[bytes]) -> None:
        self._key = key

    def _of(self, domain: str, name: str) -> str:
        return hmac.digest(self._key.reveal(), f"{domain}\0{name}".encode("utf-8", "surrogatepass"), "sha256").hex()

    def derived(self, purpose: str) -> bytes:
        """A key of 32 bytes for something else than pseudonyms."""
        return hmac.digest(self._key.reveal(), b"\0derived\0" + purpose.encode(), "sha256")

    def patient(self, patient: str) -> str:
        return self._of("patient", patient)

    def participant(self, participant: str) -> str:
        return self._of("participant", participant)

    def actor(self, actor: Actor) -> str:
        """Staff, tokens and the machine stand as they are; their ids are random already."""
        if actor.kind == "participant":
            return self.participant(actor.id)
        if actor.kind == "stranger":
            return self._of("stranger", actor.id) if actor.id else ""
        return actor.id

    def subject(self, subject: str | None) -> str | None:
        return self.participant(subject) if subject and subject.startswith("par_") else subject

    def any_of(self, name: str) -> tuple[str, ...]:
        """Every way in which an actor of this id may stand in the log."""
        return name, self.participant(name), self._of("stranger", name)


def key_subject(patient: str | None, actor_kind: str, actor: str) -> str:
    return f"patient:{patient}" if patient else f"{actor_kind}:{actor}"


def encode(
    stamped: Stamped, pseudonyms: Pseudonyms, sealed: str | None, more: Mapping[str, Code] | None = None
) -> bytes:
    """Canonical JSON: sorted keys, no spaces, no floats, ASCII."""
    entry = stamped.entry
    leaf = {
        "v": VERSION,
        "n": stamped.nonce,
        "at": rfc3339(stamped.at),
        "action": entry.action.value,
        "outcome": entry.outcome.value,
        "actor": {"kind": entry.actor.kind, "role": entry.actor.role, "id": pseudonyms.actor(entry.actor)},
        "visit": entry.visit,
        "recording": entry.recording,
        "patient": pseudonyms.patient(entry.patient) if entry.patient else None,
        "subject": pseudonyms.subject(entry.subject),
        "purpose": entry.purpose,
        "detail": {**entry.detail, **(more or {})},
        "sealed": sealed,
        "late": stamped.late,
    }
    return canonical(leaf)


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def canonical(value: object) -> bytes:
    return _CANONICAL.encode(value).encode("ascii")


def decode(index: int, leaf: bytes) -> Stored:
    """Read what `encode` wrote. Raises ValueError for anything else."""
    try:
        found = json.loads(leaf)
        if found["v"] != VERSION:
            raise ValueError("a leaf of another version")
        return Stored(
            index=index,
            at=parse_rfc3339(found["at"]),
            action=found["action"],
            outcome=found["outcome"],
            actor_kind=found["actor"]["kind"],
            actor_role=found["actor"]["role"],
            actor=found["actor"]["id"],
            visit=found["visit"],
            recording=found["recording"],
            patient=found["patient"],
            subject=found["subject"],
            purpose=found["purpose"],
            detail=found["detail"],
            sealed=found["sealed"],
            nonce=found["n"],
            late=found["late"],
            leaf=leaf,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("not a leaf of this log") from error


def sealed_hash_in(leaf: bytes) -> bytes | None:
    """The hex digest in a leaf's `sealed`, without parsing: only `subject`, `v` and `visit` come after it."""
    start = leaf.rfind(b'"sealed":')
    if start < 0 or leaf[start + 9 : start + 10] != b'"':
        return None
    return leaf[start + 10 : start + 74]
