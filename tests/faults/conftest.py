"""One server for all tests without browsers, held to a log in which nothing broke."""

from collections.abc import Iterator

import pytest

from tests.faults.clinic import Clinic
from tests.faults.server import Server

LOUD = ("error", "critical")
MANY_SOCKETS = {"LIMITS__CONNECT": "5,500"}  # one clinician opens those of every test here, within seconds


@pytest.fixture(scope="session")
def standing_clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    with Server(tmp_path_factory.mktemp("house"), MANY_SOCKETS) as house:
        yield Clinic(house)


@pytest.fixture
def clinic(standing_clinic: Clinic) -> Iterator[Clinic]:
    """A running clinic; afterwards its log holds no traceback, no exception, no error of ours, and it still lives."""
    house = standing_clinic.house
    assert isinstance(house, Server)
    before = len(house.logged())
    yield standing_clinic
    loud = [line for line in house.logged()[before:] if line["level"] in LOUD or "exception_type" in line]
    assert not loud, loud
    assert standing_clinic.admin.ask("GET", "/healthz").status == 200
