"""Booking over HTTP, and a patient's way in."""

from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import ClientSession

from telehealth.clock import rfc3339

from .conftest import Desk, refused

NAME = "Zora Canary"


async def booked(client: ClientSession, **more: Any) -> dict[str, Any]:
    body = {"patient": {"name": NAME, "birth_date": "1980-02-29"}, **more}
    answer = await client.post("/api/v1/visits", json=body)
    assert answer.status == 201, await answer.text()
    made: dict[str, Any] = await answer.json()
    return made


async def test_a_visit_is_booked_shown_listed_edited_and_cancelled(desk: Desk) -> None:
    client, user = await desk.enrolled("clinician", "ada")
    async with client:
        made = await booked(client, recording_planned=True, minutes=45)
        visit, link = made["visit"], made["link"]
        assert visit["patient"] == {"name": NAME, "contact": None, "birth_date": "1980-02-29", "record": None}
        assert visit["clinician"] == {"id": user, "name": "Ada Example"}
        assert link["channel"] == "passcode"
        assert len(link["passcode"]) >= 8
        assert link["url"].startswith("http://127.0.0.1:8080/join#")
        where = f"/api/v1/visits/{visit['id']}"
        again = await (await client.get(where)).json()
        assert again["links"][0]["state"] == "live"
        assert "passcode" not in again["links"][0]
        later = rfc3339(datetime.now(UTC) + timedelta(days=2))
        moved = await (await client.patch(where, json={"scheduled_at": later, "minutes": 20})).json()
        assert (moved["scheduled_at"], moved["minutes"]) == (later, 20)
        assert moved["links"][0]["state"] == "early"
        listed = await (await client.get("/api/v1/visits", params={"day": later[:10]})).json()
        assert [item["id"] for item in listed["items"]] == [visit["id"]]
        gone = await (await client.patch(where, json={"state": "cancelled"})).json()
        assert gone["state"] == "cancelled"
        await refused(await client.post(f"{where}/links", json={}), 409, "wrong_state")
        await refused(await client.post(f"{where}/end"), 409, "wrong_state")


async def test_lists_page_by_cursor(desk: Desk) -> None:
    client, _ = await desk.enrolled("clinician", "ada")
    async with client:
        made = {(await booked(client))["visit"]["id"] for _ in range(5)}
        found: list[str] = []
        after: str | None = None
        for _ in range(3):
            query = {"limit": "2", **({"after": after} if after else {})}
            page = await (await client.get("/api/v1/visits", params=query)).json()
            found += [item["id"] for item in page["items"]]
            after = page["next"]
        assert after is None
        assert len(found) == 5
        assert set(found) == made
        await refused(await client.get("/api/v1/visits?after=nonsense"), 400, "malformed")


async def test_another_clinicians_visit_does_not_exist(desk: Desk) -> None:
    ada, _ = await desk.enrolled("clinician", "ada")
    bob, _ = await desk.enrolled("clinician", "bob")
    async with ada, bob:
        visit = (await booked(ada))["visit"]["id"]
        link = (await (await ada.get(f"/api/v1/visits/{visit}")).json())["links"][0]["id"]
        for method, path, body in (
            ("GET", "", None),
            ("PATCH", "", {"minutes": 10}),
            ("POST", "/end", None),
            ("POST", "/links", {}),
            ("DELETE", f"/links/{link}", None),
            ("POST", f"/links/{link}/code", None),
        ):
            answer = await bob.request(method, f"/api/v1/visits/{visit}{path}", json=body)
            await refused(answer, 404, "not_found")
        assert (await (await bob.get("/api/v1/visits")).json())["items"] == []


async def test_a_patient_comes_in_by_link_passcode_and_details(desk: Desk) -> None:
    ada, _ = await desk.enrolled("clinician", "ada")
    async with ada, desk.client() as patient:
        made = await booked(ada)
        token, passcode = made["link"]["url"].partition("#")[2], made["link"]["passcode"]
        await refused(await patient.get("/api/v1/join"), 401, "unauthenticated")
        opened = await patient.post("/api/v1/join", json={"token": token})
        step = await opened.json()
        assert (step["step"], step["channel"]) == ("code", "passcode")
        assert NAME not in await opened.text()
        await refused(await patient.post("/api/v1/join/code"), 409, "code_not_minted_here")
        details = {"location": "At home", "callback": "+1 555 0100"}
        await refused(await patient.post("/api/v1/join/details", json=details), 401, "unauthenticated")
        wrong = await refused(await patient.post("/api/v1/join/verify", json={"code": "wrong-code"}), 403, "code_wrong")
        assert wrong["tries_left"] == 4
        before = opened.cookies["visit"].value
        right = await patient.post("/api/v1/join/verify", json={"code": passcode})
        joined = await right.json()
        assert right.status == 200, joined
        assert joined["visit"] == made["visit"]["id"]
        assert joined["participant"].startswith("par_")
        assert right.cookies["visit"].value != before
        assert (await (await patient.get("/api/v1/join")).json())["step"] == "device"
        assert (await patient.post("/api/v1/join/details", json=details)).status == 204
        assert (await (await patient.get("/api/v1/join")).json())["details_given"] is True
        again = await patient.post("/api/v1/join", json={"token": token})
        assert "visit" not in again.cookies
        assert ((await again.json())["step"], (await again.json())["details_given"]) == ("device", True)
        other = (await booked(ada))["link"]["url"].partition("#")[2]
        async with desk.client(Cookie=f"visit={right.cookies['visit'].value}") as elsewhere:
            opened = await elsewhere.post("/api/v1/join", json={"token": other})
            assert (opened.cookies["visit"].value != "", (await opened.json())["step"]) == (True, "code")
        assert (await patient.delete("/api/v1/join")).status == 204
        await refused(await patient.get("/api/v1/join"), 401, "unauthenticated")


async def test_unknown_and_revoked_links_answer_with_the_same_bytes(desk: Desk) -> None:
    ada, _ = await desk.enrolled("clinician", "ada")
    async with ada, desk.client() as patient:
        made = await booked(ada)
        token = made["link"]["url"].partition("#")[2]
        where = f"/api/v1/visits/{made['visit']['id']}/links/{made['link']['id']}"
        assert (await ada.delete(where)).status == 204
        revoked = await patient.post("/api/v1/join", json={"token": token})
        await refused(revoked, 404, "link_unknown")
        unknown = await patient.post("/api/v1/join", json={"token": "A" * 43})
        assert await revoked.read() == await unknown.read()
        await refused(await ada.delete(where), 404, "not_found")


async def test_a_new_link_revokes_the_earlier_one_and_a_budget_mints_a_passcode(desk: Desk) -> None:
    ada, _ = await desk.enrolled("clinician", "ada")
    async with ada, desk.client() as patient:
        made = await booked(ada)
        where = f"/api/v1/visits/{made['visit']['id']}"
        second = await (await ada.post(f"{where}/links", json={"passcode": "Purple Rain 7"})).json()
        assert second["passcode"] == "Purple Rain 7"
        states = [link["state"] for link in (await (await ada.get(where)).json())["links"]]
        assert sorted(states) == ["live", "revoked"]
        budget = await (await ada.post(f"{where}/links/{second['id']}/code")).json()
        assert budget["tries_left"] == 5
        assert budget["passcode"] not in (None, "Purple Rain 7")
        await patient.post("/api/v1/join", json={"token": second["url"].partition("#")[2]})
        await refused(await patient.post("/api/v1/join/verify", json={"code": "Purple Rain 7"}), 403, "code_wrong")
        assert (await patient.post("/api/v1/join/verify", json={"code": budget["passcode"]})).status == 200


async def test_high_assurance_refuses_codes_by_email(desk: Desk) -> None:
    ada, _ = await desk.enrolled("clinician", "ada")
    async with ada:
        body = {"patient": {"name": NAME, "contact": "z@example.org"}, "assurance": "high", "channel": "email"}
        await refused(await ada.post("/api/v1/visits", json=body), 409, "channel_not_allowed")
        assert (await (await ada.get("/api/v1/visits")).json())["items"] == []


async def test_the_log_finds_a_visit_by_name_and_holds_no_name(desk: Desk) -> None:
    ada, _ = await desk.enrolled("clinician", "ada")
    auditor, _ = await desk.enrolled("auditor", "eve")
    async with ada, auditor:
        made = await booked(ada)
        key = (await (await auditor.post("/api/v1/audit/patients", json={"name": NAME})).json())["items"][0]["patient"]
        page = await (await auditor.get("/api/v1/audit/entries", params={"patient": key})).json()
        assert {"visit.create", "link.issue"} <= {item["action"] for item in page["items"]}
        assert {item["visit"] for item in page["items"] if item["action"].startswith("visit")} == {made["visit"]["id"]}
        whole = await (await auditor.get("/api/v1/audit/entries", params={"limit": "200"})).text()
        assert NAME not in whole
        newest = await (await auditor.get("/api/v1/audit/entries?limit=2")).json()
        assert newest["items"][0]["action"] == "audit.read"
        assert newest["head"]["size"] == newest["items"][0]["index"] + 1
        older = await (
            await auditor.get("/api/v1/audit/entries", params={"limit": "2", "after": newest["next"]})
        ).json()
        assert older["items"][0]["index"] == newest["items"][1]["index"] - 1
        await refused(await ada.get("/api/v1/audit/entries"), 403, "forbidden")
