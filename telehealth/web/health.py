"""For machines that watch: alive, ready, figures; and the contract itself."""

import asyncio
from collections.abc import Sequence

from aiohttp import web

from telehealth.web.models import Nothing, Told
from telehealth.web.rooms import Check
from telehealth.web.route import Answer, Ask, Route, Who

CHECK_SECONDS = 3.0


class Alive(Told):
    status: str = "ok"


class Ready(Told):
    failing: Sequence[str] = ()


async def healthz(ask: Ask[Nothing, Nothing]) -> Answer:
    """200 while the process lives."""
    return Answer(Alive())


async def readyz(ask: Ask[Nothing, Nothing]) -> Answer:
    """200 when every part works; else 503 and the names of those that do not."""
    names = tuple(ask.rooms.checks)
    held = await asyncio.gather(*(_holds(ask.rooms.checks[name]) for name in names))
    failing = [name for name, good in zip(names, held, strict=True) if not good]
    return Answer(Ready(failing=failing), status=503 if failing else 200, headers={"Cache-Control": "no-store"})


async def _holds(check: Check) -> bool:
    """Whether a check says yes in time; one that breaks says no."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check()
    except Exception:  # noqa: BLE001  # a probe that breaks is a part that does not work: that is the answer
        return False


async def metrics(ask: Ask[Nothing, Nothing]) -> web.Response:
    """Figures in Prometheus' text format; from loopback, or by a token with the scope `metrics`."""
    return web.Response(
        body=ask.rooms.metrics.text(),
        headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8", "Cache-Control": "no-store"},
    )


async def openapi(ask: Ask[Nothing, Nothing]) -> web.Response:
    """This document."""
    return web.Response(body=ask.rooms.contract, content_type="application/json")


ROUTES = (
    Route("GET", "/healthz", healthz, Who.ANYONE, "health", Alive),
    Route("GET", "/readyz", readyz, Who.ANYONE, "health", Ready),
    Route("GET", "/metrics", metrics, Who.METRICS, "health", scope="metrics", stream=True, media_type="text/plain"),
    Route("GET", "/api/v1/openapi.json", openapi, Who.ANYONE, "health", stream=True),
)
