"""Who a credential was a moment ago, for the requests that come by the hundred: ranges of a track under a grant."""

import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from telehealth.access import Caller
from telehealth.clock import Clock
from telehealth.secret import Secret
from telehealth.web.proxies import Source

MOMENT = timedelta(milliseconds=500)
MOST = 1024  # callers remembered; the one asked for longest ago goes first
Key = tuple[bytes, str | None, str | None]


class Lately:
    """Spares a look-up within half a second of the last; what is revoked meanwhile opens for no longer than that.

    Only for routes that rest on something else beside, as a playback grant, which ends with its session at once.
    Holds digests of credentials, never credentials.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: OrderedDict[Key, tuple[Caller, datetime]] = OrderedDict()

    async def who(self, credential: Secret[str], source: Source, resolve: Callable[[], Awaitable[Caller]]) -> Caller:
        """The caller behind the credential, at this address and device; refusals are never remembered."""
        key = (
            hashlib.sha256(credential.reveal().encode(errors="surrogatepass")).digest(),
            source.address,
            source.device,
        )
        now = self._clock.now()
        known = self._known.get(key)
        if known is not None and timedelta(0) <= now - known[1] < MOMENT:
            return known[0]
        self._known.pop(key, None)
        caller = await resolve()
        self._known[key] = (caller, now)
        if len(self._known) > MOST:
            self._known.popitem(last=False)
        return caller
