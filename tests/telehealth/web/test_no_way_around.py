"""Two factors for everybody with an account: every door is known, and each stays shut for one factor alone."""

import ast
from collections.abc import AsyncIterator, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pyotp
import pytest
from aiohttp import ClientSession

from telehealth.access import command_line
from telehealth.app import ROOT
from telehealth.identity.secrets import new_token
from telehealth.identity.tokens import SCOPES
from telehealth.web.route import Route, Who
from telehealth.web.table import ROUTES
from tests.telehealth.web.conftest import PASSWORD, Desk

# Where a session begins, and the two proofs it wants. A new place has to be put here, with its proofs.
BEGINS = {
    ("identity/sign_in.py", "attempt"): "password and code",
    ("identity/sign_in.py", "by_code"): "the provider's word and the own code",
    ("identity/passkey_sign_in.py", "attempt"): "a passkey that verified its user",
    ("identity/enrolment.py", "_write"): "a set-up link, then password and code chosen by it",
    ("identity/oidc/sign_in.py", "_in"): "two factors of the provider, as configured",
    ("demo.py", "enter"): "a printed link, in a demo on loopback alone",
}
# Handlers that hand out the staff cookie to somebody who had none.
DOORS = {"sign_in", "passkey_sign_in", "finish_enrolment", "enter_demo", "sso_finish", "sso_code"}
RENEWING = {"step_up", "change_password"}  # to somebody signed in
STAFF = [route for route in ROUTES if route.who not in (Who.ANYONE, Who.PATIENT, Who.METRICS)]


def functions(folder: Path) -> Iterator[tuple[str, ast.AsyncFunctionDef | ast.FunctionDef]]:
    for file in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef):
                yield str(file.relative_to(folder)), node


def calls(function: ast.AST, name: str, receiver: str | None = None) -> bool:
    for node in ast.walk(function):
        if isinstance(node, ast.Call):
            called = node.func
            found = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            of = (
                getattr(called.value, "attr", getattr(called.value, "id", ""))
                if isinstance(called, ast.Attribute)
                else ""
            )
            if found == name and receiver in (None, of.lstrip("_")):
                return True
    return False


def test_sessions_begin_at_known_places_and_nowhere_else() -> None:
    found = {(file, one.name) for file, one in functions(ROOT / "telehealth") if calls(one, "start", "sessions")}
    assert found == set(BEGINS)


def test_rows_of_sessions_are_made_in_one_place() -> None:
    found = {(file, one.name) for file, one in functions(ROOT / "telehealth") if calls(one, "insert_session")}
    assert found == {("identity/sessions.py", "start")}


def test_the_staff_cookie_is_handed_out_at_known_doors() -> None:
    found = {one.name for _, one in functions(ROOT / "telehealth" / "web") if calls(one, "session_cookie")}
    assert found == DOORS | RENEWING
    by_name = {route.name: route for route in ROUTES}
    assert {name for name in found if by_name[name].who is Who.ANYONE} == DOORS


@pytest.fixture
def spent() -> list[str]:
    """Codes that were used."""
    return []


@pytest.fixture
async def ada(desk: Desk, spent: list[str]) -> pyotp.TOTP:
    """Somebody with password and authenticator."""
    invitation = await desk.house.people.add(command_line(), "ada", "Ada Example", "admin")
    token = invitation.token.reveal()
    async with desk.client() as client:
        offer = await (await client.post("/api/v1/enrolment", json={"token": token})).json()
        totp = pyotp.TOTP(offer["totp_secret"])
        spent.append(totp.now())
        body = {"token": token, "password": PASSWORD, "code": spent[0]}
        assert (await client.post("/api/v1/enrolment/finish", json=body)).status == 200
    return totp


async def begun(desk: Desk) -> int:
    async with desk.house.base.store.read() as connection:
        count: int = (await connection.exec_driver_sql("SELECT count(*) FROM sessions")).scalar_one()
    return count


async def test_one_factor_opens_no_door(desk: Desk, ada: pyotp.TOTP, spent: list[str]) -> None:
    used = spent[0]
    tries: list[tuple[str, dict[str, Any]]] = [
        ("session", {"login": "ada", "password": PASSWORD, "code": "000000"}),
        ("session", {"login": "ada", "password": PASSWORD, "code": used}),  # was used at enrolment
        ("session", {"login": "ada", "password": "wrong", "code": ada.at(10**9)}),
        ("session", {"login": "ada", "password": PASSWORD}),
        ("session", {"login": "ada", "code": used}),
        ("session", {"login": "ada", "password": PASSWORD, "code": ""}),
        ("session", {"login": "ada", "password": PASSWORD, "code": None}),
        ("session", {"login": "ada", "password": PASSWORD, "code": [used]}),
        ("session/sso/finish", {"state": "x", "code": "y"}),
        ("session/sso/code", {"code": used}),
        ("enrolment/finish", {"token": "x" * 43, "password": PASSWORD, "code": used}),
        ("demo", {"token": "x"}),
    ]
    before = await begun(desk)
    async with desk.client() as client:
        for path, body in tries:
            answer = await client.post(f"/api/v1/{path}", json=body)
            assert 400 <= answer.status < 500, (path, body, answer.status)
            assert not [cookie for cookie in client.cookie_jar if cookie.key == "staff" and cookie.value], (path, body)
    assert await begun(desk) == before


def path_of(route: Route) -> str:
    return route.path.replace("{tile}", "0/000").replace("{event}", "1")


async def ask(client: ClientSession, route: Route, **headers: str) -> int:
    path = path_of(route)
    while "{" in path:
        name = path[path.index("{") + 1 : path.index("}")]
        path = path.replace(f"{{{name}}}", "x_" + "a" * 26)
    async with client.request(
        route.method, path, json={} if route.method != "GET" else None, headers=headers
    ) as answer:
        return answer.status


async def test_no_staff_route_opens_without_a_session_whatever_the_cookie(desk: Desk) -> None:
    held = [None, "x", new_token(lambda count: b"n" * count).reveal(), "null", "'", "x" * 5000]
    async with desk.client() as client:
        for route in STAFF:
            for cookie in held if route.name in ("show_session", "list_users") else held[:2]:
                status = await ask(client, route, **({"Cookie": f"staff={cookie}"} if cookie else {}))
                assert status == 401, (route.name, cookie, status)


async def test_a_token_made_on_the_command_line_opens_its_scopes_alone(desk: Desk, ada: pyotp.TOTP) -> None:
    (user,) = [one.id for one in await desk.house.people.list(command_line())]
    _, token = await desk.house.tokens.create(command_line(), user, "all", SCOPES, 1)
    async with ClientSession(desk.server.make_url("/")) as client:
        for route in STAFF:
            if route.scope is None:
                status = await ask(client, route, Authorization=f"Bearer {token.reveal()}")
                assert status in (401, 403), (route.name, status)
    assert ada


@pytest.mark.parametrize("told", [True, False])
async def test_ten_megabytes_of_password_are_refused_before_they_are_read(desk: Desk, told: bool) -> None:
    huge = b'{"login": "ada", "password": "' + b"p" * 10_000_000 + b'", "code": "000000"}'

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(huge), 65_536):
            yield huge[at : at + 65_536]

    async with desk.client() as client:
        headers = {"Content-Type": "application/json"}
        sent: Any = BytesIO(huge) if told else pieces()
        try:
            answer = await client.post("/api/v1/session", data=sent, headers=headers)
        except (ConnectionError, OSError):
            return  # cut off in the middle
        assert answer.status == 413
