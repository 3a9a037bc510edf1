"""Two admins over HTTP: one asks, another one decides; the first day counts for nobody."""

import json
from datetime import timedelta

from sqlalchemy import insert, update

from telehealth.access import Caller, command_line
from telehealth.commands.run import in_house
from telehealth.ids import Kind, new_id
from telehealth.store.tables import recordings, users, visits

from .conftest import Desk, refused


async def empty_recording(desk: Desk, clinician: str) -> str:
    """A recording's row, sealed and without files: what is asked about it needs none."""
    visit, recording = new_id(Kind.VISIT), new_id(Kind.RECORDING)
    now = desk.house.clock.now()
    async with desk.house.base.store.begin() as connection:
        await connection.execute(
            insert(visits).values(
                id=visit, clinician_id=clinician, state="ended", patient_name_sealed=b"", patient_lookup=b"p" * 32,
                scheduled_at=now, minutes=30, assurance="standard", recording_planned=True, created_at=now,
            )
        )  # fmt: skip
        await connection.execute(
            insert(recordings).values(
                id=recording, visit_id=visit, clinician_id=clinician, patient_lookup=b"p" * 32,
                retention_class="visit", state="sealed", started_at=now, facts={"parties": []},
            )
        )  # fmt: skip
    return recording


async def long_since(desk: Desk, *ids: str) -> None:
    """These have been admins for days."""
    values = {"admin_since": desk.house.clock.now() - timedelta(days=3)}
    async with desk.house.base.store.begin() as connection:
        await connection.execute(update(users).where(users.c.id.in_(ids)).values(values))


async def test_one_admin_asks_and_another_one_decides(desk: Desk) -> None:
    ann, ann_id = await desk.enrolled("admin", "ann")
    ben, ben_id = await desk.enrolled("admin", "ben")
    async with ann, ben:
        recording = await empty_recording(desk, ann_id)
        one = f"/api/v1/recordings/{recording}"
        said = await (await ann.delete(one, json={"reason": "error", "note": "wrong room"})).json()
        assert said["state"] == "sealed"
        [wish] = said["requests"]
        assert (wish["asked_by"]["id"], wish["note"], wish["participant"]) == (ann_id, "wrong room", None)
        assert (await (await ben.get("/api/v1/deletions")).json())["items"] == [wish]
        approve = f"/api/v1/deletions/{wish['id']}/approve"
        await refused(await ann.post(approve), 403, "second_admin_needed")
        await refused(await ben.post(approve), 403, "second_admin_needed")  # an admin since a minute ago
        await refused(await ann.get(f"{one}/certificate"), 404, "not_found")
        await long_since(desk, ben_id)
        done = await (await ben.post(approve)).json()
        assert (done["state"], done["certificate"], done["requests"]) == ("deleted", "final", [])
        assert (await ann.get(f"{one}/certificate")).status == 200
        assert (await ann.get(f"{one}/certificate", params={"first": "true"})).status == 200
        await refused(await ben.post(approve), 404, "not_found")


async def test_a_refused_wish_destroys_nothing(desk: Desk) -> None:
    ann, ann_id = await desk.enrolled("admin", "ann")
    ben, _ = await desk.enrolled("admin", "ben")
    async with ann, ben:
        recording = await empty_recording(desk, ann_id)
        said = await (await ann.delete(f"/api/v1/recordings/{recording}", json={"reason": "error"})).json()
        wish = f"/api/v1/deletions/{said['requests'][0]['id']}"
        assert (await ben.delete(wish)).status == 204
        await refused(await ben.delete(wish), 404, "not_found")
        [listed] = (await (await ann.get("/api/v1/recordings")).json())["items"]
        assert (listed["id"], listed["state"], listed["requests"]) == (recording, "sealed", [])


async def test_nobody_gets_rid_of_the_other_admin_to_act_alone(desk: Desk) -> None:
    ann, ann_id = await desk.enrolled("admin", "ann")
    ben, ben_id = await desk.enrolled("admin", "ben")
    async with ann, ben:
        await long_since(desk, ann_id, ben_id)
        recording = await empty_recording(desk, ann_id)
        assert (await ann.patch(f"/api/v1/users/{ben_id}", json={"disabled": True})).status == 200
        said = await (await ann.delete(f"/api/v1/recordings/{recording}", json={"reason": "error"})).json()
        assert said["state"] == "sealed"
        assert (await ann.patch(f"/api/v1/users/{ben_id}", json={"disabled": False})).status == 200
        ben_again = Caller("user", ben_id, "admin")
        quorum = desk.house.recordings._destroying.erasing._requests._quorum
        now = desk.house.clock.now()
        assert not await quorum.is_second(ben_again, ann_id, now)  # switched on again today, by whoever
        assert await quorum.is_second(command_line(), ann_id, now)


async def test_a_clinic_with_one_admin_needs_one(desk: Desk) -> None:
    ann, ann_id = await desk.enrolled("admin", "ann")
    async with ann:
        recording = await empty_recording(desk, ann_id)
        said = await (await ann.delete(f"/api/v1/recordings/{recording}", json={"reason": "error"})).json()
        assert (said["state"], said["requests"]) == ("deleted", [])


async def test_parts_of_unknown_people_are_unknown(desk: Desk) -> None:
    ann, ann_id = await desk.enrolled("admin", "ann")
    async with ann:
        recording = await empty_recording(desk, ann_id)
        part = f"/api/v1/recordings/{recording}/parts/{new_id(Kind.PARTICIPANT)}"
        await refused(await ann.delete(part, json={"reason": "withdrawal"}), 404, "not_found")
        await refused(await ann.delete(part, json={"reason": "because"}), 400, "malformed")
        await refused(await ann.get(f"{part}/certificate"), 404, "not_found")


async def test_the_command_line_asks_and_a_person_decides(desk: Desk) -> None:
    ann, ann_id = await desk.enrolled("admin", "ann")
    ben, ben_id = await desk.enrolled("admin", "ben")
    async with ann, ben:
        await long_since(desk, ann_id, ben_id)
        recording = await empty_recording(desk, ann_id)
        said = await in_house(desk.house, ["recording", "delete", recording, "--reason", "error"])
        assert (said.exit, said.data["destroyed"], said.data["state"]) == (0, False, "sealed")
        [wish] = (await in_house(desk.house, ["recording", "deletions"])).data["items"]
        assert (wish["id"], wish["asked_by"]) == (said.data["request"], "cli")
        alone = await in_house(desk.house, ["recording", "approve", wish["id"]])
        assert (alone.exit, alone.data["error"]) == (1, "second_admin_needed")
        assert (await ann.post(f"/api/v1/deletions/{wish['id']}/approve")).status == 200
        got = await in_house(desk.house, ["recording", "certificate", recording])
        assert json.loads(got.data["certificate"])["certificate"]["approved_by"] == ann_id
        none = await in_house(desk.house, ["recording", "refuse", wish["id"]])
        assert none.data["error"] == "not_found"
        nobody = new_id(Kind.PARTICIPANT)
        part = await in_house(desk.house, ["recording", "delete-part", recording, nobody, "--reason", "withdrawal"])
        assert part.exit == 1
