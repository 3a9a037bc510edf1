"""How late the event loop came, as operators see it."""

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from telehealth.clock import SystemClock
from telehealth.web.pulse import EVERY, Pulse


class Standing:
    """Moved by hand."""

    seconds = 500.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def steady(self) -> float:
        return self.seconds


def shown(registry: CollectorRegistry) -> dict[str, float]:
    lines = [line.rpartition(" ") for line in generate_latest(registry).decode().splitlines() if line[0] != "#"]
    return {name.removeprefix("telehealth_loop_lag_"): float(value) for name, _, value in lines}


def test_the_longest_wait_is_forgotten_after_two_minutes_and_the_histogram_keeps_all() -> None:
    clock, registry = Standing(), CollectorRegistry()
    pulse = Pulse(clock, registry)
    assert pulse.longest() == 0.0
    pulse.came(0.3)
    pulse.came(0.001)
    pulse.came(-0.0001)
    clock.seconds += 61
    pulse.came(0.03)
    assert pulse.longest() == 0.3
    clock.seconds += 60
    assert pulse.longest() == 0.03
    clock.seconds += 60
    assert pulse.longest() == 0.0
    pulse.came(0.07)
    clock.seconds += 3600
    assert shown(registry) | {"longest_seconds": 0.0} == shown(registry)
    found = shown(registry)
    assert (found['seconds_bucket{le="0.05"}'], found['seconds_bucket{le="0.1"}']) == (3.0, 4.0)
    assert (found["seconds_count"], found["seconds_sum"]) == (5.0, pytest.approx(0.401))


async def test_what_holds_the_loop_is_seen() -> None:
    pulse = Pulse(SystemClock(), CollectorRegistry())
    task = asyncio.create_task(pulse.run())
    await asyncio.sleep(3 * EVERY)
    time.sleep(0.2)  # the fault that is looked for
    await asyncio.sleep(2 * EVERY)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert pulse.longest() >= 0.2 - EVERY
