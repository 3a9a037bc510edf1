"""`asyncio.Event` at a tenth of its weight: it keeps a list of who waits only while somebody does."""

import asyncio


class Flag:
    """Down at first. `set` and `clear` at once, `wait` until it is up; nothing waits in any order."""

    __slots__ = ("_up", "_waiting")

    def __init__(self) -> None:
        self._up = False
        self._waiting: list[asyncio.Future[None]] | None = None

    def __bool__(self) -> bool:
        return self._up

    def set(self) -> None:
        """Up: whoever waits goes on."""
        self._up = True
        waiting, self._waiting = self._waiting, None
        for one in waiting or ():
            if not one.done():
                one.set_result(None)

    def clear(self) -> None:
        """Down again."""
        self._up = False

    async def wait(self) -> None:
        """Until it is up."""
        if self._up:
            return
        mine = asyncio.get_running_loop().create_future()
        if self._waiting is None:
            self._waiting = []
        self._waiting.append(mine)
        try:
            await mine
        finally:
            if self._waiting is not None and mine in self._waiting:
                self._waiting.remove(mine)
