"""Files that were cut, changed and put together from others, by the thousand: none is taken for a recording."""

import itertools
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from make_vectors import FILE, RECORDING
from recording_studio import Studio

from recordings import envelope
from recordings.envelope import HEADER_SIZE, SEALED_SEGMENT, SegmentReader, SegmentWriter
from recordings.opening import Prefix, open_range, plain_size, range_plan, read_all, read_prefix
from recordings.part import CapturePart, Place
from recordings.partners import FileKind
from telehealth.errors import Refusal
from telehealth.ids import Kind, new_id
from telehealth.secret import Secret

SEED = 20261122
STRIDE = SEALED_SEGMENT + 20


@dataclass(frozen=True)
class Honest:
    """A file as it was written."""

    dek: Secret[bytes]
    file: str
    header: bytes
    framed: tuple[bytes, ...]
    plains: tuple[bytes, ...]

    @property
    def data(self) -> bytes:
        return self.header + b"".join(self.framed)


def written(plains: list[bytes], dek: Secret[bytes] | None = None, file: str = FILE) -> Honest:
    dek = dek or Secret(os.urandom(32))
    writer = SegmentWriter(dek, RECORDING, file)
    framed = tuple(writer.seal(plain, index == len(plains) - 1) for index, plain in enumerate(plains))
    return Honest(dek, file, writer.header, framed, tuple(plains))


def released(data: bytes, honest: Honest) -> tuple[bytes, Prefix]:
    """What leaves of a file when its valid prefix is wanted; nothing when not even the header is right."""
    try:
        return read_prefix(data, honest.dek, recording_id=RECORDING, file_id=honest.file)
    except Refusal:
        return b"", Prefix(0, 0, len(data), False)


def refuse(data: bytes, honest: Honest) -> None:
    """It is refused whole, and what leaves of its prefix is the prefix of what was written, segment by segment."""
    with pytest.raises(Refusal):
        read_all(data, honest.dek, recording_id=RECORDING, file_id=honest.file)
    plain, prefix = released(data, honest)
    alike = sum(1 for _ in itertools.takewhile(lambda end: data[:end] == honest.data[:end], _ends(honest)))
    assert plain == b"".join(honest.plains[:alike])
    assert (prefix.segments, prefix.complete) == (alike, False)


def _ends(honest: Honest) -> list[int]:
    return list(itertools.accumulate(map(len, honest.framed), initial=len(honest.header)))[1:]


# Cut and changed: every place


@pytest.mark.parametrize("sizes", [(1,), (13, 6, 13), (40, 1, 0)])
def test_every_truncation_of_a_file_of_several_segments_is_refused(sizes: tuple[int, ...]) -> None:
    honest = written([random.Random(size).randbytes(size) for size in sizes])
    for cut in range(len(honest.data)):
        refuse(honest.data[:cut], honest)


@pytest.mark.parametrize("sizes", [(1,), (13, 6, 13), (40, 1, 0)])
def test_every_flipped_bit_of_a_file_of_several_segments_is_refused(sizes: tuple[int, ...]) -> None:
    honest = written([random.Random(size).randbytes(size) for size in sizes])
    for place in range(len(honest.data) * 8):
        refuse(flipped(honest.data, place), honest)


def flipped(data: bytes, place: int) -> bytes:
    changed = bytearray(data)
    changed[place // 8] ^= 1 << place % 8
    return bytes(changed)


def sealed_file() -> Honest:
    """Two segments of the size of sealed files, and a short last one."""
    dice = random.Random(SEED)
    return written([dice.randbytes(SEALED_SEGMENT), dice.randbytes(SEALED_SEGMENT), dice.randbytes(300)])


def refuse_range(reader: SegmentReader, framed: bytes, number: int, size: int) -> None:
    """Asked for by range, the segment gives nothing."""
    start = number * SEALED_SEGMENT
    plan = range_plan(size, start, min(size, start + SEALED_SEGMENT))
    with pytest.raises(Refusal):
        open_range(reader, plan, framed)


def flips_of_a_sealed_file(places: Callable[[int], Iterator[int]]) -> int:
    honest = sealed_file()
    reader = SegmentReader(honest.dek, honest.header, recording_id=RECORDING, file_id=FILE)
    size, tried = plain_size(len(honest.data)), 0
    for number, framed in enumerate(honest.framed):
        for place in places(len(framed) * 8):
            refuse_range(reader, flipped(framed, place), number, size)
            tried += 1
    return tried


def test_flipped_bits_of_a_sealed_file_give_nothing_to_a_range() -> None:
    def ends_and_some(bits: int) -> Iterator[int]:
        yield from range(32)  # the length word
        yield from range(bits - 128, bits)  # the tag
        yield from random.Random(SEED).sample(range(32, bits - 128), 300)

    assert flips_of_a_sealed_file(ends_and_some) == 3 * (32 + 128 + 300)


@pytest.mark.slow
def test_every_flipped_bit_of_a_sealed_file_gives_nothing_to_a_range() -> None:
    assert flips_of_a_sealed_file(lambda bits: iter(range(bits))) == 8 * (2 * STRIDE + 320)


@pytest.mark.slow
def test_every_truncation_of_a_sealed_file_is_refused() -> None:
    honest = sealed_file()
    reader = SegmentReader(honest.dek, honest.header, recording_id=RECORDING, file_id=FILE)
    for number, framed in enumerate(honest.framed):
        for cut in range(len(framed)):
            refuse_range(reader, framed[:cut], number, plain_size(len(honest.data)))
    for cut in random.Random(SEED).sample(range(len(honest.data)), 2_000):
        with pytest.raises(Refusal):
            read_all(honest.data[:cut], honest.dek, recording_id=RECORDING, file_id=FILE)


# Put together from others


def files_to_mix() -> list[Honest]:
    """Alike in everything an attacker could wish: plaintext, sizes, one with the same key, one with the same name."""
    plains = [bytes([letter]) * 30 for letter in b"abcdefgh"]
    first = written(plains)
    return [
        first,
        written(plains, first.dek),  # the same key and ids: another salt
        written(plains),  # another key, the same ids
        written(plains, first.dek, new_id(Kind.FILE)),  # the same key, another file
    ]


def forge(dice: random.Random, files: list[Honest]) -> bytes:
    """Splice, reorder, duplicate, drop or swap segments, of one file or of several, under any of their headers."""
    pieces = list(files[0].framed)
    for _ in range(dice.randint(1, 4)):
        at, other = dice.randrange(len(pieces) + 1), dice.choice(files)
        match dice.choice(("splice", "reorder", "duplicate", "swap", "drop", "header inside")):
            case "splice":
                pieces[at:] = other.framed[dice.randrange(len(other.framed)) :]
            case "reorder":
                dice.shuffle(pieces)
            case "duplicate":
                pieces.insert(at, dice.choice(pieces or [b""]))
            case "swap":
                pieces[at : at + 1] = [dice.choice(other.framed)]
            case "drop":
                del pieces[at : at + 1]
            case "header inside":
                pieces.insert(at, other.header)
    header = dice.choice(files).header if dice.random() < 0.2 else files[0].header
    return header + b"".join(pieces)


def refuse_forgeries(count: int, seed: int) -> None:
    dice, files, tried = random.Random(seed), files_to_mix(), 0
    honest = {file.data for file in files}
    while tried < count:
        data = forge(dice, files)
        if data in honest:
            continue
        refuse(data, next((file for file in files[:2] if data.startswith(file.header)), files[0]))
        tried += 1


def test_files_put_together_from_others_are_refused() -> None:
    refuse_forgeries(1_000, SEED)


@pytest.mark.slow
def test_ten_thousand_files_put_together_from_others_are_refused() -> None:
    refuse_forgeries(10_000, SEED + 1)


# No key and nonce twice


@dataclass
class Pairs:
    """Stands between the envelope and its cipher, and sees every key and nonce that something is sealed under."""

    real: type
    nonces: dict[bytes, set[bytes]] = field(default_factory=dict)
    count: int = 0

    def __call__(self, key: bytes) -> "Pairs._Cipher":
        return Pairs._Cipher(self, key, self.real(key))

    @dataclass
    class _Cipher:
        pairs: "Pairs"
        key: bytes
        real: object

        def encrypt(self, nonce: bytes, data: bytes, associated: bytes) -> bytes:
            seen = self.pairs.nonces.setdefault(self.key, set())
            assert nonce not in seen
            seen.add(nonce)
            self.pairs.count += 1
            return self.real.encrypt(nonce, data, associated)  # type: ignore[attr-defined]


class Nowhere:
    """A store that keeps nothing."""

    async def create(self, _name: str) -> "Nowhere":
        return self

    async def append(self, _data: bytes, *, durable: bool = False) -> None: ...
    async def sync(self) -> None: ...
    def freeze(self) -> None: ...
    async def close(self) -> None: ...


async def seal_over_restarts(studio: Studio, pairs: Pairs, restarts: int, segments: int) -> None:
    """Each time the process is gone in mid-file, and a new one goes on with the same participant."""
    kept = studio.place
    place = Place(
        kept.recording_id, kept.day, "standard", Nowhere(), kept.keys, kept.ledger, kept.clock, kept.entropy  # type: ignore[arg-type]
    )  # fmt: skip
    for number in range(restarts):
        part = CapturePart(await place.new_file(FileKind.CAPTURE, studio.patient, number), place)
        for _ in range(segments // 100):
            await part.store([b"x"] * 100)
    assert pairs.count == restarts * segments
    assert len(pairs.nonces) == restarts
    assert sum(map(len, pairs.nonces.values())) == pairs.count


@pytest.fixture
def pairs(monkeypatch: pytest.MonkeyPatch) -> Pairs:
    watched = Pairs(envelope.AESGCM)
    monkeypatch.setattr(envelope, "AESGCM", watched)
    return watched


async def test_no_key_and_nonce_come_twice_in_ten_thousand_segments(studio: Studio, pairs: Pairs) -> None:
    await seal_over_restarts(studio, pairs, restarts=100, segments=100)


@pytest.mark.slow
async def test_no_key_and_nonce_come_twice_in_a_million_segments(studio: Studio, pairs: Pairs) -> None:
    await seal_over_restarts(studio, pairs, restarts=1_000, segments=1_000)


def test_even_one_key_for_every_file_gives_no_pair_twice(pairs: Pairs) -> None:
    """The salt alone keeps files apart, should a key store ever hand out the same key again."""
    dek = Secret(bytes(32))
    for _ in range(200):
        writer = SegmentWriter(dek, RECORDING, FILE)
        for _ in range(20):
            writer.seal(b"x")
        writer.seal(b"", last=True)
    assert (pairs.count, len(pairs.nonces)) == (200 * 21, 200)


def test_the_last_segment_cannot_pass_for_an_inner_one() -> None:
    """Its flag is in the nonce and in the length word, and both are authentic."""
    honest = written([b"first", b"last"])
    last = bytearray(honest.framed[1])
    last[3] ^= 1
    reader = SegmentReader(honest.dek, honest.header, recording_id=RECORDING, file_id=FILE)
    with pytest.raises(Refusal):
        reader.open(1, bytes(last))
    assert reader.open(1, honest.framed[1]).plain == b"last"
    assert len(honest.header) == HEADER_SIZE
