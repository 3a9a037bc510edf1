"""One's own account, people and tokens over HTTP: grave acts ask again, ended sessions are out at once."""

import base64
from datetime import timedelta

import pyotp
from aiohttp import ClientSession
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from telehealth.access import command_line
from telehealth.store.tables import sessions, users
from telehealth.web.route import PATH_KINDS, Who
from telehealth.web.table import ROUTES

from .conftest import PASSWORD, Desk, refused

DAY = timedelta(days=1)


async def forget_proof(desk: Desk) -> None:
    """As if everybody had proved both factors long ago."""
    async with desk.house.base.store.begin() as connection:
        await connection.execute(sessions.update().values(mfa_at=desk.house.clock.now() - DAY))


async def enrolled_with_totp(desk: Desk, role: str, login: str) -> tuple[ClientSession, list[str]]:
    """A signed-in browser and its recovery codes."""
    invitation = await desk.house.people.add(command_line(), login, f"{login.title()} Example", role)
    client, token = desk.client(), invitation.token.reveal()
    offer = await (await client.post("/api/v1/enrolment", json={"token": token})).json()
    body = {"token": token, "password": PASSWORD, "code": pyotp.TOTP(offer["totp_secret"]).now()}
    done = await (await client.post("/api/v1/enrolment/finish", json=body)).json()
    return client, done["recovery_codes"]


GRAVE = {
    ("DELETE", "/api/v1/recordings/{recording}"),
    ("DELETE", "/api/v1/recordings/{recording}/hold"),
    ("DELETE", "/api/v1/recordings/{recording}/parts/{participant}"),
    ("POST", "/api/v1/deletions/{deletion}/approve"),
    ("POST", "/api/v1/copies/{copy}/approve"),
    ("POST", "/api/v1/copies/{copy}/link"),
    ("POST", "/api/v1/copies/{copy}/code"),
    ("PUT", "/api/v1/retention"),
    ("POST", "/api/v1/users"),
    ("PATCH", "/api/v1/users/{user}"),
    ("POST", "/api/v1/users/{user}/reset"),
    ("POST", "/api/v1/resets/{reset}/approve"),
    ("POST", "/api/v1/reviews/sign"),
    ("POST", "/api/v1/tokens"),
    ("POST", "/api/v1/tokens/{token}/rotate"),
    ("POST", "/api/v1/passkeys"),
    ("POST", "/api/v1/passkeys/options"),
    ("DELETE", "/api/v1/passkeys/{passkey}"),
    ("PUT", "/api/v1/password"),
    ("POST", "/api/v1/sso/link"),
    ("POST", "/api/v1/sso/link/finish"),
    ("DELETE", "/api/v1/sso/link"),
    ("POST", "/api/v1/privacy/exports"),
}


async def test_every_grave_act_and_no_other_asks_for_both_factors_again(desk: Desk) -> None:
    client, _ = await desk.enrolled("admin", "root")
    async with client:
        await forget_proof(desk)
        asked = set()
        for route in ROUTES:
            if route.who in (Who.ANYONE, Who.PATIENT, Who.METRICS) or "sign_out" in route.name:
                continue
            if route.method == "GET" or route.name in ("end_sessions", "step_up"):
                continue
            path = route.path
            for name, kind in PATH_KINDS.items():
                path = path.replace(f"{{{name}}}", f"{kind}_{'a' * 26}")
            answer = await client.request(route.method, path, json={})
            if answer.status == 403 and (await answer.json())["code"] == "step_up_needed":
                asked.add((route.method, route.path))
            await answer.read()
        assert asked == GRAVE == {(route.method, route.path) for route in ROUTES if route.step_up}


async def test_both_factors_typed_again_open_grave_acts(desk: Desk) -> None:
    client, codes = await enrolled_with_totp(desk, "admin", "root")
    body = {"login": "eve", "name": "Eve Example", "role": "front_desk"}
    async with client:
        await forget_proof(desk)
        await refused(await client.post("/api/v1/users", json=body), 403, "step_up_needed")
        assert await (await client.post("/api/v1/session/step-up/options")).json() == {"options": None}
        for wrong in ({}, {"password": PASSWORD}, {"code": "1"}):
            await refused(await client.post("/api/v1/session/step-up", json=wrong), 400, "malformed")
        wrong = {"password": "wrong", "code": codes[0]}
        await refused(await client.post("/api/v1/session/step-up", json=wrong), 401, "sign_in_refused")
        before = [cookie.value for cookie in client.cookie_jar]
        proved = await client.post("/api/v1/session/step-up", json={"password": PASSWORD, "code": codes[0]})
        assert proved.status == 204, await proved.text()
        assert [cookie.value for cookie in client.cookie_jar] != before
        assert (await client.post("/api/v1/users", json=body)).status == 201


async def test_a_token_with_its_scope_is_not_asked_for_factors_it_does_not_have(desk: Desk) -> None:
    client, user = await desk.enrolled("admin", "root")
    async with client:
        body = {"label": "sync", "scopes": ["users:manage"], "networks": ["127.0.0.0/8"]}
        made = await client.post("/api/v1/tokens", json=body)
        assert made.status == 201, await made.text()
        fresh = await made.json()
        bearer = {"Authorization": f"Bearer {fresh['token']}"}
        await forget_proof(desk)
        async with desk.client(**bearer) as program:
            added = await program.post("/api/v1/users", json={"login": "x", "name": "X", "role": "clinician"})
            assert added.status == 201, await added.text()
            await refused(await program.get("/api/v1/tokens"), 403, "scope_missing")
            await refused(await program.get("/api/v1/sessions"), 403, "scope_missing")
        (kept,) = (await (await client.get("/api/v1/tokens")).json())["items"]
        assert (kept["user"], kept["networks"], kept["used_at"] is None) == (user, ["127.0.0.0/8"], False)
        assert fresh["token"] not in str(kept)


async def test_tokens_are_rotated_and_revoked_in_the_pages(desk: Desk) -> None:
    client, _ = await desk.enrolled("admin", "root")
    async with client:
        old = await (await client.post("/api/v1/tokens", json={"label": "x", "scopes": ["metrics"]})).json()
        new = await (await client.post(f"/api/v1/tokens/{old['id']}/rotate", json={"overlap_hours": 1})).json()
        for one in (old, new):
            async with desk.client(Authorization=f"Bearer {one['token']}") as program:
                assert (await program.get("/metrics")).status == 200
        assert (await client.delete(f"/api/v1/tokens/{old['id']}")).status == 204
        async with desk.client(Authorization=f"Bearer {old['token']}") as program:
            await refused(await program.get("/metrics"), 401, "unauthenticated")
        bad = {"label": "x", "scopes": ["metrics"], "networks": ["nowhere"]}
        await refused(await client.post("/api/v1/tokens", json=bad), 400, "malformed")


async def test_devices_are_listed_and_ended_and_a_new_password_ends_the_others(desk: Desk) -> None:
    here, codes = await enrolled_with_totp(desk, "clinician", "ada")
    async with here, desk.client(**{"User-Agent": "Firefox/140.0 (Windows)"}) as there, desk.client() as third:
        for client, code in ((there, codes[0]), (third, codes[1])):
            body = {"login": "ada", "password": PASSWORD, "code": code}
            assert (await client.post("/api/v1/session", json=body)).status == 200
        items = (await (await here.get("/api/v1/sessions")).json())["items"]
        assert [one["current"] for one in items] == [False, False, True]
        assert items[1]["name"] == "Firefox 140, Windows"
        assert (await here.delete(f"/api/v1/sessions/{items[1]['id']}")).status == 204
        await refused(await there.get("/api/v1/session"), 401, "unauthenticated")
        await refused(await here.delete(f"/api/v1/sessions/{items[1]['id']}"), 404, "not_found")
        fresh = {"password": PASSWORD, "new_password": "nine green herons wade"}
        assert (await here.put("/api/v1/password", json=fresh)).status == 204
        await refused(await third.get("/api/v1/session"), 401, "unauthenticated")
        assert (await here.get("/api/v1/session")).status == 200
        everywhere = await here.delete("/api/v1/sessions")
        assert everywhere.status == 204
        assert "storage" in everywhere.headers["Clear-Site-Data"]
        await refused(await here.get("/api/v1/session"), 401, "unauthenticated")


async def test_an_admin_is_reset_by_two_others(desk: Desk) -> None:
    ann, _ = await desk.enrolled("admin", "ann")
    ben, _ = await desk.enrolled("admin", "ben")
    cat, meant = await desk.enrolled("admin", "cat")
    async with desk.house.base.store.begin() as connection:
        long_ago = desk.house.clock.now() - 2 * DAY
        await connection.execute(users.update().values(created_at=long_ago, admin_since=long_ago))
    async with ann, ben, cat:
        demoted = await ann.patch(f"/api/v1/users/{meant}", json={"role": "clinician"})
        await refused(demoted, 403, "second_admin_needed")
        asked = await (await ann.post(f"/api/v1/users/{meant}/reset")).json()
        assert asked["enrolment_url"] is None
        assert (await cat.get("/api/v1/session")).status == 200
        path = f"/api/v1/resets/{asked['request']}"
        for alone in (ann, cat):
            await refused(await alone.post(f"{path}/approve"), 403, "second_admin_needed")
        (waiting,) = (await (await ben.get("/api/v1/resets")).json())["items"]
        assert (waiting["user"]["name"], waiting["asked_by"]["name"]) == ("Cat Example", "Ann Example")
        approved = await (await ben.post(f"{path}/approve")).json()
        assert "/setup#" in approved["enrolment_url"]
        await refused(await cat.get("/api/v1/session"), 401, "unauthenticated")
        await refused(await ben.delete(path), 404, "not_found")


async def test_the_front_desk_books_and_sends_links_and_sees_no_recordings(desk: Desk) -> None:
    front, _ = await desk.enrolled("front_desk", "fran")
    doctor, clinician = await desk.enrolled("clinician", "ada")
    async with front, doctor:
        body = {"patient": {"name": "Zora"}}
        await refused(await front.post("/api/v1/visits", json=body), 400, "malformed")
        offered = (await (await front.get("/api/v1/clinicians")).json())["items"]
        assert offered == [{"id": clinician, "name": "Ada Example"}]
        made = await (await front.post("/api/v1/visits", json={**body, "clinician": clinician})).json()
        visit = made["visit"]["id"]
        assert made["visit"]["recordings"] == []
        assert (await front.post(f"/api/v1/visits/{visit}/links", json={})).status == 201
        assert len((await (await front.get("/api/v1/visits")).json())["items"]) == 1
        assert (await front.patch(f"/api/v1/visits/{visit}", json={"minutes": 45})).status == 200
        for method, path in (
            ("POST", f"/api/v1/visits/{visit}/end"),
            ("GET", "/api/v1/recordings"),
            ("GET", "/api/v1/retention"),
            ("GET", "/api/v1/audit/entries"),
            ("GET", "/api/v1/users"),
            ("GET", "/api/v1/tokens"),
        ):
            await refused(await front.request(method, path), 403, "forbidden")


async def test_playing_needs_the_sessions_key(desk: Desk) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    numbers = key.public_key().public_numbers()
    jwk = {"kty": "EC", "crv": "P-256", **{n: _spelled(getattr(numbers, n).to_bytes(32, "big")) for n in "xy"}}
    first, codes = await enrolled_with_totp(desk, "admin", "root")
    path = f"/api/v1/recordings/rec_{'a' * 26}/grants"
    async with first, desk.client() as client:
        body = {"login": "root", "password": PASSWORD, "code": codes[0]}
        await refused(await client.post("/api/v1/session", json={**body, "key": {**jwk, "d": "x"}}), 400, "malformed")
        assert (await client.post("/api/v1/session", json={**body, "key": jwk})).status == 200
        await refused(await client.post(path, json={"purpose": "legal"}), 403, "proof_needed")
        challenge = (await (await client.post("/api/v1/session/challenge")).json())["challenge"]
        signed = key.sign(f"telehealth session proof 1\n{challenge}".encode(), ec.ECDSA(SHA256()))
        raw = b"".join(number.to_bytes(32, "big") for number in decode_dss_signature(signed))
        proof = {"Session-Proof": f"{challenge}.{_spelled(raw)}"}
        await refused(await client.post(path, json={"purpose": "legal"}, headers=proof), 404, "not_found")
        await refused(await client.post(path, json={"purpose": "legal"}, headers=proof), 403, "proof_needed")


def _spelled(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


async def test_bad_passkeys_get_one_coded_answer(desk: Desk) -> None:
    async with desk.client() as client:
        options = (await (await client.post("/api/v1/session/passkey/options")).json())["options"]
        assert options["rpId"] == "localhost"
        response = {"clientDataJSON": "e30", "authenticatorData": "AAAA", "signature": "AAAA"}
        good = {"id": "AAAA", "rawId": "AAAA", "type": "public-key", "response": response}
        await refused(await client.post("/api/v1/session/passkey", json={"credential": good}), 401, "passkey_refused")
        for wrong in (
            {},
            {"credential": {}},
            {"credential": {**good, "id": "A" * 1365}},
            {"credential": {**good, "type": "password"}},
            {"credential": {**good, "more": 1}},
            {"credential": {**good, "response": {**response, "signature": "A" * 16_385}}},
            {"credential": {**good, "response": {**response, "signature": "ä"}}},
        ):
            await refused(await client.post("/api/v1/session/passkey", json=wrong), 400, "malformed")
