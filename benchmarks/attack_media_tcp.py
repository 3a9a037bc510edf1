"""Connections by the hundred to the media port's TCP side: silent, talking nonsense, hanging up, not reading.

N: connections, a thousand in full; a real call runs beside them.
"""

import asyncio
import random
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress

from benchmarks.attack_media_call import Call
from benchmarks.attack_media_storm import templates
from benchmarks.figure import Figure, measured, said, say, wished
from benchmarks.pipe import partner
from tests.fuzz import mutations

_AT_ONCE = 50
_MOST = 1024  # connections a port keeps


def run(seed: int) -> Iterator[Figure]:
    """One crowd."""
    yield from asyncio.run(_run(wished(1_000), seed))


async def _run(count: int, seed: int) -> list[Figure]:
    dice = random.Random(seed)
    async with partner("benchmarks.attack_media_target") as target:
        call = Call(target)
        await call.begin()
        seeds = templates(call.sides[0])
        address = call.sides[0].peer.socket.getpeername()
        before, most = await target.ask("stats"), 0
        for at in range(0, count, _AT_ONCE):
            many = min(_AT_ONCE, count - at)
            visits = asyncio.gather(*(_visit(address, seeds, dice) for _ in range(many)))
            while not visits.done():
                most = max(most, (await target.ask("stats"))["port"]["tcp"])
                await asyncio.sleep(0.05)
            await visits
        after = await target.ask("stats")
        toll = await call.end()
    dropped = {name: value for name, value in after["port"].items() if "tcp" in name}
    say(f"  {dropped}, late {1000 * after['late']:.0f} ms")
    grown = (after["memory"] - before["memory"]) / 1_048_576
    logged = sum(after["logged"].values()) - sum(before["logged"].values())
    return [
        measured("media.attack.tcp_closed_calls", toll.closed, "1", n=count, seed=seed, at_most=0),
        measured("media.attack.tcp_lost_recorded", 100 * toll.lost_recorded, "%", n=count, seed=seed, at_most=5),
        measured("media.attack.tcp_connections_most", most, "1", n=count, seed=seed, at_most=_MOST),
        measured("media.attack.tcp_memory", grown, "MB", n=count, seed=seed, at_most=50),
        measured("media.attack.tcp_logged_lines", logged, "1", n=count, seed=seed, at_most=10),
    ]


async def _visit(address: tuple[str, int], seeds: list[bytes], dice: random.Random) -> None:
    """One connection: silent, full of framed nonsense, of raw nonsense, half a frame, or reset at once."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as wire:
        wire.setblocking(False)
        loop, act = asyncio.get_running_loop(), dice.randrange(5)
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(5):
                await loop.sock_connect(wire, address)
                if act == 1:
                    for _ in range(dice.randrange(1, 60)):
                        datagram = mutations.octets(dice.choice(seeds), dice)
                        await loop.sock_sendall(wire, struct.pack("!H", len(datagram)) + datagram)
                elif act == 2:
                    await loop.sock_sendall(wire, dice.randbytes(dice.randrange(1, 60_000)))
                elif act == 3:
                    await loop.sock_sendall(wire, struct.pack("!H", 1000) + bytes(dice.randrange(999)))
                elif act == 4:
                    wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                if act in (0, 3):
                    await asyncio.sleep(dice.random() / 2)


if __name__ == "__main__":
    said(run)
