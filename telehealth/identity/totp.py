"""RFC 6238 codes: 6 digits, 30 s, SHA-1, the step before and after allowed; each step once."""

import base64
import hmac
from datetime import datetime

import pyotp

from telehealth.identity.secrets import as_read
from telehealth.secret import Secret

STEP_SECONDS = 30
DIGITS = 6


def secret_of(token: Secret[str]) -> Secret[str]:
    """The TOTP secret (base32, 160 bits) an invitation leads to: the same at every look, stored nowhere before use."""
    digest = hmac.digest(token.reveal().encode(), b"telehealth totp secret 1", "sha256")
    return Secret(base64.b32encode(digest[:20]).decode("ascii"))


def uri(secret: Secret[str], *, login: str, issuer: str) -> str:
    """What an authenticator reads from the QR code."""
    return pyotp.TOTP(secret.reveal()).provisioning_uri(name=login, issuer_name=issuer)


def matching_step(secret: Secret[str], typed: str, now: datetime, *, after: int | None) -> int | None:
    """The step whose code was typed, if it is near `now` and later than `after`, the last one used."""
    present = int(now.timestamp()) // STEP_SECONDS
    code = as_read(typed)
    generator = pyotp.TOTP(secret.reveal())
    matched: int | None = None
    for step in (present - 1, present, present + 1):
        if hmac.compare_digest(generator.generate_otp(step).encode(), code.encode()):
            matched = step
    return matched if matched is not None and (after is None or matched > after) else None
