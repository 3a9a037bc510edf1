"""The configuration chooses store and database, and a house stands on them."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from shelves import bucket_at, bucket_of, keys_of

from recordings.vault.disk import DiskVault
from recordings.vault.shipping import ShippingVault
from telehealth.clock import SystemClock
from telehealth.config import Config, ConfigRefused, load
from telehealth.house import open_house
from telehealth.identity.hashing import Cost
from telehealth.web.metrics import Metrics
from tests.partners.ceph import Ceph
from tests.partners.moto import Moto
from tests.partners.postgres import Postgres

CHEAP = Cost(passes=1, memory_kib=32, lanes=1)


def config_of(folder: Path, **sections: object) -> Config:
    places = {name: folder / name for name in ("keys", "audit", "recordings")}
    values = {"database": f"sqlite:///{folder}/db/t.db", **places, "root_key": folder / "root" / "root.key"}
    return Config.model_validate({"places": values, **sections})


async def test_by_default_recordings_stay_on_the_disk(tmp_path: Path) -> None:
    async with open_house(config_of(tmp_path), SystemClock(), CHEAP) as house:
        assert isinstance(house.storing.vault, DiskVault)
        assert house.storing.uploader is None
        metrics = Metrics()
        house.storing.measure(metrics)
        assert b"telehealth_reconcile_discord -1.0" in metrics.text()
        assert not (await house.storing.compare()).discord.counts
        assert b"telehealth_reconcile_discord 0.0" in metrics.text()


async def test_a_house_stands_on_s3_and_postgresql(tmp_path: Path, partners: Callable[[str], Ceph | Moto]) -> None:
    ceph = partners("ceph")
    bucket = bucket_at(ceph, await bucket_of(ceph))
    access, secret = tmp_path / "access", tmp_path / "secret"
    for file, key in zip((access, secret), keys_of(ceph), strict=True):
        await asyncio.to_thread(file.write_text, f"{key}\n")
    store = {
        "kind": "s3",
        "bucket": bucket.name,
        "endpoint": ceph.url,
        "prefix": bucket.prefix,
        "access_key_file": access,
        "secret_key_file": secret,
    }
    server = await asyncio.to_thread(Postgres)
    try:
        url = await asyncio.to_thread(server.database)
        config = config_of(tmp_path, store=store)
        config = config.model_copy(update={"places": config.places.model_copy(update={"database": url})})
        async with open_house(config, SystemClock(), CHEAP) as house:
            assert house.base.store.backend == "postgresql"
            assert isinstance(house.storing.vault, ShippingVault)
            assert house.storing.uploader is not None
            assert await house.storing.uploader.round()
            assert not (await house.storing.compare()).discord.counts
            assert all([await check() for check in house.checks().values()])
            metrics = Metrics()
            house.storing.measure(metrics)
            assert b"telehealth_store_waiting 0.0" in metrics.text()
    finally:
        await asyncio.to_thread(server.stop)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"KIND": "s3"}, "store.bucket"),
        ({"KIND": "tape"}, "store.kind"),
        ({"ENDPOINT": "http://s3.example.org"}, "store.endpoint"),
        ({"ACCESS_KEY_FILE": "/a"}, "store.secret_key_file"),
        ({"PREFIX": "no-slash"}, "store.prefix"),
    ],
)
def test_a_store_that_cannot_work_is_refused_at_the_start(changes: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigRefused) as refused:
        load(None, {f"TELEHEALTH_STORE__{name}": value for name, value in changes.items()})
    assert named in str(refused.value)
