"""Signing in, staying, leaving."""

import pyotp

from telehealth.access import command_line

from .conftest import PASSWORD, Desk, refused


async def test_whoever_opens_the_set_up_link_becomes_admin_and_is_signed_in(desk: Desk) -> None:
    invitation = await desk.house.people.first_admin_invitation()
    assert invitation is not None
    token = invitation.token.reveal()
    async with desk.client() as client:
        offer = await (await client.post("/api/v1/enrolment", json={"token": token})).json()
        assert offer["purpose"] == "first_admin"
        assert offer["qr_svg"].startswith("data:image/svg+xml")
        body = {"token": token, "login": "root", "name": "Ada Example", "password": PASSWORD}
        await refused(await client.post("/api/v1/enrolment/finish", json={**body, "code": "000000"}), 400, "code_wrong")
        weak = {**body, "password": "short", "code": pyotp.TOTP(offer["totp_secret"]).now()}
        await refused(await client.post("/api/v1/enrolment/finish", json=weak), 400, "password_weak")
        good = {**body, "code": pyotp.TOTP(offer["totp_secret"]).now()}
        done = await client.post("/api/v1/enrolment/finish", json=good)
        answer = await done.json()
        assert done.status == 200
        assert len(answer["recovery_codes"]) == 10
        assert answer["user"]["role"] == "admin"
        cookie = done.cookies["staff"]
        assert cookie["httponly"]
        assert cookie["samesite"] == "Strict"
        session = await (await client.get("/api/v1/session")).json()
        assert session["user"] == answer["user"]
        assert session["clinic"] == {"name": "Test Clinic", "logo": None}
        assert session["demo"] is False
        assert 0 < session["idle_seconds"] <= 900
        await refused(await client.post("/api/v1/enrolment", json={"token": token}), 410, "invitation_over")


async def test_sign_in_refuses_alike_and_a_recovery_code_works_once(desk: Desk) -> None:
    invitation = await desk.house.people.add(command_line(), "ada", "Ada Example", "clinician")
    async with desk.client() as client:
        token = invitation.token.reveal()
        offer = await (await client.post("/api/v1/enrolment", json={"token": token})).json()
        code = pyotp.TOTP(offer["totp_secret"]).now()
        body = {"token": token, "password": PASSWORD, "code": code}
        codes = (await (await client.post("/api/v1/enrolment/finish", json=body)).json())["recovery_codes"]
        replay = {"login": "ada", "password": PASSWORD, "code": code}
        await refused(await client.post("/api/v1/session", json=replay), 401, "sign_in_refused")
    async with desk.client() as client:
        right = {"login": "ada", "password": PASSWORD, "code": codes[0]}
        answer = await client.post("/api/v1/session", json=right)
        assert answer.status == 200, await answer.text()
        assert (await answer.json())["user"]["name"] == "Ada Example"
        stranger = {**right, "login": "nobody"}
        await refused(await client.post("/api/v1/session", json=stranger), 401, "sign_in_refused")


async def test_signing_out_ends_the_session_and_clears_the_site(desk: Desk) -> None:
    client, _ = await desk.enrolled("clinician", "ada")
    async with client:
        assert (await client.post("/api/v1/session/renew")).status == 200
        out = await client.delete("/api/v1/session")
        assert out.status == 204
        assert "storage" in out.headers["Clear-Site-Data"]
        await refused(await client.get("/api/v1/session"), 401, "unauthenticated")


async def test_a_disabled_user_is_out_at_once(desk: Desk) -> None:
    admin, _ = await desk.enrolled("admin", "root")
    client, user = await desk.enrolled("clinician", "ada")
    async with admin, client:
        assert (await client.get("/api/v1/session")).status == 200
        changed = await admin.patch(f"/api/v1/users/{user}", json={"disabled": True})
        assert (await changed.json())["disabled"] is True
        await refused(await client.get("/api/v1/session"), 401, "unauthenticated")


async def test_a_clinician_manages_nobody_and_the_try_is_entered(desk: Desk) -> None:
    client, user = await desk.enrolled("clinician", "ada")
    async with client:
        await refused(await client.get("/api/v1/users"), 403, "forbidden")
        refusals = [entry for entry in await desk.house.log.entries() if entry.action == "access.refused"]
        assert [entry.actor for entry in refusals] == [user]
        assert refusals[0].detail["request"] == "list_users"


async def test_users_are_invited_listed_changed_and_reset(desk: Desk) -> None:
    admin, _ = await desk.enrolled("admin", "root")
    async with admin:
        body = {"login": "eve", "name": "Eve Example", "role": "auditor"}
        added = await admin.post("/api/v1/users", json=body)
        assert added.status == 201
        invited = await added.json()
        assert invited["enrolment_url"].startswith("http://127.0.0.1:8080/setup#")
        await refused(await admin.post("/api/v1/users", json=body), 409, "login_taken")
        people = (await (await admin.get("/api/v1/users")).json())["items"]
        eve = next(person for person in people if person["login"] == "eve")
        assert (eve["id"], eve["enrolled"]) == (invited["id"], False)
        again = await (await admin.post(f"/api/v1/users/{eve['id']}/reset")).json()
        assert again["id"] == eve["id"]
        assert again["enrolment_url"] != invited["enrolment_url"]


async def test_there_is_no_demo_door_outside_a_demo(desk: Desk) -> None:
    async with desk.client() as client:
        await refused(await client.post("/api/v1/demo", json={"token": "x"}), 404, "not_found")
        about = await (await client.get("/api/v1/about")).json()
        assert about == {
            "clinic": {"name": "Test Clinic", "logo": None},
            "demo": False,
            "languages": ["en", "ar"],
            "kept": {
                "identity_days": 365,
                "recording_days": 2557,
                "backup_days": 0,
                "audit_years": 6,
                "copies": True,
            },
            "passkeys_at": "localhost",
            "sso": None,
        }
