"""Recordings over HTTP: what can be said without one, and the shapes."""

from datetime import UTC, datetime

from recordings.views import HoldView, PersonView, RecordingView, RetentionView, TrackView
from telehealth.ids import Kind, new_id
from telehealth.web.recordings import Recording

from .conftest import Desk, refused

NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)


async def test_lists_are_empty_and_unknown_ones_are_unknown(desk: Desk) -> None:
    admin, _ = await desk.enrolled("admin", "root")
    unknown = f"/api/v1/recordings/{new_id(Kind.RECORDING)}"
    async with admin:
        query = {"from": "2026-01-01T00:00:00Z", "state": "sealed"}
        for listed in (
            await admin.get("/api/v1/recordings", params=query),
            await admin.post("/api/v1/recordings/search", json={**query, "patient": "Zora"}),
        ):
            assert await listed.json() == {"items": [], "next": None}
        await refused(await admin.get(unknown), 404, "not_found")
        await refused(await admin.get(f"{unknown}/certificate"), 404, "not_found")
        await refused(await admin.delete(unknown, json={"reason": "error"}), 404, "not_found")
        await refused(await admin.delete(unknown, json={"reason": "because"}), 400, "malformed")
        await refused(await admin.put(f"{unknown}/hold", json={"reason": "court"}), 404, "not_found")
        await refused(await admin.delete(f"{unknown}/hold"), 404, "not_found")
        await refused(await admin.post(f"{unknown}/grants", json={"purpose": "quality"}), 404, "not_found")


async def test_a_patients_name_stands_in_no_address(desk: Desk) -> None:
    admin, _ = await desk.enrolled("admin", "root")
    async with admin:
        await refused(await admin.get("/api/v1/recordings", params={"patient": "Zora"}), 400, "malformed")
        await refused(await admin.post("/api/v1/recordings/search", json={}), 400, "malformed")
        await admin.post("/api/v1/recordings/search", json={"patient": "Zora"})
    last = (await desk.house.log.entries(newest_first=True, limit=1))[0]
    whose = desk.house.log.patient_pseudonym(desk.house.base.fields.lookup("patient", "Zora").hex())
    assert (last.action, last.patient) == ("recording.list", whose)


async def test_a_track_needs_a_grant_in_force(desk: Desk) -> None:
    admin, _ = await desk.enrolled("admin", "root")
    track = f"/api/v1/recordings/{new_id(Kind.RECORDING)}/tracks/{new_id(Kind.FILE)}"
    grant = new_id(Kind.GRANT)
    async with admin:
        await refused(await admin.get(track), 403, "grant_needed")
        await refused(await admin.get(track, params={"grant": grant}), 403, "grant_needed")
        await refused(await admin.post(f"/api/v1/grants/{grant}/renew"), 403, "grant_needed")
        await refused(await admin.delete(f"/api/v1/grants/{grant}"), 403, "grant_needed")


async def test_retention_is_shown_and_changed_by_admins_alone(desk: Desk) -> None:
    admin, _ = await desk.enrolled("admin", "root")
    ada, _ = await desk.enrolled("clinician", "ada")
    async with admin, ada:
        rules = (await (await admin.get("/api/v1/retention")).json())["rules"]
        assert rules[0]["days"] == 2557
        name = rules[0]["class"]
        wanted = {"rules": [{"class": name, "days": 30, "minimum_days": 7}]}
        assert await (await admin.put("/api/v1/retention", json=wanted)).json() == wanted
        backwards = {"rules": [{"class": name, "days": 7, "minimum_days": 30}]}
        await refused(await admin.put("/api/v1/retention", json=backwards), 400, "malformed")
        await refused(await ada.put("/api/v1/retention", json=wanted), 403, "forbidden")


def test_a_recording_is_told_as_the_protocol_says() -> None:
    track = TrackView(
        id="fil_x", participant="par_x", role="patient", milliseconds=5, offset_ms=1, mime="video/webm",
        width=640, height=480, bytes=9,
    )  # fmt: skip
    view = RecordingView(
        id="rec_x",
        visit="vis_x",
        clinician=PersonView("usr_x", "Ada"),
        state="sealed",
        interrupted=False,
        stop_reason=None,
        started_at=NOW,
        stopped_at=NOW,
        sealed_at=NOW,
        milliseconds=5,
        retention=RetentionView("visit", NOW),
        hold=HoldView("usr_x", "court", NOW),
        destroyed_at=None,
        deleted_at=None,
        effective_after=None,
        certificate=None,
        requests=(),
        parts=(),
        tracks=(track,),
        bytes=9,
    )
    told = Recording.model_validate(view).model_dump(mode="json", by_alias=True)
    assert told["retention"] == {"class": "visit", "due_at": "2026-01-31T09:30:00.000Z"}
    assert told["hold"]["reason"] == "court"
    assert told["tracks"][0]["bytes"] == 9
