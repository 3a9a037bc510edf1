"""What the log tells people: stories, a patient's report, disclosures, exports; every reading is entered."""

import asyncio
import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientPayloadError, ClientSession

from telehealth.audit import offline_verifier
from telehealth.audit import report as audit_report
from telehealth.audit.actions import Action
from telehealth.audit.entry import Actor, Entry, Outcome
from telehealth.audit.faults import LogUnavailable
from telehealth.audit.layout import detail_records
from telehealth.audit.leaf import Stored
from telehealth.audit.log import AuditLog
from telehealth.audit.reading import EntryFilter
from telehealth.auditing import log_verifier
from telehealth.clock import rfc3339
from telehealth.commands.run import in_house
from telehealth.web import audit_reports

from .conftest import Desk, refused
from .test_visits import booked

NAME = "Zora Canary"
AUDIT = "/api/v1/audit"


async def key_of(client: ClientSession, name: str = NAME) -> str:
    told = await (await client.post(f"{AUDIT}/patients", json={"name": name})).json()
    key: str = told["items"][0]["patient"]
    return key


async def came_in(desk: Desk, made: dict[str, Any]) -> None:
    async with desk.client() as patient:
        await patient.post("/api/v1/join", json={"token": made["link"]["url"].partition("#")[2]})
        await patient.post("/api/v1/join/verify", json={"code": "wrong-code"})
        assert (await patient.post("/api/v1/join/verify", json={"code": made["link"]["passcode"]})).status == 200


async def read_by(desk: Desk) -> list[tuple[str, dict[str, Any]]]:
    found = await desk.house.log.entries(limit=1000)
    return [(one.action, dict(one.detail)) for one in found if one.action.startswith("audit.")]


async def test_a_story_is_told_in_order_each_act_once(desk: Desk) -> None:
    ada, _ = await desk.enrolled("clinician", "ada")
    auditor, _ = await desk.enrolled("auditor", "eve")
    async with ada, auditor:
        made = await booked(ada)
        await booked(ada)
        visit = made["visit"]["id"]
        await came_in(desk, made)
        told = await (await auditor.get(f"{AUDIT}/visits/{visit}/story")).json()
        acts = [(one["action"], one["outcome"]) for one in told["acts"]]
        assert acts == [
            ("visit.create", "done"),
            ("link.issue", "done"),
            ("link.open", "done"),
            ("code.try", "refused"),
            ("identity.verified", "done"),
            ("audit.read", "done"),
        ]
        assert told["acts"][0]["actor"]["name"] == "Ada Example"
        assert len(told["acts"][0]["indexes"]) == 2
        assert NAME not in json.dumps(told)
        assert (await read_by(desk))[-1] == ("audit.read", {"criteria": "visit", "view": "story"})
        await refused(await ada.get(f"{AUDIT}/visits/{visit}/story"), 403, "forbidden")


async def test_a_persons_press_and_the_recorders_own_entry_are_one_line(desk: Desk) -> None:
    auditor, _ = await desk.enrolled("auditor", "eve")
    visit, recording = "vis_" + "a" * 26, "rec_" + "a" * 26
    doctor, machine = Actor("user", "usr_" + "b" * 26, "clinician"), Actor("system", "server")
    for actor in (doctor, machine):
        await desk.house.log.enter_closing(Entry(Action.RECORDING_PAUSE, Outcome.DONE, actor, visit, recording))
    for actor in (machine, doctor):
        await desk.house.log.enter_closing(Entry(Action.RECORDING_STOP, Outcome.DONE, actor, visit, recording))
    async with auditor:
        told = await (await auditor.get(f"{AUDIT}/visits/{visit}/story")).json()
    lines = [(one["action"], one["actor"]["kind"], len(one["indexes"])) for one in told["acts"]]
    assert lines[:2] == [("recording.pause", "user", 2), ("recording.stop", "user", 2)]


async def test_the_report_says_who_looked_from_where_and_who_was_refused(desk: Desk) -> None:
    admin, _ = await desk.enrolled("admin", "root")
    ada, _ = await desk.enrolled("clinician", "ada")
    bob, _ = await desk.enrolled("auditor", "bob")
    async with admin, ada, bob:
        visit = (await booked(ada))["visit"]["id"]
        await booked(ada)
        assert (await admin.get(f"/api/v1/visits/{visit}")).status == 200
        await refused(await bob.get(f"/api/v1/visits/{visit}"), 403, "forbidden")
        patient = await key_of(admin)
        report = await (await admin.get(f"{AUDIT}/report", params={"patient": patient})).json()
        seen = [one for one in report["acts"] if one["meaning"] == "seen"]
        assert [(one["action"], one["actor"]["name"]) for one in seen] == [
            ("visit.read", "Root Example"),
            ("audit.read", "Root Example"),
        ]
        assert seen[0]["private"]["address"] == "127.0.0.1"
        (tried,) = [one for one in report["acts"] if one["meaning"] == "refused"]
        assert (tried["action"], tried["actor"]["name"], tried["visit"]) == ("access.refused", "Bob Example", visit)
        assert NAME not in json.dumps(report)
        await desk.house.log.forget(patient)
        again = await (await admin.get(f"{AUDIT}/report", params={"patient": patient})).json()
        first = next(one for one in again["acts"] if one["action"] == "visit.read")
        assert (first["private"], first["forgotten"]) == (None, True)
        await refused(await bob.get(f"{AUDIT}/report", params={"patient": patient}), 403, "forbidden")
        nobody = await (await admin.get(f"{AUDIT}/report", params={"patient": await key_of(admin, "Nobody")})).json()
        assert [one["action"] for one in nobody["acts"]] == ["audit.read"]


async def test_a_shorter_time_gives_the_report_of_a_patient_with_too_many_entries(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin, _ = await desk.enrolled("admin", "root")
    async with admin:
        for _ in range(9):
            await booked(admin)
        patient = await key_of(admin)
        monkeypatch.setattr(audit_report, "MOST", 8)
        await refused(await admin.get(f"{AUDIT}/report", params={"patient": patient}), 413, "too_many_entries")
        last = (await desk.house.log.entries(newest_first=True, limit=1))[0]
        params = {"patient": patient, "since": rfc3339(last.at)}
        report = await (await admin.get(f"{AUDIT}/report", params=params)).json()
        assert [one["action"] for one in report["acts"]] == ["audit.read", "audit.read"]


async def test_damaged_detail_of_one_entry_hides_no_other(desk: Desk) -> None:
    admin, _ = await desk.enrolled("admin", "root")
    async with admin:
        for _ in range(3):
            await booked(admin)
        patient = await key_of(admin)
        about = await desk.house.log.entries(only=EntryFilter(patient=patient), limit=1000)
        hit = [one for one in about if one.sealed is not None and one.outcome == "done"][-1]

        def damage() -> None:
            [path] = (desk.house.config.places.audit / "details").glob("*.details")
            content = path.read_bytes()
            end = next(end for index, _, end in detail_records(content) if index == hit.index)
            path.write_bytes(content[: end - 1] + bytes([content[end - 1] ^ 1]) + content[end:])

        await asyncio.to_thread(damage)
        report = await (await admin.get(f"{AUDIT}/report", params={"patient": patient})).json()
    private = {one["indexes"][-1]: one["private"] for one in report["acts"]}
    broken = [index for index, told in private.items() if told == {"broken": "detail"}]
    assert broken == [hit.index]
    assert sum("address" in (told or {}) for told in private.values()) >= 2


@pytest.mark.parametrize("form", ["jsonl", "csv"])
async def test_an_export_that_the_log_breaks_off_never_looks_whole(
    desk: Desk, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin, _ = await desk.enrolled("admin", "root")
    async with admin:
        for _ in range(3):
            await booked(admin)
        monkeypatch.setattr(audit_report, "_PAGE", 2)
        monkeypatch.setattr(audit_reports, "_CHUNK", 1)
        entries, looks = AuditLog.entries, []

        async def failing(log: AuditLog, **asked: Any) -> list[Stored]:
            looks.append(1)
            if len(looks) > 2:
                raise LogUnavailable
            return await entries(log, **asked)

        monkeypatch.setattr(AuditLog, "entries", failing)
        with pytest.raises(ClientPayloadError):
            await (await admin.get(f"{AUDIT}/export", params={"format": form})).read()


async def test_the_reports_evidence_is_believed_by_the_offline_verifier(desk: Desk, tmp_path: Path) -> None:
    admin, _ = await desk.enrolled("admin", "root")
    async with admin:
        visit = (await booked(admin))["visit"]["id"]
        answer = await admin.get(f"{AUDIT}/report/evidence", params={"patient": await key_of(admin)})
        assert answer.headers["Content-Disposition"].startswith('attachment; filename="access-report-')
        bundle = tmp_path / "evidence.json"
        bundle.write_bytes(await answer.read())
    _, _, line = await log_verifier(desk.house.keyring)
    check = [sys.executable, offline_verifier.__file__, str(bundle), "--key", line]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert visit in bundle.read_text()
    bundle.write_text(bundle.read_text().replace("visit.create", "visit.cancel"))
    assert subprocess.run(check, capture_output=True, check=False).returncode != 0


async def test_disclosures_are_what_left_the_house(desk: Desk) -> None:
    admin, _ = await desk.enrolled("admin", "root")
    async with admin:
        visit = (await booked(admin))["visit"]["id"]
        body = {"label": "records office", "scopes": ["visits:read", "audit:read"]}
        token = await (await admin.post("/api/v1/tokens", json=body)).json()
        async with desk.client(Authorization=f"Bearer {token['token']}") as program:
            assert (await program.get("/api/v1/visits")).status == 200
            assert (await program.get(f"{AUDIT}/entries?limit=1")).status == 200
            await refused(await program.get(f"{AUDIT}/disclosures"), 403, "scope_missing")
        patient = await key_of(admin)
        assert (await admin.get(f"{AUDIT}/report/evidence", params={"patient": patient})).status == 200
        entry = Entry(
            Action.RECORDING_EXPORT,
            Outcome.DONE,
            Actor("user", "usr_" + "b" * 26, "admin"),
            visit=visit,
            recording="rec_" + "a" * 26,
            patient=patient,
            purpose="legal",
            private={"recipient": "The court"},
        )
        await desk.house.log.enter(entry)
        every = (await (await admin.get(f"{AUDIT}/disclosures")).json())["acts"]
        assert [one["action"] for one in every if one["actor"]["kind"] == "token"] == ["visit.read", "audit.read"]
        assert {one["actor"]["name"] for one in every if one["actor"]["kind"] == "token"} == {"records office"}
        mine = (await (await admin.get(f"{AUDIT}/disclosures", params={"patient": patient})).json())["acts"]
        assert [(one["action"], one["purpose"]) for one in mine] == [
            ("audit.export", None),
            ("recording.export", "legal"),
        ]
        assert mine[1]["private"] == {"recipient": "The court"}


async def test_what_is_filtered_is_exported_whole(desk: Desk) -> None:
    auditor, _ = await desk.enrolled("auditor", "eve")
    ada, _ = await desk.enrolled("clinician", "ada")
    async with auditor, ada:
        visit = (await booked(ada))["visit"]["id"]
        lines = (await (await auditor.get(f"{AUDIT}/export", params={"visit": visit})).text()).splitlines()
        *items, end = map(json.loads, lines)
        assert [one["action"] for one in items] == [
            "visit.create",
            "link.issue",
            "link.issue",
            "visit.create",
            "audit.export",
        ]
        assert end["end"] == len(items)
        text = await (await auditor.get(f"{AUDIT}/export", params={"visit": visit, "format": "csv"})).text()
        rows = list(csv.DictReader(io.StringIO(text)))
        assert [row["index"] for row in rows][:5] == [str(one["index"]) for one in items]
        assert rows[0]["name"] == "Ada Example"
        bundle = await (await auditor.get(f"{AUDIT}/export?visit={visit}&format=bundle")).json()
        assert [one["index"] for one in bundle["entries"]][:5] == [one["index"] for one in items]
        assert [action for action, _ in await read_by(desk)] == ["audit.export"] * 3
        detail = (await read_by(desk))[1][1]
        assert detail == {"criteria": "visit", "format": "csv"}


async def test_a_cell_is_no_formula(desk: Desk) -> None:
    auditor, _ = await desk.enrolled("auditor", "eve")
    await desk.house.log.enter(Entry(Action.VISIT_READ, Outcome.DONE, Actor("system", "x"), purpose="=1+2"))
    async with auditor:
        text = await (await auditor.get(f"{AUDIT}/export?action=visit.read&format=csv")).text()
    assert next(csv.DictReader(io.StringIO(text)))["purpose"] == "'=1+2"


async def test_names_stand_in_no_address(desk: Desk) -> None:
    auditor, _ = await desk.enrolled("auditor", "eve")
    async with auditor:
        await refused(await auditor.get(f"{AUDIT}/entries", params={"patient": NAME}), 400, "malformed")
        assert await key_of(auditor) == await key_of(auditor, f" {NAME} ")
        assert await key_of(auditor) != await key_of(auditor, "Somebody Else")


async def test_people_of_one_name_are_shown_apart_and_have_reports_of_their_own(desk: Desk) -> None:
    admin, _ = await desk.enrolled("admin", "root")
    ada, _ = await desk.enrolled("clinician", "ada")
    async with admin, ada:
        told: list[dict[str, str]] = [
            {"name": NAME},
            {"name": NAME, "birth_date": "1980-02-29"},
            {"name": NAME, "birth_date": "1941-03-17"},
            {"name": NAME, "birth_date": "1941-03-17", "record": "4711"},
            {"name": "Zorah Canary", "record": "4711"},
        ]
        mine = [await booked(ada, patient=patient) for patient in told]
        found = (await (await admin.post(f"{AUDIT}/patients", json={"name": NAME})).json())["items"]
        assert {(one["birth_date"], one["record"], one["visits"]) for one in found} == {
            (None, None, 1),
            ("1980-02-29", None, 1),
            ("1941-03-17", None, 1),
            ("1941-03-17", "4711", 1),
        }
        for body, visits in (
            ({"name": NAME, "birth_date": "1980-02-29"}, mine[1:2]),
            ({"record": "4711"}, mine[3:]),  # however the name was spelled
            ({"name": NAME, "record": "4711"}, mine[3:]),
        ):
            (one,) = (await (await admin.post(f"{AUDIT}/patients", json=body)).json())["items"]
            report = await (await admin.get(f"{AUDIT}/report", params={"patient": one["patient"]})).json()
            assert {act["visit"] for act in report["acts"] if act["visit"]} == {made["visit"]["id"] for made in visits}
        assert [seen for seen in await read_by(desk) if seen[1].get("view") == "patients"] == [
            ("audit.read", {"criteria": "", "view": "patients"})
        ] * 4


async def test_somebody_whom_no_visit_knows_any_more_still_has_a_key(desk: Desk) -> None:
    admin, _ = await desk.enrolled("admin", "root")
    async with admin:
        body = {"name": NAME, "birth_date": "1980-02-29"}
        (one,) = (await (await admin.post(f"{AUDIT}/patients", json=body)).json())["items"]
        assert one["visits"] == 0
        assert one["patient"] == desk.house.base.fields.lookup("patient", f"{NAME}\n1980-02-29").hex()
        await refused(await admin.post(f"{AUDIT}/patients", json={"birth_date": "1980-02-29"}), 400, "malformed")


async def test_what_the_log_alone_knows_of_a_name_is_offered_beside_those_whom_visits_know(desk: Desk) -> None:
    admin, _ = await desk.enrolled("admin", "root")
    ada, _ = await desk.enrolled("clinician", "ada")
    async with admin, ada:
        await booked(ada)
        assert len((await (await admin.post(f"{AUDIT}/patients", json={"name": NAME})).json())["items"]) == 1
        alone = desk.house.base.fields.lookup("patient", NAME).hex()
        await desk.house.log.enter(Entry(Action.VISIT_CREATE, Outcome.DONE, Actor("system", "server"), patient=alone))
        found = (await (await admin.post(f"{AUDIT}/patients", json={"name": NAME})).json())["items"]
        assert [(one["visits"], one["patient"] == alone) for one in found] == [(1, False), (0, True)]


async def test_a_command_that_fits_several_people_asks_which(desk: Desk) -> None:
    ada, _ = await desk.enrolled("clinician", "ada")
    async with ada:
        await booked(ada)
        await booked(ada, patient={"name": NAME, "record": "4711"})

    async def said(*words: str) -> dict[str, Any]:
        told: dict[str, Any] = json.loads((await in_house(desk.house, ["audit", *words, "--json"])).text(as_json=True))
        return told

    several = await said("report", "--patient", NAME)
    assert several["error"] == "several_people"
    (key,) = re.findall("--key ([0-9a-f]{64}): born \\?, record 4711, 1 visits", several["message"])
    for words in (["--key", key], ["--record", "4711"], ["--patient", NAME, "--record", "4711"]):
        assert len({act["visit"] for act in (await said("report", *words))["items"] if act["visit"]}) == 1
    assert (await said("report"))["error"] == (await said("export", "--born", "1980-02-29"))["error"] == "usage"
