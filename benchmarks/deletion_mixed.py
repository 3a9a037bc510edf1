"""Deletions, holds, releases, parts and re-wrapping at random, killed again and again: nothing else may be lost."""

import asyncio
import json
import os
import random
import signal
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks.deletion_house import SECONDS, House, again, certified, clinic, plays
from telehealth.audit.entry import SYSTEM
from telehealth.errors import Refusal
from telehealth.keys.rewrap import Turnover

SHARES = {"delete": 30, "three": 4, "hold": 28, "release": 16, "part": 18, "rewrap": 4}  # of the acts, in percent
LIFE = (0.4, 2.5)  # seconds a child lives at least and at most


@dataclass
class Mixed:
    """What it came to; `faults` in sentences."""

    acts: int = 0
    kills: int = 0
    recordings: int = 0
    gone: int = 0
    parted: int = 0
    held: int = 0
    faults: list[str] = field(default_factory=list)


def mixed(folder: Path, count: int, seed: int) -> Mixed:
    """So many acts on six tenths as many recordings. Blocks; forks."""
    chance, told, house = random.Random(seed), Mixed(), clinic(folder)
    made = asyncio.run(_record(house, max(6, count * 6 // 10)))
    ledger = folder / "ledger.jsonl"
    ledger.touch()
    while told.acts < count:
        child = os.fork()
        if child == 0:
            _live(house, ledger, chance.randrange(2**32) + told.kills, count)
        time.sleep(chance.uniform(*LIFE))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        told.kills += os.WIFSIGNALED(status)
        told.acts = sum(line["phase"] == "asked" for line in _lines(ledger))
        chance.random()
    asyncio.run(_checked(house, made, _lines(ledger), told))
    return told


async def _record(house: House, count: int) -> list[str]:
    await house.open()
    made = [await house.recorded(SECONDS) for _ in range(count)]
    await house.close()
    return made


def _live(house: House, ledger: Path, seed: int, most: int) -> None:
    """The child: acts until it is killed. Never returns."""
    try:
        asyncio.run(_act(again(house), ledger, random.Random(seed), most))
        time.sleep(3600)  # all is done: wait for the kill
    finally:
        os._exit(1)


async def _act(house: House, ledger: Path, chance: random.Random, most: int) -> None:
    await house.open()
    handle = os.open(ledger, os.O_WRONLY | os.O_APPEND)

    def note(phase: str, what: str, recording: str) -> None:
        os.write(handle, json.dumps({"phase": phase, "what": what, "recording": recording}).encode() + b"\n")

    for _ in range(most):
        what = chance.choices(list(SHARES), list(SHARES.values()))[0]
        if what == "rewrap":
            note("asked", what, "")
            await _rewrapped(house)
            continue
        rows = [row for row in await house.service.catalogue.in_states(("sealed",), limit=10_000)]
        wanted = [row.id for row in rows if (row.held_at is not None) == (what == "release")]
        some = chance.sample(wanted, min(len(wanted), 3 if what == "three" else 1))
        if some:
            await asyncio.gather(*(_one(house, what, recording, note) for recording in some))
    await house.close()


async def _one(house: House, what: str, recording: str, note: Callable[[str, str, str], None]) -> None:
    what = "delete" if what == "three" else what
    note("asked", what, recording)
    work: dict[str, Callable[[], Any]] = {
        "delete": lambda: house.service.delete(house.admin, recording, "error"),
        "hold": lambda: house.service.hold(house.admin, recording, "court"),
        "release": lambda: house.service.release(house.admin, recording),
        "part": lambda: house.service.erasing.destroy_part(
            house.admin, recording, house.patient.participant, "withdrawal"
        ),
    }
    try:
        await work[what]()
    except Refusal:
        note("refused", what, recording)
        return
    note("done", what, recording)


async def _rewrapped(house: House) -> None:
    turnover = Turnover(
        keyring=house.keys._keyring,
        keystore=house.keys,
        store=house.store,
        audit=house.log,
        clock=house.clock,
        retire_after=timedelta(0),
    )
    await turnover.rotate(SYSTEM)
    await turnover.rewrap(SYSTEM)


def _lines(ledger: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in ledger.read_text().splitlines()]


async def _checked(house: House, made: list[str], lines: list[dict[str, str]], told: Mixed) -> None:
    living = again(house)
    await living.open()
    await living.service.settle()
    await living.service.sweep()
    story: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for line in lines:
        story[line["recording"]].append((line["phase"], line["what"]))
    told.recordings = len(made)
    for recording in made:
        fault = await _fault(living, recording, story[recording], told)
        told.faults += [f"{recording}: {fault} after {story[recording]}"] if fault else []
    await living.close()


async def _fault(living: House, recording: str, story: list[tuple[str, str]], told: Mixed) -> str | None:
    """What is wrong with one recording, by what was asked of it."""
    view = await living.service.show(living.admin, recording)
    asked = {what for phase, what in story if phase == "asked"}
    if view.state == "deleted":
        told.gone += 1
        if "delete" not in asked:
            return "destroyed, and nobody asked"
        if _held(story):
            return "destroyed under hold"
        return None if await certified(living, recording) else "no genuine certificate"
    told.held += view.hold is not None
    told.parted += len(view.tracks) == 1
    if view.state != "sealed" or not await plays(living, recording):
        return f"does not play ({view.state})"
    if len(view.tracks) == 1 and ("part" not in asked or view.parts[0].certificate is None):
        return "a part is gone that should not be"
    return None if view.hold is not None or not _held(story) else "the hold is lost"


def _held(story: list[tuple[str, str]]) -> bool:
    """Whether a hold was confirmed, and no release asked for since."""
    confirmed = False
    for phase, what in story:
        confirmed = (phase, what) == ("done", "hold") or (confirmed and (phase, what) != ("asked", "release"))
    return confirmed
