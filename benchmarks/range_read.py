"""HTTP Range reads of a sealed track from the real server, beside aiohttp sending the same bytes in clear."""

import asyncio
import http.client
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.clinic import open_clinic
from benchmarks.clips import encode
from benchmarks.figure import Figure, measured, said, say, wished
from benchmarks.pipe import partner
from benchmarks.seal_speed import GivenClock, record
from tests.stories.house import House

SECONDS = 120  # length of the visit: 15 MB a track
RANGE = 4 * 1_048_576  # octets asked for at once
SEEK = 65_536  # octets, so few that the request itself is what costs


Medians = tuple[float, float, float]  # seconds: ours, aiohttp by pieces, aiohttp's own file response


@dataclass(frozen=True, slots=True)
class Source:
    """One kept-alive connection to one address."""

    connection: http.client.HTTPConnection
    path: str
    headers: dict[str, str]

    def read(self, start: int, end: int) -> tuple[bytes, float]:
        """Octets start..end (end exclusive), and seconds until the last had come. Raises RuntimeError."""
        begun = time.perf_counter()
        self.connection.request("GET", self.path, headers={**self.headers, "Range": f"bytes={start}-{end - 1}"})
        answer = self.connection.getresponse()
        data = answer.read()
        took = time.perf_counter() - begun
        if answer.status != 206 or len(data) != end - start:
            raise RuntimeError(f"{self.path.partition('?')[0]} answered {answer.status} with {len(data)} octets")
        return data, took


def run(seed: int) -> Iterator[Figure]:
    """Unaligned ranges at places drawn from the seed, each read from all three servers in turn; medians."""
    rounds = wished(60)
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        folder = Path(name)
        recording, track = asyncio.run(_recorded(folder, seed))
        with House(folder) as house:
            sealed = _granted(house, recording, track)
            clear = folder / "clear.webm"
            clear.write_bytes(_whole(sealed))
            (ours, stream, file), (seek, clear_seek, _) = asyncio.run(_measure(sealed, clear, seed, rounds))
    speeds = ", ".join(f"{RANGE / took / 1e6:.0f}" for took in (ours, stream, file))
    say(f"  ours, aiohttp stream, aiohttp file: {speeds} MB/s; 64 KiB: {seek * 1e3:.1f}, {clear_seek * 1e3:.1f} ms")
    yield measured("recordings.range_read", RANGE / ours / 1e6, "MB/s", n=rounds, seed=seed)
    yield measured("recordings.range_ratio_http", stream / ours, "×", n=rounds, seed=seed, at_least=0.7)
    yield measured("recordings.range_ratio_http_file", file / ours, "×", n=rounds, seed=seed)
    yield measured("recordings.range_seek", 1000 * seek, "ms", n=rounds, seed=seed)


async def _recorded(folder: Path, seed: int) -> tuple[str, str]:
    """A sealed recording in the folder, and one of its tracks."""
    clock = GivenClock()
    async with open_clinic(folder, clock) as clinic:
        recording = await record(clinic, clock, await asyncio.to_thread(encode, seed), SECONDS)
        await clinic.service.stop(recording, "clinician")
        await clinic.service.settle()
        files = await clinic.service.catalogue.files_of(recording)
        return recording, next(file.id for file in files if file.is_sealed_track)


def _granted(house: House, recording: str, track: str) -> Source:
    """A playback grant for an admin's program."""
    house.command("user", "add", "admin", "--name", "Site Administrator", "--role", "admin")
    made = house.command("token", "create", "bench", "--user", "admin", "--scope", "recordings:read")
    headers = {"Authorization": f"Bearer {made['token']}", "Content-Type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", house.port, timeout=30)
    body = json.dumps({"purpose": "quality"})
    connection.request("POST", f"/api/v1/recordings/{recording}/grants", body, headers)
    answer = connection.getresponse()
    told = json.loads(answer.read())
    if answer.status != 201:
        raise RuntimeError(f"no grant: {told} {house.log.read_text()[-1000:]}")
    return Source(connection, next(one["url"] for one in told["tracks"] if one["id"] == track), headers)


def _whole(source: Source) -> bytes:
    source.connection.request("GET", source.path, headers=source.headers)
    answer = source.connection.getresponse()
    if answer.status != 200:
        raise RuntimeError(f"the track cannot be read: {answer.status}")
    return answer.read()


async def _measure(sealed: Source, clear: Path, seed: int, rounds: int) -> tuple[Medians, Medians]:
    """Long and short ranges."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(partner("benchmarks.clear_server", str(clear)))
        connection = http.client.HTTPConnection("127.0.0.1", (await server.ask("port"))["port"], timeout=30)
        stack.callback(connection.close)
        stack.callback(sealed.connection.close)
        sources = (sealed, Source(connection, "/stream", {}), Source(connection, "/file", {}))
        whole, chance = await asyncio.to_thread(clear.read_bytes), random.Random(seed)
        long = await asyncio.to_thread(_in_turns, sources, whole, chance, rounds, RANGE)
        return long, await asyncio.to_thread(_in_turns, sources, whole, chance, rounds, SEEK)


def _in_turns(sources: tuple[Source, ...], whole: bytes, chance: random.Random, rounds: int, length: int) -> Medians:
    took: list[list[float]] = [[] for _ in sources]
    for number in range(rounds + 3):  # three to warm up
        start = chance.randrange(len(whole) - length)
        for source, samples in zip(sources, took, strict=True):
            data, seconds = source.read(start, start + length)
            if data != whole[start : start + length]:
                raise RuntimeError("a range is not what was asked for")
            samples += [seconds] if number >= 3 else []
    ours, stream, file = map(statistics.median, took)
    return ours, stream, file


if __name__ == "__main__":
    said(run)
