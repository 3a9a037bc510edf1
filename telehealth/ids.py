"""Identifiers that say what they name and nothing about whom."""

import base64
import os
from collections.abc import Callable
from enum import StrEnum

Entropy = Callable[[int], bytes]


class Kind(StrEnum):
    """The prefix of an identifier."""

    USER = "usr"
    SESSION = "ses"
    PASSKEY = "pky"
    RESET = "rst"
    TOKEN = "tok"  # noqa: S105  # a prefix, not a password
    VISIT = "vis"
    LINK = "lnk"
    CODE = "cod"
    PARTICIPANT = "par"
    CONSENT = "con"
    MESSAGE = "msg"
    RECORDING = "rec"
    FILE = "fil"
    GRANT = "grt"
    LEG = "leg"
    BUCKET = "bkt"
    GLASS = "gls"
    CERTIFICATE = "crt"
    EXPORT = "exp"
    COPY = "cpy"
    DELETION = "del"  # a wish to destroy, or a destroyed part
    ALERT = "alr"
    SIGHTING = "sgt"
    ALERT_DELIVERY = "ald"
    REGISTER_ITEM = "reg"
    GUEST = "gst"
    NODE = "nod"  # one life of a server among several


def new_id(kind: Kind, entropy: Entropy = os.urandom) -> str:
    """`prefix_` and 26 lower-case base32 characters: 130 random bits, safe in URLs and file names."""
    return f"{kind}_{base64.b32encode(entropy(17)).decode('ascii')[:26].lower()}"


def is_id(kind: Kind, text: str) -> bool:
    """Whether `text` has the exact shape `new_id(kind)` gives."""
    prefix, _, body = text.partition("_")
    return prefix == kind and len(body) == 26 and all(c in "abcdefghijklmnopqrstuvwxyz234567" for c in body)
