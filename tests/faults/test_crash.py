"""The real server is killed at seeded moments while media flows: what was promised to its users is kept.

`python -m benchmarks.crash` is the same in full. Seed and point of whatever breaks stand in the failure.
"""

import os
from pathlib import Path
from typing import cast

import pytest

from benchmarks.crash import LOST_AT_MOST, RECOVERED_WITHIN, crash, plan
from benchmarks.crash_checks import Checks, Tally
from benchmarks.crash_points import POINTS
from tests.faults.clinic import Clinic

SEED = int(os.environ.get("SEED", "") or 7)
TEN = {"start", "mid", "flush", "part", "pause", "stop", "sealing", "recovery", "rewrap", "delete"}


async def test_a_killed_server_keeps_what_it_showed_as_recorded_and_what_it_deleted_stays_deleted(
    tmp_path: Path,
) -> None:
    kills = plan(len(TEN), SEED)
    assert {point for point, _ in kills} == TEN
    all_is_kept(await crash(tmp_path, kills, SEED), len(kills))


@pytest.mark.slow
async def test_a_kill_at_every_point_breaks_no_promise(tmp_path: Path) -> None:
    all_is_kept(await crash(tmp_path, plan(len(POINTS), SEED), SEED), len(POINTS))


def test_a_plan_has_every_point_in_each_round_and_is_the_same_for_the_same_seed() -> None:
    rounds = plan(2 * len(POINTS), SEED)
    assert set(rounds) == {(point, turn) for point in POINTS for turn in (0, 1)}
    assert plan(2 * len(POINTS), SEED) == rounds
    assert plan(10, SEED, "delete/4") == [("delete", 4)]


def test_a_sealed_file_that_became_another_one_is_seen(tmp_path: Path) -> None:
    tally, sealed = Tally(), tmp_path / "fil_a.sealed"
    checks = Checks(cast("Clinic", None), tally)  # asks it nothing
    for content in (b"one", b"one", b"two"):
        sealed.write_bytes(content)
        checks.unchanged(tmp_path)
    assert (tally.sealed_changed, checks.said) == (1, ["fil_a.sealed is another one"])


def all_is_kept(tally: Tally, kills: int) -> None:
    assert not tally.faults, "\n".join(tally.faults)
    assert len(tally.recovery) == kills
    assert max(tally.recovery) <= RECOVERED_WITHIN
    assert len(tally.sealed) > kills
    assert tally.lost
    assert max(tally.lost) <= LOST_AT_MOST
