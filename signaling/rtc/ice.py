"""ICE-lite (RFC 8445 §2.5): answering connectivity checks (RFC 8489) and never sending one."""

import base64
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from aioice import stun

from signaling.rtc.budget import Budget
from signaling.rtc.paths import Path
from telehealth.ids import Entropy
from telehealth.secret import Secret

Address = Path

_COOKIE = b"\x21\x12\xa4\x42"
_BINDING_REQUEST = b"\x00\x01"
_LARGEST_CHECK = 600  # octets; browsers stay below 200
_MOST_PATHS = 8
_MOST_RETIRED = 2
_RETIRED_LIVE = 30.0  # seconds
_CHECKS_PER_SECOND, _CHECKS_AT_ONCE = 50.0, 100.0


@dataclass(frozen=True, slots=True)
class Credentials:
    """Our own username fragment and password for one ICE generation of one leg."""

    ufrag: str
    password: Secret[str]

    @classmethod
    def fresh(cls, entropy: Entropy = os.urandom) -> "Credentials":
        """A 120-bit fragment, so that nobody guesses a leg, and a 180-bit password."""
        return cls(_text(entropy(15)), Secret(_text(entropy(24))))


def _text(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")


class Check(NamedTuple):
    """A binding request that parses; nothing in it is proven before `Agent.answer`."""

    message: stun.Message
    ours: str
    theirs: str


def read_check(datagram: bytes) -> Check | None:
    """The check in a datagram, or None if it is anything else."""
    if not 20 <= len(datagram) <= _LARGEST_CHECK or datagram[:2] != _BINDING_REQUEST or datagram[4:8] != _COOKIE:
        return None
    try:
        message = stun.parse_message(datagram)
    except (ValueError, LookupError, struct.error):
        return None
    ours, colon, theirs = str(message.attributes.get("USERNAME", "")).partition(":")
    return Check(message, ours, theirs) if colon else None


class Verdict(NamedTuple):
    """`reply` goes back to the asker, if any; `valid` if the check proves that it knows the leg's password."""

    reply: bytes | None
    valid: bool
    fault: str | None = None


@dataclass(slots=True)
class _Retired:
    credentials: Credentials
    theirs: str
    until: float


class Agent:
    """One leg's side of ICE: its credentials, those before a restart, and the paths that passed a check."""

    def __init__(self, theirs: str, now: float, entropy: Entropy = os.urandom) -> None:
        self._entropy = entropy
        self.current = Credentials.fresh(entropy)
        self._theirs = theirs
        self._retired: list[_Retired] = []
        self._budget = Budget(_CHECKS_PER_SECOND, _CHECKS_AT_ONCE, now)
        self.paths: dict[Path, float] = {}

    @property
    def fragments(self) -> set[str]:
        """Every username fragment that leads to this leg now."""
        return {self.current.ufrag, *(old.credentials.ufrag for old in self._retired)}

    def restart(self, theirs: str, now: float) -> None:
        """New credentials; the old ones stay good for 30 s, so that media flows until the new path is up."""
        self._retired.append(_Retired(self.current, self._theirs, now + _RETIRED_LIVE))
        del self._retired[:-_MOST_RETIRED]
        self.current = Credentials.fresh(self._entropy)
        self._theirs = theirs

    def expire(self, now: float) -> None:
        """Forget credentials whose time is over."""
        self._retired = [old for old in self._retired if now < old.until]

    def answer(self, check: Check, path: Path, now: float) -> Verdict:
        """Prove the check (RFC 8489 §9.1.3) and answer it. What is not proven gets no answer at all."""
        if not self._budget.take(now):
            return Verdict(None, False, "stun_quota")
        password = self._password(check)
        if password is None or not check.message.check_message_integrity(password.reveal().encode()):
            return Verdict(None, False, "stun_unauthenticated")
        attributes = check.message.attributes
        if "ICE-CONTROLLED" in attributes:
            return Verdict(_reply(check, password, error=(487, "Role Conflict")), False, "stun_role_conflict")
        if "ICE-CONTROLLING" not in attributes:
            return Verdict(_reply(check, password, error=(400, "Bad Request")), False, "stun_malformed")
        return Verdict(_reply(check, password, mapped=(path.host, path.port)), True)

    def register(self, path: Path, now: float, in_use: Callable[[Path], bool]) -> list[Path]:
        """Remember a proven path; the answer lists older ones that had to go, none of them in use.

        Checks can be copied on the way and sent again from elsewhere: that must not push out the path of the media.
        """
        self.paths[path] = now
        beside = sorted((one for one in self.paths if not in_use(one)), key=self.paths.__getitem__)
        oldest = beside[: max(0, len(self.paths) - _MOST_PATHS)]
        for gone in oldest:
            del self.paths[gone]
        return oldest

    def _password(self, check: Check) -> Secret[str] | None:
        if check.ours == self.current.ufrag and check.theirs == self._theirs:
            return self.current.password
        for old in self._retired:
            if check.ours == old.credentials.ufrag and check.theirs == old.theirs:
                return old.credentials.password
        return None


def _reply(
    check: Check,
    password: Secret[str],
    *,
    mapped: tuple[str, int] | None = None,
    error: tuple[int, str] | None = None,
) -> bytes:
    attributes = {"XOR-MAPPED-ADDRESS": mapped} if mapped is not None else {"ERROR-CODE": error}
    reply = stun.Message(
        message_method=stun.Method.BINDING,
        message_class=stun.Class.RESPONSE if error is None else stun.Class.ERROR,
        transaction_id=check.message.transaction_id,
        attributes=attributes,
    )
    reply.add_message_integrity(password.reveal().encode())
    return bytes(reply)
