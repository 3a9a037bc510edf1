"""A recording's states and the steps between them: one table."""

from enum import StrEnum
from typing import ClassVar

from telehealth.errors import Reason, WrongState


class State(StrEnum):
    CAPTURING = "capturing"
    PAUSED = "paused"
    INTERRUPTED = "interrupted"
    SEALING = "sealing"
    SEALED = "sealed"
    DELETING = "deleting"  # destroyed here; the certificate is pending until every key backup has aged out
    DELETED = "deleted"


class Step(StrEnum):
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    INTERRUPT = "interrupt"  # broke off: fault, kill, power
    SEAL = "seal"  # the sealed files and the manifest are durable and verified
    DELETE = "delete"
    CONFIRM = "confirm"  # destruction has become effective everywhere


class Held(WrongState):
    """A legal hold always wins."""

    code: ClassVar[str] = "recording_held"
    reason = Reason.CONFLICT
    message = "The recording is under a legal hold."


_DELETABLE = (State.CAPTURING, State.PAUSED, State.INTERRUPTED, State.SEALING, State.SEALED)

TRANSITIONS: dict[tuple[State, Step], State] = {
    (State.CAPTURING, Step.PAUSE): State.PAUSED,
    (State.CAPTURING, Step.STOP): State.SEALING,
    (State.CAPTURING, Step.INTERRUPT): State.INTERRUPTED,
    (State.PAUSED, Step.RESUME): State.CAPTURING,
    (State.PAUSED, Step.STOP): State.SEALING,
    (State.PAUSED, Step.INTERRUPT): State.INTERRUPTED,
    (State.SEALING, Step.INTERRUPT): State.INTERRUPTED,
    (State.SEALING, Step.SEAL): State.SEALED,
    (State.INTERRUPTED, Step.SEAL): State.SEALED,
    **{(state, Step.DELETE): State.DELETING for state in _DELETABLE},
    (State.DELETING, Step.CONFIRM): State.DELETED,
}


def after(state: State, step: Step, *, held: bool = False) -> State:
    """The state that follows. Raises WrongState for a missing pair, Held for a deletion under hold."""
    following = TRANSITIONS.get((state, step))
    if following is None:
        raise WrongState
    if held and step is Step.DELETE:
        raise Held
    return following
