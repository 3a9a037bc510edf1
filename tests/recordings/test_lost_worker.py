"""A recorded room whose worker is killed: it is back, and the recording goes on and plays."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from recording_clips import GREEN, RED, Sender, leg, pictures, tone, watch
from recording_studio import QUICK, Studio

from recordings.vault.disk import DiskVault
from signaling.workers import MediaPool
from signaling.workers.tuning import Tuning
from telehealth.clock import SystemClock
from tests.signaling.workers.worker_room import Speaker, talk

HOST = "127.0.0.1"


@pytest.fixture
async def pool() -> AsyncIterator[MediaPool]:
    opened = await MediaPool.open(
        HOST, 0, workers=1, public_addresses=[HOST], clock=SystemClock(), tuning=Tuning(first_pause=0.01, patience=30.0)
    )
    yield opened
    await opened.close()


@pytest.fixture
def lines() -> Iterator[ExitStack]:
    """Closes what browsers held."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[Studio]:
    """A studio at the time of the clock on the wall."""
    vault = DiskVault(tmp_path / "vault")
    yield Studio(tmp_path / "vault", vault, clock=SystemClock())
    await vault.close()


async def test_a_killed_workers_room_is_back_and_its_recording_plays_from_before_and_after(
    pool: MediaPool, live: Studio, lines: ExitStack
) -> None:
    film = {live.patient: pictures(((RED, 1),)), live.clinician: pictures(((GREEN, 1),))}
    speakers = [Speaker(name, video, tone(440, 100)) for name, video in film.items()]
    for speaker in speakers:
        lines.callback(speaker.hang_up)
    capture = await live.start(QUICK)
    for speaker in speakers:
        await speaker.come(pool, capture.sink(speaker.name))
    await talk(*speakers, twentieths=20)
    await live.until(stored=2)

    os.kill(pool.pids()[0], signal.SIGKILL)
    async with asyncio.timeout(60):
        assert [await speaker.leg.wait_closed() for speaker in speakers] == ["worker_lost"] * 2
        for speaker in speakers:
            await speaker.come(pool, capture.sink(speaker.name))
        await talk(*speakers, twentieths=20)
        for speaker in speakers:
            await speaker.hears()

    sealed = await live.seal(await capture.stop("asked"))
    assert live.faults == []
    for speaker in speakers:
        seen = watch(live.webm(sealed, speaker.name))
        bright = film[speaker.name] is film[live.clinician]
        assert len(seen.pictures) > 20  # more than either half shot: frames under way go with the worker
        assert all(abs(colour[0] - (145 if bright else 81)) <= 8 for _, colour in seen.pictures)
        assert len(seen.sounds) > 40


async def test_a_recorder_that_hears_of_frames_left_out_on_their_way_says_so_and_notes_the_gap(studio: Studio) -> None:
    capture = await studio.start()
    sink = capture.sink(studio.patient)
    film = leg(Sender(), 1000.0, video=pictures(((RED, 90),)), audio=tone(440, 150))
    for number, event in enumerate(film):
        if number == len(film) // 3:
            sink.fell_behind(event.moment)
        event.deliver(sink)
    await studio.until(stored=1, faults=1)
    sealed = await studio.seal(await capture.stop("asked"))
    assert studio.faults == [(studio.patient, "recorder_too_slow")]
    assert [gap.reason for gap in sealed.manifest.gaps] == ["recorder_too_slow"]
    assert watch(studio.webm(sealed, studio.patient)).sounds


async def test_who_is_paused_or_over_misses_nothing(studio: Studio) -> None:
    capture = await studio.start()
    paused, over = capture.sink(studio.patient), capture.sink(studio.clinician)
    capture.pause()
    over.leg_closed("left")
    paused.fell_behind(1.0)
    over.fell_behind(1.0)
    await capture.stop("asked")
    assert studio.faults == []
