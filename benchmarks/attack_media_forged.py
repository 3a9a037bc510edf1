"""Forged and replayed SRTP, wrong fingerprints: nothing of it is forwarded or recorded.

N: packets, a million in full; a thousandth of it are callers whose certificate is not the one they named.
"""

import asyncio
import os
import random
import secrets
from collections.abc import Iterator

from benchmarks.attack_media_call import Call, Caller
from benchmarks.attack_media_storm import send
from benchmarks.figure import Figure, measured, said, say, wished
from benchmarks.media_peer import field
from benchmarks.pipe import Partner, partner

_RATE = 20_000.0
_AT_ONCE = 4  # callers with wrong fingerprints in the room
_LISTEN = 1.0  # seconds of talk that a listener on the way has


def run(seed: int) -> Iterator[Figure]:
    """Packets, then certificates."""
    yield from asyncio.run(_run(wished(1_000_000), seed))


async def _run(count: int, seed: int) -> list[Figure]:
    async with partner("benchmarks.attack_media_target") as target:
        found = await _packets(target, count, seed)
        return found + await _fingerprints(target, max(10, count // 1000), seed)


async def _packets(target: Partner, count: int, seed: int) -> list[Figure]:
    """Half of them as they were on the wire, half changed behind the header; from the caller's address and others."""
    call = Call(target)
    await call.begin()
    await asyncio.sleep(_LISTEN)
    side = call.sides[0]
    rate = float(os.environ.get("RATE", "") or _RATE)
    await send(side, list(side.captured), count, rate, seed, 0.5, "forge")
    stats = await target.ask("stats")
    toll = await call.end()
    port = stats["port"]
    by_srtp, before, by_kernel = (
        {name: port.get(name) or 0 for name in names}
        for names in (
            ("dropped_srtp_refused", "dropped_srtp_replayed"),
            ("dropped_stray", "dropped_forged_quota"),
            ("kernel_drops",),
        )
    )
    say(f"  {by_srtp | before | by_kernel}")
    tried = sum(by_srtp.values())  # what came from the caller's own address, about half
    refused = min(1.0, (tried + sum(before.values()) + sum(by_kernel.values())) / count)
    return [
        measured("media.attack.forged_tried_by_srtp", tried / count, "of all", n=count, seed=seed, at_least=0.4),
        measured("media.attack.forged_refused", refused, "of all", n=count, seed=seed, at_least=0.999),
        measured("media.attack.forged_frames", toll.foreign, "1", n=count, seed=seed, at_most=0),
        measured("media.attack.forged_lost_forwarded", 100 * toll.lost_forwarded, "%", n=count, seed=seed, at_most=5),
        measured("media.attack.forged_lost_recorded", 100 * toll.lost_recorded, "%", n=count, seed=seed, at_most=5),
        measured("media.attack.forged_closed_calls", toll.closed, "1", n=count, seed=seed, at_most=0),
    ]


async def _fingerprints(target: Partner, count: int, seed: int) -> list[Figure]:
    """Callers that complete the handshake with another certificate than the offer names, and then talk."""
    dice = random.Random(seed)
    call = Call(target, "proud", 5000, others=1 + _AT_ONCE)  # there is a section for everything that liars send
    await call.begin()
    found: list[dict[str, object]] = []
    for at in range(0, count, _AT_ONCE):
        names = [f"liar_{number}" for number in range(at, min(count, at + _AT_ONCE))]
        found += await asyncio.gather(*(_lie(target, name, dice) for name in names))
    toll = await call.end()
    frames = sum(int(str(leg["audio"])) + int(str(leg["video"])) + int(str(leg["foreign"])) for leg in found)
    heard = sum(int(str(leg["heard"])) for leg in found)
    undetected = sum(leg["closed"] != "fingerprint_mismatch" for leg in found)
    return [
        measured("media.attack.fingerprint_frames", frames + toll.foreign, "1", n=count, seed=seed, at_most=0),
        measured("media.attack.fingerprint_overheard", heard, "1", n=count, seed=seed, at_most=0),
        measured("media.attack.fingerprint_undetected", undetected, "1", n=count, seed=seed, at_most=0),
        measured("media.attack.fingerprint_lost", 100 * toll.lost_recorded, "%", n=count, seed=seed, at_most=5),
    ]


async def _lie(target: Partner, name: str, dice: random.Random) -> dict[str, object]:
    """One of them; what became of its leg, and how many frames it heard of the others."""
    caller = Caller(name, dice.randrange(1 << 20, 1 << 31))
    honest = caller.peer.describe()
    claimed = ":".join(f"{octet:02X}" for octet in secrets.token_bytes(32))
    sdp = honest.replace(field(honest, "fingerprint"), f"sha-256 {claimed}")
    answered = await target.ask("offer", leg=name, sdp=sdp, room="proud")
    await caller.take(answered["sdp"])
    caller.talk()
    await asyncio.sleep(0.05)
    leg = await target.ask("leg", leg=name)
    await caller.close()
    await target.ask("close", leg=name)
    return leg | {"heard": sum(map(len, caller.sent.heard.values()))}


if __name__ == "__main__":
    said(run)
