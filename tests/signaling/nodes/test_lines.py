"""Messages between nodes arrive in order and once, or both sides begin anew; Redis may do to them what it likes."""

import asyncio

from signaling.nodes.lines import HELLO_SECONDS
from signaling.nodes.seal import LARGEST, ORDERED, header_of
from tests.partners.redis import Redis
from tests.signaling.nodes.node_lineup import Hub, Lineup


def ordered(packet: bytes) -> bool:
    return header_of(packet).stream == ORDERED


async def test_all_arrive_in_order(either: Lineup) -> None:
    one, other = await either.two()
    for number in range(300):
        one.lines.post(other.nodes.id, {"said": number})
        other.lines.post(one.nodes.id, {"said": -number})
    assert await other.hears(300) == list(range(300))
    assert await one.hears(300) == [-number for number in range(300)]
    assert not one.lost
    assert not other.lost


async def test_a_node_that_does_not_live_is_told_nothing_and_heard_by_nobody(either: Lineup) -> None:
    one, other = await either.two()
    other.nodes.others = []
    one.lines.post(other.nodes.id, {"said": "hello"})
    async with asyncio.timeout(10):
        while not other.lines.figures["refused"]:
            await asyncio.sleep(0.005)
    assert not other.heard


async def test_three_nodes_talk_each_to_each(either: Lineup) -> None:
    ends = [either.end() for _ in range(3)]
    either.meet()
    await either.met(*ends)
    for one in ends:
        for other in one.nodes.others:
            one.lines.post(other.id, {"said": one.nodes.id})
    for one in ends:
        assert sorted(await one.hears(2)) == sorted(other.id for other in one.nodes.others)


async def test_what_is_repeated_counts_once(hub: Hub, lineup: Lineup) -> None:
    one, other = await lineup.two()
    hub.fate = lambda _packet: 3
    for number in range(20):
        one.lines.post(other.nodes.id, {"said": number})
    assert await other.hears(20) == list(range(20))
    assert not other.lost


async def test_one_lost_between_others_is_noticed_at_once(hub: Hub, lineup: Lineup) -> None:
    one, other = await lineup.two()
    hub.fate = lambda packet: int(not (ordered(packet) and header_of(packet).sequence == 2))
    for number in (1, 2, 3):
        one.lines.post(other.nodes.id, {"said": number})
    assert await other.hears(2) == [1, 3]
    assert other.lost == [one.nodes.id]


async def test_the_last_one_lost_is_noticed_by_the_next_sign_of_life(hub: Hub, lineup: Lineup) -> None:
    one, other = await lineup.two()
    hub.fate = lambda packet: int(not ordered(packet))
    one.lines.post(other.nodes.id, {"said": "admit"})
    await other.loses()
    assert not other.heard


async def test_a_short_outage_loses_nothing(hub: Hub, lineup: Lineup) -> None:
    one, other = await lineup.two()
    hub.away = True
    for number in range(50):
        one.lines.post(other.nodes.id, {"said": number})
    await asyncio.sleep(0.05)
    assert not other.heard
    hub.away = False
    assert await other.hears(50) == list(range(50))
    assert not other.lost


async def test_what_is_put_off_too_long_is_not_done_any_more(hub: Hub, lineup: Lineup) -> None:
    one, other = await lineup.two()
    held: list[bytes] = []
    hub.fate = lambda packet: 0 if ordered(packet) and not held.append(packet) else 1
    one.lines.post(other.nodes.id, {"said": "admit"})
    await other.loses()
    hub.fate = lambda _packet: 1
    other.nodes.shift = 4.0  # so much later
    await hub.send(other.nodes.id, held[0])
    assert not other.heard


async def test_a_clock_set_wrong_is_heard_by_nobody(hub: Hub, lineup: Lineup) -> None:
    one, other = lineup.end(), lineup.end()
    one.nodes.shift = 60.0
    lineup.meet()
    async with asyncio.timeout(10):
        while not other.lines.figures["refused"]:
            await asyncio.sleep(0.005)
    assert not other.lines.reachable(one.nodes.id)


async def test_whoever_writes_to_redis_says_nothing(redis: Redis, through_redis: Lineup) -> None:
    one, other = await through_redis.two()
    channel = f"telehealth:node:{other.nodes.id}"
    seen: list[bytes] = []
    take = other.lines._take
    other.lines._take = lambda packet: (seen.append(packet), take(packet))  # type: ignore[method-assign, func-returns-value]
    for text in ("", "THN", '{"kind": "event"}', "x" * 1000):
        await asyncio.to_thread(redis.ask, "PUBLISH", channel, text)
    one.lines.post(other.nodes.id, {"said": "once"})
    assert await other.hears(1) == ["once"]
    assert not other.lost


async def test_packets_sent_again_to_a_new_life_are_refused(hub: Hub, lineup: Lineup) -> None:
    one, other = await lineup.two()
    one.lines.post(other.nodes.id, {"said": "admit"})
    await other.hears(1)
    recorded = [packet for node, packet in hub.seen if node == other.nodes.id]
    again = lineup.end()
    lineup.meet()
    await lineup.met(again)
    before = again.lines.figures["refused"]
    for packet in recorded:
        await hub.send(again.nodes.id, packet)
    assert again.lines.figures["refused"] > before
    assert not again.heard


async def test_redis_killed_and_back_carries_on(redis: Redis, through_redis: Lineup) -> None:
    one, other = await through_redis.two()
    await asyncio.to_thread(redis.restart)
    await through_redis.met(one, other)
    one.lines.post(other.nodes.id, {"said": "still here"})
    assert (await other.hears(1))[-1] == "still here"


async def test_what_is_too_large_to_be_said_costs_nothing_else(hub: Hub, lineup: Lineup) -> None:
    one, other = await lineup.two()
    for said in (1, "é" * LARGEST, 2):
        one.lines.post(other.nodes.id, {"said": said})
    assert await other.hears(2) == [1, 2]
    await asyncio.sleep(2 * HELLO_SECONDS)
    assert not other.lost
