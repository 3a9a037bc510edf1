"""What is known of a session: whose it is, and how it was begun."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

# sso: the identity provider proved both factors; sso_code: it proved one, the person's own code was the other.
Factor = Literal["totp", "recovery_code", "passkey", "demo", "sso", "sso_code"]


@dataclass(frozen=True, slots=True)
class Person:
    id: str
    name: str
    role: str


@dataclass(frozen=True, slots=True)
class Proof:
    """How somebody proved two factors: with what, in which browser (its User-Agent), bound to which of its keys.

    `invited`: by a set-up link handed over by an admin, so that the device becomes known as theirs. `proved_at`: when,
    where the identity provider says so. `sso_sid`: which of the provider's sessions it was.
    """

    factor: Factor = "totp"
    device: str | None = None
    passkey: str | None = None
    key: dict[str, str] | None = field(default=None, repr=False)  # JWK
    invited: bool = False
    proved_at: datetime | None = None  # None: just now
    sso_sid: bytes | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """One of a person's sessions, as they recognise it."""

    id: str
    name: str
    factor: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    current: bool


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """What a page is told: `idle_seconds` without activity until it ends."""

    id: str
    user: Person
    idle_seconds: int
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    factor: str = "totp"
