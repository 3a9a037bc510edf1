"""What deletion promises, tried in short; `make crash` tries it in full."""

import logging
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
import structlog

from benchmarks.deletion_copies import copies
from benchmarks.deletion_kills import kills
from benchmarks.deletion_mixed import mixed
from benchmarks.deletion_races import races
from telehealth.log import configure

SEED = 7


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Children that are shot, and sweeps that are refused, are no news here."""
    before = logging.root.handlers[:]
    configure(StringIO(), "CRITICAL")
    yield
    logging.root.handlers[:] = before
    structlog.reset_defaults()


@pytest.mark.parametrize(("kind", "on_postgres"), [("file", True), ("vault", False), ("pkcs11", False)])
@pytest.mark.xdist_group("copies")
def test_copies_of_everything_but_the_provider_bring_no_destroyed_recording_back(kind: str, on_postgres: bool) -> None:
    told = copies(kind, 3, on_postgres=on_postgres)
    assert told.before == 3  # the attack works
    assert told.halves > 0
    assert (told.from_copies, told.living_lost, told.certificates_silent) == (0, 0, 0)
    assert told.with_provider == told.destroyed  # what the certificates wait for


def test_killed_in_the_destroy_path_certificate_and_entry_go_with_the_destruction(tmp_path: Path) -> None:
    told = kills(tmp_path / "clinic", 6, SEED)
    assert told.kills > 0
    assert not told.faults


def test_what_nobody_asked_to_destroy_plays_after_any_mix_and_any_kill(tmp_path: Path) -> None:
    told = mixed(tmp_path / "clinic", 20, SEED)
    assert told.kills > 0
    assert not told.faults


async def test_no_hold_loses_against_a_destruction_that_comes_at_once(tmp_path: Path) -> None:
    broken, won = await races(tmp_path / "clinic", 12, SEED)
    assert broken == 0
    assert won["hold"]
