"""Challenges for proofs: minted without keeping anything, good for minutes, for one act, once."""

import hmac
from datetime import datetime, timedelta

from telehealth.clock import Clock
from telehealth.identity.faults import ChallengeOver
from telehealth.identity.ports import Fields
from telehealth.ids import Entropy
from telehealth.store import attempts
from telehealth.store.engine import Connection

GOOD_FOR = timedelta(minutes=5)
_NONCE, _TIME, _MAC = 16, 8, 32
SIZE = _NONCE + _TIME + _MAC


class Challenges:
    """nonce 16 ‖ end 8 (milliseconds since 1970) ‖ MAC 32; strangers who ask for many make us remember none."""

    def __init__(self, fields: Fields, clock: Clock, entropy: Entropy) -> None:
        self._fields = fields
        self._clock = clock
        self._entropy = entropy

    def mint(self, purpose: str, whose: str = "") -> bytes:
        """56 octets; `whose`: the session it is for, empty where nobody is known yet."""
        end = int((self._clock.now() + GOOD_FOR).timestamp() * 1000)
        head = self._entropy(_NONCE) + end.to_bytes(_TIME, "big")
        return head + self._mac(head, purpose, whose)

    async def claim(self, connection: Connection, challenge: bytes, purpose: str, whose: str = "") -> None:
        """Use it up. Raises ChallengeOver when it is not ours, for something else, over, or used."""
        now = self._clock.now()
        if not self._holds(challenge, purpose, whose, now):
            raise ChallengeOver
        used = self._fields.lookup("challenge-used", challenge.hex())
        if not await attempts.take(connection, used, 1, now):  # kept longer than a challenge is good
            raise ChallengeOver

    def _holds(self, challenge: bytes, purpose: str, whose: str, now: datetime) -> bool:
        if len(challenge) != SIZE:
            return False
        head, mac = challenge[:-_MAC], challenge[-_MAC:]
        if not hmac.compare_digest(mac, self._mac(head, purpose, whose)):
            return False
        left = int.from_bytes(head[_NONCE:], "big") - int(now.timestamp() * 1000)
        return 0 < left <= GOOD_FOR // timedelta(milliseconds=1)  # a clock that went back makes none live longer

    def _mac(self, head: bytes, purpose: str, whose: str) -> bytes:
        return self._fields.lookup("challenge", f"{head.hex()} {purpose} {whose}")
