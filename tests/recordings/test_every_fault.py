"""The n-th act of disk, rows or keys fails, for every n: the call goes on, the fault is told, the prefix stays."""

import asyncio
import errno
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from nth_fault import FaultyFiles, FaultyKeys, FaultyLedger, NthFault, disk_fault
from recording_clips import Event, Sender, leg, tone, watch
from recording_studio import Studio

from recordings.capture import CaptureResult, Rhythm
from recordings.recover import AlreadySealed, recover
from recordings.seal import Sealed
from recordings.vault.disk import DiskVault
from recordings.vault.files import SystemFiles
from telehealth.errors import Refusal, Unavailable

BY_HAND = Rhythm(flush=3600, progress=0, least_free=0)  # its own round would take a chunk from under ours
CHUNKS, PACKETS = 4, 10  # durable one after the other; packets of sound in each


class DatabaseDown(Exception):
    """What a driver raises: none of our refusals."""


@dataclass
class Taken:
    """How it went: packets that were durable for each, packets sent, and what stop gave (None: never begun)."""

    durable: int = 0
    sent: int = 0
    result: CaptureResult | None = None


DISK: dict[str, Callable[[], NthFault]] = {
    "full-from-then-on": lambda: NthFault(1, disk_fault(errno.ENOSPC), lasts=True),
    "full-after-it-was-written": lambda: NthFault(1, disk_fault(errno.ENOSPC), after=True),
    "error": lambda: NthFault(1, disk_fault(errno.EIO)),
    "error-after-it-was-done": lambda: NthFault(1, disk_fault(errno.EIO), after=True),
    "error-from-then-on": lambda: NthFault(1, disk_fault(errno.EIO), after=True, lasts=True),
}
ROWS: dict[str, Callable[[], NthFault]] = {
    "database": lambda: NthFault(1, DatabaseDown),
    "database-after-commit": lambda: NthFault(1, DatabaseDown, after=True),
    "database-from-then-on": lambda: NthFault(1, DatabaseDown, lasts=True),
}
KEYS: dict[str, Callable[[], NthFault]] = {
    "keys": lambda: NthFault(1, Unavailable),
    "keys-after-it-was-done": lambda: NthFault(1, Unavailable, after=True),
    "keys-from-then-on": lambda: NthFault(1, Unavailable, lasts=True),
}


@pytest.mark.parametrize("kind", DISK)
async def test_any_fault_of_the_disk_in_capture_seal_or_recovery_leaves_the_prefix(tmp_path: Path, kind: str) -> None:
    await at_every_act(tmp_path, DISK[kind], lambda studio, fault: studio.use(FaultyFiles(fault)), 30)


@pytest.mark.parametrize("kind", ROWS)
async def test_any_fault_of_the_database_in_capture_seal_or_recovery_leaves_the_prefix(
    tmp_path: Path, kind: str
) -> None:
    def into(studio: Studio, fault: NthFault) -> None:
        studio.ledger = FaultyLedger()
        studio.ledger.fault = fault

    await at_every_act(tmp_path, ROWS[kind], into, 8)


@pytest.mark.parametrize("kind", KEYS)
async def test_any_fault_of_the_keys_in_capture_seal_or_recovery_leaves_the_prefix(tmp_path: Path, kind: str) -> None:
    def into(studio: Studio, fault: NthFault) -> None:
        studio.keys = FaultyKeys()
        studio.keys.fault = fault

    await at_every_act(tmp_path, KEYS[kind], into, 8)


async def at_every_act(
    tmp_path: Path, make: Callable[[], NthFault], into: Callable[[Studio, NthFault], None], least: int
) -> None:
    """One recording for each act that there is, until none is left to fail."""
    number, fired = 0, True
    while fired:
        number += 1
        fault = make()
        fault.at = number
        async with _studio(tmp_path / str(number)) as studio:
            into(studio, fault)
            taken = await recorded(studio, fault)
            fired = fault.fired
            await the_prefix_is_kept(studio, taken, fault)
    assert number > least, "hardly anything was tried"


@asynccontextmanager
async def _studio(folder: Path) -> AsyncIterator[Studio]:
    vault = DiskVault(folder)
    yield Studio(folder, vault)
    await vault.close()


async def recorded(studio: Studio, fault: NthFault) -> Taken:
    """Record, stop, seal, with whatever fails in between; frames may come at any time and are never refused."""
    taken = Taken()
    try:
        capture = await studio.start(BY_HAND)
    except (Refusal, DatabaseDown):
        return taken  # it says no before anything was shown as recorded
    sinks = capture.sink(studio.patient), capture.sink(studio.clinician)
    for chunk in range(CHUNKS):
        for sink in sinks:
            studio.play((sink, sound(chunk)))
        taken.sent += PACKETS
        await capture._flush_all()
        await capture._progress()
        if capture._broken is None:
            taken.durable = taken.sent
    for sink in sinks:
        sink.lost("audio", 1)
    taken.result = await capture.stop("asked")
    assert studio.faults or taken.result.broken is None
    assert len({code for _, code in studio.faults}) <= 1, "told once"
    try:
        await studio.seal(taken.result)
    except (Refusal, DatabaseDown):
        assert fault.fired
    return taken


async def the_prefix_is_kept(studio: Studio, taken: Taken, fault: NthFault) -> None:
    """Recovered on sound partners, it has all that was durable; nothing of it ever lay in clear."""
    fault.at = None
    studio.vault._files = SystemFiles()
    if not taken.sent:
        return
    in_clear(studio)
    order = studio.order(taken.result, interrupted=taken.result is None or taken.result.broken is not None)
    sealed = await recover(order, studio.ledger.kept(), studio.place)
    tracks = await sealed_tracks(studio, sealed)
    for heard in tracks.values():
        assert heard >= taken.durable
    if taken.durable:
        assert len(tracks) == 2
    if isinstance(sealed, Sealed) and min(tracks.values(), default=0) < taken.sent:
        assert sealed.manifest.interrupted, "something is missing and nobody says so"
    in_clear(studio)


async def sealed_tracks(studio: Studio, sealed: Sealed | AlreadySealed) -> dict[str, int]:
    """Packets of sound in each participant's sealed track."""
    if isinstance(sealed, Sealed):
        people = [track.participant_id for track in sealed.manifest.tracks]
        return {person: len(watch(studio.webm(sealed, person)).sounds) for person in people}
    found = {}
    for row in studio.ledger.rows.values():
        if row.kind == "track":
            found[row.participant_id or ""] = studio.ledger.finished[row.file_id].track.audio_frames  # type: ignore[union-attr]
    return found


def sound(chunk: int) -> list[Event]:
    """So many packets of one tone, going on where the last chunk ended."""
    packets = tone(440, CHUNKS * PACKETS)
    events = leg(Sender(reports=False), 1000.0, audio=packets)
    return events[chunk * PACKETS : (chunk + 1) * PACKETS]


def in_clear(studio: Studio) -> None:
    """No packet lies on the disk as it was sent."""
    packets = [packet[4:24] for packet in tone(440, CHUNKS * PACKETS) if len(packet) >= 24]
    assert packets
    assert not any(packet in data for data in studio.on_disk().values() for packet in packets)


async def test_the_search_for_sound_in_clear_can_find_some(tmp_path: Path) -> None:
    async with _studio(tmp_path / "one") as studio:
        await studio.vault.list()
        (studio.folder / "leak").write_bytes(b"x" + tone(440, CHUNKS * PACKETS)[7])
        with pytest.raises(AssertionError):
            in_clear(studio)


@pytest.mark.parametrize("kind", ["full-from-then-on", "error", "error-after-it-was-done"])
async def test_a_recovery_that_fails_anywhere_loses_nothing_and_is_done_again(tmp_path: Path, kind: str) -> None:
    number, fired = 0, True
    while fired:
        number += 1
        fault = DISK[kind]()
        fault.at = None
        async with _studio(tmp_path / str(number)) as studio:
            taken = await recorded_and_left(studio)
            fault.at = number
            studio.use(FaultyFiles(fault))
            try:
                await recover(studio.order(None, interrupted=True), studio.ledger.kept(), studio.place)
            except Refusal:
                assert fault.fired
            fired = fault.fired
            await the_prefix_is_kept(studio, taken, fault)
    assert number > 15, "hardly anything was tried"


async def recorded_and_left(studio: Studio) -> Taken:
    """Recorded, durable, and nobody ended it: what a kill leaves."""
    capture = await studio.start(BY_HAND)
    sinks = capture.sink(studio.patient), capture.sink(studio.clinician)
    for sink in sinks:
        studio.play((sink, sound(0)))
    await capture._flush_all()
    assert capture._pump is not None
    capture._pump.remove_done_callback(capture._pump_ended)
    capture._pump.cancel()
    await asyncio.wait({capture._pump})
    for leg_ in capture._legs:
        await leg_.close()
    return Taken(durable=PACKETS, sent=PACKETS)
