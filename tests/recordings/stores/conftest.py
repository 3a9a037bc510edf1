"""Partners, started once for all tests of this folder and only when asked for."""

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "service"))  # the house of recordings lives there

from shelves import Stocked, bucket_at, bucket_of, stocked
from shipping_clinic import Clinic

from tests.partners.ceph import Ceph
from tests.partners.moto import Moto

Partners = Callable[[str], Ceph | Moto]


@pytest.fixture(scope="session")
def partners(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Partners]:
    started: dict[str, Ceph | Moto] = {}

    def partner(name: str) -> Ceph | Moto:
        if name not in started:
            started[name] = {"ceph": Ceph, "moto": Moto}[name](tmp_path_factory.mktemp(name))
        return started[name]

    yield partner
    for one in started.values():
        one.stop()


@pytest.fixture(params=["disk", "ceph", "moto", "shipping"])
async def stock(request: pytest.FixtureRequest, tmp_path: Path, partners: Partners) -> AsyncIterator[Stocked]:
    async with stocked(request.param, tmp_path, partners) as found:
        yield found


@pytest.fixture
async def clinic(tmp_path: Path, partners: Partners) -> AsyncIterator[Clinic]:
    there = partners("moto")
    built = Clinic(tmp_path, there, bucket_at(there, await bucket_of(there)))
    await built.open()
    yield built
    await built.close()
