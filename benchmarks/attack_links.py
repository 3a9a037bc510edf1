"""Attacks on links and codes: one code redeemed by many at once, tries beyond the budget, clocks that jump, timing.

N codes are each redeemed by 100 at once (1,000 in full); the other figures scale with it: N/200 visits over several
processes, N/10 visits for each jump of the clock, N/100 links
before a scanner, 20 N rounds of timing. One JSON line per figure.
"""

import asyncio
import json
import math
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import update

from benchmarks.figure import Figure, measured, said, say, wished
from benchmarks.pipe import ROOT
from telehealth.errors import Refusal
from telehealth.events import CodeMinted
from telehealth.identity.faults import CodeWrong
from telehealth.identity.standing import Window
from telehealth.store.tables import links, participants
from tests.browser.clinic import clinic
from tests.browser.scanning import scan
from tests.partners.databases import SqliteDatabases

sys.path.insert(0, str(ROOT / "tests" / "telehealth" / "identity"))
from identity_house import ADMIN, PLACE, House, SteppedClock, close_house, open_house  # the tests' own house

AT_ONCE, BROWSERS = 100, 4
PROCESSES, RE_ISSUES = 3, 6
JUMPS = tuple(timedelta(hours=hours) for hours in (-24, -1, 1, 24))
KINDS = ("unknown", "expired", "used_up", "revoked")


def run(seed: int) -> Iterator[Figure]:
    """Every figure says what got through, or how far two answers are apart."""
    count = wished(1_000)
    yield from _scanned(max(1, count // 100), seed)
    for attack in (_redeemed, _tried, _jumped, _timed):
        with tempfile.TemporaryDirectory() as name:
            begun = time.monotonic()
            yield from asyncio.run(attack(Path(name), count, random.Random(seed), seed))
            say(f"  {attack.__name__.strip('_')}: {time.monotonic() - begun:.0f} s")


def _scanned(count: int, seed: int) -> Iterator[Figure]:
    """HEAD, 100 GETs and a browser that clicks on everything, for every link: what of it was used up or begun."""
    consumed = sessions = 0
    with tempfile.TemporaryDirectory() as name, clinic(Path(name)) as at:
        for number in range(count):
            booked = at.book(f"Sca Nned {number}", channel="spoken" if number % 2 else "passcode")
            scan(at, booked, 100)
            (link,) = at.send(at.admin, "GET", f"/visits/{booked.visit}").json()["links"]
            consumed += link["state"] != "live" or link["tries_left"] != 5
            sessions += len(at.entries(booked.visit, "identity.verified")) + len(at.entries(booked.visit, "join"))
    yield measured("access.scanner_consumed", consumed, "links", n=count * 102, seed=seed, at_most=0)
    yield measured("access.scanner_sessions", sessions, "sessions", n=count * 102, seed=seed, at_most=0)


async def _opened(stack: AsyncExitStack, folder: Path) -> House:
    databases = await asyncio.to_thread(SqliteDatabases, await _made(folder / "schema"))
    house = await open_house(await _made(folder / "house"), databases, SteppedClock())
    stack.push_async_callback(close_house, house)
    return house


async def _made(folder: Path) -> Path:
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    return folder


async def _redeemed(folder: Path, count: int, _chance: random.Random, seed: int) -> list[Figure]:
    """A right code given by a hundred at once, from several browsers that opened the link."""
    exactly_one = sessions = 0
    async with AsyncExitStack() as stack:
        house = await _opened(stack, folder)
        clinician = (await house.enrolled()).user
        for _ in range(count):
            link = await house.link(await house.visit(clinician), "spoken")
            opened = [await house.joining.open(link.token.reveal(), **PLACE) for _ in range(BROWSERS)]
            cookies = [cookie.reveal() for cookie, _ in opened]
            await house.joining.mint(cookies[0])
            code = house.events.pop().code.reveal() if isinstance(house.events[-1], CodeMinted) else ""
            given = (house.joining.verify(cookies[at % BROWSERS], code, **PLACE) for at in range(AT_ONCE))
            done = await asyncio.gather(*given, return_exceptions=True)
            broken = [one for one in done if isinstance(one, BaseException) and not isinstance(one, Refusal)]
            won = sum(not isinstance(one, BaseException) for one in done)
            exactly_one += won == 1 and not broken
            sessions += won
            house.events.clear()
        kept = sum(row["session_hash"] is not None for row in await house.rows(participants))
    missed = count - exactly_one + abs(kept - count) + abs(sessions - count)
    return [measured("access.code_not_redeemed_exactly_once", missed, "codes", n=count * AT_ONCE, seed=seed, at_most=0)]


async def _tried(folder: Path, count: int, _chance: random.Random, seed: int) -> list[Figure]:
    """Wrong codes from several processes at once, each started anew for every re-issue of code or link."""
    visits = max(2, count // 200)
    most_code = most_day = 0
    async with AsyncExitStack() as stack:
        house = await _opened(stack, folder)
        clinician = (await house.enrolled()).user
        for _ in range(visits):
            visit, day = await house.visit(clinician), 0
            link = await house.link(visit)
            for round_ in range(RE_ISSUES):
                looked = await asyncio.to_thread(_elsewhere, folder, link.token.reveal(), house.clock.now())
                most_code, day = max(most_code, looked), day + looked
                if round_ % 2:
                    await house.links.new_budget(ADMIN, visit, link.id)
                else:
                    link = await house.link(visit)
            most_day = max(most_day, day)
    n = visits * RE_ISSUES * PROCESSES
    return [
        measured("access.code_tries", most_code, "tries", n=n, seed=seed, at_most=5),
        measured("access.code_tries_a_day", most_day, "tries", n=n, seed=seed, at_most=20),
    ]


def _elsewhere(folder: Path, token: str, now: datetime) -> int:
    """How many wrong codes all processes together had looked at. Blocks."""
    words = [sys.executable, "-m", "benchmarks.attack_links", "guess", str(folder), token, now.isoformat()]
    running = [
        subprocess.Popen([*words, str(number)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for number in range(PROCESSES)
    ]
    said_ = [process.communicate(timeout=120)[0] for process in running]
    if any(process.returncode for process in running):
        raise RuntimeError("a guessing process broke")
    return sum(json.loads(text) for text in said_)


async def _guess(folder: Path, token: str, now: datetime, number: int) -> int:
    """One process with the same database and a log of its own: how many of its wrong codes were looked at."""
    clock = SteppedClock()
    clock.moment = now
    house = await open_house(await _made(folder / f"house-{now:%H%M%S%f}-{token[:6]}-{number}"), _Same(folder), clock)
    try:
        cookie, _ = await house.joining.open(token, **PLACE)
        done = await asyncio.gather(
            *(house.joining.verify(cookie.reveal(), f"{at:08d}", **PLACE) for at in range(12)), return_exceptions=True
        )
    except Refusal:
        return 0
    finally:
        await close_house(house)
    return sum(isinstance(one, CodeWrong) for one in done)


class _Same:
    """The one database of the attack, for every process."""

    def __init__(self, folder: Path) -> None:
        self._url = f"sqlite:///{folder / 'house' / 'telehealth.db'}"

    def of(self, _folder: Path) -> str:
        return self._url

    def content(self, folder: Path) -> bytes:
        return (folder / "house" / "telehealth.db").read_bytes()


async def _jumped(folder: Path, count: int, chance: random.Random, seed: int) -> list[Figure]:
    """A clock that jumps between link, code and visit: whatever is let in outside of what the clock then says."""
    wrong = tried = 0
    async with AsyncExitStack() as stack:
        house = await _opened(stack, folder)
        clinician = (await house.enrolled()).user
        for _ in range(max(2, count // 10)):
            for jump in JUMPS:
                at, steady = house.clock.now(), house.clock.steady()
                days = timedelta(days=chance.choice((0, 2)))  # in a wide window the code's own life is all that holds
                window = Window(at - days - timedelta(minutes=15), at + days + timedelta(minutes=90))
                link = await house.link(await house.visit(clinician), "spoken", window=window)
                cookie = (await house.joining.open(link.token.reveal(), **PLACE))[0].reveal()
                await house.joining.mint(cookie)
                code = house.heard(CodeMinted)[-1].code.reveal()
                house.clock.step(seconds=chance.randrange(0, 700))
                house.clock.moment += jump
                now, lived = house.clock.now(), house.clock.steady() - steady
                good = link.not_before <= now < link.expires_at and lived < 600 and now < at + timedelta(minutes=10)
                let = not await _refused(house, cookie, code)
                late = await _opens(house, link.token.reveal()) and now >= link.expires_at
                wrong, tried = wrong + (let and not good) + late, tried + 2
                house.clock.moment = at + timedelta(seconds=house.clock.steady() - steady)
                house.events.clear()
    return [measured("access.clock_jump_accepted", wrong, "", n=tried, seed=seed, at_most=0)]


async def _refused(house: House, cookie: str, code: str) -> bool:
    try:
        await house.joining.verify(cookie, code, **PLACE)
    except Refusal:
        return True
    return False


async def _opens(house: House, token: str) -> bool:
    try:
        await house.joining.open(token, **PLACE)
    except Refusal:
        return False
    return True


async def _timed(folder: Path, count: int, chance: random.Random, seed: int) -> list[Figure]:
    """Links that never were against expired, used up and revoked ones, in one run, in an order by chance."""
    rounds = count * 20
    async with AsyncExitStack() as stack:
        house = await _opened(stack, folder)
        clinician = (await house.enrolled()).user
        tokens = {"unknown": "x" * 43}
        for kind in KINDS[1:]:
            visit = await house.visit(clinician)
            link = await house.link(visit)
            tokens[kind] = link.token.reveal()
            if kind == "revoked":
                await house.links.revoke(ADMIN, visit, link.id)
            changes = {"expired": {"expires_at": house.clock.now()}, "used_up": {"tries": 5}}.get(kind)
            if changes:
                async with house.store.begin() as connection:
                    await connection.execute(update(links).where(links.c.id == link.id).values(changes))
        spans: dict[str, list[float]] = {kind: [] for kind in KINDS}
        answers: Counter[tuple[str, str]] = Counter()
        order = list(KINDS)
        for _ in range(rounds):
            chance.shuffle(order)
            for kind in order:
                begun = time.perf_counter()
                try:
                    await house.joining.open(tokens[kind], **PLACE)
                except Refusal as refusal:
                    spans[kind].append(time.perf_counter() - begun)
                    answers[(refusal.code, refusal.message)] += 1
        lost_rounds = max(2, rounds // 4)
        lost = await _lost(house, clinician, lost_rounds, chance)
    figures = [
        measured(
            f"access.link_{kind}_told_by_time",
            abs(welch(spans["unknown"], spans[kind])),
            "|t|",
            n=rounds,
            seed=seed,
            at_most=4.5,
        )
        for kind in KINDS[1:]
    ]
    figures.append(measured("access.link_answers", len(answers), "kinds", n=rounds * 4, seed=seed, at_most=1))
    figures.append(measured("access.lost_link_told_by_time", abs(lost), "|t|", n=lost_rounds, seed=seed, at_most=4.5))
    return figures


async def _lost(house: House, clinician: str, rounds: int, chance: random.Random) -> float:
    """How far the answers to a known and to an unknown contact are apart, while the room goes on sending."""
    contacts = {"known": "pat@example.org", "unknown": "tap@example.org"}
    await house.link(await house.visit(clinician, contact=contacts["known"]))
    spans: dict[str, list[float]] = {kind: [] for kind in contacts}
    order = list(contacts)
    for number in range(rounds):
        chance.shuffle(order)
        for at, kind in enumerate(order):
            begun = time.perf_counter()
            await house.lost.ask(
                contacts[kind], address=f"2001:db8:{number >> 12:x}:{number & 4095:x}{at}::1", device=""
            )
            spans[kind].append(time.perf_counter() - begun)
        while not house.lost.idle:
            await house.lost.answer_one()
        house.clock.step(hours=12)
    return welch(spans["known"], spans["unknown"])


def welch(one: Sequence[float], other: Sequence[float]) -> float:
    """Welch's t of two samples, their slowest hundredth left out: the machine's own pauses say nothing of either."""
    first, second = _settled(one), _settled(other)
    spread = statistics.variance(first) / len(first) + statistics.variance(second) / len(second)
    return (statistics.fmean(first) - statistics.fmean(second)) / math.sqrt(spread)


def _settled(sample: Sequence[float]) -> list[float]:
    return sorted(sample)[: max(2, len(sample) * 99 // 100)]


def _main(argv: list[str]) -> None:
    if argv[:1] == ["guess"]:
        folder, token, now, number = argv[1:]
        print(asyncio.run(_guess(Path(folder), token, datetime.fromisoformat(now), int(number))))
    else:
        said(run)


if __name__ == "__main__":
    _main(sys.argv[1:])
