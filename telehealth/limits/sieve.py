"""Tells links that were issued from guesses, many at once: for when an address asks for more than its share."""

import asyncio
from collections.abc import Awaitable, Callable, Collection

MOST = 256  # tokens in one question, and as many waiting for the next; beyond that the answer is no
Known = Callable[[Collection[bytes]], Awaitable[Collection[bytes]]]


class Sieve:
    """One look-up at a time, for all who came meanwhile: a flood of guesses costs a query for each 256."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._turn = asyncio.Lock()
        self._waiting: dict[bytes, None] = {}
        self._answers: asyncio.Future[Collection[bytes]] | None = None

    async def lets(self, token_hash: bytes) -> bool:
        """Whether a link of this token was ever issued. What the database raises goes to whoever asks for all."""
        if len(self._waiting) >= MOST and token_hash not in self._waiting:
            return False
        self._waiting[token_hash] = None
        if self._answers is None:
            self._answers = asyncio.get_running_loop().create_future()
        answers = self._answers
        async with self._turn:
            if not answers.done():
                await self._ask(answers)
        return token_hash in answers.result()

    async def _ask(self, answers: asyncio.Future[Collection[bytes]]) -> None:
        asked, self._waiting, self._answers = tuple(self._waiting), {}, None
        try:
            answers.set_result(await self._known(asked))
        except BaseException:
            answers.set_result(())  # this one hears the fault; the others are told to come again
            raise
