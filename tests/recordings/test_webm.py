"""Sealed tracks are WebM that others read: laid out before they are written, and sought by their Cues."""

import io
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recording_clips import BLACK, GREEN, RED, WHITE, Sender, leg, pictures, tone
from recording_studio import Studio

from recordings import framelog
from recordings.remux import Film, Plan, Weaver, lay_out
from recordings.survey import Survey
from recordings.webm import SealDiffered

EBML, SEGMENT, SEEK_HEAD, INFO, TRACKS, CUES, CLUSTER = (
    0x1A45DFA3, 0x18538067, 0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1F43B675,
)  # fmt: skip
MASTERS = {SEGMENT, SEEK_HEAD, 0x4DBB, INFO, TRACKS, CUES, 0xBB, 0xB7, CLUSTER}
Element = tuple[int, int, bytes]  # id, where it begins, content


def parsed(data: bytes, at: int = 0, end: int | None = None) -> Iterator[Element]:
    """Elements of known size, one after the other; nothing left over (RFC 8794)."""
    end = len(data) if end is None else end
    while at < end:
        begin = at
        ident, at = vint(data, at, keep=True)
        size, at = vint(data, at, keep=False)
        assert at + size <= end
        yield ident, begin, data[at : at + size]
        at += size
    assert at == end


def vint(data: bytes, at: int, *, keep: bool) -> tuple[int, int]:
    length = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + length], "big")
    return (value if keep else value & ((1 << 7 * length) - 1)), at + length


def number(content: bytes) -> int:
    return int.from_bytes(content, "big")


def first(elements: list[Element], ident: int) -> bytes:
    return next(content for found, _, content in elements if found == ident)


def log(frames: list[tuple[str, int, bytes, bool, float]], number_of_leg: int = 0) -> bytes:
    part: framelog.NoteContent = {
        "note": "part", "version": 1, "leg": number_of_leg, "part": 0, "wall": "2026-11-22T09:00:00.000Z",
    }  # fmt: skip
    return framelog.note(part, 1000.0) + b"".join(
        framelog.frame(kind, data, stamp, key, at)  # type: ignore[arg-type]
        for kind, stamp, data, key, at in frames
    )


def surveyed(segment: bytes) -> Film:
    survey = Survey()
    survey.consume(segment)
    return lay_out(Plan.of(survey, min(survey.first_moments().values())))


def woven(film: Film, segment: bytes) -> bytes:
    weaver = Weaver(film)
    weaver.consume(segment)
    weaver.close()
    return b"".join(weaver.take())


def frames_of(seconds: int, key_every: int = 60) -> list[tuple[str, int, bytes, bool, float]]:
    """Pictures and sound; the first picture says how large it is."""
    head = bytes.fromhex("3000009d012a40014000f000")
    found: list[tuple[str, int, bytes, bool, float]] = []
    for n in range(seconds * 30):
        key = n % key_every == 0
        found.append(("video", n * 3000, head if key else b"\x11" * (n % 7 + 1), key, 1000 + n / 30))
        found += [("audio", m * 960, b"\xfc\x00", True, 1000 + m / 50) for m in range(n * 5 // 3, (n + 1) * 5 // 3)]
    return found


@pytest.mark.parametrize("jump", [2**31 - 1, 48_000 * 3600, 48_000 * 9, -48_000 * 3600])
def test_a_sender_whose_clock_is_set_anew_keeps_its_place_in_time(jump: int) -> None:
    """However often: 48 steps of half the range would be more milliseconds than a block can tell."""
    sounds = [("audio", 2**40 + m * 960 + max(0, m - 50) * jump, b"\xfc\x00", True, 1000 + m / 50) for m in range(200)]
    once = [("audio", 2**40 + m * 960 + (jump if m >= 50 else 0), b"\xfc\x00", True, 1000 + m / 50) for m in range(200)]
    for frames in (sounds, once):
        segment = log(frames)
        film = surveyed(segment)
        assert film.frames["audio"] == 200
        assert 4000 <= film.end_ms <= 4000 + 10_100
        woven(film, segment)


def test_what_a_failed_part_repeats_is_left_out_also_where_a_clock_was_set_anew() -> None:
    frames = [("audio", m * 960 + (2**31 - 1 if m >= 50 else 0), b"\xfc\x00", True, 1000 + m / 50) for m in range(100)]
    film = surveyed(log(frames) + log(frames)[len(log([])) :])
    assert film.frames["audio"] == 100
    assert 1900 <= film.end_ms <= 2100


def test_a_clock_that_is_a_hundredth_off_is_believed_for_hours() -> None:
    segment = log([("audio", m * 960 * 101, b"\xfc\x00", True, 1000 + m * 2) for m in range(7200)])
    film = surveyed(segment)
    assert film.frames["audio"] == 7200
    assert film.end_ms == 7199 * 2020 + 20


def test_every_element_is_where_the_front_says() -> None:
    segment = log(frames_of(20))
    film = surveyed(segment)
    data = woven(film, segment)
    (ebml, _, _), (outer, _, content) = list(parsed(data))
    assert (ebml, outer) == (EBML, SEGMENT)
    inner = list(parsed(content))
    assert [ident for ident, _, _ in inner][:4] == [SEEK_HEAD, INFO, TRACKS, CUES]
    assert {ident for ident, _, _ in inner[4:]} == {CLUSTER}
    starts = {begin: ident for ident, begin, _ in inner}
    for _, _, seek in parsed(inner[0][2]):
        parts = list(parsed(seek))
        assert starts[number(first(parts, 0x53AC))] == number(first(parts, 0x53AB))
    clusters = {begin: list(parsed(body)) for ident, begin, body in inner if ident == CLUSTER}
    cues = list(parsed(first(inner, CUES)))
    assert len(cues) == 10
    for _, _, point in cues:
        parts = list(parsed(point))
        position = list(parsed(first(parts, 0xB7)))
        cluster = clusters[number(first(position, 0xF1))]
        assert number(first(cluster, 0xE7)) == number(first(parts, 0xB3))
        assert first(cluster, 0xA3)[0] == 0x82  # the picture's track
        assert first(cluster, 0xA3)[3] == 0x80  # a key frame
    blocks = sum(ident == 0xA3 for cluster in clusters.values() for ident, _, _ in cluster)
    assert blocks == film.frames["audio"] + film.frames["video"] == 20 * 80


frame = st.tuples(
    st.sampled_from(["audio", "video"]),
    st.integers(1, 400_000),
    st.binary(max_size=30),
    st.booleans(),
    st.integers(0, 3),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(frame, min_size=1, max_size=60))
def test_whatever_was_captured_is_written_as_it_was_laid_out_and_read_by_others(
    drawn: list[tuple[str, int, bytes, bool, int]],
) -> None:
    """Steps of any length, sound far from pictures, empty frames: sizes, order and contents hold."""
    frames = [("video", 0, bytes.fromhex("3000009d012a40014000f000"), True, 1000.0)]
    stamps = {"audio": 0, "video": 0}
    for kind, step, data, key, wait in drawn:
        stamps[kind] += step
        frames.append((kind, stamps[kind], b"\xfc" + data, key, frames[-1][4] + wait))
    segment = log(frames)
    data = woven(surveyed(segment), segment)
    content = list(parsed(data))[1][2]
    kept = [
        block[4:] for ident, _, body in parsed(content) if ident == CLUSTER
        for found, _, block in parsed(body) if found == 0xA3
    ]  # fmt: skip
    assert kept == [data for _, _, data, _, _ in frames]
    container: Any = av.open(io.BytesIO(data), "r", format="webm")
    with container:
        assert sum(packet.size > 0 for packet in container.demux()) == len(frames)


def test_a_frame_more_less_longer_or_from_elsewhere_is_never_sealed() -> None:
    frames = frames_of(3)
    film = surveyed(log(frames))
    longer = [*frames[:5], (*frames[5][:2], frames[5][2] + b"x", *frames[5][3:]), *frames[6:]]
    for other in (frames[:-1], [*frames, frames[-1]], frames[1:], longer):
        with pytest.raises(SealDiffered):
            woven(film, log(other))
    assert woven(film, log(frames)) == woven(film, log(frames))


async def test_players_land_on_the_picture_they_sought(studio: Studio, tmp_path: Path) -> None:
    capture = await studio.start()
    colours = ((RED, 60), (GREEN, 60), (BLACK, 60), (WHITE, 60))
    events = leg(Sender(), 1000.0, video=pictures(colours), audio=tone(440, 400))
    studio.play((capture.sink(studio.patient), events))
    sealed = await studio.seal(await capture.stop("asked"))
    webm = studio.webm(sealed, studio.patient)
    container: Any = av.open(io.BytesIO(webm), "r", format="webm")
    with container:
        for second, colour in ((6.5, WHITE), (0.5, RED), (4.5, BLACK), (2.5, GREEN)):
            container.seek(int(second * 1_000_000))
            shown = next(container.decode(video=0))
            assert int(second) - 2.1 <= shown.time <= second
            assert abs(bytes(shown.planes[0])[0] - colour[0]) <= 8
    path = tmp_path / "out.webm"
    path.write_bytes(webm)
    said = subprocess.run(
        ["ffmpeg", "-v", "warning", "-xerror", "-i", str(path), "-f", "null", "-"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert said.stderr == ""
