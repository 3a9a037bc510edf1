"""What revocation really ends, and how soon: sockets, media legs and playback grants of a real server.

N rounds (240 in full: 210 with sockets and legs), each another way to lose access; then 100 foreign or missing Origins.
One JSON line per figure.
"""

import asyncio
import contextlib
import os
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pyotp

from benchmarks.figure import Figure, measured, percentile, said, say, wished
from tests.faults.clinic import PASSWORD, Booked, Client, Clinic
from tests.faults.wire import Camera, RawCall, Wire, bare_socket, raw_call
from tests.stories.house import House

ORIGINS = 100
LONGEST = 10.0  # seconds after which what is still open counts as never ended
_ALERT = 21  # DTLS content type: the server's goodbye (RFC 9147 §4)
_SETTINGS = {"SESSIONS__STEP_UP_MINUTES": "720", "SESSIONS__IDLE_MINUTES": "720"}


@dataclass(slots=True)
class Samples:
    """Seconds from the request that revokes until each thing had ended."""

    all: list[float] = field(default_factory=list)
    sockets: list[float] = field(default_factory=list)
    legs: list[float] = field(default_factory=list)
    players: list[float] = field(default_factory=list)


def run(seed: int) -> Iterator[Figure]:
    """Every way to lose access, round and round; then strangers' pages."""
    rounds = wished(240)
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name, House(Path(name), _SETTINGS) as house:
        found, opened = asyncio.run(_attack(Known(house), rounds))
    for kind, samples in (("", found.all), ("_sockets", found.sockets), ("_legs", found.legs)):
        value = percentile(samples, 0.99) * 1000
        yield measured(f"access.revocation{kind}_p99", value, "ms", n=len(samples), seed=seed, at_most=1000)
    slowest = percentile(found.players, 0.99) * 1000
    yield measured("access.revocation_players_p99", slowest, "ms", n=len(found.players), seed=seed, at_most=1000)
    yield measured("access.foreign_origins", opened, "sockets", n=ORIGINS, seed=seed, at_most=0)


class Known(Clinic):
    """Keeps everybody's recovery codes."""

    def __init__(self, house: House) -> None:
        self.recovery: dict[str, str] = {}
        super().__init__(house)

    def _enrolled(self, token: str, login: str) -> Client:
        client = Client(self.house)
        offer = client.do("POST", "/api/v1/enrolment", {"token": token})
        named = {} if offer["login"] else {"login": login, "name": f"The {login}"}
        done = {"token": token, "password": PASSWORD, "code": pyotp.TOTP(offer["totp_secret"]).now(), **named}
        self.recovery[login] = client.do("POST", "/api/v1/enrolment/finish", done)["recovery_codes"][0]
        return client


async def _attack(clinic: Known, rounds: int) -> tuple[Samples, int]:
    samples = Samples()
    recording = await _recorded(clinic)
    ways: tuple[Way, ...] = (_sign_out, _end_all, _disable, _change_role, _reset, _change_password, _link, _token)
    for number in range(rounds):
        way = ways[number % len(ways)]
        ended = await way(clinic, recording, number)
        if max(ended.values()) > 1:
            say(f"  {way.__name__}: {ended}")
        for kind, seconds in ended.items():
            samples.all.append(seconds)
            getattr(samples, kind).append(seconds)
        if number % 50 == 49:
            say(f"  {number + 1} rounds")
    return samples, await _strangers(clinic)


async def _recorded(clinic: Clinic) -> str:
    """One sealed recording, for grants."""
    async with raw_call(clinic) as call:
        await call.record()
        await call.doctor.does("recording.stop")
    found = await asyncio.to_thread(clinic.recording_in, "sealed", 20.0)
    return str(found["id"])


Way = Callable[[Known, str, int], Awaitable[dict[str, float]]]


async def _ask(client: Client, method: str, path: str, body: Any = None) -> Any:
    return await asyncio.to_thread(client.do, method, path, body)


@asynccontextmanager
async def _in_call(clinic: Clinic, doctor: Client) -> AsyncIterator[tuple[RawCall, Camera, Camera]]:
    """A recorded call of this clinician's: two sockets, two legs."""
    async with raw_call(_with(clinic, doctor)) as call:
        await call.consent()
        yield call, await call.leg(call.doctor), await call.leg(call.patient)


def _with(clinic: Clinic, doctor: Client) -> Clinic:
    """The same clinic with another clinician."""
    other = object.__new__(type(clinic))
    vars(other).update(vars(clinic), clinician=doctor)
    return other


async def _ends(
    wire: Wire, camera: Camera, act: Awaitable[Any], since: Callable[[], float] | None = None
) -> dict[str, float]:
    """Seconds until the socket and the leg were closed by the server, from the request on, or from `since` on."""
    begun = time.monotonic()

    async def socket() -> float:
        while wire.socket.connected:
            await asyncio.sleep(0.002)
        return time.monotonic()

    async def leg() -> float:
        while (await camera.receive(LONGEST))[0] != _ALERT:
            pass
        return time.monotonic()

    async def bounded(one: Awaitable[float]) -> float:
        try:
            return await asyncio.wait_for(one, LONGEST)
        except TimeoutError:
            return begun + LONGEST

    watching = asyncio.to_thread(since) if since is not None else asyncio.sleep(0, begun)
    ended, closed, from_then, _ = await asyncio.gather(bounded(socket()), bounded(leg()), watching, act)
    return {"sockets": max(0.0, ended - from_then), "legs": max(0.0, closed - from_then)}


async def _doctor(clinic: Clinic, number: int) -> Client:
    return await asyncio.to_thread(clinic.staff, f"doctor{number}", "clinician")


async def _id(doctor: Client) -> str:
    return str((await asyncio.to_thread(doctor.get, "/api/v1/session"))["user"]["id"])


async def _sign_out(clinic: Known, _recording: str, number: int) -> dict[str, float]:
    doctor = await _doctor(clinic, number)
    async with _in_call(clinic, doctor) as (call, camera, _):
        return await _ends(call.doctor, camera, _ask(doctor, "DELETE", "/api/v1/session"))


async def _end_all(clinic: Known, _recording: str, number: int) -> dict[str, float]:
    doctor = await _doctor(clinic, number)
    async with _in_call(clinic, doctor) as (call, camera, _):
        return await _ends(call.doctor, camera, _ask(doctor, "DELETE", "/api/v1/sessions"))


async def _disable(clinic: Known, _recording: str, number: int) -> dict[str, float]:
    return await _changed(clinic, number, {"disabled": True})


async def _change_role(clinic: Known, _recording: str, number: int) -> dict[str, float]:
    return await _changed(clinic, number, {"role": "front_desk"})


async def _changed(clinic: Known, number: int, change: dict[str, Any]) -> dict[str, float]:
    doctor = await _doctor(clinic, number)
    user = await _id(doctor)
    async with _in_call(clinic, doctor) as (call, camera, _):
        return await _ends(call.doctor, camera, _ask(clinic.admin, "PATCH", f"/api/v1/users/{user}", change))


async def _reset(clinic: Known, _recording: str, number: int) -> dict[str, float]:
    doctor = await _doctor(clinic, number)
    user = await _id(doctor)
    async with _in_call(clinic, doctor) as (call, camera, _):
        return await _ends(call.doctor, camera, _ask(clinic.admin, "POST", f"/api/v1/users/{user}/reset"))


async def _change_password(clinic: Known, _recording: str, number: int) -> dict[str, float]:
    """In another session of the same person: all others end, this one among them."""
    doctor = await _doctor(clinic, number)
    other, login = Client(clinic.house), f"doctor{number}"
    body = {"login": login, "password": PASSWORD, "code": clinic.recovery[login]}
    await _ask(other, "POST", "/api/v1/session", body)
    user = await _id(doctor)
    async with _in_call(clinic, doctor) as (call, camera, _):
        change = {"password": PASSWORD, "new_password": PASSWORD + " anew"}
        return await _ends(call.doctor, camera, _ask(other, "PUT", "/api/v1/password", change), _changing(clinic, user))


def _changing(clinic: Known, user: str) -> Callable[[], float]:
    """Waits until the row holds another password: checking the old one and hashing the new one takes its time."""
    path = f"file:{clinic.house.folder / 'telehealth.db'}?mode=ro"

    def held(connection: sqlite3.Connection) -> Any:
        return connection.execute("SELECT password_hash FROM users WHERE id = ?", (user,)).fetchone()

    with contextlib.closing(sqlite3.connect(path, uri=True, timeout=LONGEST)) as connection:
        before = held(connection)

    def changed() -> float:
        with contextlib.closing(sqlite3.connect(path, uri=True, timeout=LONGEST)) as connection:
            until = time.monotonic() + LONGEST
            while held(connection) == before and time.monotonic() < until:
                time.sleep(0.001)
        return time.monotonic()

    return changed


async def _link(clinic: Known, _recording: str, number: int) -> dict[str, float]:
    doctor = await _doctor(clinic, number)
    async with _in_call(clinic, doctor) as (call, _, camera):
        path = f"/api/v1/visits/{call.visit.id}/links/{call.visit.link}"
        return await _ends(call.patient, camera, _ask(doctor, "DELETE", path))


async def _token(clinic: Known, recording: str, number: int) -> dict[str, float]:
    """A program reads a recording under a grant, range after range, until its token is revoked."""
    body = {"label": f"player {number}", "scopes": ["recordings:read"], "days": 1}
    made = await _ask(clinic.admin, "POST", "/api/v1/tokens", body)
    headers = {"Authorization": f"Bearer {made['token']}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        path = f"{clinic.house.url}/api/v1/recordings/{recording}/grants"
        async with session.post(path, json={"purpose": "quality"}) as answer:
            answer.raise_for_status()
            url = (await answer.json())["tracks"][0]["url"]
        url = url if url.startswith("http") else clinic.house.url + url
        begun = time.monotonic()
        revoking = asyncio.create_task(_ask(clinic.admin, "DELETE", f"/api/v1/tokens/{made['id']}"))
        while time.monotonic() - begun < LONGEST:
            async with session.get(url, headers={"Range": "bytes=0-1023"}) as answer:
                if answer.status >= 400:
                    break
        ended = time.monotonic() - begun
        await revoking
    return {"players": ended}


async def _strangers(clinic: Clinic) -> int:
    """How many of so many foreign or missing Origins got a socket, with a good cookie in hand."""
    booked: Booked = await asyncio.to_thread(clinic.book)
    patient = await asyncio.to_thread(clinic.verified, booked)
    ours = clinic.house.url
    shapes = (
        None,
        "null",
        "file://",
        "http://evil.example",
        "http://127.0.0.1:1",
        ours.replace("http", "https"),
        f"{ours}.evil.example",
        f"{ours}/",
        f"{ours}x",
    )
    opened = 0
    async with AsyncExitStack() as stack:
        for number in range(ORIGINS):
            origin = shapes[number % len(shapes)]
            headers = {"Cookie": patient.cookie, **({"Origin": origin} if origin else {})}
            with contextlib.suppress(aiohttp.WSServerHandshakeError):
                await stack.enter_async_context(bare_socket(clinic.house, **headers))
                opened += 1
    return opened


if __name__ == "__main__":
    said(run)
