"""What the key store refuses, each by its situation."""

from telehealth.errors import Reason, Refusal


class Held(Refusal):
    """A legal hold lies on at least one of these files; none of them was touched."""

    code = "held"
    reason = Reason.CONFLICT
    message = "A legal hold lies on this. It cannot be deleted until the hold is released."


class KeyStoreUnavailable(Refusal):
    """The disk under the key store refuses: full, read-only or failing. What was asked may or may not have happened."""

    code = "key_store_unavailable"
    reason = Reason.UNAVAILABLE
    message = "The key store cannot be read or written. Please try again shortly."


class ShareExists(Refusal):
    """This file has its share already; a file's key is made once."""

    code = "share_exists"
    reason = Reason.CONFLICT
    message = "This file already has a key."
