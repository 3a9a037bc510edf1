"""The disk of recordings is not mounted at a start: nothing is sealed empty, nobody is recorded, the rest works."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from benchmarks.crash_checks import Checks, Tally
from benchmarks.crash_house import CrashHouse, happens
from benchmarks.crash_media import Filming
from tests.faults.clinic import Clinic
from tests.faults.wire import RawCall, raw_call


async def test_a_capture_whose_disk_is_away_at_the_start_is_left_alone_until_it_is_back(tmp_path: Path) -> None:
    with CrashHouse(tmp_path / "house") as house:
        clinic = await asyncio.to_thread(Clinic, house)
        async with raw_call(clinic) as call, AsyncExitStack() as stack:
            film = Filming(call)
            stack.push_async_callback(film.stop)
            await film.record()
            await asyncio.sleep(0.8)
            killed = await asyncio.to_thread(house.kill)
        house.vault.rename(tmp_path / "unmounted")
        house.vault.mkdir(mode=0o700)
        await asyncio.to_thread(house.start)
        recording = (await asyncio.to_thread(clinic.recordings))[0]
        assert recording["state"] == "interrupted"
        assert (await asyncio.to_thread(clinic.admin.ask, "GET", "/readyz")).json == {"failing": ["vault"]}
        assert {"alarm.vault_away", "seal.refused"} <= {line["event"] for line in house.loud(0)}
        doctor = await asyncio.to_thread(house.command, "doctor", check=False)
        found: Any = doctor["findings"]
        assert "vault" in [one["what"] for one in found if one["state"] == "wrong"]
        async with raw_call(clinic) as call:
            await nobody_is_recorded_and_the_call_goes_on(call)
        assert house.names() == frozenset()
        house.vault.rmdir()
        (tmp_path / "unmounted").rename(house.vault)
        assert await happens(lambda: clinic.recordings()[0]["state"] == "sealed", 15), "tried again by itself"
        assert (await asyncio.to_thread(clinic.admin.ask, "GET", "/readyz")).status == 200
        await asyncio.to_thread(all_is_there, clinic, film, killed)


async def nobody_is_recorded_and_the_call_goes_on(call: RawCall) -> None:
    await call.doctor.does("recording.ask", {"purpose": "treatment_record"})
    for wire in (call.doctor, call.patient):
        await wire.agrees()
    await call.doctor.sees(lambda view: bool(view["recording"]["reason"] == "vault_away"))
    assert call.doctor.view["recording"]["state"] == "none"
    assert (await call.patient.send("ping"))["ok"]


def all_is_there(clinic: Clinic, film: Filming, killed: float) -> None:
    recording = clinic.recordings()[0]
    assert recording["interrupted"] is True
    found = Checks(clinic, Tally()).play(recording["id"])
    assert set(found) == {"clinician", "patient"}
    assert all(film.lost(role, track, killed) <= 1.0 for role, track in found.items())
