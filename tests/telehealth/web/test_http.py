"""What holds for every request: headers, problems, origins, bounds."""

import json
import shutil
from collections.abc import AsyncIterator
from io import StringIO
from typing import Any

from aiohttp import ClientSession, CookieJar

from telehealth.access import SCOPES, command_line
from telehealth.ids import Kind, new_id
from telehealth.web.route import PATH_KINDS, Route, Who
from telehealth.web.table import ROUTES

from .conftest import Desk, refused

FIXED = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Server": "telehealth",
}


def filled(route: Route) -> str:
    """The route's path with ids that are well formed and unknown."""
    path = route.path
    for name, kind in PATH_KINDS.items():
        path = path.replace(f"{{{name}}}", new_id(Kind(kind)))
    return path


def check_headers(headers: Any) -> None:
    for name, value in FIXED.items():
        assert headers[name] == value
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws://")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    permissions = headers["Permissions-Policy"]
    assert "camera=(self), microphone=(self), display-capture=(self)" in permissions
    assert "geolocation=()" in permissions


async def test_every_route_answers_a_stranger_with_headers_and_a_coded_problem(desk: Desk) -> None:
    async with desk.client() as client:
        for route in ROUTES:
            answer = await client.request(route.method, filled(route), json=None if route.method == "GET" else {})
            await answer.read()
            check_headers(answer.headers)
            if route.path.startswith("/api/"):
                assert answer.headers["Cache-Control"] == "no-store", route.path
            if answer.status >= 400:
                problem = await answer.json(content_type=None)
                if route.path.startswith("/fhir/"):
                    assert answer.content_type == "application/fhir+json", route.path
                    assert problem["issue"][0]["details"]["coding"][0]["code"]
                else:
                    assert answer.content_type == "application/problem+json", route.path
                    assert problem["code"]
            if route.who not in (Who.ANYONE, Who.METRICS):
                assert answer.status == 401, f"{route.method} {route.path} let a stranger in: {answer.status}"


async def test_no_route_that_changes_something_takes_a_foreign_page(desk: Desk) -> None:
    client, _ = await desk.enrolled("admin", "root")
    async with client:
        jar = client.cookie_jar
        for headers in (
            {},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": "none"},
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
        ):
            async with ClientSession(desk.server.make_url("/"), cookie_jar=jar, headers=headers) as foreign:
                for route in ROUTES:
                    if route.method != "GET" and not route.foreign:
                        answer = await foreign.request(route.method, filled(route), json={})
                        await refused(answer, 403, "foreign_origin")
        async with ClientSession(
            desk.server.make_url("/"), cookie_jar=jar, headers={"Origin": "http://127.0.0.1:8080"}
        ) as ours:
            assert (await ours.post("/api/v1/session/renew")).status == 200


BAD = [
    (b"{", "application/json", 400, "malformed"),
    (b"[]", "application/json", 400, "malformed"),
    (b"", "application/json", 400, "malformed"),
    (b"\xff\xfe", "application/json", 400, "malformed"),
    (b"[" * 30_000, "application/json", 400, "malformed"),
    (b'{"patient": {"name": 7}}', "application/json", 400, "malformed"),
    (b'{"patient": {"name": "x"}, "colour": 1}', "application/json", 400, "malformed"),
    (b'{"patient": {"name": "x"}, "minutes": 1e9}', "application/json", 400, "malformed"),
    (b'{"patient": {"name": "a\\u0000b"}}', "application/json", 400, "malformed"),
    (b'{"patient": {"name": "x"}, "scheduled_at": "2026-01-01T00:00:00"}', "application/json", 400, "malformed"),
    (b"{}", "text/plain", 400, "media_type"),
    (b"a" * 70_000, "application/json", 413, "too_large"),
]


async def test_bad_bodies_get_one_clear_answer(desk: Desk, logs: StringIO) -> None:
    client, _ = await desk.enrolled("clinician", "ada")

    async def slowly(content: bytes) -> AsyncIterator[bytes]:
        for place in range(0, len(content), 8192):
            yield content[place : place + 8192]

    async with client:
        for content, kind, status, code in BAD:
            headers = {"Content-Type": kind}
            await refused(await client.post("/api/v1/visits", data=content, headers=headers), status, code)
            answer = await client.post("/api/v1/visits", data=slowly(content), headers=headers)
            await refused(answer, status, code)
        assert (await client.get("/api/v1/session")).status == 200
    assert "Traceback" not in logs.getvalue()
    assert "web.internal" not in logs.getvalue()


async def test_a_wrong_field_is_named_and_its_value_is_not(desk: Desk) -> None:
    client, _ = await desk.enrolled("clinician", "ada")
    async with client:
        answer = await client.post("/api/v1/visits", json={"patient": {"name": "x"}, "minutes": "secret words"})
        problem = await refused(answer, 400, "malformed")
        assert problem["where"] == "minutes"
        assert "secret words" not in json.dumps(problem)


async def test_unknown_addresses_methods_and_ids(desk: Desk) -> None:
    client, _ = await desk.enrolled("admin", "root")
    async with client:
        await refused(await client.get("/api/v1/nothing"), 404, "not_found")
        answer = await client.put("/api/v1/visits", json={})
        await refused(answer, 405, "method_not_allowed")
        assert "POST" in answer.headers["Allow"]
        for path in ("/api/v1/visits/vis_x", f"/api/v1/visits/{new_id(Kind.LINK)}", f"/api/v1/visits/{'a' * 5000}"):
            await refused(await client.get(path), 404, "not_found")
        await refused(await client.get("/api/v1/visits?limit=x"), 400, "malformed")
        await refused(await client.get("/api/v1/visits?limit=1&limit=2"), 400, "malformed")
        await refused(await client.get("/api/v1/visits?colour=red"), 400, "malformed")
        await refused(await client.get("/api/v1/session?colour=red"), 400, "malformed")


async def test_a_token_opens_what_its_scopes_say_and_nothing_else(desk: Desk) -> None:
    client, user = await desk.enrolled("admin", "root")
    await client.close()
    _, visits = await desk.house.tokens.create(command_line(), user, "reader", {"audit:read"}, 1)
    bearer = {"Authorization": f"Bearer {visits.reveal()}"}
    async with ClientSession(desk.server.make_url("/"), headers=bearer) as program:
        assert (await program.get("/api/v1/audit/entries")).status == 200
        for route in ROUTES:
            if route.who not in (Who.ANYONE, Who.PATIENT) and route.scope != "audit:read":
                answer = await program.request(route.method, filled(route), json={} if route.method != "GET" else None)
                await refused(answer, 403, "scope_missing")
    wrong = {"Authorization": "Bearer tht_wrong"}
    async with ClientSession(desk.server.make_url("/"), headers=wrong, cookie_jar=CookieJar(unsafe=True)) as program:
        await refused(await program.get("/api/v1/audit/entries"), 401, "unauthenticated")


def test_every_route_says_who_and_every_scope_is_a_known_one() -> None:
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)
    assert len({route.name for route in ROUTES}) == len(ROUTES)
    for route in ROUTES:
        assert route.who in Who
        assert route.scope is None or route.scope in SCOPES
        assert route.handler.__doc__
        if route.method != "GET" and route.who is Who.ANYONE:
            assert route.tag in ("session", "users", "joining", "copies", "connection"), (
                f"{route.path} changes something for anyone"
            )


async def test_what_breaks_inside_is_answered_and_logged_by_type_alone(desk: Desk, logs: StringIO) -> None:
    client, _ = await desk.enrolled("clinician", "ada")
    async with client:
        await desk.house.base.store.close()
        async with desk.house.base.store.begin() as connection:
            await connection.exec_driver_sql("ALTER TABLE sessions RENAME TO sessions_gone")
        await refused(await client.get("/api/v1/session"), 500, "internal")
    assert '"exception_type": "OperationalError"' in logs.getvalue()
    assert "no such table" not in logs.getvalue()


async def test_a_database_that_is_away_is_said_to_be_so(desk: Desk, logs: StringIO) -> None:
    client, _ = await desk.enrolled("clinician", "ada")
    async with client:
        store = desk.house.base.store
        assert store.file is not None
        await store.close()
        store.file.rename(store.file.with_suffix(".gone"))
        store.file.mkdir()
        await refused(await client.get("/api/v1/session"), 503, "unavailable")
        assert '"event": "web.database_away"' in logs.getvalue()
        store.file.rmdir()
        store.file.with_suffix(".gone").rename(store.file)
        assert (await client.get("/api/v1/session")).status == 200


async def test_health_and_figures(desk: Desk) -> None:
    async with desk.client() as client:
        assert (await (await client.get("/healthz")).json()) == {"status": "ok"}
        ready = await client.get("/readyz")
        assert (ready.status, await ready.json()) == (200, {"failing": []})
        await client.get(f"/api/v1/visits/{new_id(Kind.VISIT)}")
        figures = await (await client.get("/metrics")).text()
        assert 'telehealth_http_requests_total{method="GET",route="/api/v1/visits/{visit}",status="401"} 1.0' in figures
        assert "vis_" not in figures
        shutil.rmtree(desk.house.config.places.recordings)
        ready = await client.get("/readyz")
        assert (ready.status, await ready.json()) == (503, {"failing": ["disk", "vault"]})


async def test_the_consent_text_comes_in_the_nearest_language(desk: Desk) -> None:
    async with desk.client() as client:
        arabic = await (await client.get("/api/v1/texts/consent?language=ar-EG")).json()
        assert arabic["language"] == "ar"
        assert len(arabic["sha256"]) == 64
        assert (await (await client.get("/api/v1/texts/consent?language=xx")).json())["language"] == "en"
        await refused(await client.get("/api/v1/texts/consent?language=%3Cscript%3E"), 400, "malformed")
