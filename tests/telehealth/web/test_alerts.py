"""Alerts and reviews over HTTP: seen by those who look after the clinic, signed by those who prove who they are."""

from datetime import timedelta

from aiohttp import ClientSession

from telehealth.audit.actions import Action
from telehealth.audit.entry import Actor, Entry, Outcome
from telehealth.store.tables import sessions

from .conftest import Desk, refused


async def trouble(desk: Desk) -> None:
    actor = Actor("user", "usr_" + "a" * 26, "clinician", address="192.0.2.7")
    await desk.house.log.enter(Entry(Action.BREAK_GLASS_ADMIT, Outcome.DONE, actor, visit="vis_a", subject="par_a"))
    await desk.house.alerting.room.look()


async def people(desk: Desk) -> tuple[ClientSession, ClientSession]:
    admin, _ = await desk.enrolled("admin", "ada")
    clinician, _ = await desk.enrolled("clinician", "cleo")
    return admin, clinician


async def test_an_alert_is_seen_and_acknowledged_once(desk: Desk) -> None:
    admin, clinician = await people(desk)
    await trouble(desk)
    async with admin, clinician:
        counts = await (await admin.get("/api/v1/alerts/count")).json()
        assert counts["critical"] == 1
        page = await (await admin.get("/api/v1/alerts")).json()
        glass = next(one for one in page["items"] if one["rule"] == "break_glass")
        assert glass["about"] == {"address": "192.0.2.7"}
        path = f"/api/v1/alerts/{glass['id']}/acknowledge"
        await refused(await admin.post(path, json={"note": " "}), 400, "malformed")
        await refused(await clinician.post(path, json={"note": "mine"}), 403, "forbidden")
        await refused(await clinician.get("/api/v1/alerts"), 403, "forbidden")
        done = await admin.post(path, json={"note": "the log was down"})
        assert (await done.json())["acknowledged_by"] == "Ada Example"
        await refused(await admin.post(path, json={"note": "again"}), 409, "wrong_state")
        past = await (await admin.get("/api/v1/alerts?state=past")).json()
        assert [one["note"] for one in past["items"]] == ["the log was down"]
        await refused(await admin.get(f"/api/v1/alerts?after=alr_{'a' * 26}"), 404, "not_found")


async def test_rules_are_shown_and_tried(desk: Desk) -> None:
    admin, _ = await desk.enrolled("auditor", "otto")
    await trouble(desk)
    async with admin:
        rules = (await (await admin.get("/api/v1/alerts/rules")).json())["items"]
        assert {"break_glass", "new_country", "token_rate"} <= {rule["name"] for rule in rules}
        tried = await (await admin.post("/api/v1/alerts/rules/try", json={"days": 1, "rule": "break_glass"})).json()
        assert [(one["rule"], one["times"]) for one in tried["fired"]] == [("break_glass", 1)]
        await refused(await admin.post("/api/v1/alerts/rules/try", json={"days": 1000}), 400, "malformed")


async def test_signing_a_week_wants_both_factors_again(desk: Desk) -> None:
    admin, _ = await desk.enrolled("admin", "ada")
    async with admin:
        week = await (await admin.get("/api/v1/reviews/week")).json()
        body = {"week": week["week"], "sha256": week["sha256"]}
        await refused(
            await admin.post("/api/v1/reviews/sign", json={**body, "sha256": "0" * 64}), 409, "review_changed"
        )
        async with desk.house.base.store.begin() as c:
            await c.execute(sessions.update().values(mfa_at=desk.house.clock.now() - timedelta(days=1)))
        await refused(await admin.post("/api/v1/reviews/sign", json=body), 403, "step_up_needed")
        async with desk.house.base.store.begin() as c:
            await c.execute(sessions.update().values(mfa_at=desk.house.clock.now()))
        assert (await admin.post("/api/v1/reviews/sign", json=body)).status == 200
        lines = (await (await admin.get("/api/v1/reviews")).json())["items"]
        assert [(line["week"], line["signed"]["by_name"]) for line in lines] == [(week["week"], "Ada Example")]


async def test_a_case_is_judged_by_somebody_else(desk: Desk) -> None:
    admin, me = await desk.enrolled("admin", "ada")
    auditor, _ = await desk.enrolled("auditor", "otto")
    entry = Entry(Action.BREAK_GLASS_ADMIT, Outcome.DONE, Actor("user", me, "admin"), visit="vis_a", subject="par_a")
    index = await desk.house.log.enter(entry)
    await desk.house.alerting.room.look()
    async with admin, auditor:
        body = {"case": index, "verdict": "justified", "note": "the log was down"}
        await refused(await admin.post("/api/v1/reviews/case", json=body), 403, "own_case")
        assert (await auditor.post("/api/v1/reviews/case", json=body)).status == 204
        await refused(await auditor.post("/api/v1/reviews/case", json=body), 409, "wrong_state")
