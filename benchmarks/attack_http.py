"""Forged and mutated tokens over HTTP against the real server, N of them (20,000 in full): a 2xx is accepted.

A refusal because of too many requests says nothing about the token; how many there were is a figure of its own.
"""

import asyncio
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientTimeout, TCPConnector

from benchmarks.figure import Figure, measured, said, say, wished
from benchmarks.mutation import letters, wrong
from benchmarks.pipe import ROOT

sys.path.insert(0, str(ROOT))
from tests.attack.cast import OURS, Clinic, clinic_of
from tests.stories.house import House

AT_ONCE = 8
_SENDABLE = re.compile(
    r"[\x21-\x3a\x3c-\x7e\x80-\ud7ff\ue000-\uffff]*"
)  # what a header or cookie can carry, by aiohttp's client


@dataclass(frozen=True, slots=True)
class Try:
    """One request with a forged credential."""

    kind: str
    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any] | None = None


class Forger:
    """Makes requests whose only way in is a token that is not right."""

    def __init__(self, clinic: Clinic, chance: random.Random) -> None:
        people, self._chance, self._ids = clinic.people, chance, clinic.ids
        self._session = people["admin"].session.cookies["staff"] or ""
        self._visit = people["patient"].session.cookies["visit"] or ""
        self._bearer = str(people["token"].session.headers["Authorization"]).partition(" ")[2]
        self._all = [self._session, self._visit, self._bearer]

    def one(self) -> Try:
        chance, visit = self._chance, self._chance.choice(self._ids["visit"])
        match chance.randrange(8):
            case 0:
                return self._cookie("staff", self._session, *chance.choice((("GET", "/session"), ("GET", "/users"))))
            case 1:
                return self._cookie("staff", self._session, "GET", f"/visits/{visit}")
            case 2:
                return self._cookie("visit", self._visit, "GET", chance.choice(("/join", "/join/recordings")))
            case 3:
                headers = OURS | {"Authorization": "Bearer " + self._forged(self._bearer)}
                return Try("bearer", "GET", f"/visits/{visit}", headers)
            case 4:
                return Try("link", "POST", "/join", OURS, {"token": self._forged(self._visit)})
            case 5:
                return Try("invitation", "POST", "/enrolment", OURS, {"token": self._forged(self._session)})
            case 6:
                return Try("assertion", "POST", "/session/passkey", OURS, {"credential": self._assertion()})
            case _:
                return Try("copy", "POST", "/copy", OURS, {"token": self._forged(self._visit)})

    def _cookie(self, name: str, right: str, method: str, path: str) -> Try:
        return Try(name, method, path, OURS | {"Cookie": f"{name}={self._forged(right)}"})

    def _forged(self, right: str) -> str:
        """Something a client can send at all; never the right one, nor what the server would trim to it."""
        while True:
            made = wrong(right, [one for one in self._all if one != right], self._chance)
            if made.strip('" \t\0') != right and _SENDABLE.fullmatch(made) and '"' not in made:
                return made

    def _assertion(self) -> dict[str, Any]:
        response = {name: letters(self._chance, 86) for name in ("clientDataJSON", "authenticatorData", "signature")}
        found = letters(self._chance)
        return {"id": found, "rawId": found, "type": "public-key", "response": response}


def run(seed: int) -> Iterator[Figure]:
    count, chance = wished(20_000), random.Random(seed)
    with tempfile.TemporaryDirectory() as folder, House(Path(folder)) as house:
        clinic = clinic_of(house)
        tries = [Forger(clinic, chance).one() for _ in range(count)]
        begun = time.monotonic()
        statuses = asyncio.run(_asked(house.url, tries))
        say(f"  {count} in {time.monotonic() - begun:.0f} s: {dict(sorted(Counter(statuses).items()))}")
        still = [clinic.people[who].ask("GET", path).status_code for who, path in RIGHT]
        if still != [200] * len(RIGHT):
            raise RuntimeError(f"the right ones do not open any more: {still}")
        trouble = house.log.read_text(errors="replace")
    accepted = sum(status < 400 for status in statuses)
    broken = sum(status >= 500 for status in statuses) + trouble.count("Traceback") + trouble.count("web.internal")
    yield measured("access.forged_http_accepted", accepted, "", n=count, seed=seed, at_most=0)
    yield measured("access.forged_http_broken", broken, "", n=count, seed=seed, at_most=0)
    yield measured("access.forged_http_slowed", statuses.count(429), "", n=count, seed=seed)


RIGHT = (("admin", "/api/v1/session"), ("patient", "/api/v1/join"), ("token", "/api/v1/visits"))


async def _asked(url: str, tries: Sequence[Try]) -> list[int]:
    waiting, statuses = iter(tries), list[int]()
    async with ClientSession(
        f"{url}/api/v1/", connector=TCPConnector(limit=AT_ONCE), timeout=ClientTimeout(60), cookie_jar=None
    ) as client:

        async def on() -> None:
            for one in waiting:
                async with client.request(one.method, one.path[1:], headers=one.headers, json=one.body) as answer:
                    await answer.read()
                    statuses.append(answer.status)
                    if answer.status < 400:
                        say(f"  {one.kind} got {answer.status} from {one.path}: {one.headers!a} {one.body!a}")

        await asyncio.gather(*(on() for _ in range(AT_ONCE)))
    return statuses


if __name__ == "__main__":
    said(run)
