"""An export's states and the steps between them: one table."""

from enum import StrEnum

from telehealth.errors import WrongState


class State(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    READY = "ready"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REMOVED = "removed"  # its key and its bytes are destroyed


class Step(StrEnum):
    BEGIN = "begin"
    FINISH = "finish"
    FAIL = "fail"
    CANCEL = "cancel"
    REMOVE = "remove"


TRANSITIONS: dict[tuple[State, Step], State] = {
    (State.QUEUED, Step.BEGIN): State.RUNNING,
    (State.QUEUED, Step.CANCEL): State.CANCELLED,
    (State.QUEUED, Step.FAIL): State.FAILED,
    (State.RUNNING, Step.FINISH): State.READY,
    (State.RUNNING, Step.FAIL): State.FAILED,
    (State.RUNNING, Step.CANCEL): State.CANCELLED,
    (State.READY, Step.REMOVE): State.REMOVED,
}


def after(state: State, step: Step) -> State:
    """The state that follows. Raises WrongState for a missing pair."""
    following = TRANSITIONS.get((state, step))
    if following is None:
        raise WrongState
    return following


def sources(step: Step) -> tuple[State, ...]:
    """The states from which a step can be made."""
    return tuple(state for state, taken in TRANSITIONS if taken is step)
