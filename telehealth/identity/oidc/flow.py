"""A sign-in under way: everything we must remember of it is sealed in a cookie of the one browser it began in."""

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from telehealth.clock import Clock
from telehealth.identity.faults import ChallengeOver
from telehealth.identity.ports import Fields
from telehealth.identity.secrets import new_token
from telehealth.ids import Entropy
from telehealth.keys.fields import FieldUnreadable
from telehealth.secret import Secret
from telehealth.store import attempts
from telehealth.store.engine import Connection

GOOD_FOR = timedelta(minutes=10)
LARGEST = 2000  # characters of the cookie
Purpose = Literal["sign-in", "link", "code"]
_PLACE = {"table": "sso", "column": "flow"}


@dataclass(frozen=True, slots=True)
class Flow:
    """`id` is the `state` of the request (RFC 6749 §10.12); good once.

    `link`: whose account is to be tied, and in which session. `code`: the provider vouched for `user`, by `link` (which
    of their identities), and the second factor is to come. `again`: they are to prove themselves to the provider anew.
    """

    purpose: Purpose
    id: str
    nonce: str
    verifier: str
    ends: int  # milliseconds since 1970
    again: bool = False
    user: str = ""
    session: str = ""
    link: str = ""  # hex
    sid: str = ""  # hex
    proved: float = 0.0  # seconds since 1970


class Flows:
    """Strangers who begin many make us remember none; used ones are remembered until long after they ended."""

    def __init__(self, fields: Fields, clock: Clock, entropy: Entropy) -> None:
        self._fields = fields
        self._clock = clock
        self._entropy = entropy

    def new(self, purpose: Purpose, *, again: bool = False, user: str = "", session: str = "") -> Flow:
        """State, nonce and PKCE verifier (RFC 7636 §4.1) of 256 random bits each."""
        state, nonce, verifier = (new_token(self._entropy).reveal() for _ in range(3))
        ends = int((self._clock.now() + GOOD_FOR).timestamp() * 1000)
        return Flow(purpose, state, nonce, verifier, ends, again, user, session)

    def half_way(self, user: str, link: bytes, sid: bytes | None, proved: datetime) -> Flow:
        """What is left to do: the person's own second factor."""
        new = self.new("code", user=user)
        return replace(new, link=link.hex(), sid=sid.hex() if sid else "", proved=proved.timestamp())

    def sealed(self, flow: Flow) -> Secret[str]:
        """The cookie's value."""
        blob = self._fields.seal(json.dumps(asdict(flow)), **_PLACE, row=flow.purpose)
        return Secret(base64.urlsafe_b64encode(blob).decode().rstrip("="))

    def opened(self, cookie: str | None, purpose: Purpose) -> Flow:
        """Raises ChallengeOver for none, another's, another purpose's, and old ones."""
        if not cookie or len(cookie) > LARGEST:
            raise ChallengeOver
        try:
            blob = base64.urlsafe_b64decode(cookie + "=" * (-len(cookie) % 4))
            flow = Flow(**json.loads(self._fields.open(blob, **_PLACE, row=purpose)))
        except (FieldUnreadable, ValueError, TypeError, binascii.Error):
            raise ChallengeOver from None
        left = flow.ends - int(self._clock.now().timestamp() * 1000)
        if not 0 < left <= GOOD_FOR // timedelta(milliseconds=1):  # a clock that went back makes none live longer
            raise ChallengeOver
        return flow

    def returned(self, cookie: str | None, purpose: Purpose, state: str) -> Flow:
        """The flow of this browser that the answer belongs to. Raises ChallengeOver."""
        flow = self.opened(cookie, purpose)
        if not hmac.compare_digest(flow.id.encode(), state.encode()):
            raise ChallengeOver
        return flow

    async def claim(self, connection: Connection, flow: Flow, now: datetime) -> None:
        """Use it up. Raises ChallengeOver when it was."""
        if not await attempts.take(connection, exact(self._fields, "sso-flow", flow.id), 1, now):
            raise ChallengeOver


def exact(fields: Fields, purpose: str, *texts: str) -> bytes:
    """A keyed hash that tells case and width apart, as issuers, subjects and states must be."""
    digest = hashlib.sha256(json.dumps(texts).encode()).hexdigest()
    return fields.lookup(purpose, digest)
