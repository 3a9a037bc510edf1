"""The situations in which the log refuses."""

from telehealth.errors import Reason, Refusal


class LogUnavailable(Refusal):
    """The log cannot make an entry durable now, so nothing that needs one may happen."""

    code = "log_unavailable"
    reason = Reason.UNAVAILABLE
    message = "The audit log is not available, so this cannot be done now. Please try again shortly."


class IndexOutOfRange(Refusal):
    """An entry that the tree asked about does not hold."""

    code = "index_out_of_range"
    reason = Reason.INVALID
    message = "There is no entry with this index in a log of this size."


class SizeFromFuture(Refusal):
    """A size that no checkpoint has reached yet."""

    code = "size_from_future"
    reason = Reason.INVALID
    message = "The log is not that long yet."


class SizesReversed(Refusal):
    """The older size of the two is the greater one."""

    code = "sizes_reversed"
    reason = Reason.INVALID
    message = "The size to start from must not be greater than the size to go to."


class TileUnknown(Refusal):
    """No path of a tile, or one that the log has not filled so far."""

    code = "tile_unknown"
    reason = Reason.NOT_FOUND
    message = "There is no such tile."


class TileBroken(Refusal):
    """A tile, proof or bundle that is not what the signed head says."""

    code = "tile_broken"
    reason = Reason.UNAVAILABLE
    message = "The log's files are not what was signed. Run `telehealth audit verify`."


class WrongOrigin(Refusal):
    """A checkpoint of another log."""

    code = "wrong_origin"
    reason = Reason.INVALID
    message = "This checkpoint is of another log."


class CheckpointForged(Refusal):
    """Not a checkpoint, or one that no key of this log signed, or one of another history."""

    code = "checkpoint_forged"
    reason = Reason.INVALID
    message = "This checkpoint was not signed by this log, or is of another history."


class CheckpointStale(Refusal):
    """A checkpoint that is older than one already known."""

    code = "checkpoint_stale"
    reason = Reason.CONFLICT
    message = "A newer checkpoint is known already."


class EntryTooLarge(Refusal):
    """An entry whose sealed text is beyond what the log keeps; nothing of it was written."""

    code = "entry_too_large"
    reason = Reason.TOO_LARGE
    message = "This is more text than an entry may hold."


class TooManyEntries(Refusal):
    """More entries than one page or bundle holds."""

    code = "too_many_entries"
    reason = Reason.TOO_LARGE
    message = "These are more entries than one answer holds. Please choose a shorter time."


class AnchorRefused(Exception):
    """A place that keeps checkpoints said no; `code` says how."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class LogMismatch(Exception):
    """The files do not agree with the signed head: the log must not go on. `code` says how, `remedy` what to do."""

    def __init__(self, code: str, remedy: str) -> None:
        super().__init__(f"{code}: {remedy}")
        self.code = code
        self.remedy = remedy


class DetailBroken(Exception):
    """Sealed detail, or the key to it, that is not what was written."""
