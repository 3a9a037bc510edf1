"""The situations in which the log refuses."""

from telehealth.errors import Reason, Refusal


class LogUnavailable(Refusal):
    """The log cannot make an entry durable now, so nothing that needs one may happen."""

    code = "log_unavailable"
    reason = Reason.UNAVAILABLE
    message = "The audit log is not available, so this cannot be done now. Please try again shortly."


class LogMismatch(Exception):
    """The files do not agree with the signed head: the log must not go on. `code` says how, `remedy` what to do."""

    def __init__(self, code: str, remedy: str) -> None:
        super().__init__(f"{code}: {remedy}")
        self.code = code
        self.remedy = remedy


class DetailBroken(Exception):
    """Sealed detail, or the key to it, that is not what was written."""
