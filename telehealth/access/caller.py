"""Who asks, proven: a person in a session, a program with a token, a patient, the command line, the server itself."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from telehealth.access.facts import NOWHERE, Context
from telehealth.audit.entry import Actor

Role = Literal["admin", "clinician", "auditor", "front_desk", "patient", "guest", "system", "stranger"]
CallerKind = Literal["user", "token", "participant", "cli", "system", "stranger"]


@dataclass(frozen=True, slots=True)
class Caller:
    """`id`: of the user (also behind a token) or participant; `scopes` None: not limited.

    `context`: how and from where they ask, gathered at the edge; a caller that came by no edge stands nowhere.
    """

    kind: CallerKind
    id: str
    role: Role
    scopes: frozenset[str] | None = None
    session: str | None = None  # id of the staff session or of the bearer token
    visit: str | None = None
    participant: str | None = None
    address: str | None = None
    device: str | None = None
    mfa_at: datetime | None = None  # when a person last proved two factors in this session
    context: Context = field(default=NOWHERE, compare=False, repr=False)

    def actor(self) -> Actor:
        """The same person as the audit log writes them down."""
        kind = self.kind
        acting = self.session if kind == "token" and self.session else self.id
        return Actor(kind, id=acting, role=self.role, address=self.address, device=self.device)


def command_line(user: str = "cli") -> Caller:
    """Whoever may run commands on the server's own machine."""
    return Caller(kind="cli", id=user, role="admin")


SYSTEM = Caller(kind="system", id="server", role="system")
STRANGER = Caller(kind="stranger", id="", role="stranger")


def recently_proven(caller: Caller, now: datetime, within: timedelta) -> bool:
    """Whether a person proved two factors within this time; programs and the command line rest on what they hold."""
    if caller.kind != "user":
        return caller.kind != "participant"
    return caller.mfa_at is not None and timedelta(0) <= now - caller.mfa_at < within
