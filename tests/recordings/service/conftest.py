"""A house for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from recordings_house import House


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    built = House(tmp_path)
    await built.open()
    yield built
    await built.close()
