"""What one person may see of a visit: pure; people in the call see each other, and of names staff's and guests'."""

from collections.abc import Iterable, Mapping, Set
from datetime import datetime
from typing import Any

from telehealth.clock import rfc3339
from telehealth.visits.roster import LiveVisit, Person, RecordingState
from telehealth.visits.rows import VisitRow
from telehealth.visits.states import CAPTURING, HERE, ParticipantState, RecordingPhase

_SHOWN = HERE | {ParticipantState.LEFT}


def view(visit: LiveVisit, viewer: Person, now: datetime, *, never_direct: bool = False) -> dict[str, Any]:
    """The whole view of docs/protocol.md for one person."""
    row = visit.row
    about = {
        "id": row.id,
        "state": row.state.value,
        "scheduled_at": rfc3339(row.scheduled_at),
        "minutes": row.minutes,
        "clinician_name": visit.clinician_name,
    }
    if viewer.staff:
        about["patient_name"] = row.patient.name
    captured = visit.legs.captured() if viewer.admitted else frozenset()
    return {
        "revision": visit.revision,
        "at": rfc3339(now),
        "visit": about,
        "self": {"participant": viewer.id, "role": viewer.role, "state": viewer.state.value},
        "participants": [_person(person, viewer, captured) for person in _visible(visit, viewer)],
        "polite": not viewer.staff,
        "screen_forbidden": row.screen_forbidden,
        "identity_open": visit.unseen(),
        "media": {
            "topology": visit.media.topology.value,
            "settled": visit.media.settled,
            "turn": visit.media.turn,
            "never_direct": never_direct,
            "parked": visit.media.parked,
            "without": sorted(visit.media.without) if viewer.admitted else [],
        },
        "recording": _recording(visit.recording, viewer),
    }


def _visible(visit: LiveVisit, viewer: Person) -> Iterable[Person]:
    """Staff see who is or was here; whoever waits sees only themselves and the clinician."""
    for person in visit.people.values():
        if person.state not in _SHOWN:
            continue
        if viewer.staff or person is viewer or person.staff or (viewer.admitted and person.admitted):
            yield person


def _person(person: Person, viewer: Person, captured: Set[str]) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "participant": person.id,
        "role": person.role,
        "state": person.state.value,
        "online": person.online,
        "page": person.page,
        "since": rfc3339(person.since) if person.since else None,
        "audio": person.audio,
        "video": person.video,
        "screen": person.screen,
        "recorded": person.id in captured,
        "quality": None,
    }
    if viewer.staff or person.staff or (person.guest and viewer.admitted):
        shown["name"] = person.name
    if viewer.staff:
        shown["location"] = person.location
        shown["callback"] = person.callback
        shown["sighted"] = person.sighted
        shown["quality"] = person.quality.level if person.quality else None
    return shown


def _recording(state: RecordingState, viewer: Person) -> dict[str, Any]:
    consent = state.consent if viewer.admitted else None
    running = state.phase in CAPTURING or state.phase is RecordingPhase.STOPPING
    answers: Mapping[str, Any] = consent.answers if consent else {}
    return {
        "state": state.phase.value,
        "recording": state.recording if running and viewer.admitted else None,
        "request": consent.request if consent else None,
        "purpose": consent.purpose if consent else None,
        "started_at": rfc3339(state.started_at) if running and state.started_at else None,
        "answers": [{"participant": person, "answer": answer} for person, answer in answers.items()],
        "reason": state.reason,
    }


def today_item(row: VisitRow, live: LiveVisit | None, link_channel: str | None) -> dict[str, Any]:
    """One visit of the clinician's day."""
    row = live.row if live else row
    here = list(live.here()) if live else []
    waiting = [person for person in here if person.state is ParticipantState.WAITING]
    return {
        "id": row.id,
        "state": row.state.value,
        "scheduled_at": rfc3339(row.scheduled_at),
        "minutes": row.minutes,
        "patient_name": row.patient.name,
        "recording_planned": row.recording_planned,
        "waiting": [
            {
                "participant": person.id,
                "role": person.role,
                "since": rfc3339(person.since) if person.since else None,
                "online": person.online,
            }
            for person in waiting
        ],
        "link_channel": link_channel,
        "in_call": any(person.admitted and person.online for person in here),
    }


def standing(live: LiveVisit) -> dict[str, Any]:
    """What of `today_item` only the server knows that runs the visit."""
    item = today_item(live.row, live, None)
    return {name: item[name] for name in ("state", "waiting", "in_call")}
