"""Whatever comes by request, link or code gets one clear answer with a code, and the log stays clean."""

import asyncio
import json
import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from socketio.exceptions import ConnectionError as Refused

from telehealth.ids import new_id
from telehealth.web.route import PATH_KINDS
from tests.faults.clinic import Answer, Booked, Client, Clinic
from tests.faults.wire import Wire, raw_call

BODIES = [
    (b"{", "malformed"),
    (b"", "malformed"),
    (b"[]", "malformed"),
    (b"null", "malformed"),
    (b"\xff\xfe{}", "malformed"),
    (b"[" * 30_000, "malformed"),
    (b'{"__proto__": 1, "patient": 7, "code": {}, "token": [], "login": null}', "malformed"),
    (b" " * 70_000, "too_large"),
    (b'{"name": "' + b"x" * 2_000_000 + b'"}', "too_large"),
]
SIGNED = {"/api/v1/sso/back-channel"}  # another server asks: a form, which is signed, and no cookie


def refused(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.code) == (status, code), answer.body[:300]


def routes(clinic: Clinic) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every request of the contract: method, path filled with ids of nothing, operation."""
    for path, methods in clinic.admin.get("/api/v1/openapi.json")["paths"].items():
        filled = re.sub(r"\{(\w+)\}", lambda name: id_of(name[1]), path)
        for method, operation in methods.items():
            yield method.upper(), filled, operation


def id_of(name: str) -> str:
    return new_id(PATH_KINDS[name]) if name in PATH_KINDS else name


def unknown_to_an_admin(path: str) -> tuple[int, ...]:
    """What stands for a patient's browser asks for its cookie first, which an admin does not have."""
    return (400, 401, 403, 404) if path.startswith("/api/v1/join/") else (400, 403, 404)


def everybody(clinic: Clinic) -> Client:
    """A browser with an admin's and a patient's cookie at once."""
    both = clinic.opened(clinic.book())
    both.cookies |= clinic.admin.cookies
    return both


# Requests


def test_every_request_with_a_body_answers_nonsense_with_one_code(clinic: Clinic) -> None:
    both, asked = everybody(clinic), 0
    for method, path, operation in routes(clinic):
        if "requestBody" in operation and path not in SIGNED:
            is_admins = both.ask(method, path, {}).code != "forbidden"
            client = both if is_admins else clinic.clinician
            for body, code in BODIES:
                refused(client.ask(method, path, body), 413 if code == "too_large" else 400, code)
            refused(client.ask(method, path, b"{}", headers={"Content-Type": "text/plain"}), 400, "media_type")
            asked += 1
    assert asked > 10


def test_every_request_for_something_unknown_says_so(clinic: Clinic) -> None:
    asked = 0
    for method, path, operation in routes(clinic):
        if any(parameter["in"] == "path" for parameter in operation.get("parameters", [])):
            if "requestBody" not in operation and not path.endswith("/story"):  # a log that knows nothing of it says so
                answer = clinic.admin.ask(method, path)
                assert answer.status in unknown_to_an_admin(path), (method, path, answer)
                assert answer.code or answer.fhir_code, (method, path, answer)
                asked += 1
            shapeless = re.sub(r"_[a-z2-7]{26}", "_x%00%2e%2e", path)
            assert clinic.admin.ask(method, shapeless, {}).status in unknown_to_an_admin(path), (method, path)
    assert asked > 8


def test_a_page_of_nonsense_is_refused(clinic: Clinic) -> None:
    queries = ("limit=0", "limit=201", "limit=x", "limit=1&limit=2", "after=nowhere", "colour=red", "day=yesterday")
    for query in queries:
        refused(clinic.clinician.ask("GET", f"/api/v1/visits?{query}"), 400, "malformed")


def test_every_request_that_changes_something_refuses_a_missing_or_foreign_origin(clinic: Clinic) -> None:
    client = everybody(clinic)
    for method, path, _ in routes(clinic):
        if method != "GET" and path not in SIGNED:
            for headers in (
                {"Origin": None},
                {"Origin": "https://elsewhere.example"},
                {"Origin": "null"},
                {"Origin": None, "Sec-Fetch-Site": "cross-site"},
                {"Origin": f"{clinic.house.url}.elsewhere.example"},
            ):
                refused(client.ask(method, path, {}, headers=headers), 403, "foreign_origin")


def test_another_role_is_refused_everywhere(clinic: Clinic) -> None:
    patient, auditor = clinic.verified(clinic.book()), clinic.staff("auditor", "auditor")
    other = clinic.staff("other", "clinician")
    mine = clinic.book()
    refused(clinic.clinician.ask("GET", "/api/v1/users"), 403, "forbidden")
    refused(clinic.clinician.ask("GET", "/api/v1/audit/entries"), 403, "forbidden")
    refused(auditor.ask("GET", "/api/v1/visits"), 403, "forbidden")
    refused(patient.ask("GET", "/api/v1/visits"), 401, "unauthenticated")
    for method, path in (("GET", ""), ("POST", "/end"), ("DELETE", f"/links/{mine.link}")):
        refused(other.ask(method, f"/api/v1/visits/{mine.id}{path}"), 404, "not_found")
    for client in (Client(clinic.house), patient):
        client.cookies |= {"staff": "A" * 43}
        refused(client.ask("GET", "/api/v1/session"), 401, "unauthenticated")


def test_what_the_state_does_not_allow_is_the_wrong_state(clinic: Clinic) -> None:
    visit = clinic.book()
    path = f"/api/v1/visits/{visit.id}"
    refused(clinic.clinician.ask("POST", f"{path}/end"), 409, "wrong_state")
    clinic.clinician.do("PATCH", path, {"state": "cancelled"})
    refused(clinic.clinician.ask("PATCH", path, {"state": "cancelled"}), 409, "wrong_state")
    refused(clinic.clinician.ask("PATCH", path, {"minutes": 45}), 409, "wrong_state")
    refused(clinic.clinician.ask("POST", f"{path}/links", {}), 409, "wrong_state")


def test_what_is_no_http_is_refused_and_the_next_one_served(standing_clinic: Clinic) -> None:
    port, end = standing_clinic.house.port, b"Host: a\r\nConnection: close\r\n\r\n"
    for said in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50) + b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"a" * 20_000 + b"\r\n" + end,
        b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 5_000 + end,
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n" + end,
        b"POST /api/v1/join HTTP/1.1\r\nContent-Length: -5\r\n" + end,
        b"POST /api/v1/join HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n" + end + b"0\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as wire, wire.makefile("rb") as answer:
            wire.sendall(said)
            assert answer.readline().split()[1] == b"400", said[:40]
            head, _, body = answer.read().partition(b"\r\n\r\n")
            assert b"content-type: application/problem+json" in head.lower(), said[:40]
            assert b"x-content-type-options: nosniff" in head.lower()
            assert json.loads(body)["code"] == "malformed"
        assert standing_clinic.admin.ask("GET", "/healthz").status == 200
    assert "Traceback" not in standing_clinic.house.log.read_text()


# Links and codes


def test_unknown_expired_and_revoked_links_look_the_same(clinic: Clinic) -> None:
    revoked, stranger = clinic.book(), Client(clinic.house)
    clinic.clinician.do("DELETE", f"/api/v1/visits/{revoked.id}/links/{revoked.link}")
    expired = clinic.book(scheduled_at="2020-01-01T10:00:00Z")
    answers = [
        stranger.ask("POST", "/api/v1/join", {"token": token}) for token in ("A" * 43, revoked.token, expired.token)
    ]
    for answer in answers:
        refused(answer, 404, "link_unknown")
    assert len({answer.body for answer in answers}) == 1
    assert not stranger.cookies


async def test_a_cookie_opens_its_own_visit_alone(clinic: Clinic) -> None:
    patient, other = clinic.verified(clinic.book()), clinic.book()
    wire = Wire(patient)
    with pytest.raises(Refused):
        await wire.connect({"visit": other.id})
    assert wire.refused["data"]["error"] == "unauthenticated"
    unverified = Wire(clinic.opened(other))
    with pytest.raises(Refused):
        await unverified.connect({"join": True})
    assert unverified.refused["data"]["error"] == "unauthenticated"
    async with raw_call(clinic) as call:
        intruder = Wire(clinic.staff("intruder", "clinician"))
        with pytest.raises(Refused):
            await intruder.connect({"visit": call.visit.id})
        assert intruder.refused["data"]["error"] == "not_found"
        assert len(call.doctor.view["participants"]) == 2


async def test_a_revoked_link_ends_its_socket_and_its_cookie(clinic: Clinic) -> None:
    async with raw_call(clinic) as call:
        clinic.clinician.do("DELETE", f"/api/v1/visits/{call.visit.id}/links/{call.visit.link}")
        assert (await call.patient.hears("ended"))["reason"] == "link_revoked"
        await call.patient.gone()
        refused(call.patient.client.ask("GET", "/api/v1/join"), 401, "unauthenticated")
        await call.doctor.does("ping")


def test_wrong_codes_are_counted_and_then_refused(clinic: Clinic) -> None:
    visit = clinic.book()
    client = clinic.opened(visit)
    for left in (4, 3, 2, 1, 0):
        answer = client.ask("POST", "/api/v1/join/verify", {"code": "not the passcode"})
        refused(answer, 403, "code_wrong")
        assert answer.json["tries_left"] == left
    again = clinic.opened(visit) if clinic_opens(clinic, visit) else client
    refused(again.ask("POST", "/api/v1/join/verify", {"code": visit.passcode}), 429, "tries_used_up")


def clinic_opens(clinic: Clinic, visit: Booked) -> bool:
    """Whether the link still opens for a stranger; one that is used up looks unknown."""
    return Client(clinic.house).ask("POST", "/api/v1/join", {"token": visit.token}).status == 200


async def test_a_code_that_is_not_current_is_late(clinic: Clinic) -> None:
    visit = clinic.book(channel="spoken")
    patient = clinic.opened(visit)
    refused(patient.ask("POST", "/api/v1/join/verify", {"code": "000000"}), 403, "code_expired")
    watch = await Wire(clinic.clinician).connect({"watch": True})
    try:
        patient.do("POST", "/api/v1/join/code")
        code = await spoken(watch, visit.id)
        refused(patient.ask("POST", "/api/v1/join/code"), 429, "slow_down")
        clinic.clinician.do("POST", f"/api/v1/visits/{visit.id}/links/{visit.link}/code")
        refused(patient.ask("POST", "/api/v1/join/verify", {"code": code}), 403, "code_expired")
    finally:
        await watch.socket.disconnect()


async def spoken(watch: Wire, visit: str) -> str:
    """The code that the clinician's list shows for this visit, now or soon."""
    async with asyncio.timeout(5):
        while True:
            for _, payload in watch.heard:
                for one in payload.get("codes", []):
                    if one["visit"] == visit:
                        return str(one["code"])
            await asyncio.sleep(0.02)
