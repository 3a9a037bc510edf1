"""What was sent is what is played: capture, seal and decode with known pictures and tones."""

import subprocess
from pathlib import Path

from recording_clips import BLACK, GREEN, RED, WHITE, Sender, elements, leg, pictures, tone, watch
from recording_studio import Studio

from recordings.manifest import Manifest
from recordings.opening import read_all
from recordings.partners import FileKind

SEEK_HEAD, VOID, INFO, TRACKS, CUES, CLUSTER, TAGS = (
    0x114D9B74, 0xEC, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1F43B675, 0x1254C367,
)  # fmt: skip


def near(colour: tuple[int, int, int], wanted: tuple[int, int, int]) -> bool:
    return all(abs(a - b) <= 8 for a, b in zip(colour, wanted, strict=True))


async def test_each_participants_pictures_and_tones_come_back(studio: Studio, tmp_path: Path) -> None:
    capture = await studio.start()
    patient, clinician = capture.sink(studio.patient), capture.sink(studio.clinician)
    studio.play(
        (patient, leg(Sender(), 1000.0, video=pictures(((RED, 90),)), audio=tone(440, 150))),
        (clinician, leg(Sender(9, 77), 1000.1, video=pictures(((GREEN, 90),)), audio=tone(880, 150))),
    )
    await studio.until(stored=2)
    sealed = await studio.seal(await capture.stop("asked"))

    assert studio.faults == []
    assert sorted(studio.stored) == sorted([studio.patient, studio.clinician])
    for participant, colour in ((studio.patient, RED), (studio.clinician, GREEN)):
        webm = studio.webm(sealed, participant)
        seen = watch(webm)
        assert len(seen.pictures) == 90
        assert len(seen.sounds) == 150
        assert all(near(picture, colour) for _, picture in seen.pictures)
        assert 2.9 <= seen.duration <= 3.1
        order = [ident for ident, _ in elements(webm)]
        assert order.index(CUES) < order.index(CLUSTER)
        path = tmp_path / "out.webm"
        path.write_bytes(webm)
        assert _probe(path) == [("opus", 150), ("vp8", 90)]


def _probe(path: Path) -> list[tuple[str, int]]:
    shown = subprocess.run(
        ["ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=codec_name,nb_read_frames",
         "-of", "csv=p=0", str(path)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert shown.stderr == ""
    rows = [line.split(",") for line in shown.stdout.split()]
    return sorted((name, int(count)) for name, count in rows)


async def test_two_senders_with_other_clocks_and_delays_play_in_step(studio: Studio) -> None:
    capture = await studio.start()
    patient, clinician = capture.sink(studio.patient), capture.sink(studio.clinician)
    picture, sound = pictures(((BLACK, 45), (WHITE, 45))), tone(440, 150, silent=75)
    late = Sender(2**33, 12_345, clock_error=86_400.0, audio_delay=0.03, video_delay=0.25)
    slow = Sender(7, 2**34, clock_error=-300.0, audio_delay=0.12, video_delay=0.04)
    studio.play(
        (patient, leg(late, 1000.0, video=picture, audio=sound)),
        (clinician, leg(slow, 1000.0, video=picture, audio=sound)),
    )
    sealed = await studio.seal(await capture.stop("asked"))

    moments: list[float] = []
    for track in sealed.manifest.tracks:
        seen = watch(studio.webm(sealed, track.participant_id))
        moments += [track.start_ms / 1000 + seen.flash(), track.start_ms / 1000 + seen.onset()]
    assert len(moments) == 4
    assert max(moments) - min(moments) <= 0.080
    assert {clock.method for clock in sealed.manifest.clocks} == {"sender_reports"}


async def test_without_sender_reports_arrival_aligns(studio: Studio) -> None:
    capture = await studio.start()
    patient, clinician = capture.sink(studio.patient), capture.sink(studio.clinician)
    picture = pictures(((BLACK, 45), (WHITE, 45)))
    studio.play(
        (patient, leg(Sender(reports=False), 1000.0, video=picture)),
        (clinician, leg(Sender(5, 6, reports=False), 1000.5, video=picture)),
    )
    sealed = await studio.seal(await capture.stop("asked"))
    first, second = sealed.manifest.tracks
    assert abs(second.start_ms - first.start_ms - 500) <= 2
    assert {clock.method for clock in sealed.manifest.clocks} == {"arrival"}


async def test_sound_alone_is_a_recording(studio: Studio) -> None:
    capture = await studio.start()
    studio.play((capture.sink(studio.patient), leg(Sender(), 1000.0, audio=tone(440, 150))))
    sealed = await studio.seal(await capture.stop("asked"))
    (track,) = sealed.manifest.tracks
    assert (track.codecs, track.width, track.audio_frames) == (("opus",), 0, 150)
    assert len(watch(studio.webm(sealed, studio.patient)).sounds) == 150


async def test_video_that_comes_later_or_changes_size_stays_in_one_track(studio: Studio) -> None:
    capture = await studio.start()
    sink = capture.sink(studio.patient)
    studio.play((sink, leg(Sender(), 1000.0, audio=tone(440, 150))))
    small, large = pictures(((RED, 15),)), pictures(((GREEN, 15),), (320, 240))
    studio.play((sink, leg(Sender(), 1001.5, video=small)))
    studio.play((sink, leg(Sender(video_base=5_000_000 + 15 * 3000), 1002.0, video=large)))
    sealed = await studio.seal(await capture.stop("asked"))
    (track,) = sealed.manifest.tracks
    seen = watch(studio.webm(sealed, studio.patient))
    assert (track.width, track.height, len(seen.pictures)) == (320, 240, 30)
    assert near(seen.pictures[0][1], RED)
    assert near(seen.pictures[-1][1], GREEN)


async def test_the_manifest_is_authentic_and_the_capture_files_are_gone(studio: Studio) -> None:
    capture = await studio.start()
    studio.play((capture.sink(studio.patient), leg(Sender(), 1000.0, audio=tone(440, 50))))
    result = await capture.stop("asked")
    sealed = await studio.seal(result)
    row = sealed.manifest_row
    data = (studio.folder / row.name).read_bytes()
    plain = read_all(data, studio.keys.deks[row.file_id], recording_id=studio.recording, file_id=row.file_id)
    assert Manifest.parse(plain) == sealed.manifest
    assert not sealed.manifest.interrupted
    assert studio.ledger.kinds() == [FileKind.MANIFEST, FileKind.TRACK]
    assert sorted(studio.keys.deks) == sorted(studio.ledger.rows)
    assert sorted(studio.on_disk()) == sorted(row.name for row in studio.ledger.rows.values())
    assert all((studio.folder / name).stat().st_mode & 0o777 == 0o600 for name in studio.on_disk())


async def test_a_pause_is_a_gap_and_keeps_the_time(studio: Studio) -> None:
    capture = await studio.start()
    sink = capture.sink(studio.patient)
    events = leg(Sender(), 1000.0, video=pictures(((RED, 90),)), audio=tone(440, 150))
    studio.play((sink, [event for event in events if event.moment < 1001]))
    studio.clock.seconds = 1001.0
    capture.pause()
    studio.play((sink, [event for event in events if 1001 <= event.moment < 1001.5]))
    capture.resume()
    studio.play((sink, [event for event in events if event.moment >= 1001.5]))
    sealed = await studio.seal(await capture.stop("asked"))
    (gap,) = sealed.manifest.gaps
    assert gap.reason == "paused"
    assert 960 <= gap.from_ms <= 1000
    assert 1460 <= gap.to_ms <= 1520
    seen = watch(studio.webm(sealed, studio.patient))
    assert 2.9 <= seen.duration <= 3.1
    assert not [moment for moment, _ in seen.pictures if 1.05 < moment < 1.95]  # until the key frame at 2 s
    assert studio.asked.count(studio.patient) == 2


async def test_a_reload_goes_on_in_the_same_track(studio: Studio) -> None:
    capture = await studio.start()
    first = capture.sink(studio.patient)
    studio.play((first, leg(Sender(), 1000.0, video=pictures(((RED, 30),)), audio=tone(440, 50))))
    first.leg_closed("reload")
    second = capture.sink(studio.patient)
    other = Sender(50, 60, clock_error=4.0)
    studio.play((second, leg(other, 1006.0, video=pictures(((GREEN, 30),)), audio=tone(440, 50))))
    sealed = await studio.seal(await capture.stop("asked"))
    (track,) = sealed.manifest.tracks
    assert (track.audio_frames, track.video_frames, len(sealed.manifest.clocks)) == (100, 60, 2)
    assert [gap.reason for gap in sealed.manifest.gaps] == ["no_media"]
    seen = watch(studio.webm(sealed, studio.patient))
    assert near(seen.pictures[0][1], RED)
    assert near(seen.pictures[-1][1], GREEN)
    assert 6.9 <= seen.duration <= 7.1
