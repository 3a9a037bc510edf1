"""A killed installation comes back on an empty folder: what lives plays, what was deleted does not."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backup.drill import Drill, KeptClinic, filmed, killed, plays, recorded
from tests.partners.openbao import OpenBao
from tests.partners.postgres import Postgres

LOST = 2  # captures of the one recording that was under way: a vault destroyed their keys when it was sealed later


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def openbao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    bao = OpenBao(tmp_path_factory.mktemp("openbao"))
    yield bao
    bao.stop()


def held_by(bao: OpenBao, prefix: str) -> dict[str, str]:
    return {
        "KEYS__PROVIDER": "vault",
        "KEYS__VAULT_URL": bao.url,
        "KEYS__VAULT_TOKEN_FILE": str(bao.token_file),
        "KEYS__PREFIX": prefix,
    }


async def test_on_sqlite_with_keys_in_files(tmp_path: Path) -> None:
    await drill(Drill(tmp_path), None)


@pytest.mark.slow
async def test_on_postgresql_with_keys_in_a_vault(tmp_path: Path, postgres: Postgres, openbao: OpenBao) -> None:
    settings = {"PLACES__DATABASE": await asyncio.to_thread(postgres.database), **held_by(openbao, "both-")}
    await drill(Drill(tmp_path, settings), postgres)


@pytest.mark.slow
async def test_on_postgresql_with_keys_in_files(tmp_path: Path, postgres: Postgres) -> None:
    await drill(Drill(tmp_path, {"PLACES__DATABASE": await asyncio.to_thread(postgres.database)}), postgres)


@pytest.mark.slow
async def test_on_sqlite_with_keys_in_a_vault(tmp_path: Path, openbao: OpenBao) -> None:
    await drill(Drill(tmp_path, held_by(openbao, "sqlite-")), None)


async def drill(story: Drill, postgres: Postgres | None) -> None:
    """Two backups while people are recorded, one deletion between, a kill, a restore of each."""
    story.house.folder.mkdir()
    await asyncio.to_thread(story.house.start)
    clinic = await asyncio.to_thread(KeptClinic, story.house)
    deleted, living = await recorded(clinic), await recorded(clinic)
    async with filmed(clinic) as film:
        first = await asyncio.to_thread(story.back_up)
        await film.call.doctor.does("recording.stop")
    await asyncio.to_thread(delete, clinic, deleted)
    async with filmed(clinic):
        second = await asyncio.to_thread(story.back_up)
        running = [one["id"] for one in clinic.recordings() if one["state"] == "capturing"]
        await asyncio.to_thread(killed, story.house)
    sealed = [one for one in await asyncio.to_thread(back, story, postgres, clinic) if one not in running]
    assert len(running) == 1
    assert living in sealed
    assert deleted not in sealed
    certificate = clinic.admin.ask("GET", f"/api/v1/recordings/{deleted}/certificate")
    assert certificate.status == 200
    assert second["fresh"] < second["objects"] or second["objects"] == second["fresh"] == 0
    await asyncio.to_thread(story.back_up)  # sealing what was under way renewed the buckets: older keys lack them
    await asyncio.to_thread(killed, story.house)
    older = await asyncio.to_thread(back, story, postgres, clinic, "--set", str(first["set"]))
    assert living in older
    assert deleted not in older  # the newest keys know what was destroyed since
    await asyncio.to_thread(story.house.stop)


def back(story: Drill, postgres: Postgres | None, clinic: KeptClinic, *words: str) -> list[str]:
    """Everything removed, restored, started; the recordings that play. All that are sealed do."""
    story.lose_everything(postgres.database() if postgres else None)
    told = story.restore(*words)
    lost = LOST if words and "KEYS__PROVIDER" in story.settings else 0
    discord = told["not_in_accord"]
    assert discord.get("rows_without_share", 0) == lost
    assert set(discord) <= ({"rows_without_share", "shares_without_row"} if lost else set())  # newer keys, older rows
    assert told["sessions_ended"] >= 1
    story.house.start()
    assert clinic.sign_in_again() == 401
    settled(clinic, 1 if lost else 0)
    assert story.run("audit", "verify")[0] == 0
    entries = story.run("audit", "tail", "-n", "200")[1]["items"]
    restores = [entry for entry in entries if entry["action"] == "restore"]
    assert restores[-1]["detail"]["set"] == told["set_id"]
    found = [one["id"] for one in clinic.recordings() if one["state"] == "sealed"]
    for recording in found:
        assert plays(clinic, recording)
    assert story.run("backup", "verify", "--identity", str(story.identity))[0] == 0
    return found


def settled(clinic: KeptClinic, left: int) -> None:
    """Nothing more is being recovered, but for what cannot be."""
    deadline = time.monotonic() + 15
    while sum(one["state"] in ("capturing", "interrupted", "sealing") for one in clinic.recordings()) > left:
        assert time.monotonic() < deadline, clinic.recordings()
        time.sleep(0.02)


def delete(clinic: KeptClinic, recording: str) -> None:
    clinic.admin.do("DELETE", f"/api/v1/recordings/{recording}", {"reason": "patient_request"})
