"""Copies as the clinic handles them: who asks, who approves or declines, how the link goes out."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from telehealth.access import Action as Act
from telehealth.access import Caller, only_own, require
from telehealth.audit.actions import Action
from telehealth.audit.entry import SYSTEM, Outcome
from telehealth.clock import Clock
from telehealth.copies.faults import CopiesOff, CopyAskedAlready
from telehealth.copies.messages import link_message
from telehealth.copies.ports import Recorded, Studio, entry_of
from telehealth.copies.states import OPEN, State, Step
from telehealth.copies.store import CopyRow, CopyStore
from telehealth.errors import Forbidden, Refusal, WrongState
from telehealth.identity.contacts import address_for
from telehealth.identity.ports import Audit, Post
from telehealth.identity.secrets import new_token, token_hash
from telehealth.ids import Entropy, Kind, new_id
from telehealth.log import get_logger
from telehealth.secret import Secret
from telehealth.sections import Export

CHANNELS = ("email", "sms")
GONE = ("deleting", "deleted")  # states of a recording of which no copy can be asked for
REST_SECONDS = 5.0
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CopyView:
    """A request as pages see it; no name, no contact."""

    id: str
    recording: str
    visit: str
    state: str
    asked_by: str
    asked_role: str
    language: str
    decided_by: str | None
    decline_reason: str | None
    channel: str | None
    created_at: datetime
    decided_at: datetime | None
    expires_at: datetime | None
    fetched_at: datetime | None


class Copies:
    """`run` is the one task, owned by the app: it sends links once copies are made, and ends them."""

    def __init__(
        self,
        *,
        rows: CopyStore,
        studio: Studio,
        audit: Audit,
        clock: Clock,
        post: Post,
        entropy: Entropy,
        settings: Export,
        clinic: str,
        url: str,
    ) -> None:
        self._rows = rows
        self._studio = studio
        self._audit = audit
        self._clock = clock
        self._post = post
        self._entropy = entropy
        self._settings = settings
        self._clinic = clinic
        self._url = url
        self._woken = asyncio.Event()

    async def ask_patient(self, caller: Caller, recording: str, language: str) -> CopyView:
        """The patient, for a recording of their own visit. Raises CopiesOff, CopyAskedAlready, Forbidden, NotFound."""
        found = await self._studio.recorded(recording)
        if caller.kind != "participant" or caller.role != "patient" or caller.visit != found.visit:
            raise Forbidden
        return await self._ask(caller, found, language)

    async def of_patient(self, caller: Caller) -> list[tuple[str, str | None]]:
        """The recordings of the patient's visit, and the state of the newest request for each."""
        if caller.visit is None or not self._settings.patient_copy:
            return []
        found: list[tuple[str, str | None]] = []
        for recording in await self._studio.of_visit(caller.visit):
            rows = await self._rows.of_recording(recording)
            found.append((recording, rows[0].state if rows else None))
        return found

    async def ask(self, caller: Caller, recording: str, language: str) -> CopyView:
        """Staff, on the patient's behalf. Raises CopiesOff, CopyAskedAlready, Forbidden, NotFound, LogUnavailable."""
        found = await self._studio.recorded(recording)
        require(caller, Act.COPIES_ASK, found.thing)
        return await self._ask(caller, found, language)

    async def list(self, caller: Caller, recording: str | None = None) -> list[CopyView]:
        """Open requests the caller may decide; with `recording`, all of its own. Raises Forbidden, NotFound."""
        if recording is not None:
            found = await self._studio.recorded(recording)
            require(caller, Act.COPIES_ASK, found.thing)
            return [view(row) for row in await self._rows.of_recording(recording)]
        self._refuse_clinicians(caller)
        own = caller.id if only_own(caller, Act.COPIES_DECIDE) else None
        return [view(row) for row in await self._rows.in_states(OPEN, clinician=own)]

    async def approve(self, caller: Caller, copy: str) -> CopyView:
        """Entered; then it is made. Raises NotFound, Forbidden, WrongState, and what making refuses with."""
        row, _ = await self._decidable(caller, copy, Act.COPIES_APPROVE)
        actor = caller.actor()
        async with self._audit.act(entry_of(Action.COPY_APPROVE, Outcome.DONE, actor, row)) as act:
            values = {"decided_by": caller.id, "decided_at": self._clock.now()}
            row = await self._rows.step(copy, Step.APPROVE, State.APPROVED, **values)
            try:
                export = await self._studio.make(actor, row.recording, row.id, row.language)
            except Refusal:
                await self._rows.step(copy, Step.FAIL, State.FAILED)
                raise
            await self._rows.note(copy, export_id=export)
            act.detail["export"] = export
        self._woken.set()
        return view(await self._rows.get(copy))

    async def decline(self, caller: Caller, copy: str, reason: str) -> CopyView:
        """With a reason's code. Raises NotFound, Forbidden, WrongState."""
        row, _ = await self._decidable(caller, copy, Act.COPIES_DECIDE)
        values = {"decided_by": caller.id, "decided_at": self._clock.now(), "decline_reason": reason}
        row = await self._rows.step(copy, Step.DECLINE, State.DECLINED, **values)
        await self._audit.enter_closing(
            entry_of(Action.COPY_DECLINE, Outcome.DONE, caller.actor(), row, {"reason": reason})
        )
        return view(row)

    async def link(self, caller: Caller, copy: str) -> Secret[str]:
        """A fresh link to hand over by other means; the one before is dead. Raises NotFound, Forbidden, WrongState."""
        row, _ = await self._decidable(caller, copy, Act.COPIES_APPROVE)
        if row.state is not State.READY or row.export is None:
            raise WrongState
        entry = entry_of(Action.COPY_SEND, Outcome.DONE, caller.actor(), row, {"channel": "told"})
        async with self._audit.act(entry):
            token = new_token(self._entropy)
            await self._rows.step(copy, Step.SEND, State.READY, **_fresh(token), channel="told")
        return Secret(f"{self._url}/copy#{token.reveal()}")

    async def may_decide(self, caller: Caller, copy: str) -> CopyRow:
        """The row, for whoever decides about it. Raises NotFound, Forbidden."""
        return (await self._decidable(caller, copy, Act.COPIES_APPROVE))[0]

    async def run(self) -> None:
        """Until cancelled; what fails is logged and tried again."""
        while True:
            self._woken.clear()
            try:
                await self.look()
            except Exception:
                log.error("copies.failed", exc_info=True)
            try:
                async with asyncio.timeout(REST_SECONDS):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def look(self) -> None:
        """Send links of copies that are made, note those that failed, end those whose time is over."""
        for row in await self._rows.in_states((State.APPROVED,)):
            await self._tried(self._progress, row)
        for row in await self._rows.due(self._clock.now()):
            await self._tried(self._expire, row)

    async def _tried(self, work: Callable[[CopyRow], Awaitable[None]], row: CopyRow) -> None:
        """One that fails is logged and comes again; the others go on."""
        try:
            await work(row)
        except Exception as fault:  # whatever it is, it is this one's
            code = fault.code if isinstance(fault, Refusal) else type(fault).__name__
            log.error("copies.failed", copy=row.id, code=code, exc_info=None if isinstance(fault, Refusal) else fault)

    async def _expire(self, row: CopyRow) -> None:
        dead = {"token_hash": None, "session_hash": None, "code_sealed": None}
        await self._rows.step(row.id, Step.EXPIRE, State.EXPIRED, **dead)
        await self._audit.enter_closing(entry_of(Action.COPY_EXPIRE, Outcome.DONE, SYSTEM, row))

    async def _progress(self, row: CopyRow) -> None:
        making = await self._studio.making(row.export) if row.export is not None else None
        if making is None:  # approved a moment ago, or the server died between approving and making
            if row.decided_at is None or self._clock.now() - row.decided_at > timedelta(minutes=1):
                await self._rows.step(row.id, Step.FAIL, State.FAILED)
        elif making.state in ("failed", "cancelled", "removed"):
            await self._rows.step(row.id, Step.FAIL, State.FAILED)
        elif making.state == "ready":
            await self._send(row, making.expires_at)

    async def _send(self, row: CopyRow, expires: datetime | None) -> None:
        """The link to the contact on file; where nothing can be sent, somebody tells it (`link`)."""
        recorded = await self._studio.recorded(row.recording)
        channel = reachable(self._post, recorded)
        token = new_token(self._entropy)
        until = expires or self._clock.now() + timedelta(days=self._settings.copy_days)
        entry = entry_of(Action.COPY_SEND, Outcome.DONE, SYSTEM, row, {"channel": channel or "told"})
        async with self._audit.act(entry):
            values = {**_fresh(token), "channel": channel or "told", "expires_at": until}
            await self._rows.step(row.id, Step.SEND, State.READY, **values)
            to = address_for(channel, recorded.contact) if channel else None
            if channel is not None and to is not None:
                url = Secret(f"{self._url}/copy#{token.reveal()}")
                message = link_message(row.language, self._clinic, url, self._settings.copy_days)
                await self._post.queue(channel, to, message, visit=row.visit, link=None, expires=until)

    async def _ask(self, caller: Caller, found: Recorded, language: str) -> CopyView:
        if not self._settings.patient_copy:
            raise CopiesOff
        if found.state in GONE:
            raise WrongState
        row = CopyRow(
            id=new_id(Kind.COPY, self._entropy),
            visit=found.visit,
            recording=found.id,
            patient_lookup=found.patient_lookup,
            asked_by=caller.id,
            asked_role=caller.role,
            language=language,
            state=State.ASKED,
            decided_by=None,
            decline_reason=None,
            channel=None,
            export=None,
            token_hash=None,
            code_sealed=None,
            tries=0,
            codes=0,
            session_hash=None,
            code_expires_at=None,
            created_at=self._clock.now(),
            decided_at=None,
            expires_at=None,
            fetched_at=None,
        )
        async with self._audit.act(entry_of(Action.COPY_ASK, Outcome.DONE, caller.actor(), row)):
            if not await self._rows.add(row):
                raise CopyAskedAlready
        return view(row)

    async def _decidable(self, caller: Caller, copy: str, action: Act) -> tuple[CopyRow, Recorded]:
        """The row, for an admin, or for the visit's clinician where the clinic says so. Raises NotFound, Forbidden."""
        row = await self._rows.get(copy)
        found = await self._studio.recorded(row.recording)
        self._refuse_clinicians(caller)
        require(caller, action, found.thing)
        return row, found

    def _refuse_clinicians(self, caller: Caller) -> None:
        """Unless the clinic lets them decide about their own visits."""
        if caller.role == "clinician" and self._settings.copy_approver != "clinician":
            raise Forbidden


def reachable(post: Post, found: Recorded) -> str | None:
    """The channel by which the contact on file can be reached from here."""
    return next((one for one in CHANNELS if post.offers(one) and address_for(one, found.contact)), None)


def view(row: CopyRow) -> CopyView:
    """What pages see of it."""
    return CopyView(**{name: getattr(row, name) for name in CopyView.__slots__})


def _fresh(token: Secret[str]) -> dict[str, object]:
    """A new link: nothing of the one before it counts."""
    hashed = token_hash(token.reveal())
    return {"token_hash": hashed, "code_sealed": None, "session_hash": None, "tries": 0, "codes": 0}
