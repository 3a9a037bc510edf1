"""Redis by hand, and clocks that move when told."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.partners.redis import Redis


class HandClock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def steady(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    partner = Redis(tmp_path_factory.mktemp("redis"))
    try:
        yield partner
    finally:
        partner.stop()
