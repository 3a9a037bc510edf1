"""One clinic for all tests of a file; everybody goes home after each."""

from collections.abc import Iterator

import pytest

from tests.browser.clinic import Clinic, clinic


@pytest.fixture(scope="module")
def open_clinic(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    settings = getattr(request.module, "SETTINGS", None)
    with clinic(tmp_path_factory.mktemp("clinic"), settings() if callable(settings) else settings) as opened:
        yield opened


@pytest.fixture
def at(open_clinic: Clinic) -> Iterator[Clinic]:
    """The clinic, empty of people."""
    yield open_clinic
    open_clinic.go_home()
