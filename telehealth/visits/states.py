"""The states of a visit, of a participant in it and of its recording as people see it: one table each."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from telehealth.errors import WrongState


class VisitState(StrEnum):
    BOOKED = "booked"
    OPEN = "open"  # the waiting room accepts people
    IN_CALL = "in_call"
    ENDED = "ended"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class VisitStep(StrEnum):
    ARRIVE = "arrive"  # somebody came to the waiting room or the call
    BEGIN = "begin"  # somebody was admitted
    END = "end"
    CANCEL = "cancel"
    EXPIRE = "expire"  # its window is over


class ParticipantState(StrEnum):
    INVITED = "invited"
    ARRIVED = "arrived"  # opened the link
    VERIFIED = "verified"  # passed the code
    WAITING = "waiting"
    ADMITTED = "admitted"
    LEFT = "left"
    REMOVED = "removed"


class ParticipantStep(StrEnum):
    OPEN_LINK = "open_link"
    PASS_CODE = "pass_code"  # noqa: S105  # the name of a step
    WAIT = "wait"  # a patient comes, or comes back
    HOST = "host"  # the visit's clinician comes, or comes back
    ADMIT = "admit"
    LEAVE = "leave"
    REMOVE = "remove"


class RecordingPhase(StrEnum):
    NONE = "none"
    ASKING = "asking"
    STARTING = "starting"  # everybody said yes; not every leg's first frame is stored
    RECORDING = "recording"
    PAUSED = "paused"
    STOPPING = "stopping"


class RecordingStep(StrEnum):
    ASK = "ask"
    CONSENT = "consent"  # the last yes
    STORED = "stored"  # the first frame of every present person
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    CLOSED = "closed"  # handed over to be sealed


_V, _VS = VisitState, VisitStep
VISIT: Mapping[tuple[VisitState, VisitStep], VisitState] = {
    (_V.BOOKED, _VS.ARRIVE): _V.OPEN,
    (_V.OPEN, _VS.ARRIVE): _V.OPEN,
    (_V.IN_CALL, _VS.ARRIVE): _V.IN_CALL,
    (_V.OPEN, _VS.BEGIN): _V.IN_CALL,
    (_V.IN_CALL, _VS.BEGIN): _V.IN_CALL,
    (_V.OPEN, _VS.END): _V.ENDED,
    (_V.IN_CALL, _VS.END): _V.ENDED,
    (_V.BOOKED, _VS.CANCEL): _V.CANCELLED,
    (_V.OPEN, _VS.CANCEL): _V.CANCELLED,
    (_V.BOOKED, _VS.EXPIRE): _V.EXPIRED,
    (_V.OPEN, _VS.EXPIRE): _V.EXPIRED,
    (_V.IN_CALL, _VS.EXPIRE): _V.ENDED,
}

_P, _PS = ParticipantState, ParticipantStep
PARTICIPANT: Mapping[tuple[ParticipantState, ParticipantStep], ParticipantState] = {
    (_P.INVITED, _PS.OPEN_LINK): _P.ARRIVED,
    (_P.ARRIVED, _PS.OPEN_LINK): _P.ARRIVED,
    (_P.VERIFIED, _PS.OPEN_LINK): _P.VERIFIED,
    (_P.WAITING, _PS.OPEN_LINK): _P.WAITING,
    (_P.ADMITTED, _PS.OPEN_LINK): _P.ADMITTED,
    (_P.LEFT, _PS.OPEN_LINK): _P.LEFT,
    (_P.ARRIVED, _PS.PASS_CODE): _P.VERIFIED,
    (_P.VERIFIED, _PS.PASS_CODE): _P.VERIFIED,
    (_P.WAITING, _PS.PASS_CODE): _P.WAITING,
    (_P.ADMITTED, _PS.PASS_CODE): _P.ADMITTED,
    (_P.LEFT, _PS.PASS_CODE): _P.LEFT,
    (_P.VERIFIED, _PS.WAIT): _P.WAITING,
    (_P.WAITING, _PS.WAIT): _P.WAITING,
    (_P.ADMITTED, _PS.WAIT): _P.ADMITTED,  # a reload or reconnect resumes
    (_P.LEFT, _PS.WAIT): _P.WAITING,
    (_P.INVITED, _PS.HOST): _P.ADMITTED,
    (_P.ADMITTED, _PS.HOST): _P.ADMITTED,
    (_P.LEFT, _PS.HOST): _P.ADMITTED,
    (_P.WAITING, _PS.ADMIT): _P.ADMITTED,
    (_P.WAITING, _PS.LEAVE): _P.LEFT,
    (_P.ADMITTED, _PS.LEAVE): _P.LEFT,
    (_P.INVITED, _PS.REMOVE): _P.REMOVED,
    (_P.ARRIVED, _PS.REMOVE): _P.REMOVED,
    (_P.VERIFIED, _PS.REMOVE): _P.REMOVED,
    (_P.WAITING, _PS.REMOVE): _P.REMOVED,
    (_P.ADMITTED, _PS.REMOVE): _P.REMOVED,
    (_P.LEFT, _PS.REMOVE): _P.REMOVED,
}

_R, _RS = RecordingPhase, RecordingStep
RECORDING: Mapping[tuple[RecordingPhase, RecordingStep], RecordingPhase] = {
    (_R.NONE, _RS.ASK): _R.ASKING,
    (_R.ASKING, _RS.CONSENT): _R.STARTING,
    (_R.ASKING, _RS.STOP): _R.NONE,
    (_R.STARTING, _RS.STORED): _R.RECORDING,
    (_R.STARTING, _RS.PAUSE): _R.PAUSED,
    (_R.RECORDING, _RS.PAUSE): _R.PAUSED,
    (_R.PAUSED, _RS.PAUSE): _R.PAUSED,
    (_R.PAUSED, _RS.RESUME): _R.STARTING,
    (_R.STARTING, _RS.STOP): _R.STOPPING,
    (_R.RECORDING, _RS.STOP): _R.STOPPING,
    (_R.PAUSED, _RS.STOP): _R.STOPPING,
    (_R.STOPPING, _RS.CLOSED): _R.NONE,
}

RUNNING = frozenset({VisitState.OPEN, VisitState.IN_CALL})
OVER = frozenset({VisitState.ENDED, VisitState.CANCELLED, VisitState.EXPIRED})
HERE = frozenset({ParticipantState.WAITING, ParticipantState.ADMITTED})
CAPTURING = frozenset({RecordingPhase.STARTING, RecordingPhase.RECORDING, RecordingPhase.PAUSED})

S = TypeVar("S", bound=StrEnum)
T = TypeVar("T", bound=StrEnum)


def after(table: Mapping[tuple[S, T], S], state: S, step: T) -> S:
    """The state that `step` leads to. Raises WrongState where the table has no such pair."""
    found = table.get((state, step))
    if found is None:
        raise WrongState
    return found


def allows(table: Mapping[tuple[S, T], S], state: S, step: T) -> bool:
    """Whether `step` is possible in `state`."""
    return (state, step) in table
