"""Strangers hammer from the same address, and with the same name: whoever belongs here gets in all the same."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pyotp
import pytest
from aiohttp import ClientResponse, ClientSession

from telehealth.access import command_line
from telehealth.config import Config

from .conftest import PASSWORD, Desk, config_in, refused

SHARED = "203.0.113.66"  # everybody behind one NAT
TIGHT = {"address": (0.01, 30), "sign_in": (0.01, 10), "account": (0.01, 15), "code": (0.01, 3), "connect": (0.01, 4)}


@pytest.fixture
def config(tmp_path: Path) -> Config:
    made = config_in(tmp_path, trusted_proxies=["127.0.0.1"])
    return made.model_copy(update={"limits": made.limits.model_copy(update=TIGHT)})


def at(address: str) -> dict[str, str]:
    return {"X-Forwarded-For": address}


async def ask(client: ClientSession, path: str, body: Mapping[str, Any]) -> int:
    async with client.post(path, json=body) as answer:
        await answer.read()
        return answer.status


async def enrolled(desk: Desk, login: str) -> tuple[ClientSession, list[str], str]:
    """Enrolled from somewhere else: the browser, recovery codes, and the account."""
    invitation = await desk.house.people.add(command_line(), login, "Dr Example", "clinician")
    client, token = desk.client(**at("198.51.100.1")), invitation.token.reveal()
    offer = await (await client.post("/api/v1/enrolment", json={"token": token})).json()
    body = {"token": token, "password": PASSWORD, "code": pyotp.TOTP(offer["totp_secret"]).now()}
    done = await (await client.post("/api/v1/enrolment/finish", json=body)).json()
    return client, done["recovery_codes"], done["user"]["id"]


@asynccontextmanager
async def hammering(desk: Desk, path: str, body: Mapping[str, Any], address: str = SHARED) -> AsyncIterator[list[int]]:
    """A stranger who asks without a pause until the block ends; what they were told."""
    told: list[int] = []

    async def hammer() -> None:
        async with desk.client(**at(address)) as client:
            while True:
                told.append(await ask(client, path, body))

    tasks = [asyncio.create_task(hammer()) for _ in range(3)]
    try:
        async with asyncio.timeout(20):
            while 429 not in told:
                await asyncio.sleep(0.01)
        yield told
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def booked(desk: Desk) -> Mapping[str, Any]:
    """A visit with a link for now."""
    client, _, _ = await enrolled(desk, "ada")
    async with client:
        answer = await client.post("/api/v1/visits", json={"patient": {"name": "Somebody Unwell"}})
        assert answer.status == 201, await answer.text()
        link: Mapping[str, Any] = (await answer.json())["link"]
        return link


async def test_a_patient_gets_in_while_a_stranger_behind_the_same_address_hammers(desk: Desk) -> None:
    link = await booked(desk)
    token = link["url"].partition("#")[2]
    async with (
        hammering(desk, "/api/v1/join", {"token": "A" * 43}) as told,
        desk.client(**at(SHARED)) as patient,
    ):
        async with asyncio.timeout(10):
            assert await ask(patient, "/api/v1/join", {"token": token}) == 200
            assert await ask(patient, "/api/v1/join/verify", {"code": link["passcode"]}) == 200
            there = {"location": "At home", "callback": "+1 555 0100"}
            assert await ask(patient, "/api/v1/join/details", there) == 204
            assert (await patient.get("/api/v1/join")).status == 200
    assert set(told) == {404, 429}


async def test_under_load_a_link_that_is_over_and_one_that_never_was_look_the_same(desk: Desk) -> None:
    link = await booked(desk)
    client, _, _ = await enrolled(desk, "ben")
    async with client:
        later = await (await client.post("/api/v1/visits", json={"patient": {"name": "Somebody Else"}})).json()
        gone = f"/api/v1/visits/{later['visit']['id']}/links/{later['link']['id']}"
        assert (await client.delete(gone)).status == 204
    assert link
    tokens = ("A" * 43, later["link"]["url"].partition("#")[2])
    async with hammering(desk, "/api/v1/join", {"token": "B" * 43}), desk.client(**at(SHARED)) as stranger:
        answers = [await (await stranger.post("/api/v1/join", json={"token": token})).read() for token in tokens]
    assert answers[0] == answers[1]
    assert b"slow_down" in answers[0]


@pytest.mark.parametrize("address", [SHARED, "198.51.100.77"])
async def test_a_clinician_signs_in_from_their_own_browser_while_strangers_hammer_the_account(
    desk: Desk, address: str
) -> None:
    client, codes, _ = await enrolled(desk, "ada")
    guess = {"login": "ada", "password": "a guess of mine", "code": "123456"}
    for stranger in range(4):  # from many places, so that the account itself is slowed down
        async with desk.client(**at(f"192.0.2.{stranger}")) as guesser:
            for _ in range(6):
                await ask(guesser, "/api/v1/session", guess)
    async with client, hammering(desk, "/api/v1/session", guess):
        right = {"login": "ada", "password": PASSWORD, "code": codes[0]}
        async with desk.client(**at(address)) as unknown:
            await refused(await unknown.post("/api/v1/session", json=right), 429, "slow_down")
        async with asyncio.timeout(10):
            answer = await client.post("/api/v1/session", json=right, headers=at(address))
            assert answer.status == 200, await answer.text()
            assert (await client.get("/api/v1/session", headers=at(address))).status == 200


async def test_strangers_do_not_hold_up_the_step_up_of_who_is_signed_in(desk: Desk) -> None:
    client, codes, _ = await enrolled(desk, "ada")
    guess = {"login": "ada", "password": "a guess of mine", "code": "123456"}
    for stranger in range(5):
        async with desk.client(**at(f"192.0.2.{stranger}")) as guesser:
            for _ in range(6):
                await ask(guesser, "/api/v1/session", guess)
    async with client:
        body = {"password": PASSWORD, "code": codes[0]}
        answer = await client.post("/api/v1/session/step-up", json=body)
        assert answer.status == 204, await answer.text()


async def test_an_account_has_one_bucket_from_wherever_it_asks(desk: Desk) -> None:
    client, _, _ = await enrolled(desk, "ada")
    other, _, _ = await enrolled(desk, "ben")
    async with client, other:
        told = [(await client.get("/api/v1/session", headers=at(f"192.0.2.{n}"))).status for n in range(16)]
        assert told == [200] * 15 + [429]
        assert (await other.get("/api/v1/session")).status == 200


async def test_codes_tried_too_fast_cost_no_try_of_the_budget(desk: Desk) -> None:
    link = await booked(desk)
    async with desk.client(**at("198.51.100.9")) as patient:
        assert await ask(patient, "/api/v1/join", {"token": link["url"].partition("#")[2]}) == 200
        left = []
        for _ in range(3):
            wrong = await patient.post("/api/v1/join/verify", json={"code": "00000-00000"})
            left.append((await refused(wrong, 403, "code_wrong"))["tries_left"])
        assert left == [4, 3, 2]
        for _ in range(3):
            await refused(await patient.post("/api/v1/join/verify", json={"code": "00000-00000"}), 429, "slow_down")
        assert (
            await ask(patient, "/api/v1/join", {"token": link["url"].partition("#")[2]}) == 200
        )  # another pre-session
        assert await ask(patient, "/api/v1/join/verify", {"code": link["passcode"]}) == 200


async def test_coming_back_is_no_way_round_the_limit_of_a_socket(desk: Desk) -> None:
    door = desk.house.limiting.door
    assert [await door.connect("a credential") > 0 for _ in range(5)] == [False] * 4 + [True]
    assert await door.connect("another's") == 0


async def test_a_refusal_says_when_to_come_again(desk: Desk) -> None:
    async with desk.client(**at(SHARED)) as stranger:
        answers = [await stranger.post("/api/v1/join", json={"token": "A" * 43}) for _ in range(31)]
        problem = await refused(answers[-1], 429, "slow_down")
        assert float(answers[-1].headers["Retry-After"]) >= 1
        assert problem["retry_after"] > 0
        assert answers[0].status == 404


async def test_pages_and_what_they_show_first_are_never_limited(desk: Desk) -> None:
    async with hammering(desk, "/api/v1/join", {"token": "A" * 43}), desk.client(**at(SHARED)) as somebody:
        for path in ("/", "/join", "/static/net/api.js", "/api/v1/about", "/healthz"):
            assert (await somebody.get(path)).status == 200, path


async def test_another_ip_of_the_same_host_is_the_same_and_another_host_is_not(desk: Desk) -> None:
    async def told(address: str) -> set[int]:
        async with desk.client(**at(address)) as client:
            return {await ask(client, "/api/v1/join", {"token": "A" * 43}) for _ in range(31)}

    assert 429 in await told("2001:db8:1:2::1")
    assert await told("2001:db8:1:2:9999::7") == {429}
    assert 404 in await told("2001:db8:1:3::1")


async def forwarded(desk: Desk, *headers: tuple[str, str]) -> list[int]:
    """Thirty-one requests, each claiming to come from somewhere else."""
    found: list[int] = []
    async with desk.client() as client:
        for number in range(31):
            said = [(name, value.replace("*", str(number))) for name, value in headers]
            answer: ClientResponse = await client.post("/api/v1/join", json={"token": "A" * 43}, headers=said)
            found.append(answer.status)
    return found


CLAIMS = [
    [("X-Forwarded-For", "198.51.100.*, 203.0.113.5")],
    [("X-Forwarded-For", "198.51.100.*"), ("X-Forwarded-For", "203.0.113.6")],
    [("X-Forwarded-For", "203.0.113.7"), ("Forwarded", "for=198.51.100.*")],
    [("X-Forwarded-For", "203.0.113.8"), ("X-Real-IP", "198.51.100.*"), ("True-Client-IP", "198.51.100.*")],
    [("X-Forwarded-For", "198.51.100.*, unknown, 203.0.113.9:50*")],
    [("X-Forwarded-For", "127.0.0.1, 203.0.113.10"), ("Forwarded", "for=127.0.0.1")],
    [("X-Forwarded-For", "[2001:db8:5:5::*]:443")],
]


async def test_nobody_gets_a_new_bucket_by_what_they_write_into_headers(desk: Desk) -> None:
    for headers in CLAIMS:
        found = await forwarded(desk, *headers)
        assert (found[0], found[-1]) == (404, 429), headers


@pytest.mark.parametrize("headers", [{}, {"X-Forwarded-For": "127.0.0.1"}, {"X-Forwarded-For": "203.0.113.9"}])
async def test_a_proxy_on_this_machine_opens_the_figures_to_nobody(desk: Desk, headers: dict[str, str]) -> None:
    async with desk.client(**headers) as client:
        await refused(await client.get("/metrics"), 401, "unauthenticated")
