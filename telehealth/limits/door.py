"""What the doors ask before they work for anybody: is it their turn, and in whose bucket are they counted?

Nobody known is held up by strangers at the same address: once the address's bucket is empty, a credential that held a
moment ago, a browser that somebody signed in with before, and a link that was issued each count in their own.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from telehealth.identity.faults import SlowDown
from telehealth.identity.secrets import token_hash
from telehealth.limits.devices import Device, Devices
from telehealth.limits.ports import Buckets, Charge
from telehealth.limits.settings import Limits
from telehealth.limits.sieve import Sieve
from telehealth.limits.subjects import network_of

FAMILIAR: Final = 16_384  # credentials that held lately; the one seen longest ago goes first


@dataclass(frozen=True, slots=True)
class Arrival:
    """Who knocks. `near`: a program on this machine itself, by no proxy. `link`: it may still show a link."""

    address: str
    near: bool
    credentials: tuple[str, ...]
    device: Device
    link: bool = False


class Door:
    """Every refusal is SlowDown with the seconds to wait."""

    def __init__(self, buckets: Buckets, limits: Limits, devices: Devices, sieve: Sieve) -> None:
        self._buckets = buckets
        self._limits = limits
        self._sieve = sieve
        self._familiar: OrderedDict[bytes, None] = OrderedDict()
        self.devices = devices

    async def arrive(self, arrival: Arrival) -> bool:
        """Count a request in its address's bucket, or in its own once that is empty; whether a link is still owed."""
        if arrival.near:
            return False
        wait = await self._take("address", network_of(arrival.address))
        if wait <= 0:
            return False
        own = self._own(arrival)
        if own is not None:
            await self._need("link", own)
            return False
        if arrival.link:
            return True
        raise SlowDown(retry_after=wait)

    async def issued(self, token: str) -> None:
        """For whoever owes it after `arrive`: let in who shows a link that was issued."""
        hashed = token_hash(token)
        if not await self._sieve.lets(hashed):
            raise SlowDown(retry_after=1 / self._limits.address[0])
        await self._need("link", hashed.hex())

    async def sign_in(self, address: str, device: Device, *, near: bool) -> None:
        """A try at signing in: costs an expensive hash, and is counted by browser or by address."""
        if near:
            return
        await self._need("sign_in", f"device {device.name}" if device.name else network_of(address))

    async def account(self, caller: str) -> None:
        """A request of somebody known, by their id, from wherever."""
        await self._need("account", caller)

    async def link(self, cookie: str) -> None:
        """A request of a patient's browser."""
        await self._need("link", token_hash(cookie).hex())

    async def code(self, cookie: str) -> None:
        """A code asked for or tried."""
        await self._need("code", token_hash(cookie).hex())

    async def connect(self, credential: str) -> float:
        """Count one more socket; seconds to wait, 0 for now."""
        return await self._take("connect", token_hash(credential).hex())

    async def check(self, address: str) -> None:
        """A connection test begun."""
        await self._need("check", network_of(address))

    def held(self, credential: str) -> None:
        """The credential was looked up, and holds."""
        hashed = token_hash(credential)
        self._familiar[hashed] = None
        self._familiar.move_to_end(hashed)
        if len(self._familiar) > FAMILIAR:
            self._familiar.popitem(last=False)

    def _own(self, arrival: Arrival) -> str | None:
        hashes: Iterable[bytes] = map(token_hash, arrival.credentials)
        known = next((hashed.hex() for hashed in hashes if hashed in self._familiar), None)
        return known or (f"device {arrival.device.name}" if arrival.device.name else None)

    async def _take(self, name: str, subject: str) -> float:
        return await self._buckets.take((Charge(name, subject, self._limits.rate(name)),))

    async def _need(self, name: str, subject: str) -> None:
        wait = await self._take(name, subject)
        if wait > 0:
            raise SlowDown(retry_after=wait)
