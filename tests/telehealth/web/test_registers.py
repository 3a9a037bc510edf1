"""Registers and privacy over HTTP and on the command line; incidents opened from alerts."""

import csv
import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from telehealth.access import command_line
from telehealth.audit.actions import Action
from telehealth.audit.entry import Actor, Entry, Outcome
from telehealth.commands.run import in_house
from telehealth.store.tables import sessions
from telehealth.visits.orders import NewPatient, NewVisit

from .conftest import Desk, refused

PATH = "/api/v1/registers"


def today(desk: Desk, days: int = 0) -> str:
    return (desk.house.clock.now().date() + timedelta(days=days)).isoformat()


async def clinician_of(desk: Desk) -> str:
    """The id of one who has signed out again."""
    client, user = await desk.enrolled("clinician", "c")
    await client.close()
    return user


async def command(desk: Desk, *words: str) -> Any:
    return await in_house(desk.house, list(words))


async def test_a_register_is_kept_over_http(desk: Desk) -> None:
    admin, _ = await desk.enrolled("admin", "ada")
    auditor, _ = await desk.enrolled("auditor", "otto")
    clinician, _ = await desk.enrolled("clinician", "cleo")
    form = {"name": "Host", "service": "hosting", "agreed_on": today(desk), "review_on": today(desk, 10)}
    async with admin, auditor, clinician:
        made = await admin.post(f"{PATH}/associates", json=form)
        assert made.status == 201, await made.text()
        item = await made.json()
        assert (item["state"], item["due_on"], item["revision"]) == ("active", today(desk, 10), 0)
        assert item["deadlines"] == [{"what": "review", "by": today(desk, 10), "met_on": None}]
        assert item["changed_by_name"] == "Ada Example"
        put = f"{PATH}/associates/{item['id']}"
        body = {"revision": 0, "item": {**form, "review_on": today(desk, 400)}}
        assert (await (await admin.put(put, json=body)).json())["due_on"] == today(desk, 400)
        await refused(await admin.put(put, json=body), 409, "register_changed")
        await refused(await auditor.put(put, json=body), 403, "forbidden")
        await refused(await clinician.get(f"{PATH}/associates"), 403, "forbidden")
        await refused(await admin.put(f"{PATH}/findings/{item['id']}", json=body), 400, "malformed")
        await refused(
            await admin.post(f"{PATH}/associates", json={**form, "agreed_on": today(desk, 2)}), 400, "malformed"
        )
        listed = await (await auditor.get(f"{PATH}/associates")).json()
        assert [one["item"]["review_on"] for one in listed["items"]] == [today(desk, 400)]


async def test_a_register_leaves_as_json_and_csv(desk: Desk) -> None:
    admin, _ = await desk.enrolled("admin", "ada")
    async with admin:
        form = {"title": "=1+1", "severity": "low", "found_on": today(desk), "owner": "IT", "due_on": today(desk, 9)}
        assert (await admin.post(f"{PATH}/findings", json=form)).status == 201
        answer = await admin.get(f"{PATH}/findings/export?format=csv")
        assert answer.headers["Content-Disposition"] == 'attachment; filename="findings.csv"'
        (row,) = csv.DictReader(io.StringIO(await answer.text()))
        assert (row["title"], row["severity"], row["state"]) == ("'=1+1", "low", "open")
        (item,) = json.loads(await (await admin.get(f"{PATH}/findings/export")).text())
        assert item["title"] == "=1+1"
        await refused(await admin.get(f"{PATH}/findings/export?format=xml"), 400, "malformed")
    entered = [one for one in await desk.house.log.entries(limit=200) if one.action == Action.REGISTER_EXPORT]
    assert [one.detail["format"] for one in entered] == ["csv", "json"]


async def test_a_reminder_rings_as_an_alert(desk: Desk) -> None:
    added = await command(
        desk, "register", "add", "incidents", "--set", "title=Lost phone", "--set", f"discovered_on={today(desk, -50)}"
    )
    assert added.exit == 0, added.data
    assert added.data["due"] == today(desk, 10)
    assert await desk.house.stewardship.registers.remind() == 1
    await desk.house.alerting.room.look()
    found = await desk.house.alerting.room.find(command_line(), True)
    assert [(one.rule, one.severity, one.subject) for one in found.items] == [
        ("incident_due", "critical", added.data["id"])
    ]


async def test_an_alert_becomes_one_incident_with_its_clock_running(desk: Desk, tmp_path: Path) -> None:
    house = desk.house
    user = await clinician_of(desk)
    visit, _ = await house.booking.create(command_line(), NewVisit(NewPatient("Zora Canary", "z@example.org"), user))
    actor = Actor("user", user, "clinician", address="192.0.2.7")
    entry = Entry(Action.BREAK_GLASS_ADMIT, Outcome.DONE, actor, visit=visit.id, subject="par_a")
    await house.log.enter(entry)
    await house.alerting.room.look()
    (alert,) = (await house.alerting.room.find(command_line(), True)).items
    for _ in range(2):
        said = await command(desk, "alerts", "incident", alert.id, "--to", str(tmp_path / "reports"))
        assert said.exit == 0, said.data
    report = json.loads((tmp_path / "reports" / f"{alert.id}.json").read_text())
    shown = await command(desk, "register", "show", "incidents", report["register"])
    assert (shown.data["alert"], shown.data["people"], shown.data["state"]) == (alert.id, 1, "open")
    assert shown.data["due"] == today(desk, 60)
    assert "Zora" not in json.dumps(shown.data)
    listed = await command(desk, "register", "list", "incidents")
    assert len(listed.data["items"]) == 1


async def test_an_incident_is_carried_to_its_end_on_the_command_line(desk: Desk) -> None:
    added = await command(
        desk, "register", "add", "incidents", "--set", "title=Lost phone", "--set", f"discovered_on={today(desk)}"
    )
    change = ("register", "change", "incidents", added.data["id"])
    closing = ("--set", "assessment=breach", "--set", "people=2", "--set", f"closed_on={today(desk)}")
    assert (await command(desk, *change, *closing)).data["error"] == "notices_owed"
    notices = ("--notice", f"individuals:{today(desk)}:letter", "--notice", f"secretary:{today(desk)}:form")
    assert (await command(desk, *change, *closing, *notices)).data["state"] == "closed"
    assert (await command(desk, *change, "--set", "severity=high")).data["error"] == "usage"
    assert (await command(desk, *change, "--set", "nonsense")).data["error"] == "usage"
    assert (await command(desk, "register", "show", "incidents", "reg_x")).data["error"] == "not_found"
    said = await command(desk, "register", "export", "incidents")
    assert "Lost phone" in said.lines[1]


async def test_a_deidentified_export_wants_both_factors_and_a_purpose(desk: Desk) -> None:
    admin, _ = await desk.enrolled("admin", "ada")
    auditor, _ = await desk.enrolled("auditor", "otto")
    await desk.house.booking.create(command_line(), NewVisit(NewPatient("Zora Canary"), await clinician_of(desk)))
    async with admin, auditor:
        body = {"what": "visits", "purpose": "research"}
        path = "/api/v1/privacy/exports"
        await refused(await auditor.post(path, json=body), 403, "forbidden")
        await refused(await admin.post(path, json={"what": "visits"}), 400, "malformed")
        made = await (await admin.post(path, json=body)).json()
        assert made["standard"] == "45 CFR 164.514(b)(2)"
        assert [one["state"] for one in made["visits"]] == ["booked"]
        assert "Zora" not in json.dumps(made)
        due = await (await admin.get("/api/v1/privacy/due")).json()
        assert due == {"identity_days": 365, "items": []}
        async with desk.house.base.store.begin() as c:
            await c.execute(sessions.update().values(mfa_at=desk.house.clock.now() - timedelta(days=1)))
        await refused(await admin.post(path, json=body), 403, "step_up_needed")
    said = await command(desk, "privacy", "export", "--deidentified", "statistics", "--purpose", "quality")
    assert said.data["years"][0]["visits"] is None
    assert "visits" not in said.data
    assert (await command(desk, "privacy", "due")).lines[0] == "Nobody is due."


async def test_a_purged_visit_still_stands_in_lists(desk: Desk) -> None:
    admin, _ = await desk.enrolled("admin", "ada")
    visit, _ = await desk.house.booking.create(
        command_line(), NewVisit(NewPatient("Zora Canary", "z@example.org"), await clinician_of(desk))
    )
    purge = desk.house.stewardship.purge
    later = desk.house.clock.now() + timedelta(days=366)
    purge._clock = type("Later", (), {"now": lambda _self: later})()  # type: ignore[assignment]
    assert (await purge.sweep()).purged == 1
    async with admin:
        shown = await (await admin.get(f"/api/v1/visits/{visit.id}")).json()
        assert shown["patient"]["name"] == ""
        assert (await admin.get("/api/v1/visits?state=booked")).status == 200
        assert (await admin.get(f"/api/v1/audit/visits/{visit.id}/story")).status == 200
