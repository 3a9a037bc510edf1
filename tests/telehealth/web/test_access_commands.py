"""`telehealth access` and `telehealth visit team`, in a house of their own."""

import asyncio
import json
from pathlib import Path
from typing import Any

from telehealth.commands.run import in_house

from .conftest import Desk
from .test_care import WHY, MovedClock, acts, clinic, with_access
from .test_visits import booked


async def said(desk: Desk, *words: str) -> dict[str, Any]:
    answer = await in_house(desk.house, [*words, "--json"])
    assert answer.exit == 0, answer.lines
    data: dict[str, Any] = json.loads(answer.text(as_json=True))
    return data


async def test_a_dry_run_names_every_rule_and_the_one_that_decides(tmp_path: Path) -> None:
    hours = {"business_hours": ["mon-fri 07:00-19:00"], "roles": {"admin": {"outside": "alert"}}}
    async with clinic(await asyncio.to_thread(with_access, tmp_path, **hours), MovedClock()) as desk:
        ada, _ = await desk.enrolled("clinician", "ada")
        bob, bob_id = await desk.enrolled("clinician", "bob")
        async with ada, bob:
            pass
        made = await said(desk, "visit", "create", "--clinician", "ada", "--patient", "Zora Canary")
        visit = made["id"]
        day, night = "2031-05-06T12:00:00Z", "2031-05-06T23:00:00Z"
        own = await said(desk, "access", "explain", "ada", "visits.read", visit, "--at", day)
        assert (own["allowed"], own["reason"]) == (True, "own")
        late = await said(desk, "access", "explain", "ada", "visits.read", visit, "--at", night)
        assert (late["allowed"], late["rule"], late["reason"]) == (False, "hours", "outside_hours")
        assert [one["rule"] for one in late["consulted"]] == [
            "role",
            "token",
            "circle",
            "need_to_know",
            "window",
            "hours",
        ]
        other = await said(desk, "access", "explain", "bob", "visits.read", visit, "--at", day)
        assert (other["allowed"], other["rule"]) == (False, "circle")
        team = await said(desk, "visit", "team", visit, "--add", "bob")
        assert [one["id"] for one in team["items"]] == [bob_id]
        after = await said(desk, "access", "explain", "bob", "visits.read", visit, "--at", day)
        assert (after["allowed"], after["reason"]) == (True, "team")
        assert (await said(desk, "visit", "team", visit, "--remove", "bob"))["items"] == []
        grave = ("access", "explain", "ada", "account.change", "-", "--at", day, "--proved", "11")
        assert (await said(desk, *grave))["rule"] == "mfa"
        words = await in_house(desk.house, ["access", "explain", "bob", "visits.read", visit, "--at", day])
        assert words.lines[-1] == "Refused by the rule circle: not theirs, not their team's, no glass broken."
        assert len(await acts(desk, "access.explain")) == 6


async def test_glasses_are_listed_and_closed_from_the_server(desk: Desk) -> None:
    ada, _ = await desk.enrolled("clinician", "ada")
    bob, _ = await desk.enrolled("clinician", "bob")
    async with ada, bob:
        visit = (await booked(ada))["visit"]["id"]
        await ada.delete("/api/v1/session")
        given = await (await bob.post("/api/v1/glasses", json={"visit": visit, **WHY})).json()
        listed = await said(desk, "access", "glasses")
        assert [(one["id"], one["state"], one["name"]) for one in listed["items"]] == [
            (given["id"], "open", "Bob Example")
        ]
        await said(desk, "access", "close", given["id"])
        assert (await said(desk, "access", "glasses"))["items"][0]["state"] == "over"
        assert (await bob.get(f"/api/v1/visits/{visit}")).status == 404
