"""Sign-in names that cannot pass for each other: one form, one script, no invisible characters (RFC 8264, UTS #39)."""

import re
import unicodedata

from telehealth.errors import Malformed

LONGEST_NAME = 120
_LOGIN = re.compile(r"[^\s/#?\x00-\x1f\x7f]{1,80}")
_PLAIN = frozenset("._-@+'")
_KINDS = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Nd"})
# Scripts that are written together count as one.
_TOGETHER = {"HIRAGANA": "CJK", "KATAKANA": "CJK", "BOPOMOFO": "CJK", "HANGUL": "HANGUL"}
_ANY = frozenset({"COMBINING", "DIGIT", "MODIFIER", "MIDDLE"})
# Small letters of other scripts that look like Latin ones (UTS #39 confusables, the whole-script cases).
_LATIN_LOOKS = frozenset("асԁеһіјӏорԛѕԝхуүѵгкмнтвьбοορνικυατεηρχωγսօոցհզյսղքո")
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")


def readable_login(login: str) -> str:
    """The sign-in name in one form (NFC, no spaces around). Raises Malformed for one that may pass for another."""
    text = unicodedata.normalize("NFC", login.strip())
    if not _LOGIN.fullmatch(text) or len(unicodedata.normalize("NFKC", text)) > 80:
        raise Malformed("login")
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    if any(letter not in _PLAIN and unicodedata.category(letter) not in _KINDS for letter in folded):
        raise Malformed("login")
    scripts = {script for letter in folded if (script := _script(letter)) is not None}
    letters = [letter for letter in folded if unicodedata.category(letter).startswith("L")]
    passes_for_latin = bool(letters) and "LATIN" not in scripts and all(one in _LATIN_LOOKS for one in letters)
    if len(scripts) > 1 or passes_for_latin:
        raise Malformed("login")
    return text


def readable_name(name: str) -> str:
    """A person's name in one form; whatever turns the writing around is refused. Raises Malformed."""
    text = " ".join(unicodedata.normalize("NFC", name).split())
    hidden = any(letter in _BIDI or unicodedata.category(letter) in ("Cc", "Cs", "Co", "Cn") for letter in text)
    if not 1 <= len(text) <= LONGEST_NAME or hidden:
        raise Malformed("name")
    return text


def _script(letter: str) -> str | None:
    """The script of a letter or digit, by its name in Unicode; None for what all scripts share."""
    if letter.isascii():
        return "LATIN" if letter.isalpha() else None
    if unicodedata.category(letter) == "Nd" or unicodedata.category(letter).startswith("M"):
        return None
    first = unicodedata.name(letter, "UNKNOWN").split(" ")[0].split("-")[0]
    return None if first in _ANY else _TOGETHER.get(first, first)
