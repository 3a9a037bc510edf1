"""A worker is killed while a visit is recorded: the visit's legs are asked for again, and the recording goes on."""

from pathlib import Path

from tests.faults.lost_worker import killed_while_recording


async def test_a_recorded_visit_is_back_and_its_recording_has_all_from_before_and_after(tmp_path: Path) -> None:
    lost = await killed_while_recording(tmp_path, 2)  # how soon: benchmarks/media_workers.py
    assert len(lost) == 2
