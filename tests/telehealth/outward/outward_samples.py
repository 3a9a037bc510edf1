"""Entries, a place for the log, and ways to wait for a collector's file."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from telehealth.audit.actions import Action
from telehealth.audit.details import FileDetailKeys
from telehealth.audit.entry import Actor, Entry, Outcome
from telehealth.audit.log import AuditLog, Limits
from telehealth.clock import Clock, SystemClock
from telehealth.secret import Secret

ORIGIN = "log.example/outward"
NAME, ADDRESS, DEVICE = "Canary Nightingale", "198.51.100.77", "CanaryBrowser/7"
LONGEST = 30.0  # seconds a test waits before it fails


def an_entry(number: int = 0, **changes: Any) -> Entry:
    fields: dict[str, Any] = {
        "action": Action.RECORDING_READ,
        "outcome": Outcome.DONE,
        "actor": Actor("user", id="usr_a", role="clinician", address=ADDRESS, device=DEVICE),
        "visit": f"vis_{number % 3}",
        "recording": "rec_1",
        "patient": f"pat_{number % 2}",
        "purpose": "treatment",
        "detail": {"number": number},
        "private": {"name": NAME},
    }
    return Entry(**{**fields, **changes})


async def open_log(folder: Path, clock: Clock | None = None, **changes: Any) -> AuditLog:
    named: dict[str, Any] = {
        "signing_key": Secret(b"s" * 32),
        "pseudonym_key": Secret(b"p" * 32),
        "detail_keys": FileDetailKeys(folder / "detail-keys", Secret(b"w" * 32)),
        "clock": clock or SystemClock(),
        "origin": ORIGIN,
        "limits": Limits(retry_every=0.005, brief=2.0, throttle_tick=0.05),
    }
    return await AuditLog.open(folder / "audit", **{**named, **changes})


async def fill(log: AuditLog, count: int) -> None:
    """Enter so many, many at a time."""
    first = log.head().size
    await asyncio.gather(*(log.enter(an_entry(first + number)) for number in range(count)))


async def until(holds: Callable[[], bool]) -> None:
    """Wait for it, looking often."""
    async with asyncio.timeout(LONGEST):
        while not await asyncio.to_thread(holds):
            await asyncio.sleep(0.005)


def lines(path: Path) -> list[str]:
    """Whole lines of a file, which may not be there yet."""
    try:
        return path.read_text("ascii").split("\n")[:-1]
    except FileNotFoundError:
        return []


def body(message: str) -> dict[str, Any]:
    """The JSON behind a syslog message's head."""
    found: dict[str, Any] = json.loads(message[message.index("] {") + 2 :])
    return found
