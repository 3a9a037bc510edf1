"""One real server for all attacks of a module, and everybody who asks it."""

from collections.abc import Iterator

import pytest

from tests.attack.cast import Clinic, clinic_of
from tests.stories.house import House


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    with House(tmp_path_factory.mktemp("attack")) as house:
        yield clinic_of(house)
