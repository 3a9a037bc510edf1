"""Single sign-on over HTTP: cookies, codes, the back channel, and that nothing else is needed for passwords."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pyotp
import pytest
from aiohttp import ClientSession, web

from telehealth.config import Config, ConfigRefused, load
from tests.telehealth.web.conftest import PASSWORD, Desk, config_in, refused

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "identity"))
from lying_provider import CLIENT, SECRET, LyingProvider, lying_provider

BACK = "/api/v1/sso/back-channel"


@pytest.fixture
async def idp() -> AsyncIterator[LyingProvider]:
    from telehealth.clock import SystemClock

    clock = SystemClock()
    async with lying_provider(lambda: clock.now().timestamp()) as provider:
        yield provider


@pytest.fixture
def config(tmp_path: Path, idp: LyingProvider) -> Config:
    secret = tmp_path / "sso.secret"
    secret.write_text(SECRET + "\n")
    sso = {"issuer": idp.issuer, "client_id": CLIENT, "client_secret_file": secret, "name": "Hospital login"}
    mine = {**sso, "mfa_amr": ["mfa"], "provision": True, "roles": {"physicians": "clinician"}}
    idp.claims = {"roles": ["physicians"], "preferred_username": "ada"}
    return Config.model_validate({**config_in(tmp_path).model_dump(), "sso": mine})


async def back(client: ClientSession, idp: LyingProvider) -> dict[str, Any]:
    """There and, without the page, back."""
    begun = await client.post("/api/v1/session/sso", json={})
    assert begun.status == 200, await begun.text()
    return idp.authorize((await begun.json())["location"])


def cookies(client: ClientSession) -> set[str]:
    return {cookie.key for cookie in client.cookie_jar if cookie.value}


async def test_there_and_back_sets_the_staff_cookie_and_drops_the_other(desk: Desk, idp: LyingProvider) -> None:
    async with desk.client() as client:
        about = await (await client.get("/api/v1/about")).json()
        assert about["sso"] == "Hospital login"
        brought = await back(client, idp)
        assert cookies(client) == {"sso"}
        done = await client.post("/api/v1/session/sso/finish", json=brought)
        assert done.status == 200, await done.text()
        assert (await done.json())["code_needed"] is False
        assert cookies(client) == {"staff", "device"}
        set_cookie = "; ".join(done.headers.getall("Set-Cookie"))
        assert set_cookie.count("HttpOnly") == set_cookie.count("SameSite=Strict") == 3
        session = await (await client.get("/api/v1/session")).json()
        assert (session["factor"], session["user"]["role"]) == ("sso", "clinician")
        await refused(await client.post("/api/v1/session/sso/finish", json=brought), 410, "challenge_over")
        left = await client.post("/api/v1/session/sso/sign-out")
        assert (await left.json())["location"].startswith(f"{idp.issuer}/end?")
        await refused(await client.get("/api/v1/session"), 401, "unauthenticated")


async def test_one_factor_of_the_provider_sets_no_staff_cookie(desk: Desk, idp: LyingProvider) -> None:
    client, _ = await desk.enrolled("clinician", "bob")
    async with client, desk.client() as other:
        brought = await back(other, idp)
        idp.claims["amr"] = ["pwd"]
        await refused(await other.post("/api/v1/session/sso/finish", json=brought), 403, "sso_factor_missing")
        assert "staff" not in cookies(other)


async def test_foreign_pages_and_bad_bodies_get_codes(desk: Desk, idp: LyingProvider) -> None:
    async with desk.client() as client:
        for path in ("", "/finish", "/code"):
            foreign = {"Sec-Fetch-Site": "cross-site"}
            answer = await client.post(f"/api/v1/session/sso{path}", json={}, headers=foreign)
            await refused(answer, 403, "foreign_origin")
        for body in ({}, {"state": ""}, {"state": "x" * 2001}, {"state": "x", "code": "y" * 2001}, {"state": 7}):
            await refused(await client.post("/api/v1/session/sso/finish", json=body), 400, "malformed")
        await refused(await client.post("/api/v1/session/sso/code", json={"code": "1"}), 410, "challenge_over")
        await refused(await client.post("/api/v1/session/sso/sign-out"), 401, "unauthenticated")


async def test_the_back_channel_needs_no_cookie_and_no_origin(desk: Desk, idp: LyingProvider) -> None:
    async with desk.client() as client, ClientSession(desk.server.make_url("/")) as server:
        done = await client.post("/api/v1/session/sso/finish", json=await back(client, idp))
        assert done.status == 200
        for form in ({}, {"logout_token": "x"}, {"logout_token": idp.sign(idp.said("n"))}, {"other": "1"}):
            code = "malformed" if "logout_token" not in form else "logout_refused"
            await refused(await server.post(BACK, data=form), 400, code)
        await refused(await server.post(BACK, json={"logout_token": "x"}), 400, "malformed")
        await refused(await server.post(BACK, data={"logout_token": "x" * 40_000}), 400, "logout_refused")
        assert (await client.get("/api/v1/session")).status == 200
        answer = await server.post(BACK, data={"logout_token": idp.logout_token()})
        assert (answer.status, answer.headers["Cache-Control"]) == (204, "no-store")
        await refused(await client.get("/api/v1/session"), 401, "unauthenticated")


async def test_with_the_provider_away_passwords_work_and_the_door_says_so(desk: Desk, idp: LyingProvider) -> None:
    client, _ = await desk.enrolled("clinician", "bob")
    idp.metadata_answer = lambda: web.Response(status=503)
    async with client, desk.client() as other:
        await refused(await other.post("/api/v1/session/sso", json={}), 503, "sso_unavailable")
        assert (await client.get("/api/v1/session")).status == 200
        wrong = {"login": "bob", "password": PASSWORD, "code": pyotp.random_base32()[:6]}
        await refused(await other.post("/api/v1/session", json=wrong), 401, "sign_in_refused")


@pytest.mark.parametrize(
    ("section", "fault"),
    [
        ({"ISSUER": "https://idp.example"}, "go together"),
        ({"ISSUER": "http://idp.example", "CLIENT_ID": "x"}, "https://"),
        ({"ISSUER": "https://idp.example#x", "CLIENT_ID": "x"}, "https://"),
        ({"ISSUER": "https://u:p@idp.example", "CLIENT_ID": "x"}, "https://"),
        ({"PROVISION": "true"}, "sso.roles"),
        ({"ROLES__STAFF": "surgeon"}, "sso.roles"),
    ],
)
def test_a_half_configured_provider_stops_the_start(section: dict[str, str], fault: str) -> None:
    with pytest.raises(ConfigRefused) as wrong:
        load(None, {f"TELEHEALTH_SSO__{name}": value for name, value in section.items()})
    assert any(fault in line for line in wrong.value.faults), wrong.value.faults
