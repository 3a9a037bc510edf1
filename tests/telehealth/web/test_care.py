"""Teams and broken glasses over HTTP, and the clinic's bounds at the gate."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestServer

from telehealth.access import Caller
from telehealth.app import ROOT, rooms_of
from telehealth.audit.actions import Action
from telehealth.care.faults import GlassOver
from telehealth.config import Config
from telehealth.errors import Forbidden, NotFound
from telehealth.house import open_house
from telehealth.identity.hashing import Cost
from telehealth.ids import Kind, new_id
from telehealth.web.metrics import Metrics
from telehealth.web.server import RUNNER, make_app, site_of

from .conftest import Desk, config_in, refused
from .test_visits import booked

WHY = {"reason": "emergency", "words": "Her own doctor is not to be reached."}


class MovedClock:
    """The system's time, moved by hand."""

    def __init__(self) -> None:
        self.by = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.by

    def steady(self) -> float:
        return (self.now() - datetime(2020, 1, 1, tzinfo=UTC)).total_seconds()


@asynccontextmanager
async def clinic(config: Config, clock: MovedClock) -> AsyncIterator[Desk]:
    async with open_house(config, clock, Cost(1, 64, 1)) as house:
        server = TestServer(make_app(rooms_of(house, Metrics(), {}, None), site_of(house.config, ROOT)))
        await server.start_server(**RUNNER)
        try:
            yield Desk(house, server)
        finally:
            await server.close()


def with_access(folder: Path, **access: Any) -> Config:
    return Config.model_validate({**config_in(folder).model_dump(), "access": access})


async def acts(desk: Desk, *names: str) -> list[Any]:
    return [one for one in await desk.house.log.entries() if one.action in names]


async def test_a_colleague_on_the_team_sees_the_visit_until_taken_off(desk: Desk) -> None:
    ada, _ = await desk.enrolled("clinician", "ada")
    bob, bob_id = await desk.enrolled("clinician", "bob")
    async with ada, bob:
        visit = (await booked(ada))["visit"]["id"]
        where, team = f"/api/v1/visits/{visit}", f"/api/v1/visits/{visit}/team"
        await refused(await bob.get(where), 404, "not_found")
        await refused(await bob.put(f"{team}/{bob_id}"), 404, "not_found")
        assert (await (await bob.get("/api/v1/visits")).json())["items"] == []
        assert (await ada.put(f"{team}/{bob_id}")).status == 204
        assert (await ada.put(f"{team}/{bob_id}")).status == 204
        assert (await bob.get(where)).status == 200
        assert [one["id"] for one in (await (await bob.get("/api/v1/visits")).json())["items"]] == [visit]
        members = (await (await bob.get(team)).json())["items"]
        assert [(one["id"], one["name"]) for one in members] == [(bob_id, "Bob Example")]
        await refused(await bob.delete(f"{team}/{bob_id}"), 404, "not_found")  # the team does not change itself
        assert (await ada.delete(f"{team}/{bob_id}")).status == 204
        await refused(await bob.get(where), 404, "not_found")
        await refused(await ada.delete(f"{team}/{bob_id}"), 404, "not_found")
    entries = await acts(desk, "visit.team.add", "visit.team.remove")
    assert {(one.action, one.subject) for one in entries} == {("visit.team.add", bob_id), ("visit.team.remove", bob_id)}


async def test_only_another_active_clinician_or_admin_is_a_colleague(desk: Desk) -> None:
    ada, ada_id = await desk.enrolled("clinician", "ada")
    front, front_id = await desk.enrolled("front_desk", "front")
    async with ada, front:
        team = f"/api/v1/visits/{(await booked(ada))['visit']['id']}/team"
        for who in (ada_id, front_id, new_id(Kind.USER)):
            await refused(await ada.put(f"{team}/{who}"), 400, "not_a_colleague")
        await refused(await front.put(f"{team}/{ada_id}"), 403, "forbidden")


async def test_a_clinician_breaks_the_glass_and_the_log_the_alarm_and_the_patient_hear_of_it(
    desk: Desk, logs: StringIO
) -> None:
    ada, _ = await desk.enrolled("clinician", "ada")
    bob, bob_id = await desk.enrolled("clinician", "bob")
    async with ada, bob:
        visit = (await booked(ada))["visit"]["id"]
        await ada.delete("/api/v1/session")  # nobody else is signed in who could answer
        given = await (await bob.post("/api/v1/glasses", json={"visit": visit, **WHY})).json()
        assert (given["state"], given["by"], given["words"]) == ("open", bob_id, WHY["words"])
        assert (await bob.get(f"/api/v1/visits/{visit}")).status == 200
        again = await (await bob.post("/api/v1/glasses", json={"visit": visit, **WHY})).json()
        assert again["id"] == given["id"]
        await refused(await bob.patch(f"/api/v1/visits/{visit}", json={"minutes": 10}), 404, "not_found")
        assert (await bob.delete(f"/api/v1/glasses/{given['id']}")).status == 204
        await refused(await bob.get(f"/api/v1/visits/{visit}"), 404, "not_found")
        await refused(await bob.delete(f"/api/v1/glasses/{given['id']}"), 409, "glass_over")
    intent, done, closed = await acts(desk, "break_glass.open", "break_glass.close")
    assert (intent.outcome, done.outcome, closed.action) == ("intent", "done", "break_glass.close")
    assert (intent.visit, intent.purpose, intent.subject) == (visit, "emergency", given["id"])
    assert intent.patient is not None
    assert intent.patient == closed.patient
    assert (await desk.house.log.open_private(intent) or {})["reason"] == WHY["words"]
    looks = [one for one in await acts(desk, "visit.read") if one.visit == visit]
    assert looks[-1].detail["break_glass"] is True
    assert "alarm.break_glass" in logs.getvalue()
    assert WHY["words"] not in logs.getvalue()


async def test_a_second_person_who_is_there_approves_or_denies(desk: Desk) -> None:
    ada, ada_id = await desk.enrolled("clinician", "ada")
    bob, _ = await desk.enrolled("clinician", "bob")
    async with ada, bob:
        visit = (await booked(ada))["visit"]["id"]
        given = await (await bob.post("/api/v1/glasses", json={"visit": visit, **WHY})).json()
        assert given["state"] == "waiting"
        await refused(await bob.get(f"/api/v1/visits/{visit}"), 404, "not_found")
        where = f"/api/v1/glasses/{given['id']}"
        await refused(await bob.post(f"{where}/approve"), 403, "forbidden")
        seen = (await (await ada.get("/api/v1/glasses")).json())["items"]
        assert [(one["id"], one["by_name"]) for one in seen] == [(given["id"], "Bob Example")]
        approved = await (await ada.post(f"{where}/approve")).json()
        assert (approved["state"], approved["decided_by"]) == ("open", ada_id)
        assert (await bob.get(f"/api/v1/visits/{visit}")).status == 200
        await refused(await ada.post(f"{where}/deny"), 409, "glass_over")
        await bob.delete(where)
        other = await (await bob.post("/api/v1/glasses", json={"visit": visit, **WHY})).json()
        denied = await (await ada.post(f"/api/v1/glasses/{other['id']}/deny")).json()
        assert denied["state"] == "denied"
        await refused(await bob.get(f"/api/v1/visits/{visit}"), 404, "not_found")
    names = [one.action for one in await acts(desk, "break_glass.approve", "break_glass.deny") if one.outcome == "done"]
    assert names == ["break_glass.approve", "break_glass.deny"]


async def test_only_clinicians_break_the_glass_and_only_where_it_is_needed(desk: Desk) -> None:
    ada, _ = await desk.enrolled("clinician", "ada")
    boss, _ = await desk.enrolled("admin", "boss")
    front, _ = await desk.enrolled("front_desk", "front")
    async with ada, boss, front:
        visit = (await booked(ada))["visit"]["id"]
        for client in (boss, front):
            await refused(await client.post("/api/v1/glasses", json={"visit": visit, **WHY}), 403, "forbidden")
        await refused(await ada.post("/api/v1/glasses", json={"visit": visit, **WHY}), 409, "glass_not_needed")
        unknown = {"visit": new_id(Kind.VISIT), **WHY}
        await refused(await ada.post("/api/v1/glasses", json=unknown), 404, "not_found")
        short = {"visit": visit, "reason": "emergency", "words": "help"}
        await refused(await ada.post("/api/v1/glasses", json=short), 400, "malformed")
        await refused(await ada.post("/api/v1/glasses", json=WHY), 400, "malformed")


async def test_a_broken_glass_opens_by_itself_when_nobody_answers_and_closes_in_time(tmp_path: Path) -> None:
    clock = MovedClock()
    async with clinic(config_in(tmp_path), clock) as desk:
        ada, _ = await desk.enrolled("clinician", "ada")
        bob, bob_id = await desk.enrolled("clinician", "bob")
        async with ada, bob:
            visit = (await booked(ada))["visit"]["id"]
        glasses, booking = desk.house.care.glasses, desk.house.booking
        who = Caller("user", bob_id, "clinician")
        glass = await glasses.break_(who, visit=visit, reason="emergency", words=WHY["words"])
        assert glass.state == "waiting"
        clock.by += timedelta(seconds=119)
        with pytest.raises(NotFound):
            await booking.show(who, visit)
        clock.by += timedelta(seconds=2)
        assert (await booking.show(who, visit)).id == visit
        clock.by += timedelta(minutes=44, seconds=50)
        assert (await booking.show(who, visit)).id == visit
        clock.by += timedelta(seconds=30)
        with pytest.raises(NotFound):  # whether or not anybody has closed it
            await booking.show(who, visit)
        assert await glasses.expire() == 1
        assert await glasses.expire() == 0
        closed = (await acts(desk, "break_glass.close"))[-1]
        assert (closed.actor_kind, closed.detail["why"], closed.detail["by"]) == ("system", "over", bob_id)
        with pytest.raises(GlassOver):
            await glasses.close(who, glass.id)


async def test_nobody_answers_their_own_and_the_entry_comes_first(tmp_path: Path) -> None:
    async with clinic(config_in(tmp_path), MovedClock()) as desk:
        ada, _ = await desk.enrolled("clinician", "ada")
        bob, bob_id = await desk.enrolled("clinician", "bob")
        async with ada, bob:
            visit = (await booked(ada))["visit"]["id"]
        who = Caller("user", bob_id, "clinician")
        glass = await desk.house.care.glasses.break_(who, visit=visit, reason="other", words=WHY["words"])
        for act in (desk.house.care.glasses.approve, desk.house.care.glasses.deny):
            with pytest.raises(Forbidden):
                await act(who, glass.id)
        assert Action.BREAK_GLASS_OPEN.opens
        assert not Action.BREAK_GLASS_CLOSE.opens


async def test_business_hours_and_networks_bind_staff_and_the_auditor_reads_the_rule(tmp_path: Path) -> None:
    config = await asyncio.to_thread(
        with_access, tmp_path, networks=["10.0.0.0/8"], roles={"clinician": {"outside": "purpose"}}
    )
    async with clinic(config, MovedClock()) as desk:
        ada, _ = await desk.enrolled("clinician", "ada")
        boss, _ = await desk.enrolled("admin", "boss")
        async with ada, boss:
            assert (await boss.get("/api/v1/session")).status == 200  # whoever is refused may still sign out
            await refused(await boss.get("/api/v1/users"), 403, "forbidden")
            await refused(await ada.get("/api/v1/visits"), 403, "purpose_needed")
            stated = {"Purpose-Of-Use": "treatment"}
            assert (await ada.get("/api/v1/visits", headers=stated)).status == 200
            odd = await ada.get("/api/v1/visits", headers={"Purpose-Of-Use": "curiosity"})
            await refused(odd, 400, "malformed")
            assert (await boss.delete("/api/v1/session")).status == 204
        refusals = [one.detail for one in await acts(desk, "access.refused")]
        assert {(one["rule"], one["reason"]) for one in refusals} == {("network", "outside_network")}
        assert {one["action"] for one in refusals} == {"users.manage", "visits.list"}


async def test_what_only_alerts_lets_pass_and_is_entered(tmp_path: Path) -> None:
    config = await asyncio.to_thread(with_access, tmp_path, networks=["10.0.0.0/8"], outside="alert")
    async with clinic(config, MovedClock()) as desk:
        ada, _ = await desk.enrolled("clinician", "ada")
        async with ada:
            assert (await ada.get("/api/v1/visits")).status == 200
        unusual = await acts(desk, "access.unusual")
        assert unusual[0].detail["outside_network"] is True


async def test_a_browser_is_known_by_set_up_and_not_by_a_password_alone(tmp_path: Path) -> None:
    config = await asyncio.to_thread(with_access, tmp_path, unknown_device="refuse")
    async with clinic(config, MovedClock()) as desk:
        ada, _ = await desk.enrolled("clinician", "ada")
        async with ada:
            assert (await ada.get("/api/v1/visits")).status == 200


async def test_a_colleagues_recording_and_none_at_all_are_refused_in_the_same_bytes(desk: Desk) -> None:
    """And the auditor can tell them apart."""
    ada, _ = await desk.enrolled("clinician", "ada")
    bob, _ = await desk.enrolled("clinician", "bob")
    async with ada, bob:
        visit = (await booked(ada))["visit"]["id"]
        there = await bob.get(f"/api/v1/visits/{visit}")
        nowhere = await bob.get(f"/api/v1/visits/{new_id(Kind.VISIT)}")
        assert (there.status, await there.read()) == (nowhere.status, await nowhere.read())
        volatile = {"Date"}
        assert {k: v for k, v in there.headers.items() if k not in volatile} == {
            k: v for k, v in nowhere.headers.items() if k not in volatile
        }
    refusals = await acts(desk, "access.refused")
    assert [(one.visit, one.detail["rule"], one.detail["reason"]) for one in refusals] == [
        (visit, "circle", "outside_circle")
    ]
    assert refusals[0].patient is not None


async def test_an_auditor_reads_the_matrix_and_a_clinician_does_not(desk: Desk) -> None:
    auditor, _ = await desk.enrolled("auditor", "aud")
    ada, _ = await desk.enrolled("clinician", "ada")
    async with auditor, ada:
        rows = (await (await auditor.get("/api/v1/access/matrix")).json())["items"]
        assert {"action": "recordings.play", "own": ["clinician"]}.items() <= next(
            row for row in rows if row["action"] == "recordings.play"
        ).items()
        await refused(await ada.get("/api/v1/access/matrix"), 403, "forbidden")
