"""What reviews refuse."""

from telehealth.errors import Reason, Refusal


class OwnCase(Refusal):
    """Nobody judges what they did themselves."""

    code = "own_case"
    reason = Reason.FORBIDDEN
    message = "Somebody else must review this."


class CasesOpen(Refusal):
    """A week is signed off when each of its break-glass cases was reviewed."""

    code = "cases_open"
    reason = Reason.CONFLICT
    message = "Break-glass cases of this week still wait for their review."


class ReviewChanged(Refusal):
    """What is to be signed is not what the server has: somebody acknowledged or reviewed meanwhile."""

    code = "review_changed"
    reason = Reason.CONFLICT
    message = "The summary changed since it was shown. Please read it again."


class WeekNotOver(Refusal):
    code = "week_not_over"
    reason = Reason.CONFLICT
    message = "This week is not over yet."
