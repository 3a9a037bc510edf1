"""A furnished installation for each test."""

from pathlib import Path

import pytest

from tests.backup.furnished import Furnished


@pytest.fixture
def clinic(tmp_path: Path) -> Furnished:
    return Furnished(tmp_path)
