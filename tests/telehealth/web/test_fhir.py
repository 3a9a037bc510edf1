"""The log over FHIR: for overseers, entered before it is shown, and refused in FHIR's words."""

import asyncio
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession

from telehealth.audit.actions import Action
from telehealth.audit.entry import Actor, Entry, Outcome
from telehealth.audit.reading import EntryFilter
from telehealth.outward.fhir import OURS
from tests.partners.fhir_validator import faults

from .conftest import Desk

EVENTS = "/fhir/AuditEvent"


async def told(response: ClientResponse, status: int = 200) -> dict[str, Any]:
    assert response.status == status, await response.text()
    assert response.content_type == "application/fhir+json"
    assert response.headers["Cache-Control"] == "no-store"
    found: dict[str, Any] = await response.json(content_type=None)
    return found


async def some_entries(desk: Desk, count: int = 5) -> None:
    for number in range(count):
        entry = Entry(
            Action.RECORDING_READ,
            Outcome.DONE,
            Actor("user", id="usr_reader", role="clinician"),
            recording=f"rec_{number}",
            patient="pat_a" if number % 2 else "pat_b",
        )
        await desk.house.log.enter(entry)


def ids(bundle: dict[str, Any]) -> list[int]:
    return [int(entry["resource"]["id"]) for entry in bundle.get("entry", []) if entry["search"]["mode"] == "match"]


async def searched(client: ClientSession, **params: str) -> dict[str, Any]:
    return await told(await client.get(EVENTS, params={name.lstrip("$"): value for name, value in params.items()}))


async def test_a_search_finds_and_both_partners_accept_the_bundle(desk: Desk) -> None:
    await some_entries(desk)
    log = desk.house.log
    client, _ = await desk.enrolled("auditor", "eve")
    async with client:
        bundle = await searched(client, subtype=f"{OURS}action|recording.read")
        assert await asyncio.to_thread(faults, [bundle]) == []
        assert len(ids(bundle)) == 5
        patient = log.patient_pseudonym("pat_a")
        assert len(ids(await searched(client, patient=f"Patient/{patient}"))) == 2
        assert len(ids(await searched(client, agent="usr_reader", entity="rec_3"))) == 1
        assert len(ids(await searched(client, agent="usr_reader", action="C"))) == 0
        assert len(ids(await searched(client, agent="usr_reader", date="ge2000", outcome="0"))) == 5
        assert ids(await searched(client, date="lt2000")) == []
        assert ids(await searched(client, type="no-such-code")) == []
        assert ids(await searched(client, _id="0,1,999999,x")) == [1, 0]
        assert ids(await searched(client, _id="0", date="lt2000")) == []


async def test_pages_hold_every_entry_once_and_end(desk: Desk) -> None:
    await some_entries(desk, 7)
    client, _ = await desk.enrolled("admin", "root")
    async with client:
        for sort in ("date", "-date"):
            seen: list[int] = []
            params = {"agent": "usr_reader", "_count": "3", "_sort": sort}
            bundle = await told(await client.get(EVENTS, params=params))
            while True:
                seen += ids(bundle)
                following = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
                if not following:
                    break
                bundle = await told(await client.get(following[0].replace(desk.house.config.public_url, "")))
            assert len(seen) == len(set(seen)) == 7
            assert seen == sorted(seen, reverse=sort == "-date")


async def test_one_event_is_read_by_its_index(desk: Desk) -> None:
    await some_entries(desk, 1)
    index = desk.house.log.head().size - 1
    client, _ = await desk.enrolled("admin", "root")
    async with client:
        event = await told(await client.get(f"{EVENTS}/{index}"))
        assert event["id"] == str(index)
        assert await asyncio.to_thread(faults, [event]) == []
        for unknown in ("999999", "x", "1/2", "-1", "9" * 30):
            outcome = await told(await client.get(f"{EVENTS}/{unknown}"), 404)
            assert outcome["issue"][0]["code"] == "not-found"


async def test_every_reading_is_entered_before_it_is_answered(desk: Desk) -> None:
    client, user = await desk.enrolled("auditor", "eve")
    async with client:
        bundle = await searched(client, date="ge2000", action="R", _count="1")
        assert bundle["entry"][0]["resource"]["subtype"][-1]["code"] == "audit.read"  # this very reading
        await client.get(f"{EVENTS}/0")
    newest = (await desk.house.log.entries(limit=1, newest_first=True))[0]
    assert (newest.action, newest.actor, newest.detail["criteria"]) == ("audit.read", user, "fhir.id")


async def test_a_search_by_a_patients_key_stands_in_that_patients_report(desk: Desk) -> None:
    client, _ = await desk.enrolled("auditor", "eve")
    key = desk.house.base.fields.lookup("patient", "Zora Canary").hex()
    async with client:
        await searched(client, patient=f"urn:telehealth:patient-key|{key}")
    [found] = await desk.house.log.entries(only=EntryFilter(patient=key))
    assert (found.action, found.detail["criteria"]) == ("audit.read", "fhir.patient")


async def test_refusals_are_operation_outcomes_with_codes(desk: Desk) -> None:
    async with desk.client() as stranger:
        outcome = await told(await stranger.get(EVENTS), 401)
        assert outcome["issue"][0]["code"] == "login"
    doctor, _ = await desk.enrolled("clinician", "doc")
    async with doctor:
        outcome = await told(await doctor.get(EVENTS), 403)
        assert outcome["issue"][0]["details"]["coding"][0]["code"] == "forbidden"
        assert await asyncio.to_thread(faults, [outcome]) == []
    client, _ = await desk.enrolled("auditor", "eve")
    async with client:
        size = desk.house.log.head().size
        for query in (
            "date=soon",
            "date:missing=true",
            "_count=0",
            "_count=" + "9" * 50,
            "patient=Jane",
            "_format=xml",
        ):
            outcome = await told(await client.get(f"{EVENTS}?{query}"), 400)
            issue = outcome["issue"][0]
            assert issue["code"] == "invalid"
            assert issue["expression"] == [f"http.{query.partition('=')[0]}"]
            assert "Jane" not in str(outcome)
        assert desk.house.log.head().size == size  # nothing was read, nothing entered


@pytest.mark.parametrize("strict", [False, True])
async def test_unknown_parameters_are_refused_or_left_out_as_asked(desk: Desk, strict: bool) -> None:
    client, _ = await desk.enrolled("auditor", "eve")
    async with client:
        headers = {"Prefer": "handling=strict" if strict else "handling=lenient"}
        response = await client.get(f"{EVENTS}?colour=blue&_count=100000", headers=headers)
        if strict:
            assert (await told(response, 400))["issue"][0]["expression"] == ["http.colour"]
            return
        bundle = await told(response)
        note = bundle["entry"][-1]
        assert note["search"]["mode"] == "outcome"
        assert "colour" in note["resource"]["issue"][0]["details"]["text"]
        assert "_count=200" in bundle["link"][0]["url"]
        assert "colour" not in bundle["link"][0]["url"]
        assert await asyncio.to_thread(faults, [bundle]) == []


async def test_what_the_server_can_is_told_to_anyone(desk: Desk) -> None:
    async with desk.client() as stranger:
        response = await stranger.get("/fhir/metadata")
        statement = await told(response)
    assert await asyncio.to_thread(faults, [statement]) == []
    names = {parameter["name"] for parameter in statement["rest"][0]["resource"][0]["searchParam"]}
    assert {"patient", "agent", "date", "action", "type", "subtype", "entity", "_lastUpdated"} <= names
