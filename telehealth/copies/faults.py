"""What copies refuse, each by its situation."""

from telehealth.errors import Reason, Refusal


class CopiesOff(Refusal):
    code = "copies_off"
    reason = Reason.FORBIDDEN
    message = "This clinic does not give copies of recordings this way. Please ask at the front desk."


class CopyAskedAlready(Refusal):
    code = "copy_asked_already"
    reason = Reason.CONFLICT
    message = "A copy of this recording was asked for already."


class CopyUnknown(Refusal):
    """Unknown, expired and used-up links look the same."""

    code = "copy_unknown"
    reason = Reason.NOT_FOUND
    message = "This link does not work. It may have expired; the clinic can send a new one."
