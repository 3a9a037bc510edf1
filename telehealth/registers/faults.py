"""The situations in which a register refuses."""

from telehealth.errors import Malformed, Reason, Refusal


class RegisterFull(Refusal):
    code = "register_full"
    reason = Reason.CONFLICT
    message = "This register holds as many items as it can."


class RegisterChanged(Refusal):
    """Somebody else changed the item since it was read."""

    code = "register_changed"
    reason = Reason.CONFLICT
    message = "Somebody changed this meanwhile. Please look at it again."


class NoticesOwed(Refusal):
    """An incident cannot be closed while it is not assessed or people wait for their notice."""

    code = "notices_owed"
    reason = Reason.CONFLICT
    message = "It cannot be closed yet: it is not assessed, or a notice is not sent."


class DayAhead(Malformed):
    """Something that has happened cannot have happened tomorrow."""
