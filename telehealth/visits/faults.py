"""What running visits refuse, each by its situation."""

from telehealth.errors import Reason, Refusal


class VisitFull(Refusal):
    code = "visit_full"
    reason = Reason.CONFLICT
    message = "Every place in this visit that you could take is taken."


class GuestsFull(Refusal):
    code = "guests_full"
    reason = Reason.CONFLICT
    message = "No more guests can be invited to this visit."


class VisitOver(Refusal):
    code = "visit_over"
    reason = Reason.GONE
    message = "This visit is over."


class Removed(Refusal):
    code = "removed"
    reason = Reason.FORBIDDEN
    message = "You were removed from this visit."


class LinkOver(Refusal):
    code = "link_over"
    reason = Reason.GONE
    message = "Your link is no longer valid. Please ask for a new one."


class DetailsMissing(Refusal):
    code = "details_missing"
    reason = Reason.CONFLICT
    message = "Please say first where you are and how to call you back."


class NotEntered(Refusal):
    code = "not_entered"
    reason = Reason.CONFLICT
    message = "Enter the visit first."


class NotAdmitted(Refusal):
    code = "not_admitted"
    reason = Reason.FORBIDDEN
    message = "This needs admission to the call."


class ClinicianOnly(Refusal):
    code = "clinician_only"
    reason = Reason.FORBIDDEN
    message = "Only the clinician may do this."


class NoSuchParticipant(Refusal):
    code = "no_such_participant"
    reason = Reason.NOT_FOUND
    message = "There is nobody like that in this visit."


class ScreenForbidden(Refusal):
    code = "screen_forbidden"
    reason = Reason.FORBIDDEN
    message = "The clinician does not allow screen sharing in this visit."


class NobodyElse(Refusal):
    code = "nobody_else"
    reason = Reason.CONFLICT
    message = "There is nobody else here to record."


class LegNotWanted(Refusal):
    code = "leg_not_wanted"
    reason = Reason.CONFLICT
    message = "Nothing is waiting for your media."


class DirectForbidden(Refusal):
    code = "direct_forbidden"
    reason = Reason.FORBIDDEN
    message = "Here media goes by the clinic's server alone."


class IdentityOpen(Refusal):
    """Much hangs on who it is, and the clinician has not yet said whose face it is."""

    code = "identity_open"
    reason = Reason.CONFLICT
    message = "Please compare the patient's face first."
