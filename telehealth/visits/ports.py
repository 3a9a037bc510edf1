"""What running visits ask of their neighbours: log, people, media port, recorder, and whoever carries their words."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

from telehealth.audit.entry import Entry
from telehealth.frames import FrameSink
from telehealth.store.engine import Connection

AskKey = Callable[[str, str], None]  # recording, participant: a key frame is needed
EndReason = Literal["ended", "removed", "link_revoked", "signed_out", "left"]


class Audit(Protocol):
    """The part of `telehealth.audit.AuditLog` used here."""

    async def enter(self, entry: Entry) -> int:
        """Durable on return. Raises LogUnavailable."""
        ...

    async def enter_closing(self, entry: Entry) -> object:
        """Durable on return, in the log or its reserved spool."""
        ...

    async def enter_throttled(self, entry: Entry, source: str) -> object:
        """The first of a source at once, the rest of its minute as one count."""
        ...


class People(Protocol):
    """Names of staff, for those who may see them."""

    async def name_of(self, ids: Sequence[str]) -> Mapping[str, str]: ...


class Publish(Protocol):
    """Carries events out. Nothing here waits: full queues are the carrier's matter."""

    def to_participant(self, participant: str, event: str, payload: Mapping[str, Any]) -> None: ...
    def to_watchers(self, clinician: str, event: str, payload: Mapping[str, Any]) -> None: ...

    def watched(self) -> frozenset[str]:
        """The clinicians whose today's list is open somewhere."""
        ...

    def close_participant(self, participant: str, reason: EndReason) -> None:
        """Tell the participant's socket why, then close it."""
        ...

    def replace_participant(self, participant: str) -> None:
        """Tell the participant's sockets that they go on in another tab, then close them."""
        ...

    def drop_participant(self, participant: str) -> None:
        """Drop the participant's connections without a word; their pages come back."""
        ...

    def close_user(self, user: str, session: str | None) -> None:
        """Close every socket of a user's session, or of all of them."""
        ...


class Slot(Protocol):
    """One receiving section of a browser, and whose what it carries; `source`: audio, camera or screen."""

    @property
    def mid(self) -> str: ...
    @property
    def publisher(self) -> str: ...
    @property
    def source(self) -> str: ...


Heard = Callable[[tuple[Slot, ...]], None]


class Leg(Protocol):
    """One participant's connection to the media port."""

    def attach(self, sink: FrameSink) -> None:
        """From the next packet on `sink` takes what comes. Raises ValueError while another one is attached."""
        ...

    def detach(self, reason: str) -> None:
        """After this call nothing reaches the sink; with none attached nothing happens."""
        ...

    def slots(self) -> Sequence[Slot]: ...

    def show_screen(self, allowed: bool) -> None:
        """Whether the others get this browser's screen, from this call on."""
        ...

    async def restart(self, offer_sdp: str) -> str:
        """The answer to a later offer of the same page. Raises a Refusal for another certificate, or after the end."""
        ...

    async def wait_connected(self) -> bool:
        """True once media can flow, False if it ended before."""
        ...

    def finish(self, reason: str) -> None:
        """End it now; a second call does nothing."""
        ...

    def request_key_frame(self) -> None: ...

    async def wait_closed(self) -> str:
        """The reason, once it has ended."""
        ...


class LegRoom(Protocol):
    """`signaling.rtc.MediaPort`."""

    async def open_leg(
        self,
        leg_id: str,
        offer_sdp: str,
        sink: FrameSink | None = None,
        *,
        room: str | None = None,
        publisher: str = "",
        heard: Heard | None = None,
    ) -> tuple[Leg, str]:
        """The leg and the answer's SDP; with a room, what comes in goes to every other leg there.

        Raises a Refusal for an offer that is not acceptable, or when there is no place.
        """
        ...


class Party(Protocol):
    """Somebody who is recorded."""

    @property
    def participant(self) -> str: ...
    @property
    def role(self) -> str: ...


class ConsentFact(Protocol):
    """A yes that was signed: when, and to which text."""

    @property
    def participant(self) -> str: ...
    @property
    def at(self) -> datetime: ...
    @property
    def text_sha256(self) -> str: ...
    @property
    def version(self) -> str: ...


class RecordingListener(Protocol):
    """Told by the recorder, synchronously, on the event loop."""

    def first_stored(self, recording: str, participant: str) -> None: ...
    def fault(self, recording: str, code: str) -> None: ...
    def sealed(self, recording: str) -> None: ...


class RecordingRoom(Protocol):
    """`recordings.service.RecordingService`."""

    async def begin(
        self,
        *,
        visit: str,
        clinician: str,
        patient_lookup: bytes,
        parties: Sequence[Party],
        purpose: str,
        consents: Sequence[ConsentFact],
        listener: RecordingListener,
        ask_key: AskKey,
    ) -> str:
        """The new recording's id, ready to take frames. Raises a Refusal when it cannot be kept safely."""
        ...

    def sink(self, recording: str, participant: str) -> FrameSink: ...

    def cut(self, recording: str, reason: str) -> None:
        """From this call on nothing more is stored."""
        ...

    async def pause(self, recording: str, reason: str) -> None: ...
    async def resume(self, recording: str) -> None: ...
    async def stop(self, recording: str, reason: str) -> None: ...


RetentionDays = Callable[[], Awaitable[int]]
TouchLive = Callable[[str, str | None], Awaitable[object]]  # user, session


class Tenure(Protocol):
    """Which of several servers runs a visit: `telehealth.nodes.registry.Registry`, or `Alone`."""

    async def take(self, visit: str) -> None:
        """The visit runs here from now on. Raises RunsElsewhere while it runs on another server."""
        ...

    async def release(self, visit: str) -> None:
        """It runs nowhere."""
        ...

    async def glances(self, visits: Sequence[str]) -> Mapping[str, Any]:
        """By visit, what a clinician's list says of those that run on other servers."""
        ...

    def tell_today(self, clinician: str) -> None:
        """Other servers make a clinician's list anew."""
        ...


class Alone:
    """The only server: every visit runs here."""

    async def take(self, visit: str) -> None:
        return

    async def release(self, visit: str) -> None:
        return

    async def glances(self, visits: Sequence[str]) -> Mapping[str, Any]:
        return {}

    def tell_today(self, clinician: str) -> None:
        return


class Mine(Protocol):
    """Whether a visit (or a participant's) runs here, and nowhere else until the transaction ends."""

    async def __call__(
        self, connection: Connection, /, *, visit: str | None = None, participant: str | None = None
    ) -> None:
        """Raises RunsElsewhere."""
        ...


async def anybody(_connection: Connection, /, *, visit: str | None = None, participant: str | None = None) -> None:
    """Bookings change visits wherever they run."""
