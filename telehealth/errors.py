"""One tree of refusals. Each is named after its situation, carries a stable code and never patient data."""

from enum import StrEnum
from typing import ClassVar


class Reason(StrEnum):
    """Why in general; one table in `telehealth.web.problems` turns it into an HTTP status."""

    INVALID = "invalid"  # malformed or out of range
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"  # the object is in the wrong state
    GONE = "gone"
    TOO_LARGE = "too_large"
    TOO_MANY = "too_many"  # rate or budget
    UNAVAILABLE = "unavailable"  # a part we need is down; try later


class Refusal(Exception):
    """A coded refusal, shown to whoever asked. Subclasses set `code` and `reason`.

    `message` is a plain sentence about the situation; it must not hold patient data or secrets.
    """

    code: ClassVar[str] = "refused"
    reason: ClassVar[Reason] = Reason.FORBIDDEN
    message: ClassVar[str] = "This was refused."

    def __init__(self, *, retry_after: float | None = None) -> None:
        super().__init__(self.code)
        self.retry_after = retry_after


class Malformed(Refusal):
    """Outside data that does not parse. `where` is a path of field names, never a value."""

    code = "malformed"
    reason = Reason.INVALID
    message = "The request could not be read."

    def __init__(self, where: str = "") -> None:
        super().__init__()
        self.where = where


class NotFound(Refusal):
    code = "not_found"
    reason = Reason.NOT_FOUND
    message = "There is no such thing, or you may not see it."


class Forbidden(Refusal):
    code = "forbidden"
    reason = Reason.FORBIDDEN
    message = "You may not do this."


class WrongState(Refusal):
    code = "wrong_state"
    reason = Reason.CONFLICT
    message = "This cannot be done in the present state."


class Unavailable(Refusal):
    code = "unavailable"
    reason = Reason.UNAVAILABLE
    message = "A part of the service is not available. Please try again shortly."
