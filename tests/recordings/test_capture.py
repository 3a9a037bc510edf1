"""Capture keeps its promises: nothing after a withdrawal, nothing silent, nothing in clear, nothing counted lost."""

import asyncio
import errno
from pathlib import Path

import pytest
from recording_clips import GREEN, RED, Event, Sender, leg, pictures, tone, watch
from recording_partners import FaultyFiles
from recording_studio import QUICK, Studio

from recordings.capture import Capture, NotRecorded, Rhythm
from recordings.opening import read_prefix
from recordings.part import CapturedPart
from recordings.partners import FileKind, KeyedFile
from recordings.track import TrackCapture
from recordings.vault.files import SystemFiles
from recordings.vault.store import VaultFull
from telehealth.errors import Unavailable
from telehealth.frames import EncodedFrame


def clip(seconds: int = 2) -> list[Event]:
    return leg(Sender(), 1000.0, video=pictures(((RED, 30 * seconds),)), audio=tone(440, 50 * seconds))


def kept_frames(studio: Studio, part: CapturedPart) -> bytes:
    data = (studio.folder / part.row.name).read_bytes()
    dek = studio.keys.deks[part.row.file_id]
    return read_prefix(data, dek, recording_id=studio.recording, file_id=part.row.file_id)[0]


class _Watching(SystemFiles):
    """Notes for each file whether the ledger knew it before it was made."""

    def __init__(self, rows: dict[str, KeyedFile]) -> None:
        self.rows = rows
        self.known: list[bool] = []

    def create(self, path: Path) -> int:
        self.known.append(path.stem in self.rows)
        return super().create(path)


async def test_the_row_is_durable_before_the_file_exists(studio: Studio) -> None:
    disk = _Watching(studio.ledger.rows)
    studio.use(disk)
    capture = await studio.start()
    studio.play((capture.sink(studio.patient), clip()))
    await studio.until(stored=1)
    await studio.seal(await capture.stop("asked"))
    assert disk.known == [True, True, True]  # capture, track, manifest


class _Stalled(SystemFiles):
    """A disk whose sync waits until it is let go."""

    def __init__(self) -> None:
        import threading

        self.go = threading.Event()
        self.began = threading.Event()

    def fsync(self, handle: int) -> None:
        self.began.set()
        assert self.go.wait(5)
        super().fsync(handle)


async def test_first_stored_comes_only_after_the_sync(studio: Studio) -> None:
    disk = _Stalled()
    capture = await studio.start()
    sink = capture.sink(studio.patient)
    original = SystemFiles.fsync
    studio.use(disk)
    studio.play((sink, clip()))
    assert await asyncio.to_thread(disk.began.wait, 5)
    assert studio.stored == []
    disk.go.set()
    await studio.until(stored=1)
    await capture.stop("asked")
    assert SystemFiles.fsync is original


async def test_after_a_withdrawal_nothing_further_is_stored_also_nothing_queued(studio: Studio) -> None:
    capture = await studio.start()
    patient, clinician = capture.sink(studio.patient), capture.sink(studio.clinician)
    events = clip()
    studio.play((patient, events[:40]))
    await studio.until(stored=1)
    before = studio.on_disk()
    studio.play((patient, events[40:80]), (clinician, clip()))  # waits in both lines
    moment = studio.clock.steady()
    capture.discard_after(moment)
    studio.play((patient, events[80:]))
    result = await capture.stop("withdrawn")
    assert studio.on_disk() == before
    assert studio.faults == []
    sealed = await studio.seal(result)
    (track,) = sealed.manifest.tracks
    assert track.participant_id == studio.patient
    assert track.audio_frames + track.video_frames == sum(event.frame is not None for event in events[:40])


async def test_a_withdrawal_stops_a_write_that_waits_in_the_disks_line(studio: Studio) -> None:
    disk = _Stalled()
    capture = await studio.start()
    sink = capture.sink(studio.patient)
    studio.play((sink, clip()[:20]))
    await studio.until(stored=1)
    size = sum(map(len, studio.on_disk().values()))
    studio.use(disk)
    for part in capture._legs[0]._parts:
        part._writer._files = disk  # type: ignore[union-attr]
    held = [studio.vault._pool.submit(disk.go.wait, 5) for _ in range(4)]  # every thread of the disk is busy
    studio.play((sink, clip()[20:40]))
    while capture._legs[0].track.has_frames:
        await asyncio.sleep(0.001)
    capture.discard_after(studio.clock.steady())
    disk.go.set()
    await capture.stop("withdrawn")
    assert all(wait.result() for wait in held)
    assert sum(map(len, studio.on_disk().values())) == size


async def test_frames_stored_after_the_moment_of_withdrawal_are_not_sealed(studio: Studio) -> None:
    capture = await studio.start()
    events = clip()
    studio.play((capture.sink(studio.patient), events))
    await studio.until(stored=1)
    moment = 1001.0
    capture.discard_after(moment)
    sealed = await studio.seal(await capture.stop("withdrawn"))
    (track,) = sealed.manifest.tracks
    early = [event for event in events if event.frame and event.frame.arrived <= moment]
    assert track.audio_frames + track.video_frames == len(early)
    assert watch(studio.webm(sealed, studio.patient)).duration <= 1.05


async def test_no_frame_lies_in_clear_on_the_disk(studio: Studio) -> None:
    capture = await studio.start()
    events = clip()
    studio.play((capture.sink(studio.patient), events))
    result = await capture.stop("asked")
    frames = [event.frame.data for event in events if event.frame]
    needles = {data[at : at + 12] for data in frames if len(data) >= 40 for at in (1, len(data) // 2, len(data) - 12)}
    needles |= {b"matroska", b"webm", b"OpusHead", b"V_VP8", studio.patient.encode()}
    plain = kept_frames(studio, result.parts[0])
    assert all(needle in plain for needle in needles if needle in b"".join(frames))  # the search itself works
    await _search(studio, needles)
    await studio.seal(result)
    await _search(studio, needles)


async def _search(studio: Studio, needles: set[bytes]) -> None:
    files = studio.on_disk()
    assert files
    for data in files.values():
        assert not [needle for needle in needles if needle in data]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("nth", range(1, 5))
async def test_a_full_disk_is_reported_and_leaves_a_readable_prefix(studio: Studio, nth: int, after: bool) -> None:
    capture = await studio.start()
    sink = capture.sink(studio.patient)
    studio.use(FaultyFiles("write", nth, errno.ENOSPC, after=after))
    acknowledged = await _feed_until_fault(studio, capture, sink, nth)
    result = await capture.stop("vault_full")
    assert studio.faults == [(studio.patient, "vault_full")]
    assert result.broken == "vault_full"
    assert [part.segments for part in result.parts] == [acknowledged]
    sealed = await studio.seal(result)
    assert bool(sealed.manifest.tracks) == (acknowledged > 0 or after)


async def _feed_until_fault(studio: Studio, capture: Capture, sink: TrackCapture, rounds: int) -> int:
    """One batch a round, each waited for; how many segments were acknowledged before the fault."""
    events = clip()
    for number in range(rounds):
        studio.play((sink, events[number * 20 : number * 20 + 20]))
        async with asyncio.timeout(5):
            while not studio.faults and _segments(capture) < number + 1:
                await asyncio.sleep(0.001)
    return _segments(capture)


def _segments(capture: Capture) -> int:
    return sum(part.segments for leg in capture._legs for part in leg.captured)


@pytest.mark.parametrize("operation", ["write", "fsync"])
@pytest.mark.parametrize("nth", range(1, 4))
@pytest.mark.parametrize("after", [False, True])
async def test_an_io_error_costs_a_part_and_no_frame(studio: Studio, operation: str, nth: int, after: bool) -> None:
    capture = await studio.start()
    sink = capture.sink(studio.patient)
    studio.use(FaultyFiles(operation, nth, errno.EIO, after=after))
    events = clip()
    for start in range(0, len(events), 40):
        studio.play((sink, events[start : start + 40]))
        async with asyncio.timeout(5):
            while sink.has_frames:
                await asyncio.sleep(0.001)
    result = await capture.stop("asked")
    assert studio.faults == []
    assert [part.row.part for part in result.parts] == [0, 1]
    assert [part.complete for part in result.parts] == [False, True]
    sealed = await studio.seal(result)
    (track,) = sealed.manifest.tracks
    assert (track.video_frames, track.audio_frames) == (60, 100)
    assert len(watch(studio.webm(sealed, studio.patient)).pictures) == 60


async def test_a_disk_that_fails_again_breaks_the_recording_aloud(studio: Studio) -> None:
    class Broken(SystemFiles):
        def fsync(self, handle: int) -> None:
            raise OSError(errno.EIO, "")

    capture = await studio.start()
    sink = capture.sink(studio.patient)
    studio.use(Broken())
    studio.play((sink, clip()))
    await studio.until(faults=1)
    result = await capture.stop("vault_failed")
    assert studio.faults == [(studio.patient, "vault_failed")]
    assert studio.stored == []
    assert all(part.segments == 0 for part in result.parts)


async def test_a_recorder_too_slow_says_so_and_notes_the_gap(studio: Studio) -> None:
    capture = await studio.start(Rhythm(flush=0.005, progress=0.0, least_free=0, queue_octets=5_000))
    sink = capture.sink(studio.patient)
    events = clip()
    studio.play((sink, events[:150]))  # all at once: more than the line holds
    assert studio.faults == [(studio.patient, "recorder_too_slow")]
    await studio.until(stored=1)
    studio.play(
        (sink, leg(Sender(1000 + 96_000, 5_180_000), 1002.0, video=pictures(((GREEN, 30),)), audio=tone(440, 5)))
    )
    sealed = await studio.seal(await capture.stop("asked"))
    assert studio.faults == [(studio.patient, "recorder_too_slow")]
    assert [gap.reason for gap in sealed.manifest.gaps] == ["recorder_too_slow"]
    assert studio.asked == [studio.patient] * 2


async def test_video_waits_for_a_key_frame_which_is_asked_for(studio: Studio) -> None:
    capture = await studio.start()
    sink = capture.sink(studio.patient)
    assert studio.asked == [studio.patient]
    events = leg(Sender(), 1000.0, video=pictures(((RED, 90),)))[10:]  # begins in mid-stream; next key frame at 60
    studio.play((sink, events))
    sealed = await studio.seal(await capture.stop("asked"))
    (track,) = sealed.manifest.tracks
    assert track.video_frames == 30
    assert watch(studio.webm(sealed, studio.patient)).pictures[0][0] < 0.05


async def test_losses_and_progress_are_written_down(studio: Studio) -> None:
    capture = await studio.start()
    sink = capture.sink(studio.patient)
    studio.play((sink, clip()))
    sink.lost("video", 7)
    sink.lost("audio", 2)
    await studio.until(stored=1)
    async with asyncio.timeout(5):
        while not studio.ledger.progress:
            await asyncio.sleep(0.001)
    result = await capture.stop("asked")
    (track,) = (await studio.seal(result)).manifest.tracks
    assert (track.lost_video, track.lost_audio) == (7, 2)
    (progress,) = studio.ledger.progress.values()
    assert 0 < progress[0] <= result.parts[0].segments


async def test_a_database_that_fails_at_the_counts_does_not_end_the_recording(studio: Studio) -> None:
    failed: list[str] = []

    async def failing(file_id: str, segments: int, octets: int) -> None:
        failed.append(file_id)
        raise RuntimeError

    studio.ledger.progressed = failing  # type: ignore[method-assign]
    capture = await studio.start()
    sink = capture.sink(studio.patient)
    events = clip()
    studio.play((sink, events[:40]))
    async with asyncio.timeout(5):
        while len(failed) < 2:
            await asyncio.sleep(0.001)
    studio.play((sink, events[40:]))
    result = await capture.stop("asked")
    assert (studio.faults, result.broken) == ([], None)
    (track,) = (await studio.seal(result)).manifest.tracks
    assert track.video_frames == 60


async def test_a_recording_of_nobody_leaves_no_key_and_no_row_but_the_manifest(studio: Studio) -> None:
    capture = await studio.start()
    capture.sink(studio.patient)
    sealed = await studio.seal(await capture.stop("asked"))
    assert sealed.manifest.tracks == ()
    assert studio.ledger.kinds() == [FileKind.MANIFEST]
    assert list(studio.keys.deks) == [sealed.manifest_row.file_id]


async def test_only_those_the_recording_was_started_for_are_recorded(studio: Studio) -> None:
    capture = await studio.start()
    with pytest.raises(NotRecorded):
        capture.sink("par_somebody_else")
    await capture.stop("asked")


async def test_a_key_store_that_denies_refuses_the_start(studio: Studio) -> None:
    studio.keys.denied = True
    with pytest.raises(Unavailable):
        await studio.start()
    assert studio.on_disk() == {}


async def test_an_unforeseen_fault_at_the_stop_is_reported_and_closes_everything(studio: Studio) -> None:
    capture = await studio.start(Rhythm(flush=60, least_free=0))
    sink = capture.sink(studio.patient)

    def unforeseen(row: KeyedFile) -> None:
        raise RuntimeError

    studio.use(FaultyFiles("fsync", 1, errno.EIO))
    studio.ledger.when_added = unforeseen
    studio.play((sink, clip()))
    result = await capture.stop("asked")
    assert studio.faults == [(None, "recorder_broken")]
    assert result.broken == "recorder_broken"
    assert studio.stored == []


async def test_too_little_room_refuses_the_start(studio: Studio) -> None:
    with pytest.raises(VaultFull):
        await studio.start(Rhythm(least_free=2**62))


async def test_an_unforeseen_fault_of_the_recorder_is_reported_too(studio: Studio) -> None:
    capture = await studio.start()
    sink = capture.sink(studio.patient)

    def unforeseen(row: KeyedFile) -> None:
        raise RuntimeError

    studio.use(FaultyFiles("write", 1, errno.EIO))  # so that a new part and a new row are needed
    studio.ledger.when_added = unforeseen
    studio.play((sink, clip()))
    await studio.until(faults=1)
    assert studio.faults == [(None, "recorder_broken")]
    assert (await capture.stop("broken")).broken == "recorder_broken"


async def test_a_sink_opened_after_the_end_stores_nothing(studio: Studio, tmp_path: Path) -> None:
    capture = await studio.start(QUICK)
    capture.discard_after(studio.clock.steady())
    sink = capture.sink(studio.patient)
    studio.play((sink, clip()))
    await capture.stop("withdrawn")
    assert studio.on_disk() == {}
    sink.frame(EncodedFrame("audio", b"late", 1, False, 2000.0))
    assert not sink.has_frames
