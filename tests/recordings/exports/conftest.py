"""A house with a recording of two people: red at 440 Hz, and later, after a pause, green at 880 Hz."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "service"))

from exported import Taped
from recordings_house import House


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    built = House(tmp_path)
    await built.open()
    yield built
    await built.close()


@pytest.fixture
async def taped(house: House) -> Taped:
    return await Taped.of(house)
