"""What this room refuses, each by its situation."""

from telehealth.errors import Reason, Refusal


class DiskFull(Refusal):
    code = "disk_full"
    reason = Reason.UNAVAILABLE
    message = "There is too little room to record."


class CaptureMissing(Refusal):
    code = "capture_missing"
    reason = Reason.UNAVAILABLE
    message = "A file that was recorded is not where it was stored, so the recording cannot be sealed yet."


class ManifestLost(Refusal):
    code = "manifest_lost"
    reason = Reason.UNAVAILABLE
    message = "This recording plays, but its manifest is lost: it was restored from before a part of it was destroyed."


class KeysUnavailable(Refusal):
    code = "keys_unavailable"
    reason = Reason.UNAVAILABLE
    message = "The key store does not answer, so nothing can be recorded or played."


class Held(Refusal):
    code = "held"
    reason = Reason.CONFLICT
    message = "This recording is under legal hold."


class TooEarly(Refusal):
    code = "too_early"
    reason = Reason.CONFLICT
    message = "This recording has to be kept longer."


class LastPart(Refusal):
    code = "last_part"
    reason = Reason.CONFLICT
    message = "Nothing of anybody else would be left: delete the recording instead."


class NotPlayable(Refusal):
    code = "not_playable"
    reason = Reason.CONFLICT
    message = "This recording is not sealed, or it was deleted."


class GrantNeeded(Refusal):
    code = "grant_needed"
    reason = Reason.FORBIDDEN
    message = "Ask for a playback grant first; it may have ended."


class RangeNotSatisfiable(Refusal):
    code = "range_not_satisfiable"
    reason = Reason.INVALID
    message = "The track has no such bytes."


class TooManyGrants(Refusal):
    code = "too_many_grants"
    reason = Reason.TOO_MANY
    message = "Close other players first."
