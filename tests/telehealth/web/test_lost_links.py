"""A lost link over HTTP: one answer for everybody."""

from .conftest import Desk, refused
from .test_visits import booked


async def test_known_and_unknown_contacts_get_the_same_bytes(desk: Desk) -> None:
    ada, _ = await desk.enrolled("clinician", "ada")
    async with ada, desk.client() as stranger:
        await booked(ada, patient={"name": "Zora Canary", "contact": "zora@example.org"})
        answers = []
        for contact in ("zora@example.org", "ZORA@example.org", "nobody@example.org", "+43 660 1234567"):
            answer = await stranger.post("/api/v1/join/lost", json={"contact": contact})
            headers = {name: value for name, value in answer.headers.items() if name != "Date"}
            answers.append((answer.status, await answer.read(), headers, answer.cookies))
        assert answers[0][0] == 202
        assert all(one == answers[0] for one in answers)
        wrong = await stranger.post("/api/v1/join/lost", json={"contact": "0660 1234567"})
        assert (await refused(wrong, 400, "malformed"))["where"] == "contact"


async def test_looks_at_a_face_are_for_who_takes_part(desk: Desk) -> None:
    ada, _ = await desk.enrolled("clinician", "ada")
    bea, _ = await desk.enrolled("clinician", "bea")
    async with ada, bea:
        visit = (await booked(ada))["visit"]["id"]
        where = f"/api/v1/visits/{visit}/sightings"
        body = {"participant": "par_" + "a" * 26, "compared": ["known_in_person"], "outcome": "same"}
        await refused(await bea.post(where, json=body), 404, "not_found")
        await refused(await bea.get(where), 404, "not_found")
        await refused(await ada.post(where, json=body), 404, "not_found")
        wrong = {**body, "number": "P1234567"}
        await refused(await ada.post(where, json=wrong), 400, "malformed")
        assert await (await ada.get(where)).json() == {"items": []}
