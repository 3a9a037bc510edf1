"""The small parts: buckets, subjects, device cookies, turns, the sieve."""

import asyncio
import hmac
import os
from collections.abc import Collection

import pytest
from pydantic import ValidationError

from telehealth.identity.faults import SlowDown
from telehealth.identity.turns import FairTurns
from telehealth.limits.bucket import Rate
from telehealth.limits.devices import LONGEST, PEOPLE, Devices
from telehealth.limits.memory import ProcessBuckets
from telehealth.limits.ports import Charge
from telehealth.limits.settings import Limits, Redis
from telehealth.limits.sieve import MOST, Sieve
from telehealth.limits.subjects import network_of

from .conftest import HandClock


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2::7", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
    ],
)
def test_a_host_cannot_choose_among_its_own_addresses(address: str, network: str) -> None:
    assert network_of(address) == network


async def test_strangers_cannot_fill_the_memory(clock: HandClock) -> None:
    buckets, rate = ProcessBuckets(clock, most=100), Rate(1, 1)
    mine = Charge("address", "mine", rate)
    assert await buckets.take([mine]) == 0
    for number in range(1_000):
        await buckets.take([Charge("address", str(number), rate)])
        assert await buckets.take([mine]) > 0, "who keeps asking is not forgotten"
    assert len(buckets) == 100


async def test_a_clock_that_stands_gives_nothing_back(clock: HandClock) -> None:
    buckets, mine = ProcessBuckets(clock), Charge("address", "mine", Rate(10, 2))
    assert [await buckets.take([mine]) > 0 for _ in range(4)] == [False, False, True, True]
    clock.seconds += 0.1
    assert [await buckets.take([mine]) > 0 for _ in range(2)] == [False, True]


@pytest.mark.parametrize("pair", [(0, 5), (1, 0.5), (-1, 5), (1, float("inf")), (float("nan"), 5)])
def test_a_limit_that_lets_nobody_in_is_refused_at_start(pair: tuple[float, float]) -> None:
    with pytest.raises(ValidationError):
        Limits(address=pair)


@pytest.mark.parametrize("url", ["http://a", "redis://u:secret@127.0.0.1", "redis://127.0.0.1?x=1", "127.0.0.1:6379"])
def test_a_password_is_no_part_of_the_address_of_redis(url: str) -> None:
    with pytest.raises(ValidationError):
        Redis(url=url)


def test_redis_beyond_this_machine_needs_tls() -> None:
    assert [said for wrong, said in Redis(url="redis://10.0.0.9:6379").faults() if wrong] == [
        "redis.url must be rediss:// (TLS) beyond this machine"
    ]
    for url in ("rediss://10.0.0.9:6379", "redis://127.0.0.1:6379"):
        assert not any(wrong for wrong, _ in Redis(url=url).faults())


def test_a_server_among_several_needs_redis() -> None:
    assert [said for wrong, said in Redis(node="a").faults() if wrong] == ["redis.node needs redis.url"]
    assert not any(wrong for wrong, _ in Redis(url="redis://127.0.0.1:6379", node="a").faults())


def lookup(purpose: str, text: str) -> bytes:
    return hmac.digest(b"key", f"{purpose} {text}".encode(), "sha256")


def test_a_device_is_known_for_whoever_signed_in_with_it_and_for_nobody_else() -> None:
    devices = Devices(lookup, os.urandom)
    cookie = devices.read(None).with_("usr_a")
    device = devices.read(cookie)
    assert device.of("usr_a") == device.name
    assert device.of("usr_b") is None
    assert devices.read(device.with_("usr_b")).of("usr_a") == device.of("usr_a")
    assert device.with_("usr_a") == cookie


def test_a_shared_desk_remembers_the_last_few() -> None:
    devices, cookie = Devices(lookup, os.urandom), ""
    for number in range(PEOPLE + 2):
        cookie = devices.read(cookie).with_(f"usr_{number}")
        assert len(cookie) <= LONGEST
    known = [devices.read(cookie).of(f"usr_{number}") is not None for number in range(PEOPLE + 2)]
    assert known == [False, False] + [True] * PEOPLE


def test_no_forged_or_mangled_device_is_known() -> None:
    devices = Devices(lookup, os.urandom)
    cookie = devices.read(None).with_("usr_a")
    foreign = Devices(lambda purpose, text: lookup(purpose, f"{text}x"), os.urandom).read(None).with_("usr_a")
    mutants = [cookie[:at] + ("A" if cookie[at] != "A" else "B") + cookie[at + 1 :] for at in range(len(cookie))]
    for text in (*mutants, foreign, "", "....", cookie[:-4], "é" * 64, "A" * 64, cookie + "A" * LONGEST):
        assert devices.read(text).name is None, text


async def test_a_flood_makes_nobody_else_wait_for_more_than_one_of_its_own() -> None:
    turns, order, gate = FairTurns(at_once=1, waiting=100, each=50), list[str](), asyncio.Event()

    async def work(source: str) -> None:
        async with turns.turn(source):
            await gate.wait()
            order.append(source)

    tasks = [asyncio.create_task(work("flood")) for _ in range(30)]
    await asyncio.sleep(0)
    tasks += [asyncio.create_task(work(source)) for source in ("ada", "ben")]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*tasks)
    assert order.index("ada") <= 3
    assert order.index("ben") <= 3


async def test_when_all_room_is_taken_the_one_who_asks_most_is_sent_away() -> None:
    turns, gate = FairTurns(at_once=1, waiting=4, each=50), asyncio.Event()

    async def work(source: str) -> str:
        async with turns.turn(source):
            await gate.wait()
            return source

    tasks = [asyncio.create_task(work("flood")) for _ in range(6)]
    await asyncio.sleep(0)
    other = asyncio.create_task(work("ada"))
    await asyncio.sleep(0)
    gate.set()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert await other == "ada"
    assert sum(isinstance(one, SlowDown) for one in done) == 2
    async with turns.turn("later"):  # every turn was given back
        pass


async def test_a_turn_that_is_given_up_goes_to_the_next() -> None:
    turns, gate = FairTurns(at_once=1, waiting=9, each=9), asyncio.Event()

    async def work() -> None:
        async with turns.turn("one"):
            await gate.wait()

    tasks = [asyncio.create_task(work()) for _ in range(4)]
    await asyncio.sleep(0)
    for given_up in (tasks[1], tasks[0], tasks[2]):
        given_up.cancel()
    gate.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert not tasks[3].cancelled()
    async with turns.turn("other"):
        pass


async def test_many_guesses_are_one_question_and_the_right_one_passes() -> None:
    asked, gate = list[int](), asyncio.Event()

    async def known(hashes: Collection[bytes]) -> Collection[bytes]:
        asked.append(len(hashes))
        await gate.wait()
        return {b"right"}

    sieve = Sieve(known)
    tasks = [asyncio.create_task(sieve.lets(str(number).encode())) for number in range(200)]
    tasks.append(asyncio.create_task(sieve.lets(b"right")))
    await asyncio.sleep(0)
    gate.set()
    assert [await task for task in tasks] == [False] * 200 + [True]
    assert len(asked) <= 3


async def test_more_guesses_than_fit_are_let_go_without_a_question() -> None:
    gate = asyncio.Event()

    async def known(hashes: Collection[bytes]) -> Collection[bytes]:
        await gate.wait()
        return hashes

    sieve = Sieve(known)
    tasks = [asyncio.create_task(sieve.lets(str(number).encode())) for number in range(3 * MOST)]
    await asyncio.sleep(0)
    gate.set()
    assert sum([await task for task in tasks]) <= 2 * MOST


async def test_a_database_that_is_away_leaves_nobody_waiting() -> None:
    async def known(_hashes: Collection[bytes]) -> Collection[bytes]:
        await asyncio.sleep(0)
        raise OSError

    sieve = Sieve(known)
    answers = await asyncio.gather(*(sieve.lets(bytes([number])) for number in range(9)), return_exceptions=True)
    assert all(answer is False or isinstance(answer, OSError) for answer in answers)
