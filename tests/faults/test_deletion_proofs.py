"""What deletion promises, tried in short; `make crash` tries it in full."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
import structlog

from benchmarks.deletion_copies import Tried, copies
from benchmarks.deletion_kills import kills
from benchmarks.deletion_mixed import mixed
from benchmarks.deletion_races import races
from benchmarks.pipe import ROOT
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


def apart(kind: str, count: int) -> Tried:
    """In a process of its own: a library of tokens serves one folder of them for as long as a process lives."""
    told = f"print(json.dumps(dataclasses.asdict(copies({kind!r}, {count}))))"
    code = f"import dataclasses, json\nfrom benchmarks.deletion_copies import copies\n{told}"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == 0
    return Tried(**json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("kind", ["file", "vault", "pkcs11"])
def test_copies_of_everything_but_the_provider_bring_no_destroyed_recording_back(kind: str) -> None:
    told = apart(kind, 3) if kind == "pkcs11" else copies(kind, 3, on_postgres=kind == "file")
    assert told.before == 3  # the attack works
    assert told.halves > 0
    assert (told.from_copies, told.living_lost, told.certificates_silent) == (0, 0, 0)
    assert told.with_provider == told.destroyed  # what the certificates wait for
    assert told.with_provider_since == 0


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
