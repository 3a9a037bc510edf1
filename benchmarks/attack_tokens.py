"""Forged and mutated tokens at the functions that judge them: cookies, bearer tokens, links, proofs, assertions.

N tokens in all (1,000,000 in full). Whatever a judge lets through is accepted; whatever it raises beside a refusal is
broken. Right ones are tried before and after, so that a judge that refuses everything measures nothing.
"""

import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure, measured, said, say, wished
from benchmarks.forgery import Assertions, Challenged, Proofs
from benchmarks.intruder import TRACK, Keys, furnished
from benchmarks.mutation import wrong
from telehealth.access import Caller
from telehealth.errors import Refusal
from telehealth.house import House
from telehealth.identity import authenticator

PLACE: dict[str, str | None] = {"address": "192.0.2.66", "device": "somebody else's browser"}
# Of every hundred: what costs a signature or a look-up each has fewer, so that a million take minutes.
SHARES = {"challenge": 45, "assertion": 5, "possession": 10}


@dataclass(frozen=True, slots=True)
class Judge:
    """`right`: credentials it must let through; `forge`: one it must not; `judge` raises Refusal for it."""

    name: str
    judge: Callable[[Any], Awaitable[object]]
    forge: Callable[[random.Random], Any]
    right: Callable[[], Any]


def run(seed: int) -> Iterator[Figure]:
    count = wished(1_000_000)
    with tempfile.TemporaryDirectory() as folder:
        yield from asyncio.run(_attacked(Path(folder), count, seed))


async def _attacked(folder: Path, count: int, seed: int) -> list[Figure]:
    chance, figures, total, accepted, broken = random.Random(seed), list[Figure](), 0, 0, 0
    async with _judges(folder) as judges:
        plain = [judge for judge in judges if judge.name not in SHARES]
        for judge in judges:
            share = SHARES.get(judge.name, (100 - sum(SHARES.values())) / len(plain)) / 100
            tries = max(1, round(count * share))
            begun = time.monotonic()
            let, broke = await _tried(judge, tries, chance)
            say(f"  {judge.name}: {tries} in {time.monotonic() - begun:.0f} s")
            total, accepted, broken = total + tries, accepted + let, broken + broke
            figures.append(measured(f"access.forged_{judge.name}_accepted", let, "", n=tries, seed=seed, at_most=0))
    figures.append(measured("access.forged_accepted", accepted, "", n=total, seed=seed, at_most=0))
    figures.append(measured("access.forged_broken", broken, "", n=total, seed=seed, at_most=0))
    return figures


async def _tried(judge: Judge, tries: int, chance: random.Random) -> tuple[int, int]:
    """How many were let through, and how many ended in something that is no refusal."""
    accepted = broken = 0
    await judge.judge(judge.right())
    for _ in range(tries):
        forged = judge.forge(chance)
        try:
            await judge.judge(forged)
        except Refusal:
            continue
        except Exception as error:  # noqa: BLE001  # counted: a judge may only refuse
            broken += 1
            if broken <= 5:
                say(f"  {judge.name}: {type(error).__name__} for {str(forged)[:120]!a}")
        else:
            accepted += 1
            say(f"  {judge.name} let through {str(forged)[:200]!a}")
    await judge.judge(judge.right())
    return accepted, broken


@asynccontextmanager
async def _judges(folder: Path) -> AsyncIterator[list[Judge]]:
    async with furnished(folder) as (house, keys):
        yield [*_texts(house, keys), *_signed(house, keys)]


def _texts(house: House, keys: Keys) -> Iterator[Judge]:
    """Judges of a plain text that is looked up by its hash, or by itself."""
    identity = house.identity
    setups, seats = (keys.invitation, keys.reset), (keys.presession, keys.participant)
    for name, right, judge in (  # the first of `right` is mutated; the others open it as well
        ("session", (keys.session,), lambda text: identity.sessions.resolve(text, **PLACE)),
        ("bearer", (keys.bearer,), lambda text: identity.tokens.resolve(text, address="192.0.2.66")),
        ("presession", seats, lambda text: identity.joining.step(text, **PLACE)),
        ("participant", seats[1:], lambda text: identity.joining.resolve(text, **PLACE)),
        ("link", (keys.link,), lambda text: identity.joining.open(text, **PLACE)),
        ("invitation", setups, identity.enrolment.look),
        ("reset", setups[::-1], identity.enrolment.look),
        ("grant", (keys.grant,), lambda text: _player(house, keys.caller, text)),
    ):
        others = [text for text in keys.texts() if text not in right]
        forge = partial(wrong, right[0], others)
        yield Judge(name, judge, forge, partial(str, right[0]))
    yield Judge(  # the right grant in other hands
        "foreign_grant",
        lambda caller: _player(house, caller, keys.grant),
        lambda chance: chance.choice(keys.strangers),
        lambda: keys.caller,
    )


async def _player(house: House, caller: Caller, grant: str) -> object:
    """What every range of a track asks first."""
    return house.recordings.size(caller, grant, TRACK)


def _signed(house: House, keys: Keys) -> Iterator[Judge]:
    """Judges of what is signed, or bears a MAC."""
    possession, passkeys = house.identity.possession, house.identity.passkey_sign_in
    proofs = Proofs(keys.browser, lambda: possession.challenge(keys.caller), lambda: possession.challenge(keys.other))
    yield Judge("possession", lambda proof: possession.require(keys.caller, proof), proofs.forge, proofs.right)
    challenged = Challenged(house)
    yield Judge("challenge", challenged.judge, challenged.forge, challenged.right)
    site = authenticator.site_of(house.config)
    if site is None:
        raise RuntimeError("no passkeys on this site")
    assertions = Assertions(site, keys.authenticator, passkeys.options)
    yield Judge("assertion", assertions.judge, assertions.forge, assertions.right)


if __name__ == "__main__":
    said(run)
