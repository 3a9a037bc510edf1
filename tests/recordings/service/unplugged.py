"""Real partners with a plug that is pulled at the n-th durable act, before or after it happened."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from telehealth.errors import Refusal

DURABLE = {
    "keys": {"create", "destroy", "hold", "release"},
    "log": {"enter", "enter_closing"},
    "vault": {"delete", "rename"},
}


class Power(Refusal):
    """The plug was pulled."""

    code = "power"


class Plug:
    """Counts durable acts; once pulled nothing works any more until it is armed anew."""

    def __init__(self) -> None:
        self.acts: list[str] = []
        self.at: int | None = None
        self.after = False
        self.dead = False
        self.pulled = asyncio.Event()

    def arm(self, at: int | None, *, after: bool = False) -> None:
        self.acts, self.at, self.after, self.dead = [], at, after, False
        self.pulled.clear()

    def before(self, act: str) -> None:
        if self.dead:
            raise Power
        self.acts.append(act)
        if len(self.acts) == self.at and not self.after:
            self._pull()

    def afterwards(self) -> None:
        if len(self.acts) == self.at:
            self._pull()

    def _pull(self) -> None:
        self.dead = True
        self.pulled.set()
        raise Power

    def wrap(self, name: str, part: Any) -> Any:
        return PluggedStore(self, part) if name == "store" else Plugged(self, name, part)


class Plugged:
    """A partner on the plug."""

    def __init__(self, plug: Plug, name: str, part: Any) -> None:
        self._plug, self._name, self._part = plug, name, part

    def __getattr__(self, method: str) -> Any:
        real = getattr(self._part, method)
        if method not in DURABLE[self._name]:
            return real

        async def plugged(*args: Any, **kwargs: Any) -> Any:
            self._plug.before(f"{self._name}.{method}")
            answer = await real(*args, **kwargs)
            self._plug.afterwards()
            return answer

        return plugged


class PluggedStore:
    """The database on the plug: pulled before a commit nothing of the transaction remains."""

    def __init__(self, plug: Plug, part: Any) -> None:
        self._plug, self._part = plug, part

    def __getattr__(self, name: str) -> Any:
        return getattr(self._part, name)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Any]:
        async with self._part.begin() as connection:
            yield connection
            self._plug.before("store.commit")
        self._plug.afterwards()
