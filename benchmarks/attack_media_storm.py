"""A storm of malformed datagrams on a port that carries a real call: who is closed, what is lost, what it costs.

N: datagrams, a million in full; RATE: so many a second (0: as fast as they go).
"""

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from typing import Any

from aioice import stun

from benchmarks.attack_media_call import Call, Caller
from benchmarks.figure import Figure, measured, said, say, wished
from benchmarks.pipe import ROOT, Partner, PartnerDied, partner

_RATE = 20_000.0
_OWN = 0.25  # the share that comes from a caller's own address
_WARM = 20_000  # datagrams before memory is measured: what a port grows to is no leak


def run(seed: int) -> Iterator[Figure]:
    """One storm."""
    yield from asyncio.run(_storm(wished(1_000_000), float(os.environ.get("RATE", "") or _RATE), seed))


async def _storm(count: int, rate: float, seed: int) -> list[Figure]:
    try:
        async with partner("benchmarks.attack_media_target") as target:
            return await _stormed(target, count, rate, seed)
    except PartnerDied:
        return [measured("media.attack.storm_crashes", 1, "1", n=count, seed=seed, at_most=0)]


async def _stormed(target: Partner, count: int, rate: float, seed: int) -> list[Figure]:
    call = Call(target)
    await call.begin()
    side = call.sides[0]
    seeds = templates(side)
    await send(side, seeds, min(count, _WARM), rate, seed + 1, _OWN)
    before = await target.ask("stats")
    spent = target.cpu()
    sent = await send(side, seeds, count, rate, seed, _OWN)
    spent = target.cpu() - spent
    after = await target.ask("stats")
    toll = await call.end()
    figures = after["port"]
    dropped = {name: value for name, value in figures.items() if name.startswith("dropped_")}
    say(f"  sent {sent}, dropped {dropped}, kernel {figures.get('kernel_drops')}, late {1000 * after['late']:.0f} ms")
    logged = sum(after["logged"].values()) - sum(before["logged"].values())
    grown = (after["memory"] - before["memory"]) / 1_048_576

    def figure(name: str, value: float, unit: str, at_most: float | None) -> Figure:
        return measured(f"media.attack.storm_{name}", value, unit, n=count, seed=seed, at_most=at_most)

    return [
        figure("crashes", 0, "1", 0),
        figure("closed_calls", toll.closed, "1", 0),
        figure("lost_forwarded", 100 * toll.lost_forwarded, "%", 5),
        figure("lost_recorded", 100 * toll.lost_recorded, "%", 5),
        figure("foreign_frames", toll.foreign, "1", 0),
        figure("memory", grown, "MB", 50),
        figure("logged_lines", logged, "1", 10),
        figure("server_time", 1e6 * spent / count, "µs/datagram", None),
        figure("kernel_drops", figures.get("kernel_drops", 0), "1", None),
    ]


def templates(side: Caller) -> list[bytes]:
    """One datagram of every kind that a port takes, as this caller would send it."""
    peer = side.peer
    hello = bytes.fromhex("16feff00000000000000000064010000580000000000000058fefd") + bytes(86)
    record = b"\x17\xfe\xfd\x00\x01" + bytes(6) + b"\x00\x20" + bytes(32)
    control = b"\x80\xc8\x00\x06" + side.captured[-1][8:12] + bytes(40)
    unknown = stun.Message(
        message_method=stun.Method.BINDING,
        message_class=stun.Class.REQUEST,
        attributes={"USERNAME": "nobody:else", "PRIORITY": 1, "ICE-CONTROLLING": 7},
    )
    unknown.add_message_integrity(b"x" * 32)
    return [peer._check(), bytes(unknown), hello, record, control, *list(side.captured)[-8:]]


async def send(
    side: Caller, seeds: list[bytes], count: int, rate: float, seed: int, own: float, how: str = "storm"
) -> dict[str, Any]:
    """Let a process of its own send; the caller goes on meanwhile."""
    fd = side.peer.socket.fileno()
    port = side.peer.socket.getpeername()[1]
    words = [str(word) for word in (port, count, rate, seed, own, fd, how)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.attack_media_send", *words),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        pass_fds=(fd,),
    )
    out, _ = await process.communicate("\n".join(seed.hex() for seed in seeds).encode())
    if process.returncode:
        raise RuntimeError("the sender broke")
    found: dict[str, Any] = json.loads(out)
    return found


if __name__ == "__main__":
    said(run)
