"""The clinician's own look: the face in the picture, held to what they have. What was compared, by whom, when.

Kinds of documents are kept, never a number or a picture of one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from telehealth.access import Action as May
from telehealth.access import Caller, Kind, Object, require
from telehealth.audit.actions import Action
from telehealth.audit.entry import Code, Entry, Outcome
from telehealth.clock import Clock
from telehealth.errors import Malformed, NotFound, WrongState
from telehealth.events import Bus, IdentitySeen
from telehealth.identity.ports import Audit
from telehealth.identity.standing import window_of
from telehealth.ids import Entropy, new_id
from telehealth.ids import Kind as IdKind
from telehealth.sections import Visits
from telehealth.store import care, sightings
from telehealth.store import links as rows
from telehealth.store.engine import Store
from telehealth.store.sightings import SightingRow
from telehealth.visits.states import ParticipantState

Compared = Literal["photo_document", "picture_on_file", "known_in_person", "name", "birth_date", "address", "question"]
Document = Literal["passport", "identity_card", "driving_licence", "health_card", "residence_permit", "other"]
Seen = Literal["same", "unsure"]
OF_THE_FACE: frozenset[str] = frozenset({"photo_document", "picture_on_file", "known_in_person"})


@dataclass(frozen=True, slots=True)
class Look:
    """What a clinician says they compared; `document` where one with a picture was held up."""

    participant: str
    compared: frozenset[Compared]
    outcome: Seen
    document: Document | None = None

    def check(self) -> None:
        """Raises Malformed: somebody is the same by a face alone, and a document has a kind."""
        if not self.compared or (self.outcome == "same" and not self.compared & OF_THE_FACE):
            raise Malformed("compared")
        if ("photo_document" in self.compared) != (self.document is not None):
            raise Malformed("document")


class Sightings:
    """By whoever takes part as the clinician, of a patient who is in the call with them."""

    def __init__(self, *, store: Store, audit: Audit, clock: Clock, bus: Bus, limits: Visits, entropy: Entropy) -> None:
        self._store = store
        self._audit = audit
        self._clock = clock
        self._bus = bus
        self._limits = limits
        self._entropy = entropy

    async def record(self, caller: Caller, visit: str, look: Look) -> SightingRow:
        """Entered first. Raises NotFound, Malformed, WrongState for somebody not in the call, LogUnavailable."""
        facts = await self._visit(caller, visit)
        look.check()
        row = SightingRow(
            id=new_id(IdKind.SIGHTING, self._entropy),
            participant_id=look.participant,
            by=caller.id,
            compared=sorted(look.compared),
            document=look.document,
            outcome=look.outcome,
            at=self._clock.now(),
        )
        detail: dict[str, Code] = {"outcome": row.outcome, "document": row.document or "none"}
        detail |= {f"compared_{one}": True for one in row.compared}
        entry = Entry(
            Action.IDENTITY_SEEN,
            Outcome.DONE,
            caller.actor(),
            visit=visit,
            patient=facts.patient_lookup.hex(),
            subject=look.participant,
            detail=detail,
        )
        async with self._store.read() as connection:
            state = await sightings.patient_of(connection, visit, look.participant)
        if state is None:
            raise NotFound
        if state != ParticipantState.ADMITTED:
            raise WrongState
        async with self._audit.act(entry), self._store.begin() as connection:
            await sightings.add(connection, visit, row)
        await self._bus.publish(IdentitySeen(visit, row.participant_id, row.outcome))
        return row

    async def of(self, caller: Caller, visit: str) -> Sequence[SightingRow]:
        """What was compared in the visit, oldest first. Raises NotFound."""
        await self._visit(caller, visit)
        async with self._store.read() as connection:
            return await sightings.of(connection, visit)

    async def _visit(self, caller: Caller, visit: str) -> rows.VisitFacts:
        async with self._store.read() as connection:
            facts = await rows.visit(connection, visit)
            circle = (await care.circles(connection, [visit], self._clock.now()))[visit]
        if facts is None:
            raise NotFound
        patient, window = facts.patient_lookup.hex(), window_of(facts.scheduled_at, facts.minutes, self._limits)
        held = (window.opens, window.closes)
        thing = Object(Kind.VISIT, visit, facts.clinician_id, circle.team, circle.opened, visit, patient, held)
        require(caller, May.VISITS_CALL, thing)
        return facts
