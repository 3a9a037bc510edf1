"""What a password must be. Pure."""

import unicodedata

SHORTEST, LONGEST = 12, 200
_WORN = (
    "password", "passwort", "qwertyuiop", "qwerty", "asdfgh", "letmein", "welcome", "iloveyou", "admin", "changeme",
    "telehealth", "doctor", "clinic", "hospital", "12345678", "123456", "87654321", "abcdef", "secret", "login",
)  # fmt: skip


def normal(password: str) -> str:
    """NFKC (RFC 8265 asks for one form), so that every keyboard gives the same."""
    return unicodedata.normalize("NFKC", password)


def weak(password: str, login: str) -> bool:
    """Too short, too long, too few different characters, or little beyond worn words and the sign-in name."""
    text = normal(password).casefold()
    if not SHORTEST <= len(text) <= LONGEST or len(set(text)) < 6:
        return True
    for worn in (*_WORN, login.casefold()):
        text = text.replace(worn, "")
    return len(text) < 6
