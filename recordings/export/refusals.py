"""What exports refuse, each by its situation."""

from typing import ClassVar

from telehealth.errors import Reason, Refusal


class ExportsFull(Refusal):
    """Full means: no further export is taken until one has ended."""

    code: ClassVar[str] = "exports_full"
    reason = Reason.TOO_MANY
    message = "Too many exports are waiting. Try again when one has finished."


class PlainNotAllowed(Refusal):
    code: ClassVar[str] = "export_plain_not_allowed"
    reason = Reason.FORBIDDEN
    message = "This clinic does not let exports leave unencrypted."


class ReasonNeeded(Refusal):
    code: ClassVar[str] = "export_reason_needed"
    reason = Reason.INVALID
    message = "An unencrypted export needs a reason in words."


class ExportFailed(Refusal):
    """The worker could not make the file."""

    code: ClassVar[str] = "export_failed"
    reason = Reason.UNAVAILABLE
    message = "The export could not be made."


class ExportDied(Refusal):
    """The worker ended without having finished: killed, crashed, out of memory."""

    code: ClassVar[str] = "export_worker_died"
    reason = Reason.UNAVAILABLE
    message = "The export broke off. Nothing of it was kept; ask for it again."


class ExportInterrupted(Refusal):
    """The server stopped while it was made."""

    code: ClassVar[str] = "export_interrupted"
    reason = Reason.UNAVAILABLE
    message = "The server stopped while the export was made. Ask for it again."


class NothingToExport(Refusal):
    code: ClassVar[str] = "export_nothing"
    reason = Reason.CONFLICT
    message = "The recording holds neither picture nor sound."
