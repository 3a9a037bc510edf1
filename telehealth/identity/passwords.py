"""What a password must be. Pure."""

import unicodedata
from collections.abc import Iterable

from telehealth.identity.worn import left_over, own_words

SHORTEST, LONGEST = 12, 200
_DIFFERENT = 6  # characters
_LEFT = 6  # characters beside what is guessed first


def normal(password: str) -> str:
    """NFKC (RFC 8265 asks for one form), so that every keyboard gives the same."""
    return unicodedata.normalize("NFKC", password)


def weak(password: str, login: str, about: Iterable[str] = ()) -> bool:
    """Too short, too long, too few different characters, or little beyond what is guessed first.

    That is: worn words, walks over the keys, runs, dates, the sign-in name, and the names it is `about`.
    """
    text = normal(password).casefold()
    if not SHORTEST <= len(text) <= LONGEST or len(set(text)) < _DIFFERENT:
        return True
    return left_over(text, own_words((login, *about))) < _LEFT
