"""The situations in which a team or a broken glass refuses."""

from telehealth.errors import Reason, Refusal


class GlassNotNeeded(Refusal):
    """Whoever asks may see it as it is."""

    code = "glass_not_needed"
    reason = Reason.CONFLICT
    message = "You may see this already."


class GlassOver(Refusal):
    """Decided, closed or over."""

    code = "glass_over"
    reason = Reason.CONFLICT
    message = "This emergency access is over or was answered already."


class NotAColleague(Refusal):
    code = "not_a_colleague"
    reason = Reason.INVALID
    message = "Only another active clinician or admin can be put on the team."
