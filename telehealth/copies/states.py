"""A copy's states and the steps between them: one table."""

from enum import StrEnum


class State(StrEnum):
    ASKED = "asked"
    APPROVED = "approved"  # it is being made
    READY = "ready"  # the link works
    DECLINED = "declined"
    FAILED = "failed"
    EXPIRED = "expired"


class Step(StrEnum):
    APPROVE = "approve"
    DECLINE = "decline"
    SEND = "send"
    FAIL = "fail"
    EXPIRE = "expire"


TRANSITIONS: dict[tuple[State, Step], State] = {
    (State.ASKED, Step.APPROVE): State.APPROVED,
    (State.ASKED, Step.DECLINE): State.DECLINED,
    (State.APPROVED, Step.SEND): State.READY,
    (State.APPROVED, Step.FAIL): State.FAILED,
    (State.FAILED, Step.APPROVE): State.APPROVED,
    (State.READY, Step.SEND): State.READY,  # another link, the one before it is dead
    (State.READY, Step.EXPIRE): State.EXPIRED,
}
OPEN = (State.ASKED, State.APPROVED, State.READY, State.FAILED)


def sources(step: Step) -> tuple[State, ...]:
    """The states from which a step can be made."""
    return tuple(state for state, taken in TRANSITIONS if taken is step)
