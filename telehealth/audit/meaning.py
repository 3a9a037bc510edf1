"""What an entry means for the patient whom it concerns: one table, for stories, reports and disclosures."""

from collections.abc import Mapping
from enum import StrEnum

from telehealth.audit.actions import Action
from telehealth.audit.entry import Outcome
from telehealth.audit.leaf import Stored


class Meaning(StrEnum):
    """In the order in which a report shows them."""

    EMERGENCY = "emergency"  # somebody was let in without the usual checks
    GIVEN_OUT = "given_out"  # something left the house
    SEEN = "seen"  # somebody looked
    REFUSED = "refused"  # somebody tried
    CHANGED = "changed"  # kept, held, deleted, booked anew
    TOOK_PART = "took_part"  # the visit itself


_EMERGENCY = {
    Action.BREAK_GLASS_ADMIT,
    Action.BREAK_GLASS_OPEN,
    Action.BREAK_GLASS_APPROVE,
    Action.BREAK_GLASS_DENY,
    Action.BREAK_GLASS_CLOSE,
}
_SEEN = {
    Action.VISIT_READ,
    Action.RECORDING_LIST,
    Action.RECORDING_READ,
    Action.PLAYBACK_GRANT,
    Action.PLAYBACK_CLOSE,
    Action.CERTIFICATE_READ,
    Action.ACCESS_UNUSUAL,
    Action.ACCESS_EXPLAIN,
    Action.AUDIT_READ,
}
_GIVEN_OUT = {Action.RECORDING_DOWNLOAD, Action.RECORDING_EXPORT, Action.AUDIT_EXPORT, Action.COPY_SEND}
_TOOK_PART = {
    Action.GUEST_INVITE,
    Action.GUEST_REMOVE,
    Action.LINK_ISSUE,
    Action.LINK_SEND,
    Action.LINK_OPEN,
    Action.CODE_MINT,
    Action.CODE_SEND,
    Action.CODE_TRY,
    Action.IDENTITY_VERIFIED,
    Action.IDENTITY_SEEN,
    Action.LINK_REISSUE,
    Action.VISIT_OPEN,
    Action.VISIT_END,
    Action.JOIN,
    Action.ADMIT,
    Action.REMOVE,
    Action.LEAVE,
    Action.MEDIA_LEG_OPEN,
    Action.MEDIA_LEG_CLOSE,
    Action.SCREEN_SHARE,
    Action.SCREEN_STOP,
    Action.CONSENT_ASK,
    Action.CONSENT_ANSWER,
    Action.CONSENT_REFUSE,
    Action.CONSENT_WITHDRAW,
    Action.SIGNIN_OUT,
}
_OF: Mapping[str, Meaning] = {
    **{action.value: Meaning.EMERGENCY for action in _EMERGENCY},
    **{action.value: Meaning.SEEN for action in _SEEN},
    **{action.value: Meaning.GIVEN_OUT for action in _GIVEN_OUT},
    **{action.value: Meaning.TOOK_PART for action in _TOOK_PART},
}


def meaning_of(stored: Stored) -> Meaning:
    """What this entry means; acts that nobody named here are changes."""
    if stored.outcome in (Outcome.REFUSED, Outcome.FAILED) and stored.action != Action.CODE_TRY:
        return Meaning.REFUSED
    if stored.detail.get("log_down") or stored.detail.get("break_glass"):
        return Meaning.EMERGENCY
    known = _OF.get(stored.action, Meaning.CHANGED)
    if known is Meaning.SEEN and stored.actor_kind == "token":
        return Meaning.GIVEN_OUT  # a program outside reads
    return known


def disclosing_actions() -> tuple[Action, ...]:
    """The acts by which something leaves the house, whoever does them."""
    return tuple(sorted(_GIVEN_OUT))


def read_by_programs() -> tuple[Action, ...]:
    """The acts by which a program with a token gets to read."""
    return tuple(sorted(_SEEN))
