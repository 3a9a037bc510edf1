"""One contract for buckets wherever they are kept: in this process, in Redis, in Redis over TLS."""

import asyncio
import hashlib
import hmac
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass

import pytest

from telehealth.clock import SystemClock
from telehealth.limits.bucket import Rate
from telehealth.limits.memory import ProcessBuckets
from telehealth.limits.ports import Buckets, BucketsAway, Charge
from telehealth.limits.settings import Redis as Settings
from telehealth.limits.shared import RedisBuckets
from telehealth.secret import Secret
from tests.partners.redis import PASSWORD, Redis

FOREVER = 0.001  # a second: a token that comes back in a quarter of an hour
NUMBERS = itertools.count()


def lookup(purpose: str, text: str) -> bytes:
    return hmac.digest(b"key", f"{purpose} {text}".encode(), "sha256")


def buckets_in(redis: Redis, patience: float = 5.0) -> RedisBuckets:
    settings = Settings(url=redis.url, ca_file=redis.ca_file)
    return RedisBuckets(settings, Secret(PASSWORD), lookup, patience)


@dataclass
class Kept:
    buckets: Buckets
    again: Callable[[], Awaitable[Buckets]]  # another process of the same clinic, or the same


@pytest.fixture(scope="module")
def tls_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    partner = Redis(tmp_path_factory.mktemp("redis-tls"), tls=True)
    try:
        yield partner
    finally:
        partner.stop()


@pytest.fixture(params=["process", "redis", "redis over TLS"])
async def kept(request: pytest.FixtureRequest) -> AsyncIterator[Kept]:
    if request.param == "process":
        own = ProcessBuckets(SystemClock())
        yield Kept(own, lambda: asyncio.sleep(0, own))
        return
    redis = request.getfixturevalue("redis" if request.param == "redis" else "tls_redis")
    opened = [buckets_in(redis)]

    async def another() -> Buckets:
        opened.append(buckets_in(redis))
        return opened[-1]

    yield Kept(opened[0], another)
    for one in opened:
        await one.close()


def charge(name: str = "address", subject: str | None = None, a_second: float = FOREVER, at_once: float = 3) -> Charge:
    return Charge(name, subject or f"someone {next(NUMBERS)}", Rate(a_second, at_once))


async def test_what_is_saved_up_can_be_spent_at_once_and_no_more(kept: Kept) -> None:
    asked = charge(at_once=3)
    assert [await kept.buckets.take([asked]) for _ in range(3)] == [0, 0, 0]
    wait = await kept.buckets.take([asked])
    assert 900 < wait <= 1000


async def test_many_at_once_get_no_more_than_one_after_the_other(kept: Kept) -> None:
    asked, other = charge(at_once=10), await kept.again()
    waits = await asyncio.gather(*(one.take([asked]) for one in (kept.buckets, other) for _ in range(30)))
    assert sum(wait == 0 for wait in waits) == 10


async def test_tokens_come_back_after_the_time_that_was_told(kept: Kept) -> None:
    asked = charge(a_second=50, at_once=1)
    assert await kept.buckets.take([asked]) == 0
    wait = await kept.buckets.take([asked])
    assert 0 < wait <= 0.02
    await asyncio.sleep(wait + 0.005)
    assert await kept.buckets.take([asked]) == 0


async def test_no_more_comes_back_than_fits(kept: Kept) -> None:
    asked = charge(a_second=50, at_once=2)
    assert await kept.buckets.take([asked]) == 0
    await asyncio.sleep(0.09)  # as many tokens as four, had they room
    begun, spent = time.monotonic(), 0
    while await kept.buckets.take([asked]) == 0:
        spent += 1
    assert spent <= 2 + 50 * (time.monotonic() - begun)


async def test_each_has_a_bucket_of_their_own_for_each_name(kept: Kept) -> None:
    one = charge(at_once=1)
    assert await kept.buckets.take([one]) == 0
    assert await kept.buckets.take([one]) > 0
    assert await kept.buckets.take([charge(subject=f"{one.subject}x", at_once=1)]) == 0
    assert await kept.buckets.take([charge("code", one.subject, at_once=1)]) == 0


async def test_of_several_all_are_charged_or_none(kept: Kept) -> None:
    empty, full = charge(at_once=1), charge(at_once=1)
    assert await kept.buckets.take([empty]) == 0
    assert await kept.buckets.take([full, empty]) > 0
    assert await kept.buckets.take([full]) == 0


async def test_redis_learns_nobody_and_forgets_by_itself(redis: Redis) -> None:
    buckets = buckets_in(redis)
    await buckets.take([charge("address", "192.0.2.77", at_once=1, a_second=1)])
    await buckets.close()
    keys = redis.ask("KEYS", "*")
    assert b"192.0.2.77" not in keys
    digest = lookup("limit", "address 192.0.2.77").hex()[:32]
    assert f"telehealth:limit:{digest}".encode() in keys
    alive = int(redis.ask("PTTL", f"telehealth:limit:{digest}")[1:])
    assert 0 < alive <= 2_000
    assert hashlib.sha256(b"192.0.2.77").hexdigest()[:32] != digest


@pytest.mark.parametrize("wrong", ["password", "authority"])
async def test_a_redis_that_is_not_ours_is_away(wrong: str, redis: Redis, tls_redis: Redis) -> None:
    if wrong == "password":
        buckets = RedisBuckets(Settings(url=redis.url), Secret("no"), lookup, 5)
    else:
        buckets = RedisBuckets(Settings(url=tls_redis.url), Secret(PASSWORD), lookup, 5)
    with pytest.raises(BucketsAway):
        await buckets.take([charge()])
    await buckets.close()
