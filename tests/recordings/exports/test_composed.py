"""What comes out: pictures and sounds where and when they belong, cards where there is none."""

import pytest
from exported import DOCTOR_TONE, PATIENT_TONE, PLAIN, Taped, looked_at, near, plain
from recording_clips import BLACK, GREEN, RED
from recordings_house import House

from recordings.export.outlet import available


@pytest.fixture
async def house(tmp_path):  # type: ignore[no-untyped-def]
    built = House(tmp_path)
    object.__setattr__(built.settings, "export", PLAIN)
    await built.open()
    yield built
    await built.close()


@pytest.mark.parametrize("wanted", ["webm", "mp4"])
async def test_both_people_stand_side_by_side_in_step_with_a_card_in_the_gap(taped: Taped, wanted: str) -> None:
    assert available(wanted)
    made = await taped.export(plain(format=wanted))
    assert (made.state, made.failure) == ("ready", None)
    seen = looked_at(await taped.octets(made))
    assert abs(seen.seconds - 5) < 0.3
    assert seen.width > seen.height
    both, _ = seen.at(1.5)
    assert near(both[0], RED)
    assert near(both[1], GREEN)
    alone, _ = seen.at(0.5)
    assert near(alone[0], RED)
    assert near(alone[1], BLACK)
    gap, bright = seen.at(2.6)
    assert near(gap[0], BLACK)
    assert near(gap[1], BLACK)
    assert bright > 100, "the card says why"
    left, _ = seen.at(4.6)
    assert near(left[0], BLACK)
    assert near(left[1], GREEN)
    assert seen.loudness(PATIENT_TONE, 0.5) > 0.1 > seen.loudness(DOCTOR_TONE, 0.5) * 5
    assert seen.loudness(PATIENT_TONE, 1.5) > 0.1
    assert seen.loudness(DOCTOR_TONE, 1.5) > 0.1
    assert max(seen.loudness(PATIENT_TONE, 2.5), seen.loudness(DOCTOR_TONE, 2.5)) < 0.02
    assert seen.loudness(DOCTOR_TONE, 4.5) > 0.1 > seen.loudness(PATIENT_TONE, 4.5) * 5
