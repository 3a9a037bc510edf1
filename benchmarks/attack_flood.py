"""Floods against a real server: sign-ins from one address, events over one socket; what everybody else notices.

N: seconds of each flood, 40 in full. The others' figures without a flood come from the same run.
"""

import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyotp
from aiohttp import ClientSession, TCPConnector

from benchmarks.figure import Figure, measured, percentile, said, say, wished
from benchmarks.pipe import ROOT
from benchmarks.socket_flood import A_SECOND
from tests.faults.clinic import PASSWORD, Answer, Client, Clinic
from tests.faults.wire import Wire, raw_call
from tests.stories.house import House

FLOOD = 200  # sign-ins a second
FLOODER = "203.0.113.66"
PEOPLE = 24  # each with ten codes that work once
EVERY = 1.0  # seconds between two sign-ins of others
CALM = 10.0  # seconds
PROXIED = {"SERVER__TRUSTED_PROXIES": "127.0.0.1"}  # every client below has the address it names


@dataclass
class Person:
    login: str
    codes: list[str]
    device: str = ""


class Elsewhere(Client):
    """A browser behind an address of its own, as the proxy tells it."""

    def __init__(self, house: House, address: str) -> None:
        super().__init__(house)
        self._address = address

    def ask(
        self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str | None] | None = None
    ) -> Answer:
        return super().ask(method, path, body, headers={"X-Forwarded-For": self._address, **(headers or {})})


@dataclass
class Seen:
    """Seconds each sign-in took, and what came of it."""

    seconds: list[float] = field(default_factory=list)
    refused: int = 0


def run(seed: int) -> Iterator[Figure]:
    """Both floods."""
    seconds = float(wished(40))
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        yield from asyncio.run(_sign_ins(Path(name), seconds, seed))
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        yield from asyncio.run(_sockets(Path(name), seconds, seed))


async def _sign_ins(folder: Path, seconds: float, seed: int) -> list[Figure]:
    chance = random.Random(seed)
    with House(folder, PROXIED) as house:
        people = await asyncio.to_thread(_people, house, chance)
        calm, others, neighbours = Seen(), Seen(), Seen()
        await _others(house, people, CALM, chance, calm, calm)
        statuses: dict[int, int] = {}
        before = _cpu(house)
        flood = asyncio.create_task(_flood(house.url, seconds, chance, statuses))
        await _others(house, people, seconds, chance, others, neighbours)
        await flood
        spent = _cpu(house) - before
    sent = sum(statuses.values())
    say(f"  flood: {sent} in {seconds:.0f} s, answered {statuses}")
    return [
        measured("access.flood_rate", sent / seconds, "1/s", n=sent, seed=seed, at_least=0.9 * FLOOD),
        measured("access.flood_server_cpu", spent / seconds, "cores", n=sent, seed=seed, at_most=1),
        measured("access.calm_signin_p99", percentile(calm.seconds, 0.99), "s", n=len(calm.seconds), seed=seed),
        measured(
            "access.flood_signin_p99",
            percentile(others.seconds, 0.99),
            "s",
            n=len(others.seconds),
            seed=seed,
            at_most=1,
        ),
        measured(
            "access.flood_neighbour_signin_p99",
            percentile(neighbours.seconds, 0.99),
            "s",
            n=len(neighbours.seconds),
            seed=seed,
            at_most=1,
        ),
        measured(
            "access.flood_others_refused",
            others.refused + neighbours.refused,
            "1",
            n=len(others.seconds) + len(neighbours.seconds),
            seed=seed,
            at_most=0,
        ),
    ]


def _cpu(house: House) -> float:
    """Seconds of processor time the server has used so far; other programs' load does not change them."""
    words = Path(f"/proc/{house.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def _people(house: House, chance: random.Random) -> list[Person]:
    """Enrolled over HTTP, each from an address and in a browser of their own."""
    clinic, found = Clinic(house), []
    for number in range(PEOPLE):
        login = f"person{number}"
        body = {"login": login, "name": f"Person {number}", "role": "clinician"}
        token = clinic.admin.do("POST", "/api/v1/users", body)["enrolment_url"].partition("#")[2]
        browser = Elsewhere(house, f"192.0.2.{number + 1}")
        offer = browser.do("POST", "/api/v1/enrolment", {"token": token})
        done = {"token": token, "password": PASSWORD, "code": pyotp.TOTP(offer["totp_secret"]).now()}
        codes = browser.do("POST", "/api/v1/enrolment/finish", done)["recovery_codes"]
        chance.shuffle(codes)
        found.append(Person(login, codes, browser.cookies["device"]))
    return found


async def _others(
    house: House, people: list[Person], seconds: float, chance: random.Random, far: Seen, near: Seen
) -> None:
    """Sign in by and by: in turns from far away in a new browser, and from the flooder's address in one's own."""
    begun, running = time.monotonic(), set[asyncio.Task[None]]()
    turn = 0
    async with ClientSession(connector=TCPConnector(force_close=True)) as session:
        while time.monotonic() - begun < seconds:
            able = [person for person in people if person.codes]
            if not able:
                raise RuntimeError("too few people for so many seconds")
            person = able[turn % len(able)]
            headers = {"X-Forwarded-For": f"198.51.100.{chance.randrange(1, 250)}"}
            if turn % 2:
                headers = {"X-Forwarded-For": FLOODER, "Cookie": f"device={person.device}"}
            body = {"login": person.login, "password": PASSWORD, "code": person.codes.pop()}
            running.add(asyncio.create_task(_sign_in(session, house.url, headers, body, near if turn % 2 else far)))
            turn += 1
            await asyncio.sleep(max(0.0, begun + turn * EVERY - time.monotonic()))
        await asyncio.gather(*running)


async def _sign_in(session: ClientSession, url: str, headers: dict[str, str], body: dict[str, str], seen: Seen) -> None:
    begun = time.monotonic()
    async with session.post(f"{url}/api/v1/session", json=body, headers={"Origin": url, **headers}) as answer:
        await answer.read()
        seen.seconds.append(time.monotonic() - begun)
        if answer.status != 200:
            seen.refused += 1
            say(f"  refused: {answer.status} {(await answer.text())[:120]}")


async def _flood(url: str, seconds: float, chance: random.Random, statuses: dict[int, int]) -> None:
    """So many guesses a second from one address, whatever comes back."""
    headers = {"Origin": url, "X-Forwarded-For": FLOODER}
    begun, sent, running = time.monotonic(), 0, set[asyncio.Task[None]]()

    async def guess(session: ClientSession) -> None:
        body = {"login": f"person{chance.randrange(50)}", "password": "a guess of mine", "code": "123456"}
        async with session.post(f"{url}/api/v1/session", json=body, headers=headers) as answer:
            await answer.read()
            statuses[answer.status] = statuses.get(answer.status, 0) + 1

    async with ClientSession(connector=TCPConnector(limit=200)) as session:
        while time.monotonic() - begun < seconds:
            task = asyncio.create_task(guess(session))
            running.add(task)
            task.add_done_callback(running.discard)
            sent += 1
            await asyncio.sleep(max(0.0, begun + sent / FLOOD - time.monotonic()))
        await asyncio.gather(*running)


async def _sockets(folder: Path, seconds: float, seed: int) -> list[Figure]:
    with House(folder) as house:
        clinic = await asyncio.to_thread(Clinic, house)
        offender = await asyncio.to_thread(lambda: clinic.verified(clinic.book()))
        async with raw_call(clinic) as call:
            calm = [await _rtt(call.doctor, 0.03) for _ in range(100)]
            cuts: list[dict[str, float]] = []
            rtts: list[float] = []
            async with _flooding(house.url, offender.cookie, seconds) as lines:
                flooding = asyncio.create_task(_read(lines, cuts))
                while not flooding.done():
                    rtts += await asyncio.gather(_rtt(call.doctor, 0.06), _rtt(call.patient, 0.06))
                await flooding
    say(f"  cut {len(cuts)} times, after {sum(cut['frames'] for cut in cuts) / len(cuts):.0f} frames on average")
    rate = sum(cut["frames"] for cut in cuts) / sum(max(cut["sending"], cut["frames"] / A_SECOND) for cut in cuts)
    return [
        measured("access.socket_flood_rate", rate, "events/s", n=len(cuts), seed=seed, at_least=0.9 * A_SECOND),
        measured("access.socket_calm_p99", 1000 * percentile(calm, 0.99), "ms", n=len(calm), seed=seed),
        measured(
            "access.socket_flood_cut_max",
            max(cut["seconds"] for cut in cuts),
            "s",
            n=len(cuts),
            seed=seed,
            at_most=1,
        ),
        measured(
            "access.socket_flood_others_p99", 1000 * percentile(rtts, 0.99), "ms", n=len(rtts), seed=seed, at_most=100
        ),
    ]


async def _rtt(wire: Wire, pause: float) -> float:
    """Seconds until a ping is answered, and then a pause that keeps it beneath what counts as a flood."""
    begun = time.monotonic()
    await wire.does("ping", {})
    took = time.monotonic() - begun
    await asyncio.sleep(pause)
    return took


@asynccontextmanager
async def _flooding(url: str, cookie: str, seconds: float) -> AsyncIterator[asyncio.StreamReader]:
    """The flooder's own process; what it prints."""
    words = [sys.executable, "-m", "benchmarks.socket_flood", url, cookie, str(seconds)]
    process = await asyncio.create_subprocess_exec(*words, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    try:
        if process.stdout is None:
            raise RuntimeError("no pipe")
        yield process.stdout
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _read(lines: asyncio.StreamReader, cuts: list[dict[str, float]]) -> None:
    async for line in lines:
        cuts.append(json.loads(line))


if __name__ == "__main__":
    said(run)
