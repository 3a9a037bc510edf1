"""Proof that a request comes from the browser that signed in: its key cannot leave it, a stolen cookie comes alone.

A proof is `CHALLENGE.SIGNATURE` in base64url; the signature is ECDSA P-256 / SHA-256 (raw r‖s, 64 octets) over the
ASCII text `telehealth session proof 1`, a line end, and the challenge as it was told.
"""

import base64
import binascii

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicNumbers
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from telehealth.access import Caller
from telehealth.audit.actions import Action
from telehealth.audit.entry import Entry, Outcome
from telehealth.clock import Clock
from telehealth.identity.challenges import Challenges
from telehealth.identity.faults import ChallengeOver, ProofNeeded
from telehealth.identity.ports import Audit, Fields
from telehealth.ids import Entropy
from telehealth.store import sessions as rows
from telehealth.store.engine import Store

LONGEST = 200  # characters of a proof
_PURPOSE = "session-proof"
_TITLE = b"telehealth session proof 1\n"


class Possession:
    """Sessions begun with a key must prove it at every socket and every playback grant; programs have no session."""

    def __init__(self, *, store: Store, fields: Fields, audit: Audit, clock: Clock, entropy: Entropy) -> None:
        self._store = store
        self._audit = audit
        self._challenges = Challenges(fields, clock, entropy)

    def challenge(self, caller: Caller) -> str:
        """To be signed by the session's key, within minutes, once."""
        return _spelled(self._challenges.mint(_PURPOSE, caller.session or ""))

    async def require(self, caller: Caller, proof: str | None) -> None:
        """Let pass, or raise ProofNeeded, the same for none, forged, another session's, used and old ones."""
        if caller.kind != "user" or caller.session is None:
            return
        async with self._store.read() as connection:
            key = await rows.key_of(connection, caller.session)
        if key is None or await self._holds(caller.session, key, proof):
            return
        detail = {"reason": "no_proof" if proof is None else "proof_wrong"}
        entry = Entry(Action.ACCESS_REFUSED, Outcome.REFUSED, caller.actor(), subject=caller.session, detail=detail)
        await self._audit.enter_throttled(entry, f"proof:{caller.session}")
        raise ProofNeeded

    async def _holds(self, session: str, key: dict[str, str], proof: str | None) -> bool:
        told, _, signature = (proof or "").partition(".")
        if len(proof or "") > LONGEST or not _signed(key, _TITLE + told.encode(), signature):
            return False
        try:
            challenge = _octets(told)
            async with self._store.begin() as connection:
                await self._challenges.claim(connection, challenge, _PURPOSE, session)
        except (ChallengeOver, ValueError):
            return False
        return True


def _signed(key: dict[str, str], text: bytes, signature: str) -> bool:
    """Whether this key signed the text; False for a key or signature that is none."""
    try:
        raw = _octets(signature)
        x, y = (int.from_bytes(_octets(key[name]), "big") for name in ("x", "y"))
        public = EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key()
        r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
        if len(raw) != 64:
            return False
        public.verify(encode_dss_signature(r, s), text, ECDSA(SHA256()))
    except (InvalidSignature, ValueError, KeyError):
        return False
    return True


def _octets(text: str) -> bytes:
    """Without padding, as everywhere in JOSE, and spelled in the one way there is. Raises ValueError."""
    try:
        found = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError from error
    if _spelled(found) != text:
        raise ValueError
    return found


def _spelled(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode("ascii").rstrip("=")
