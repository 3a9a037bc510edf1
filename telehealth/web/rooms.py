"""What the handlers may call: the rooms of the house, as far as HTTP needs them."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from telehealth.access import Caller
from telehealth.audit.log import AuditLog
from telehealth.clock import Clock
from telehealth.config import Config
from telehealth.identity.enrolment import Enrolment
from telehealth.identity.joining import Joining
from telehealth.identity.own_password import OwnPassword
from telehealth.identity.passkey_sign_in import PasskeySignIn
from telehealth.identity.passkeys import Passkeys
from telehealth.identity.people import People
from telehealth.identity.possession import Possession
from telehealth.identity.resets import Resets
from telehealth.identity.sessions import SessionInfo, Sessions
from telehealth.identity.sign_in import SignIn
from telehealth.identity.tokens import ApiTokens
from telehealth.keys.fields import FieldCipher
from telehealth.secret import Secret
from telehealth.visits.booking import Booking
from telehealth.web.metrics import Metrics
from telehealth.web.proxies import Proxies

Check = Callable[[], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class RecordingFilter:
    """What to find; None means any. `patient` is the keyed hash of a name."""

    since: datetime | None = None
    until: datetime | None = None
    clinician: str | None = None
    visit: str | None = None
    patient: bytes | None = None
    state: str | None = None


class RecordingRoom(Protocol):
    """The recordings service as HTTP sees it; answers are read by attribute into the models of `recordings`."""

    async def find(self, caller: Caller, wanted: RecordingFilter, *, limit: int, after: str | None) -> object: ...

    async def show(self, caller: Caller, recording: str) -> object: ...

    async def manifest(self, caller: Caller, recording: str) -> Mapping[str, Any] | None: ...

    async def delete(self, caller: Caller, recording: str, reason: str, note: str | None) -> object: ...

    async def hold(self, caller: Caller, recording: str, reason: str) -> object: ...

    async def release(self, caller: Caller, recording: str) -> object: ...

    async def certificate(self, caller: Caller, recording: str) -> bytes: ...

    async def retention(self, caller: Caller) -> Sequence[Any]: ...

    async def set_retention(self, caller: Caller, rules: Sequence[tuple[str, int, int]]) -> Sequence[Any]: ...

    async def grant(self, caller: Caller, recording: str, purpose: str) -> Any: ...

    async def renew(self, caller: Caller, grant: str) -> datetime: ...

    async def close_grant(self, caller: Caller, grant: str) -> None: ...

    def size(self, caller: Caller, grant: str, track: str) -> int:
        """Octets of a track under a grant. Raises a Refusal without one in force."""
        ...

    def read_range(
        self, caller: Caller, grant: str, track: str, start: int, end: int
    ) -> AsyncGenerator[bytes, None]: ...


class DemoDoor(Protocol):
    """Exchanges the printed demo token for a session, once."""

    async def enter(
        self, token: str, *, address: str, device: str, key: dict[str, str] | None
    ) -> tuple[Secret[str], SessionInfo]: ...


@dataclass(frozen=True, slots=True)
class Rooms:
    """Everything a handler can reach; made once by `telehealth.app`."""

    config: Config
    clock: Clock
    proxies: Proxies
    origins: frozenset[str]
    metrics: Metrics
    log: AuditLog
    fields: FieldCipher
    people: People
    enrolment: Enrolment
    sign_in: SignIn
    sessions: Sessions
    passkeys: Passkeys
    passkey_sign_in: PasskeySignIn
    own_password: OwnPassword
    resets: Resets
    possession: Possession
    tokens: ApiTokens
    joining: Joining
    booking: Booking
    recordings: RecordingRoom
    checks: Mapping[str, Check]  # readiness, by name
    contract: bytes  # the OpenAPI document
    demo: DemoDoor | None = None
    languages: Sequence[str] = ("en", "ar")

    def lookup_patient(self, name: str) -> bytes:
        """The keyed hash under which a patient's name is found."""
        return self.fields.lookup("patient", name)

    def now(self) -> datetime:
        return self.clock.now()
