"""Disk and database of the whole server fail while a call is recorded: the call goes on, the clinician is told.

`make crash` tries a seeded choice of all there are, `python -m benchmarks.faults` with N=0 every n.
"""

import asyncio
import errno
import os
from pathlib import Path

import pytest

from benchmarks.faults import try_faults
from tests.faults.clinic import Clinic
from tests.faults.disk import Fault, Sort, WatchedServer
from tests.faults.trials import SENT, Stand, Trial, in_clear

SEED = int(os.environ.get("SEED", "") or 7)
SETTINGS = {"SESSIONS__STEP_UP_MINUTES": "720", "SESSIONS__IDLE_MINUTES": "720"}
DISK = Sort.CREATES | Sort.WRITES | Sort.SYNCS | Sort.RENAMES | Sort.UNLINKS | Sort.FOLDER_SYNCS
FULL = Fault(DISK, 3, errno.ENOSPC, lasts=True, under="/recordings/")
SOME = (
    (FULL, "recording"),
    (Fault(Sort.SYNCS, 2, errno.EIO, after=True, under="/recordings/"), "recording"),
    (Fault(DISK, 19, errno.ENOSPC, lasts=True, under="/telehealth.db"), "starting"),
    (Fault(Sort.DATABASE, 9, errno.EIO, after=True), "starting"),
    (Fault(DISK, 6, errno.EIO, under="/keys/"), "starting"),
    (Fault(Sort.RENAMES, 1, errno.EIO, after=True, under="/recordings/"), "sealing"),
    (Fault(Sort.DATABASE, 5, errno.ENOSPC, lasts=True), "sealing"),
    (Fault(DISK, 4, errno.EIO, lasts=True, under="/audit/"), "sealing"),
)


def test_a_failing_disk_or_database_leaves_the_call_alone_and_is_told(tmp_path: Path) -> None:
    trials = tried(tmp_path, "tests.faults.failing_build", *SOME)
    assert not [f"{trial}: {fault}" for trial in trials for fault in trial.said]
    assert all(trial.fired for trial in trials)
    assert trials[0].told is not None


@pytest.mark.slow
def test_every_fault_at_every_change_leaves_the_call_alone(tmp_path: Path) -> None:
    _, broken, _ = try_faults(tmp_path, 0, SEED, servers=3)
    assert not broken, "\n".join(broken)


def test_a_build_that_tells_nobody_fails_the_same_checks(tmp_path: Path) -> None:
    (trial,) = tried(tmp_path, "tests.faults.silent_build", (FULL, "recording"))
    assert trial.fired
    assert trial.said


@pytest.mark.parametrize("sent", [SENT[0], SENT[-1]], ids=["picture", "sound"])
def test_the_search_for_what_lies_in_clear_can_find_some(tmp_path: Path, sent: bytes) -> None:
    (tmp_path / "recordings").mkdir()
    (tmp_path / "recordings" / "kept").write_bytes(b"x" * 100)
    assert in_clear(tmp_path) == []
    (tmp_path / "recordings" / "leak").write_bytes(b"x" * 100 + sent + b"x")
    assert in_clear(tmp_path) == ["leak"]


def tried(folder: Path, main: str, *faults: tuple[Fault, str]) -> list[Trial]:
    async def run(server: WatchedServer) -> list[Trial]:
        stand = Stand(server, await asyncio.to_thread(Clinic, server))
        return [await stand.trial(fault, mode) for fault, mode in faults]

    with WatchedServer(folder / "house", SETTINGS, main=main) as server:
        return asyncio.run(run(server))
