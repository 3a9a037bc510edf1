"""Mutated descriptions and socket messages: none is unhandled, none holds the server, nobody named in one is asked.

N: a hundred thousand in full, half of them descriptions, half messages.
"""

import asyncio
import gc
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.attack_media_paths import SPECIAL, Watch
from benchmarks.figure import Figure, measured, percentile, said, say, wished
from benchmarks.pipe import ROOT
from signaling.rtc import MediaPort
from telehealth import log
from telehealth.clock import SystemClock
from telehealth.errors import Refusal
from tests.faults.clinic import Clinic
from tests.faults.wire import RawCall, raw_call
from tests.fuzz import mutations
from tests.fuzz.targets import TARGETS
from tests.stories.house import House

_LIMITS = {"LIMITS__SOCKET": "1000000,1000000", "LIMITS__CONNECT": "1000,1000"}  # all get in: what then?
_NAMED_PORT = 9


def run(seed: int) -> Iterator[Figure]:
    """Descriptions on a port, then messages on a server."""
    log.configure(sys.stderr, "WARNING")
    count = wished(100_000)
    yield from asyncio.run(_descriptions(count // 2, seed))
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        yield from asyncio.run(_messages(Path(folder), count - count // 2, seed))


async def _descriptions(count: int, seed: int) -> list[Figure]:
    """Each opens a leg of a room or is refused; a leg lives for a few offers, as legs do that never connect."""
    dice, texts = random.Random(seed), [octets.decode("latin-1") for octets in TARGETS["sdp"].seeds]
    gc.collect()
    gc.freeze()  # what is loaded by now is not looked through again, as in the server
    port = await MediaPort.open("127.0.0.1", 0, public_addresses=["127.0.0.1"], clock=SystemClock())
    unhandled = refused = answered = 0
    longest = 0.0
    for number in range(count):
        text = mutations.lines(dice.choice(texts), dice)
        begun = time.thread_time()
        try:
            leg, _ = await port.open_leg(f"leg_{number}", text, room="room", publisher=f"par_{number}")
            answered += 1
            leg.finish("done")
        except Refusal:
            refused += 1
        except Exception as error:  # noqa: BLE001  # counted: what is not refused by a code is unhandled
            unhandled += 1
            say(f"  unhandled: {error!r}")
        longest = max(longest, time.thread_time() - begun)
    await port.close()
    gc.unfreeze()
    say(f"  descriptions: {answered} answered, {refused} refused")
    return [
        measured("media.attack.sdp_unhandled", unhandled, "1", n=count, seed=seed, at_most=0),
        measured("media.attack.sdp_longest", 1000 * longest, "ms of processor", n=count, seed=seed, at_most=50),
    ]


async def _messages(folder: Path, count: int, seed: int) -> list[Figure]:
    watch = Watch(SPECIAL, _NAMED_PORT)
    with House(folder, _LIMITS) as house:
        clinic = await asyncio.to_thread(Clinic, house)
        async with raw_call(clinic) as call:
            calm = await _pings(call, asyncio.create_task(asyncio.sleep(1)))
            begun = await _looks(clinic)
            talking = asyncio.create_task(_attack(call, count, seed))
            rtts = await _pings(call, talking)
            answers = await talking
            looks, stalls = (after - before for after, before in zip(await _looks(clinic), begun, strict=True))
        errors = [line for line in house.log.read_text().splitlines() if '"level":"error"' in line.replace(" ", "")]
    named = watch.count()
    watch.close()
    unhandled = answers.get("failed", 0) + len(errors)
    say(f"  messages: {answers}")
    for line in errors[:3]:
        say(f"  {line[:300]}")
    return [
        measured("media.attack.messages_unhandled", unhandled, "1", n=count, seed=seed, at_most=0),
        measured("media.attack.messages_calm_p99", 1000 * percentile(calm, 0.99), "ms", n=len(calm), seed=seed),
        measured(
            "media.attack.messages_others_p99", 1000 * percentile(rtts, 0.99), "ms", n=len(rtts), seed=seed, at_most=50
        ),
        measured("media.attack.messages_loop_over_50ms", stalls, "1", n=round(looks), seed=seed, at_most=0),
        measured("media.attack.messages_named_packets", named, "1", n=count, seed=seed, at_most=0),
    ]


async def _pings(call: RawCall, until: "asyncio.Task[object]") -> list[float]:
    """What the other person notices: seconds of each answer."""
    found = []
    while not until.done():
        begun = time.monotonic()
        await call.doctor.does("ping", {})
        found.append(time.monotonic() - begun)
        await asyncio.sleep(0.02)
    return found


async def _looks(clinic: Clinic) -> tuple[float, float]:
    """How often the server looked at its event loop, and how often it came more than 50 ms late."""
    looks, in_time = await asyncio.to_thread(
        clinic.figures, "loop_lag_seconds_count", 'loop_lag_seconds_bucket{le="0.05"}'
    )
    return looks, looks - in_time


async def _attack(call: RawCall, count: int, seed: int) -> dict[str, int]:
    """The attacker takes the patient's place, as whoever has its cookie can."""
    own, other = call.patient.participant, call.doctor.participant
    enters = json.dumps({"public_key": call.patient.key.jwk, "language": "en", "audio": True, "video": True})
    words = (call.clinic.house.url, call.patient.client.cookie, str(count), str(seed), own, other, enters)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.attack_media_messages", *words), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError("the sender broke")
    found: dict[str, int] = json.loads(out)
    return found


if __name__ == "__main__":
    said(run)
