"""What the handlers may call: the rooms of the house, as far as HTTP needs them."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from telehealth.access import Caller
from telehealth.access.surroundings import Surroundings
from telehealth.alerts.room import AlertRoom
from telehealth.audit.log import AuditLog
from telehealth.care.glass import Glasses
from telehealth.care.team import Team
from telehealth.clock import Clock
from telehealth.config import Config
from telehealth.copies.copies import Copies
from telehealth.copies.door import CopyDoor
from telehealth.identity.enrolment import Enrolment
from telehealth.identity.joining import Joining
from telehealth.identity.lost import LostLinks
from telehealth.identity.naming import names_of
from telehealth.identity.oidc.sign_in import SsoSignIn
from telehealth.identity.oidc.sign_out import SsoSignOut
from telehealth.identity.own_password import OwnPassword
from telehealth.identity.passkey_sign_in import PasskeySignIn
from telehealth.identity.passkeys import Passkeys
from telehealth.identity.people import People
from telehealth.identity.possession import Possession
from telehealth.identity.resets import Resets
from telehealth.identity.sessions import SessionInfo, Sessions
from telehealth.identity.sightings import Sightings
from telehealth.identity.sign_in import SignIn
from telehealth.identity.tokens import ApiTokens
from telehealth.limits.door import Door
from telehealth.nodes.logs import ServerLogs
from telehealth.privacy.leaving import Leavings
from telehealth.privacy.purge import Purge
from telehealth.registers.room import Registers
from telehealth.secret import Secret
from telehealth.sections import Export
from telehealth.visits.booking import Booking
from telehealth.visits.guests import Guests
from telehealth.visits.namesakes import Namesakes
from telehealth.web.lately import Lately
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


class ErasingRoom(Protocol):
    """Destroying before the term, of wholes and parts, as HTTP sees it."""

    async def destroy_part(
        self, caller: Caller, recording: str, participant: str, reason: str, note: str | None
    ) -> bool: ...

    async def waiting(self, caller: Caller) -> Sequence[Any]: ...

    async def approve(self, caller: Caller, request: str) -> str: ...

    async def refuse(self, caller: Caller, request: str) -> None: ...

    async def certificate(self, caller: Caller, recording: str, *, first: bool = False) -> bytes: ...

    async def part_certificate(
        self, caller: Caller, recording: str, participant: str, *, first: bool = False
    ) -> bytes: ...


class RecordingRoom(Protocol):
    """The recordings service as HTTP sees it; answers are read by attribute into the models of `recordings`."""

    @property
    def erasing(self) -> ErasingRoom: ...

    async def find(self, caller: Caller, wanted: RecordingFilter, *, limit: int, after: str | None) -> object: ...

    async def show(self, caller: Caller, recording: str) -> object: ...

    async def manifest(self, caller: Caller, recording: str) -> Mapping[str, Any] | None: ...

    async def delete(self, caller: Caller, recording: str, reason: str, note: str | None) -> object: ...

    async def hold(self, caller: Caller, recording: str, reason: str) -> object: ...

    async def release(self, caller: Caller, recording: str) -> object: ...

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
    ) -> AsyncGenerator[bytes | memoryview, None]: ...


@dataclass(frozen=True, slots=True)
class ExportWish:
    """How a recording is to leave, and to whom. `secret`: an age recipient or a passphrase."""

    purpose: str
    format: Literal["webm", "mp4"]
    protection: Literal["recipient", "passphrase", "plain"]
    secret: Secret[str]
    language: str
    reason: str | None
    given_to: str | None = None


class ExportRoom(Protocol):
    """Exports as HTTP sees them; answers are read by attribute into the models of `exports`."""

    @property
    def settings(self) -> Export: ...

    async def ask(self, caller: Caller, recording: str, asked: ExportWish) -> object: ...

    async def list(self, caller: Caller, recording: str) -> Sequence[object]: ...

    async def formats(self) -> Sequence[str]: ...

    async def show(self, caller: Caller, export: str) -> object: ...

    async def cancel(self, caller: Caller, export: str) -> object: ...

    async def remove(self, caller: Caller, export: str) -> object: ...

    async def download(self, caller: Caller, export: str) -> Any: ...

    def pieces(self, caller: Caller, export: str, start: int, end: int) -> AsyncGenerator[bytes, None]: ...


class CareRoom(Protocol):
    """Teams and broken glasses: `telehealth.caring.Care`."""

    @property
    def team(self) -> Team: ...

    @property
    def glasses(self) -> Glasses: ...

    @property
    def surroundings(self) -> Surroundings: ...


class DemoDoor(Protocol):
    """Exchanges the printed demo token for a session, once."""

    async def enter(
        self, token: str, *, address: str, device: str, key: dict[str, str] | None
    ) -> tuple[Secret[str], SessionInfo]: ...


class ReachRoom(Protocol):
    """Connection tests: `telehealth.reach.room.Reach`; answers are read by attribute into the models of `reach`."""

    def ways(self) -> object: ...

    async def begin(self, network: str, sdp: str, transports: Sequence[Literal["udp", "tcp"]]) -> object: ...

    def servers(self) -> Sequence[Mapping[str, Any]]: ...


class MediaRoom(Protocol):
    """How the connections of running visits do; answers are read by attribute into the models of `media`."""

    async def of(self, caller: Caller, visit: str) -> object: ...


@dataclass(frozen=True, slots=True)
class Rooms:
    """Everything a handler can reach; made once by `telehealth.app`."""

    config: Config
    clock: Clock
    proxies: Proxies
    origins: frozenset[str]
    metrics: Metrics
    log: AuditLog
    namesakes: Namesakes
    people: People
    enrolment: Enrolment
    sign_in: SignIn
    sessions: Sessions
    passkeys: Passkeys
    passkey_sign_in: PasskeySignIn
    sso: SsoSignIn
    sso_out: SsoSignOut
    own_password: OwnPassword
    resets: Resets
    possession: Possession
    care: CareRoom
    lately: Lately
    door: Door
    tokens: ApiTokens
    joining: Joining
    lost: LostLinks
    sightings: Sightings
    booking: Booking
    guests: Guests
    alerts: AlertRoom
    registers: Registers
    purge: Purge
    leavings: Leavings
    recordings: RecordingRoom
    exports: ExportRoom
    copies: Copies
    copy_door: CopyDoor
    checks: Mapping[str, Check]  # readiness, by name
    contract: bytes  # the OpenAPI document
    demo: DemoDoor | None = None
    languages: Sequence[str] = ("en", "ar")
    reach: ReachRoom | None = None  # none where no media port is open
    media: MediaRoom | None = None
    server_logs: ServerLogs | None = None  # none where nothing but this server's log can be

    async def names(self, ids: Iterable[str]) -> dict[str, str]:
        """Names of staff and labels of tokens, by id; others are left out."""
        return await names_of(self.people, self.tokens, ids)

    def now(self) -> datetime:
        return self.clock.now()
