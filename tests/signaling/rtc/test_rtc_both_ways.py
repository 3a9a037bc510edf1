"""The compiled loop does what Python does, octet by octet, and its absence changes nothing."""

import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from both_ways import Script, World
from media_parts import VIDEO_SSRC, VIDEO_TYPE, rtp

from signaling.rtc import MediaPort
from signaling.rtc.state import compiled
from telehealth.clock import SystemClock

ROOT = Path(__file__).resolve().parents[3]
SEED = int(os.environ.get("SEED", "") or 7)
BURSTS = 200


@pytest.fixture
async def worlds() -> AsyncIterator[tuple[World, World]]:
    """One by Python alone, one by the compiled loop where it was built."""
    pair = (await World.open(compiled=False), await World.open(compiled=True))
    yield pair
    for world in pair:
        await world.close()


def _play(worlds: tuple[World, World], seed: int, wild: float, bursts: int) -> None:
    """The same everywhere: what everybody gets, after each burst; all numbers, in the end and now and then."""
    script, chance = Script(seed), random.Random(seed)
    outlets = [person.leg._traffic._sender.outlets.values() for person in worlds[0].people]
    script.sources = tuple(outlet.ssrc for one in outlets for outlet in one)
    for number in range(bursts):
        acts = script.burst(worlds[0].clock.seconds, wild=wild)
        seconds = chance.choice([0.001] * 30 + [0.06] * 10 + [0.4, 1.5, 8.0] * (wild > 0))
        tick = chance.random() < 0.2
        got = []
        for world in worlds:
            world.pass_time(seconds, tick=tick)
            got.append(world.play(acts))
        assert got[0] == got[1], f"seed {seed}, burst {number}"
        if number % 50 == 0 or number == bursts - 1:
            assert worlds[0].state() == worlds[1].state(), f"seed {seed}, burst {number}"


@pytest.mark.parametrize("wild", [0.0, 0.02, 0.3])
async def test_the_same_packets_give_the_same_octets_by_both_ways(worlds: tuple[World, World], wild: float) -> None:
    _play(worlds, SEED, wild, BURSTS)
    taken = worlds[1].port.stats().get("compiled_packets", 0)
    assert worlds[0].port.stats()["sent"] > BURSTS
    assert taken > 0 or not compiled()
    if not wild and compiled():
        assert taken > worlds[1].port.stats()["packets"] * 0.5


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEED, SEED + int(os.environ.get("N", "") or 30)))
async def test_many_seeds_give_the_same_octets_by_both_ways(worlds: tuple[World, World], seed: int) -> None:
    _play(worlds, seed, random.Random(seed).choice([0.0, 0.01, 0.1, 0.5]), BURSTS)


async def test_a_leg_that_was_silenced_or_moved_is_left_alone_by_the_compiled_loop(
    worlds: tuple[World, World],
) -> None:
    _play(worlds, SEED, 0.0, 60)
    for world in worlds:
        world.people[1].leg.finish("left")
    _play_more(worlds, SEED + 1)
    assert all(world.people[1].leg.close_reason == "left" for world in worlds)


def _play_more(worlds: tuple[World, World], seed: int) -> None:
    script = Script(seed)
    for _ in range(40):
        acts = [act for act in script.burst(worlds[0].clock.seconds, wild=0.0) if act.who == 1]
        got = [world.play(acts) for world in worlds]
        assert got[0] == got[1]
    assert worlds[0].state() == worlds[1].state()


def _broken(*_: object) -> None:
    raise ValueError("a fault of ours")


async def test_a_sink_that_fails_in_a_packet_of_the_compiled_loop_costs_its_leg_what_it_costs_in_python(
    worlds: tuple[World, World],
) -> None:
    for world in worlds:
        world.people[0].tape.frame = _broken  # type: ignore[method-assign]  # every frame raises from now on
    script = Script(SEED)
    for _ in range(60):
        acts = script.burst(worlds[0].clock.seconds, wild=0.0)
        got = [world.play(acts) for world in worlds]
        assert got[0] == got[1]
    assert all(world.people[0].leg._traffic._gate is None for world in worlds)
    assert all(world.people[0].leg.close_reason is None for world in worlds)


async def test_a_fault_within_a_packet_ends_its_leg_alone_by_both_ways(worlds: tuple[World, World]) -> None:
    _play(worlds, 7, 0.0, 60)  # a seed whose numbers do not wrap: this sealer knows of no rollover

    for world in worlds:
        publication = world.people[0].leg._traffic._receiver.publications["camera"]
        publication.stream.take = _broken
        number, stamp = publication._next & 0xFFFF, int(world.clock.seconds * 90_000)
        packet = rtp(VIDEO_TYPE, number, stamp, VIDEO_SSRC, b"\x00abc")
        seal = world.people[0].seal
        seal.protect(rtp(VIDEO_TYPE, number - 1 & 0xFFFF, stamp, VIDEO_SSRC, b"\x00abc"))
        world.people[0].udp.sendto(seal.protect(packet), ("127.0.0.1", world.port.port))
        world.port._drain(world.port._udp[0])
        assert [person.leg.close_reason for person in world.people] == ["leg_failed", None, None]


async def test_the_compiled_loop_can_be_switched_off() -> None:
    for built in (False, True):
        port = await MediaPort.open("127.0.0.1", 0, public_addresses=["127.0.0.1"], clock=SystemClock(), compiled=built)
        assert port.stats()["compiled"] == int(built and compiled())
        await port.close()


def test_without_the_compiled_loop_rooms_are_relayed_all_the_same() -> None:
    wanted = [
        "tests/signaling/rtc/test_rtc_room.py::"
        "test_two_people_hear_and_see_each_other_under_the_sources_their_answers_name",
        "tests/signaling/rtc/test_rtc_relay.py::test_a_lost_packet_is_repeated_from_the_history_as_rtx",
    ]
    program = (
        "import sys, pytest; sys.modules['signaling.rtc._batch'] = None; import signaling.rtc.state as state; "
        f"assert not state.compiled(); sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', *{wanted!r}]))"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stdout[-2000:]
    assert "2 passed" in ended.stdout
