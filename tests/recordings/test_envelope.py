"""The encrypted file: exact bytes, and nothing accepted that was changed, cut, moved or mixed."""

import hashlib
import itertools
import random

import pytest
from envelope_reader import read
from hypothesis import given, settings
from hypothesis import strategies as st
from make_vectors import FILE, RECORDING

from recordings.envelope import (
    HEADER_SIZE,
    MAX_SEGMENT,
    SEALED_SEGMENT,
    FileTruncated,
    MalformedEnvelope,
    SegmentForged,
    SegmentReader,
    SegmentWriter,
    WrongKey,
    split_word,
)
from recordings.opening import open_range, plain_size, range_plan, read_all, read_prefix
from telehealth.errors import Refusal
from telehealth.ids import Kind, new_id
from telehealth.secret import Secret

DEK = Secret(hashlib.sha256(b"dek").digest())
PLAINS = [b"first segment", b"second", b"the third one"]


def sealed(plains: list[bytes], dek: Secret[bytes] = DEK, file: str = FILE) -> tuple[bytes, list[bytes]]:
    writer = SegmentWriter(dek, RECORDING, file)
    framed = [writer.seal(plain, index == len(plains) - 1) for index, plain in enumerate(plains)]
    return writer.header, framed


def whole(data: bytes, dek: Secret[bytes] = DEK) -> bytes:
    return read_all(data, dek, recording_id=RECORDING, file_id=FILE)


def test_what_we_write_opens_with_the_independent_reader() -> None:
    header, framed = sealed(PLAINS)
    assert read(header + b"".join(framed), DEK.reveal()) == (RECORDING, FILE, PLAINS, True)


def test_a_whole_file_comes_back() -> None:
    header, framed = sealed(PLAINS)
    assert whole(header + b"".join(framed)) == b"".join(PLAINS)


def test_every_truncation_is_refused_and_gives_only_its_valid_prefix() -> None:
    header, framed = sealed(PLAINS)
    data = header + b"".join(framed)
    ends = list(itertools.accumulate([len(header), *map(len, framed)]))
    for cut in range(len(data)):
        with pytest.raises(Refusal) as refused:
            whole(data[:cut])
        assert isinstance(refused.value, FileTruncated)
        plain, prefix = read_prefix(data[:cut], DEK, recording_id=RECORDING, file_id=FILE)
        count = sum(end <= cut for end in ends[1:])
        assert (plain, prefix.segments, prefix.complete) == (b"".join(PLAINS[:count]), count, False)
        assert prefix.octets + prefix.discarded == cut


def test_every_flipped_bit_is_refused_and_no_byte_of_its_segment_leaves() -> None:
    header, framed = sealed(PLAINS)
    data = header + b"".join(framed)
    ends = list(itertools.accumulate([len(header), *map(len, framed)]))
    for position in range(len(data) * 8):
        octet, bit = divmod(position, 8)
        changed = bytearray(data)
        changed[octet] ^= 1 << bit
        with pytest.raises((WrongKey, SegmentForged, MalformedEnvelope, FileTruncated)):
            whole(bytes(changed))
        if octet >= HEADER_SIZE:
            plain, prefix = read_prefix(bytes(changed), DEK, recording_id=RECORDING, file_id=FILE)
            good = sum(end <= octet for end in ends[1:])
            assert (plain, prefix.complete) == (b"".join(PLAINS[:good]), False)


def test_splices_reorders_duplicates_and_swaps_are_refused() -> None:
    header, framed = sealed([b"a" * 30, b"b" * 30, b"c" * 30, b"d" * 30])
    other_header, other = sealed([b"a" * 30, b"b" * 30, b"c" * 30, b"d" * 30])
    dice = random.Random(20261122)
    honest = header + b"".join(framed)
    for _ in range(1500):
        pieces = [dice.choice([*framed, *other]) for _ in range(dice.randint(0, 6))]
        data = dice.choice([header, other_header]) + b"".join(pieces)
        if data in (honest, other_header + b"".join(other)):
            continue
        with pytest.raises(Refusal):
            whole(data)
    for swapped in itertools.permutations(framed):
        if list(swapped) != framed:
            with pytest.raises(SegmentForged):
                whole(header + b"".join(swapped))


def test_bytes_after_the_last_segment_are_refused() -> None:
    header, framed = sealed(PLAINS)
    data = header + b"".join(framed)
    for extra in (b"\0", b"\0" * 400, framed[0]):
        with pytest.raises(MalformedEnvelope):
            whole(data + extra)
        plain, prefix = read_prefix(data + extra, DEK, recording_id=RECORDING, file_id=FILE)
        assert (plain, prefix.complete, prefix.discarded) == (b"".join(PLAINS), False, len(extra))


def test_another_key_another_file_and_another_recording_are_refused() -> None:
    header, framed = sealed(PLAINS)
    data = header + b"".join(framed)
    with pytest.raises(WrongKey):
        whole(data, Secret(bytes(32)))
    for recording, file in ((RECORDING, new_id(Kind.FILE)), (new_id(Kind.RECORDING), FILE)):
        with pytest.raises(MalformedEnvelope):
            read_all(data, DEK, recording_id=recording, file_id=file)
    with pytest.raises(MalformedEnvelope):
        SegmentWriter(DEK, "rec_", FILE)


def test_the_writer_refuses_what_the_format_forbids() -> None:
    writer = SegmentWriter(DEK, RECORDING, FILE)
    with pytest.raises(ValueError):
        writer.seal(b"")
    with pytest.raises(ValueError):
        writer.seal(bytes(MAX_SEGMENT + 1))
    writer.seal(b"", last=True)
    with pytest.raises(ValueError):
        writer.seal(b"more")
    full = SegmentWriter(DEK, RECORDING, FILE)
    full._counter = 2**32
    with pytest.raises(ValueError):
        full.seal(b"one too many")


def test_length_words_beyond_the_limits_are_refused() -> None:
    for word in (0, (MAX_SEGMENT + 1) << 1, 0xFFFFFFFF):
        with pytest.raises(MalformedEnvelope):
            split_word(word.to_bytes(4, "big"))
    header, _ = sealed(PLAINS)
    reader = SegmentReader(DEK, header, recording_id=RECORDING, file_id=FILE)
    for counter, framed in ((0, b""), (0, bytes(30)), (2**32, bytes(20)), (-1, bytes(20))):
        with pytest.raises(MalformedEnvelope):
            reader.open(counter, framed)


@settings(max_examples=60, deadline=None)
@given(size=st.integers(0, 3 * SEALED_SEGMENT + 3), data=st.data())
def test_every_range_of_a_sealed_file_is_arithmetic(size: int, data: st.DataObject) -> None:
    plain = random.Random(size).randbytes(size)
    cuts = [plain[at : at + SEALED_SEGMENT] for at in range(0, size, SEALED_SEGMENT)] or [b""]
    header, framed = sealed(cuts)
    file = header + b"".join(framed)
    assert plain_size(len(file)) == size
    if not size:
        return
    start = data.draw(st.integers(0, size - 1))
    end = data.draw(st.integers(start + 1, size))
    plan = range_plan(size, start, end)
    reader = SegmentReader(DEK, header, recording_id=RECORDING, file_id=FILE)
    wanted = file[plan.offset : plan.offset + plan.length]
    assert open_range(reader, plan, wanted) == plain[start:end]
    with pytest.raises(FileTruncated):
        open_range(reader, plan, wanted[:-1])


def test_sizes_no_sealed_file_can_have_are_refused() -> None:
    stride = SEALED_SEGMENT + 20
    for size in (0, HEADER_SIZE, HEADER_SIZE + 19, HEADER_SIZE + stride + 20, HEADER_SIZE + stride + 5):
        with pytest.raises(FileTruncated):
            plain_size(size)
    for start, end in ((-1, 2), (2, 2), (0, 11)):
        with pytest.raises(ValueError):
            range_plan(10, start, end)


def test_a_range_at_the_end_of_a_shortened_file_is_refused() -> None:
    header, framed = sealed([bytes(SEALED_SEGMENT), bytes(SEALED_SEGMENT), b"end"])
    reader = SegmentReader(DEK, header, recording_id=RECORDING, file_id=FILE)
    shorter = range_plan(2 * SEALED_SEGMENT, SEALED_SEGMENT, 2 * SEALED_SEGMENT)
    with pytest.raises(MalformedEnvelope):
        open_range(reader, shorter, framed[1])
