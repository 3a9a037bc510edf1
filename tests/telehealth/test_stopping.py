"""What SIGTERM and SIGINT do to a server, with and without time to drain."""

import asyncio
import os
import signal
from collections.abc import Callable

import pytest

from telehealth.draining import Draining, ServerDraining
from telehealth.stopping import Stop


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0.01)


async def test_without_time_to_drain_both_signals_stop_at_once() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        stop = Stop()
        with stop.listening():
            os.kill(os.getpid(), number)
            await until(stop.asked.is_set)


async def test_sigterm_drains_and_a_second_one_stops() -> None:
    stop, draining = Stop(), Draining()
    stop.drains(draining)
    draining.refuse_new()
    with stop.listening():
        os.kill(os.getpid(), signal.SIGTERM)
        await until(lambda: draining.begun)
        assert not stop.asked.is_set()
        with pytest.raises(ServerDraining):
            draining.refuse_new()
        os.kill(os.getpid(), signal.SIGTERM)
        await until(stop.asked.is_set)


async def test_sigint_stops_even_where_sigterm_drains() -> None:
    stop, draining = Stop(), Draining()
    stop.drains(draining)
    with stop.listening():
        os.kill(os.getpid(), signal.SIGINT)
        await until(stop.asked.is_set)
    assert not draining.begun


async def test_it_stops_when_the_last_visit_is_over() -> None:
    stop, draining, visits = Stop(), Draining(), [1, 2]
    waiting = asyncio.create_task(stop.when_drained(draining, lambda: len(visits), 60))
    await asyncio.sleep(0.02)
    assert not stop.asked.is_set()
    draining.begin()
    await asyncio.sleep(0.02)
    assert not stop.asked.is_set()
    visits.clear()
    await until(stop.asked.is_set)
    await ended(waiting)


async def test_it_stops_at_the_end_of_the_time_whatever_still_runs() -> None:
    stop, draining = Stop(), Draining()
    draining.begin()
    waiting = asyncio.create_task(stop.when_drained(draining, lambda: 1, 0.05))
    await until(stop.asked.is_set)
    await ended(waiting)


async def ended(task: "asyncio.Task[None]") -> None:
    """The wait never ends by itself, or it would count as a worker that died."""
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
