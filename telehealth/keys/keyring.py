"""Wrapping keys by version, and the long-lived secrets of the house.

Wrapping keys `wrapping-1`, `wrapping-2`, … live in the provider; the highest is the current one. When each began is
kept in `wrapping-N.born`, wrapped by that key itself. A secret is 32 random bytes in `secret-PURPOSE.wrapped`, wrapped
by the provider's key `secret-PURPOSE`; `secret-PURPOSE.making` marks the moments in which it is first made.
"""

import asyncio
import os
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from telehealth.clock import Clock, parse_rfc3339, rfc3339
from telehealth.durable import private_folder
from telehealth.errors import Reason, Refusal
from telehealth.ids import Entropy
from telehealth.keys import disk
from telehealth.keys.binding import bind
from telehealth.keys.provider import Provider
from telehealth.keys.unbroken import unbroken
from telehealth.secret import Secret

QUARTER = timedelta(days=91)
_PURPOSE = re.compile(r"[a-z][a-z-]{0,39}")


class SecretLost(Refusal):
    """The provider knows this secret and its file is gone; nothing new is made in its place."""

    code = "secret_lost"
    reason = Reason.UNAVAILABLE
    message = "A long-lived secret is missing from the keyring folder. Restore the folder from its backup."


@dataclass(frozen=True, slots=True)
class Wrapped:
    """Bytes wrapped for one context, and the name of the key that did it. Both are safe to store."""

    wrapping_key: str
    blob: bytes


@dataclass(frozen=True, slots=True)
class KeyringStatus:
    wrapping_key: str
    since: datetime
    rotate_by: datetime
    rotation_due: bool
    wrapping_keys: int


class Keyring:
    """Call `start()` before anything else."""

    def __init__(
        self,
        folder: Path,
        provider: Provider,
        clock: Clock,
        *,
        rotate_every: timedelta = QUARTER,
        entropy: Entropy = os.urandom,
    ) -> None:
        self._folder = folder
        self._provider = provider
        self._clock = clock
        self._rotate_every = rotate_every
        self._entropy = entropy
        self._lock = asyncio.Lock()
        self._born: dict[int, datetime] = {}
        self._secrets: dict[str, Secret[bytes]] = {}

    async def start(self) -> None:
        """Learn the wrapping keys there are, and make the first one. Safe to run again after a kill."""
        async with self._lock:
            await asyncio.to_thread(private_folder, self._folder)
            names = await self._provider.names("wrapping-")
            for version in sorted(int(name.removeprefix("wrapping-")) for name in names):
                self._born[version] = await self._birth(version)
            if not self._born:
                await unbroken(self._begin(1))

    async def refresh(self) -> None:
        """Learn the wrapping keys that another server began or retired. Raises KeyServiceUnavailable."""
        async with self._lock:
            versions = {int(name.removeprefix("wrapping-")) for name in await self._provider.names("wrapping-")}
            for version in versions - self._born.keys():
                self._born[version] = await self._birth(version)
            if versions:
                self._born = {version: born for version, born in self._born.items() if version in versions}

    @property
    def wrapping_key(self) -> str:
        """The name of the current wrapping key."""
        return f"wrapping-{max(self._born)}"

    async def wrap(self, plaintext: Secret[bytes], context: bytes) -> Wrapped:
        name = self.wrapping_key
        return Wrapped(name, await self._provider.wrap(name, plaintext.reveal(), _wrap_bound(context)))

    async def unwrap(self, wrapped: Wrapped, context: bytes) -> Secret[bytes]:
        """Raises KeyDestroyed, UnwrapFailed, KeyServiceUnavailable."""
        return Secret(await self._provider.unwrap(wrapped.wrapping_key, wrapped.blob, _wrap_bound(context)))

    async def rewrap(self, wrapped: Wrapped, context: bytes) -> Wrapped:
        """The same content under the current wrapping key; unchanged when it already is."""
        if wrapped.wrapping_key == self.wrapping_key:
            return wrapped
        return await self.wrap(await self.unwrap(wrapped, context), context)

    def due(self, now: datetime) -> bool:
        """Whether the current wrapping key has served its quarter."""
        return now >= self._born[max(self._born)] + self._rotate_every

    def superseded(self) -> dict[str, datetime | None]:
        """Every wrapping key, oldest first, and when it was superseded; None for the current one."""
        versions = sorted(self._born)
        ends = [self._born[version] for version in versions[1:]]
        return {f"wrapping-{version}": end for version, end in zip(versions, [*ends, None], strict=True)}

    async def rotate(self) -> str:
        """Begin the next wrapping key and return its name; older ones go on opening until retired."""
        async with self._lock:
            await unbroken(self._begin(max(self._born) + 1))
        return self.wrapping_key

    async def retire(self, name: str) -> None:
        """Destroy an old wrapping key; only the caller knows that nothing is wrapped by it any more."""
        version = int(name.removeprefix("wrapping-"))
        async with self._lock:
            if version == max(self._born):
                raise ValueError("the current wrapping key is not retired")
            await unbroken(self._provider.destroy(name))
            self._born.pop(version, None)
            await asyncio.to_thread(disk.remove, self._folder / f"{name}.born")

    def status(self) -> KeyringStatus:
        since = self._born[max(self._born)]
        return KeyringStatus(
            wrapping_key=self.wrapping_key,
            since=since,
            rotate_by=since + self._rotate_every,
            rotation_due=self.due(self._clock.now()),
            wrapping_keys=len(self._born),
        )

    async def secret(self, purpose: str) -> Secret[bytes]:
        """32 bytes for this purpose, the same for ever, made on first use. Raises SecretLost."""
        if not _PURPOSE.fullmatch(purpose):
            raise ValueError("not a purpose")
        async with self._lock:
            if purpose not in self._secrets:
                self._secrets[purpose] = await unbroken(self._find(purpose))
        return self._secrets[purpose]

    async def _find(self, purpose: str) -> Secret[bytes]:
        name, bound = f"secret-{purpose}", bind("telehealth/secret/1", purpose)
        path, making = self._folder / f"{name}.wrapped", self._folder / f"{name}.making"
        if not await asyncio.to_thread(path.exists):
            await self._make(name, bound, path, making)
        elif await asyncio.to_thread(making.exists):
            await asyncio.to_thread(disk.remove, making)
        return Secret(await self._provider.unwrap(name, await asyncio.to_thread(path.read_bytes), bound))

    async def _make(self, name: str, bound: bytes, path: Path, making: Path) -> None:
        if await self._provider.exists(name) and not await asyncio.to_thread(making.exists):
            raise SecretLost
        await asyncio.to_thread(disk.write, making, b"")
        await self._provider.create(name)
        await asyncio.to_thread(disk.write, path, await self._provider.wrap(name, self._entropy(32), bound))
        await asyncio.to_thread(disk.remove, making)

    async def _begin(self, version: int) -> None:
        await self._provider.create(f"wrapping-{version}")
        self._born[version] = await self._birth(version)

    async def _birth(self, version: int) -> datetime:
        """When this wrapping key began; a key killed before that was written begins now."""
        name = f"wrapping-{version}"
        path, bound = self._folder / f"{name}.born", bind("telehealth/wrapping-born/1", name)
        if await asyncio.to_thread(path.exists):
            text = await self._provider.unwrap(name, await asyncio.to_thread(path.read_bytes), bound)
            return parse_rfc3339(text.decode("ascii"))
        now = parse_rfc3339(rfc3339(self._clock.now()))
        await asyncio.to_thread(disk.write, path, await self._provider.wrap(name, rfc3339(now).encode(), bound))
        return now


def _wrap_bound(context: bytes) -> bytes:
    return bind("telehealth/wrapped/1", context)
