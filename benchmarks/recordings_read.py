"""Reading by range, sealing and scrubbing, inside one process: what the envelope costs before any HTTP is added.

Reading runs over the iterator that HTTP streams from, beside plain `pread` of the same octets in the same pieces from
a copy in clear on the same disk, both through threads and warm in the page cache; and beside AES-GCM alone over the
same segments in memory. MINUTES of the environment: length.
"""

import asyncio
import hashlib
import os
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from benchmarks.figure import Figure, measured, said, wished
from recordings.playback import Grant
from recordings.rounds import Rounds
from recordings.scrub import Scrub
from recordings.sealed import SPAN
from telehealth.frames import EncodedFrame
from tests.recordings.service.recordings_house import Ear, House

FPS, BITS, SIZE = 30, 1_200_000, (640, 480)
MINUTES = float(os.environ.get("MINUTES", "5"))
LEAST_READ = 500.0  # MB/s: far above what a network takes


def moving_noise(chance: random.Random) -> list[tuple[bytes, bool]]:
    """Two seconds of VP8 at about 1.2 Mbit/s."""
    codec: Any = av.CodecContext.create("libvpx", "w")
    codec.width, codec.height = SIZE
    codec.pix_fmt, codec.time_base, codec.bit_rate = "yuv420p", Fraction(1, FPS), BITS
    codec.options = {"deadline": "realtime", "cpu-used": "8", "g": "60", "lag-in-frames": "0"}
    packets: list[tuple[bytes, bool]] = []
    for number in range(2 * FPS):
        picture: Any = av.VideoFrame(*SIZE, "yuv420p")
        for plane in picture.planes:
            plane.update(chance.randbytes(64) * (plane.buffer_size // 64))
        picture.pts, picture.time_base = number, Fraction(1, FPS)
        packets += [(bytes(packet), packet.is_keyframe) for packet in codec.encode(picture)]
    return packets


async def record(house: House, minutes: float, chance: random.Random) -> tuple[str, float, float]:
    """A recording of two people with picture and sound; its id, seconds from stop to playable, seconds of processor."""
    video = await asyncio.to_thread(moving_noise, chance)
    ear = Ear()
    recording = await house.begin(ear)
    sinks: list[Any] = [house.service.sink(recording, person.participant) for person in (house.patient, house.doctor)]
    for number in range(round(minutes * 60 * FPS)):
        house.clock.move(seconds=1 / FPS)
        now, (data, key) = house.clock.steady(), video[number % len(video)]
        for sink in sinks:
            sink.frame(EncodedFrame("video", data, number * 3000, key, now))
            for part in range(2 - number % 3 % 2):
                sink.frame(EncodedFrame("audio", b"\xfc" + chance.randbytes(79), number * 1600 + part * 960, True, now))
        while number % (10 * FPS) == 0 and any(sink.has_frames for sink in sinks):
            await asyncio.sleep(0.005)  # the recorder's line is bounded: let it empty
    since, burnt = time.perf_counter(), time.process_time()
    await house.service.stop(recording, "clinician")
    await house.service.settle()
    return recording, time.perf_counter() - since, time.process_time() - burnt


async def speed(read: Callable[[int, int], Awaitable[int]], ranges: list[tuple[int, int]]) -> float:
    """MB/s over all ranges, median of three rounds."""
    rounds = []
    for _ in range(3):
        since, total = time.perf_counter(), 0
        for start, end in ranges:
            total += await read(start, end)
        rounds.append(total / (time.perf_counter() - since) / 1_000_000)
    return statistics.median(rounds)


async def in_clear(path: Path, start: int, end: int) -> AsyncIterator[bytes]:
    handle = await asyncio.to_thread(os.open, path, os.O_RDONLY)
    try:
        while start < end:
            piece = await asyncio.to_thread(os.pread, handle, min(SPAN, end - start), start)
            start += len(piece)
            yield piece
    finally:
        os.close(handle)


async def read_by_range(house: House, grant: Grant, folder: Path, seed: int) -> list[Figure]:
    chance, track, count = random.Random(seed), grant.tracks[0], wished(200)
    size = house.service.size(house.admin, grant.id, track)
    copy = folder / "clear.webm"
    copy.write_bytes(await house.read(house.admin, grant, track))

    async def sealed(start: int, end: int) -> int:
        return sum([len(piece) async for piece in house.service.read_range(house.admin, grant.id, track, start, end)])

    async def plain(start: int, end: int) -> int:
        return sum([len(piece) async for piece in in_clear(copy, start, end)])

    found: list[Figure] = []
    for name, length in {"64k": 65_536, "1m": 1_048_576, "whole": size}.items():
        starts = [chance.randrange(max(1, size - length)) for _ in range(count if length < size else 8)]
        ranges = [(start, min(size, start + length)) for start in starts]
        clear, opened = await speed(plain, ranges), await speed(sealed, ranges)
        n = 3 * len(ranges)
        least = LEAST_READ if name != "64k" else None
        found += [
            measured(f"recordings.iterator_read_{name}", opened, "MB/s", n=n, seed=seed, at_least=least),
            measured(f"recordings.iterator_read_{name}_of_clear", opened / clear, "×", n=n, seed=seed),
        ]
    return found


def in_memory(data: bytes, dek: bytes) -> tuple[AESGCM, list[tuple[bytes, bytes, bytes]]]:
    """A sealed file's cipher, and nonce, ciphertext and associated data of each segment (docs/formats.md)."""
    header, stride = data[:136], 65_556
    okm = HKDF(algorithm=SHA512(), length=71, salt=header[72:104], info=header[:104]).derive(dek)
    found = []
    for number, at in enumerate(range(136, len(data), stride)):
        segment = data[at : at + stride]
        nonce = okm[32:39] + number.to_bytes(4, "big") + bytes([segment[3] & 1])
        found.append((nonce, segment[4:], hashlib.sha256(header).digest() + segment[:4]))
    return AESGCM(okm[:32]), found


async def beside_aes(house: House, grant: Grant, folder: Path, seed: int) -> Figure:
    """Whole tracks through the reader beside the cipher alone, in turns; the median of the ratios."""
    track, rounds = grant.tracks[0], wished(25)
    file = next(one for one in await house.service.catalogue.files_of(grant.recording) if one.id == track)
    row = file.row
    dek = await house.keys.open(row.file_id, wrapped_share=row.wrapped_share, wrapping_key=row.wrapping_key)
    cipher, segments = in_memory((folder / "vault" / row.name).read_bytes(), dek.reveal())
    ratios = []
    for number in range(rounds + 2):  # two to warm up
        begun = time.perf_counter()
        for nonce, sealed, associated in segments:
            cipher.decrypt(nonce, sealed, associated)
        alone, begun = time.perf_counter() - begun, time.perf_counter()
        async for _ in house.service.read_range(house.admin, grant.id, track, 0, file.plain_size):
            pass
        ratios += [alone / (time.perf_counter() - begun)] if number >= 2 else []
    ratio = statistics.median(ratios)
    return measured("recordings.range_ratio_process", ratio, "×", n=rounds, seed=seed, at_least=0.4)


async def scrubbed(house: House, seed: int) -> Figure:
    """Everything sealed, read and verified without a rest."""

    async def no_pause(_seconds: float) -> None: ...

    partners = (house.service.catalogue, house.keys, house.log, house.vault, house.clock)
    rates = []
    for _ in range(3):
        scrub = Scrub(*partners, Rounds(), 1, pause=no_pause)
        begun = time.perf_counter()
        await scrub.look()
        rates.append(scrub.figures.octets / (time.perf_counter() - begun) / 1e6)
        if scrub.figures.damaged or not scrub.figures.files:
            raise RuntimeError("the scrub did not find what was sealed")
    return measured("recordings.scrub_rate", statistics.median(rates), "MB/s", n=len(rates), seed=seed)


async def all_of_it(seed: int) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder))
        await house.open()
        recording, seconds, burnt = await record(house, MINUTES, random.Random(seed))
        shown = await house.service.show(house.admin, recording)
        length = shown.milliseconds / 1000
        figures = [
            measured("recordings.service_seal_speed", length / seconds, "× real time", n=1, seed=seed, at_least=200),
            measured("recordings.service_seal_speed_cpu", length / burnt, "× real time", n=1, seed=seed),
        ]
        grant = await house.service.grant(house.admin, recording, "quality")
        figures += await read_by_range(house, grant, Path(folder), seed)
        figures.append(await beside_aes(house, grant, Path(folder), seed))
        figures.append(await scrubbed(house, seed))
        await house.close()
    return figures


def run(seed: int) -> Iterator[Figure]:
    """The figures `recordings.iterator_*`, `range_ratio_process`, `scrub_rate` and `service_seal_speed`."""
    yield from asyncio.run(all_of_it(seed))


if __name__ == "__main__":
    said(run)
