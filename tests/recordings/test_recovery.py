"""A killed recording comes back: whatever the kill left on the disk is sealed, says so, and can be killed again."""

import shutil

import pytest
from recording_clips import RED, Sender, leg, pictures, tone, watch
from recording_partners import MemoryKeys, MemoryLedger
from recording_studio import Studio

from recordings.partners import FileKind, FinishedFile
from recordings.recover import AlreadySealed, recover
from recordings.refusals import CaptureMissing
from recordings.seal import Sealed
from recordings.vault.disk import DiskVault
from telehealth.errors import Unavailable
from telehealth.keys.provider import KeyDestroyed


class Killed(BaseException):
    """The process ends here."""


async def crashed(studio: Studio, octets_lost: int = 0) -> Studio:
    """What another process finds of a capture that nobody stopped: a copy of the disk, the keys and the rows."""
    capture = await studio.start()
    sink = capture.sink(studio.patient)
    events = leg(Sender(), 1000.0, video=pictures(((RED, 60),)), audio=tone(440, 100))
    for start in range(0, len(events), 30):
        studio.play((sink, events[start : start + 30]))
        await studio.until(stored=1)
        studio.stored.clear()
        studio.changed.clear()
        capture._stored.clear()
    folder = studio.folder.with_name("after")
    shutil.copytree(studio.folder, folder)
    left = Studio(folder, DiskVault(folder), recording=studio.recording, visit=studio.visit)
    left.patient, left.clinician = studio.patient, studio.clinician
    left.keys = MemoryKeys()
    left.keys.deks = dict(studio.keys.deks)
    left.ledger = MemoryLedger(rows=dict(studio.ledger.rows), progress=dict(studio.ledger.progress))
    await capture.stop("asked")
    if octets_lost:
        (path,) = folder.iterdir()
        path.write_bytes(path.read_bytes()[:-octets_lost])
    return left


async def test_an_abandoned_capture_plays_and_says_interrupted(studio: Studio) -> None:
    left = await crashed(studio)
    sealed = await recover(left.order(None, interrupted=True), left.ledger.kept(), left.place)
    assert isinstance(sealed, Sealed)
    assert sealed.manifest.interrupted
    assert sealed.manifest.reason == "process_ended"
    seen = watch(left.webm(sealed, left.patient))
    assert (len(seen.pictures), len(seen.sounds)) == (60, 100)
    (source,) = [source for source in sealed.manifest.sources if source.segments]
    assert not source.complete
    assert source.segments >= (source.acknowledged or 0)
    assert left.ledger.kinds() == [FileKind.MANIFEST, FileKind.TRACK]
    assert sorted(left.on_disk()) == sorted(row.name for row in left.ledger.rows.values())
    await left.vault.close()


async def test_a_torn_tail_is_left_out_and_counted(studio: Studio) -> None:
    left = await crashed(studio, octets_lost=25)
    sealed = await recover(left.order(None, interrupted=True), left.ledger.kept(), left.place)
    assert isinstance(sealed, Sealed)
    (source,) = [source for source in sealed.manifest.sources if source.segments]
    assert source.discarded_octets > 0
    seen = watch(left.webm(sealed, left.patient))
    assert 30 <= len(seen.pictures) <= 60
    await left.vault.close()


async def test_a_file_shorter_than_what_was_acknowledged_is_never_called_whole(studio: Studio) -> None:
    left = await crashed(studio)
    (path,) = left.folder.iterdir()
    left.ledger.progress = {path.name.removesuffix(".capture"): (10_000, 10_000_000)}
    sealed = await recover(left.order(None, interrupted=False), left.ledger.kept(), left.place)
    assert isinstance(sealed, Sealed)
    assert sealed.manifest.interrupted
    await left.vault.close()


async def test_a_header_torn_by_a_power_cut_leaves_an_empty_recording(studio: Studio) -> None:
    left = await crashed(studio)
    (path,) = left.folder.iterdir()
    path.write_bytes(bytes(500))
    left.ledger.progress.clear()  # nothing is acknowledged before the header is durable
    sealed = await recover(left.order(None, interrupted=True), left.ledger.kept(), left.place)
    assert isinstance(sealed, Sealed)
    assert sealed.manifest.tracks == ()
    assert max(source.discarded_octets for source in sealed.manifest.sources) == 500
    await left.vault.close()


@pytest.mark.parametrize("at", ["track row", "track sealed", "manifest row", "manifest sealed", "destroying"])
async def test_recovery_can_be_killed_and_run_again(studio: Studio, at: str) -> None:
    left = await crashed(studio)
    await _kill_at(left, at)
    with pytest.raises(Killed):
        await recover(left.order(None, interrupted=True), left.ledger.kept(), left.place)
    _mend(left)
    again = await recover(left.order(None, interrupted=True), left.ledger.kept(), left.place)
    assert isinstance(again, AlreadySealed) == (at == "destroying")
    if isinstance(again, Sealed):
        assert len(watch(left.webm(again, left.patient)).pictures) == 60
    assert left.ledger.kinds() == [FileKind.MANIFEST, FileKind.TRACK]
    assert sorted(left.on_disk()) == sorted(row.name for row in left.ledger.rows.values())
    assert set(left.keys.deks) >= set(left.ledger.rows)
    assert len(left.keys.deks) == 2 + at.endswith("row")  # a key without a row opens nothing; reconciling finds it
    assert isinstance(await recover(left.order(None), left.ledger.kept(), left.place), AlreadySealed)
    await left.vault.close()


async def _kill_at(left: Studio, at: str) -> None:
    what, _, when = at.partition(" ")

    def added(row: object) -> None:
        if when == "row" and getattr(row, "kind", None) == what:
            raise Killed

    def sealed(file: FinishedFile) -> None:
        if when == "sealed" and (file.track is not None) == (what == "track"):
            raise Killed

    async def destroy(_ids: object) -> object:
        if left.ledger.finished and what == "destroying":
            raise Killed
        return None

    left.ledger.when_added = added
    left.ledger.when_sealed = sealed
    left.keys.destroy = destroy  # type: ignore[method-assign]


def _mend(left: Studio) -> None:
    left.ledger.when_added = lambda _row: None
    left.ledger.when_sealed = lambda _file: None
    del left.keys.destroy  # type: ignore[method-assign]


async def test_a_capture_whose_key_is_denied_stays_for_later(studio: Studio) -> None:
    left = await crashed(studio)
    left.keys.denied = True
    before = left.on_disk()
    with pytest.raises(Unavailable):
        await recover(left.order(None, interrupted=True), left.ledger.kept(), left.place)
    assert left.on_disk() == before
    left.keys.denied = False
    assert isinstance(await recover(left.order(None, interrupted=True), left.ledger.kept(), left.place), Sealed)
    await left.vault.close()


async def test_a_folder_of_recordings_that_is_away_costs_no_key(studio: Studio) -> None:
    left = await crashed(studio)
    (path,) = left.folder.iterdir()
    left.ledger.progress[path.stem] = (1, 100)
    keys, away = dict(left.keys.deks), path.with_name("..") / "away"
    path.rename(away)
    for _ in range(2):
        with pytest.raises(CaptureMissing):
            await recover(left.order(None, interrupted=True), left.ledger.kept(), left.place)
    assert left.keys.deks == keys
    away.rename(path)
    sealed = await recover(left.order(None, interrupted=True), left.ledger.kept(), left.place)
    assert isinstance(sealed, Sealed)
    assert len(watch(left.webm(sealed, left.patient)).pictures) == 60
    await left.vault.close()


@pytest.mark.parametrize("octet", [72, 140], ids=["header", "first segment"])
async def test_a_capture_that_was_acknowledged_and_does_not_open_costs_no_key(studio: Studio, octet: int) -> None:
    left = await crashed(studio)
    (path,) = left.folder.iterdir()
    left.ledger.progress[path.stem] = (2, 2000)
    keys, sound = dict(left.keys.deks), path.read_bytes()
    path.write_bytes(sound[:octet] + bytes([sound[octet] ^ 1]) + sound[octet + 1 :])
    with pytest.raises(CaptureMissing):
        await recover(left.order(None, interrupted=True), left.ledger.kept(), left.place)
    assert left.keys.deks == keys
    assert list(left.on_disk()) == [path.name]
    path.write_bytes(sound)
    assert isinstance(await recover(left.order(None, interrupted=True), left.ledger.kept(), left.place), Sealed)
    await left.vault.close()


@pytest.mark.parametrize("act", ["vault.delete", "ledger.gone"])
async def test_whoever_never_sent_a_frame_does_not_keep_the_other_from_being_sealed(studio: Studio, act: str) -> None:
    capture = await studio.start()
    studio.play((capture.sink(studio.patient), leg(Sender(), 1000.0, audio=tone(440, 100))))
    await studio.until(stored=1)
    partner = getattr(studio, act.partition(".")[0])

    async def away(_name: str) -> None:
        raise RuntimeError

    setattr(partner, act.partition(".")[2], away)
    capture.discard_after(studio.clock.steady())
    result = await capture.stop("withdrawn")
    delattr(partner, act.partition(".")[2])
    assert result.cut == studio.clock.steady(), "what failed afterwards takes nothing of the withdrawal away"
    assert len(studio.ledger.rows) == 2
    sealed = await recover(studio.order(result), studio.ledger.kept(), studio.place)
    assert isinstance(sealed, Sealed)
    assert [track.participant_id for track in sealed.manifest.tracks] == [studio.patient]
    assert sealed.manifest.tracks[0].audio_frames == 100
    assert studio.ledger.kinds() == [FileKind.MANIFEST, FileKind.TRACK]


async def test_a_recording_that_was_being_abandoned_is_sealed_empty(studio: Studio) -> None:
    capture = await studio.start()
    left = studio.ledger.kept()
    await studio.keys.destroy(list(studio.ledger.rows))  # killed before the rows went
    sealed = await recover(studio.order(None, interrupted=True), left, studio.place)
    assert isinstance(sealed, Sealed)
    assert (sealed.manifest.tracks, studio.ledger.kinds()) == ((), [FileKind.MANIFEST])
    await capture.stop("asked")


@pytest.mark.parametrize("acknowledged", [False, True])
async def test_a_capture_that_lost_its_key_is_no_empty_one(studio: Studio, acknowledged: bool) -> None:
    left = await crashed(studio)
    (path,) = left.folder.iterdir()
    if acknowledged:
        left.ledger.progress[path.stem] = (1, 100)
        path.unlink()
    del left.keys.deks[path.stem]
    with pytest.raises(KeyDestroyed):
        await recover(left.order(None, interrupted=True), left.ledger.kept(), left.place)
    assert FileKind.MANIFEST not in left.ledger.kinds()
    await left.vault.close()
