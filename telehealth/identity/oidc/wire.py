"""Talking to the provider: little, not for long, to nobody else."""

import asyncio
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from telehealth.identity.oidc.faults import SsoUnavailable
from telehealth.log import get_logger

LARGEST = 256 * 1024  # octets of an answer
AT_ONCE, WAITING = 8, 32
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Said:
    """A JSON object the provider answered with."""

    status: int
    content: Mapping[str, Any] = field(repr=False)


class Wire:
    """No redirects, no proxies of the environment, answers of bounded size and time; a few requests at once.

    `trusted`: certificates; None: those of the system.
    """

    def __init__(self, seconds: float, trusted: ssl.SSLContext | None) -> None:
        self._seconds = seconds
        self._trusted: ssl.SSLContext | bool = trusted or True
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._room = AT_ONCE + WAITING  # full: who comes now is told that the provider cannot be reached

    async def get(self, url: str) -> Said:
        """Raises SsoUnavailable."""
        return await self._ask("GET", url, None, None)

    async def post(self, url: str, form: Mapping[str, str], basic: str | None) -> Said:
        """`basic`: the header Authorization. Raises SsoUnavailable."""
        return await self._ask("POST", url, form, basic)

    async def _ask(self, method: str, url: str, form: Mapping[str, str] | None, basic: str | None) -> Said:
        if self._room <= 0:
            raise SsoUnavailable(retry_after=2)
        self._room -= 1
        try:
            async with asyncio.timeout(self._seconds), self._turns:
                return await self._answer(method, url, form, basic)
        except (aiohttp.ClientError, OSError, ValueError, RecursionError) as error:  # TimeoutError is an OSError
            log.warning("sso.unreachable", error=type(error).__name__)
            raise SsoUnavailable from None
        finally:
            self._room += 1

    async def _answer(self, method: str, url: str, form: Mapping[str, str] | None, basic: str | None) -> Said:
        async with (
            aiohttp.ClientSession(trust_env=False, cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.request(
                method,
                url,
                data=form,
                headers={"Accept": "application/json", **({"Authorization": basic} if basic else {})},
                allow_redirects=False,
                ssl=self._trusted,
            ) as answer,
        ):
            content = bytearray()
            async for piece in answer.content.iter_chunked(16_384):
                content += piece
                if len(content) > LARGEST:
                    raise ValueError("too large")
            found = json.loads(content)
            if not isinstance(found, dict):
                raise ValueError("no object")  # noqa: TRY004  # outside data, not a programmer's mistake
            return Said(answer.status, found)
