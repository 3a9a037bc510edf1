"""Browsers that somebody signed in with before: a cookie of ours says so, without a row anywhere.

OWASP's device cookie: strangers who hammer an account slow each other down, not the browser its owner came with before.
It opens nothing: it only says in whose bucket a try is counted.
"""

import base64
import binascii
import hmac
from collections.abc import Callable
from dataclasses import dataclass

from telehealth.ids import Entropy

LONGEST = 400  # characters
PEOPLE = 5  # of one browser; the one who came first goes
_PART = 16  # octets each of nonce, mark and tag

Lookup = Callable[[str, str], bytes]


@dataclass(frozen=True, slots=True)
class _Entry:
    nonce: bytes
    mark: bytes
    text: str


class Device:
    """What a cookie vouches for; nobody, without one."""

    def __init__(self, lookup: Lookup, entropy: Entropy, entries: tuple[_Entry, ...]) -> None:
        self._lookup = lookup
        self._entropy = entropy
        self._entries = entries

    @property
    def name(self) -> str | None:
        """One of our own making, None for a browser nobody has signed in with."""
        return self._entries[-1].nonce.hex() if self._entries else None

    def of(self, user: str) -> str | None:
        """The browser's name as this user's, None where they never signed in with it."""
        for entry in self._entries:
            if hmac.compare_digest(entry.mark, _mark(self._lookup, entry.nonce, user)):
                return entry.nonce.hex()
        return None

    def with_(self, user: str) -> str:
        """The cookie's value once the user has signed in here."""
        if self.of(user) is not None:
            return ".".join(entry.text for entry in self._entries)
        nonce = self._entropy(_PART)
        mark = _mark(self._lookup, nonce, user)
        made = base64.urlsafe_b64encode(nonce + mark + _tag(self._lookup, nonce, mark)).decode("ascii")
        return ".".join((*(entry.text for entry in self._entries), made)[-PEOPLE:])


class Devices:
    """Reads device cookies. `lookup(purpose, text)` hashes with the server's key."""

    def __init__(self, lookup: Lookup, entropy: Entropy) -> None:
        self._lookup = lookup
        self._entropy = entropy

    def read(self, cookie: str | None) -> Device:
        """What of the cookie is ours; forged or mangled parts are as if they were not there."""
        texts = cookie.split(".") if cookie and len(cookie) <= LONGEST else []
        read = (self._entry(text) for text in texts[:PEOPLE])
        return Device(self._lookup, self._entropy, tuple(entry for entry in read if entry is not None))

    def _entry(self, text: str) -> _Entry | None:
        try:
            octets = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
        except (binascii.Error, UnicodeEncodeError):
            return None
        nonce, mark, tag = octets[:_PART], octets[_PART : 2 * _PART], octets[2 * _PART :]
        if not hmac.compare_digest(tag, _tag(self._lookup, nonce, mark)):
            return None
        return _Entry(nonce, mark, text)


def _mark(lookup: Lookup, nonce: bytes, user: str) -> bytes:
    return lookup("device-user", f"{nonce.hex()} {user}")[:_PART]


def _tag(lookup: Lookup, nonce: bytes, mark: bytes) -> bytes:
    return lookup("device-tag", f"{nonce.hex()} {mark.hex()}")[:_PART]
