"""Secrets people carry: link and session tokens, passcodes, recovery codes; and how typed ones are read."""

import base64
import hashlib
import unicodedata

from telehealth.ids import Entropy
from telehealth.secret import Secret

TOKEN_BYTES = 32
RECOVERY_CODES = 10


def new_token(entropy: Entropy, prefix: str = "") -> Secret[str]:
    """256 random bits in base64url, 43 characters after the prefix."""
    return Secret(prefix + base64.urlsafe_b64encode(entropy(TOKEN_BYTES)).decode("ascii").rstrip("="))


def token_hash(token: str) -> bytes:
    """SHA-256, all that is stored of a token; 256 random bits need no salt. Takes octets that are no UTF-8 too."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


def new_passcode(entropy: Entropy) -> str:
    """Ten digits in two groups: easy to tell by phone in every language."""
    number = int.from_bytes(entropy(16), "big") % 10**10
    return f"{number:010d}"[:5] + "-" + f"{number:010d}"[5:]


def new_recovery_codes(entropy: Entropy) -> tuple[str, ...]:
    """Ten codes of 120 random bits, six groups of four: enough to be kept as a bare hash (ASVS 5.0 6.5.2)."""
    return tuple(_grouped(base64.b32encode(entropy(15)).decode("ascii").lower()) for _ in range(RECOVERY_CODES))


def recovery_hash(code: str) -> str:
    """SHA-256 in hex of the code as read."""
    return hashlib.sha256(b"telehealth recovery\n" + as_read(code).encode()).hexdigest()


def as_read(typed: str) -> str:
    """A typed code without spaces and dashes, case folded, digits of any script as 0–9."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", typed).casefold())
    kept = (c for c in folded if not c.isspace() and unicodedata.category(c) not in ("Pd", "Cf"))
    read = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in kept)
    return unicodedata.normalize("NFKC", read)


def _grouped(text: str) -> str:
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))
