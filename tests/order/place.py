"""A real server in this process: its people, its state as bytes, and requests that tell when their answer begins."""

import asyncio
import hashlib
import http.client as http_client
import re
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyotp
from aiohttp import ClientSession, CookieJar

from recordings.service import RecordingService
from telehealth.access import Caller, command_line
from telehealth.app import RunningServer
from telehealth.commands.run import in_house
from telehealth.config import Config
from telehealth.frames import EncodedFrame
from telehealth.store.tables import metadata, users
from tests.signaling.socket_house import Browser
from tests.telehealth.visits.visit_house import Guest, Staff

PASSWORD = "a long pass phrase for tests"
NAME = "Zora Canary"
JSON = ("application/json", "application/problem+json")
# What counts or remembers requests, and opens nothing.
VOLATILE_TABLES = {"attempts"}
FOLLOWING = (
    "alert",
    "review",
    "incident",
    "glass_cases",
)  # tables written from what the log holds, whenever that is read
VOLATILE_COLUMNS = {
    "sessions": {"used_at", "seen_at", "last_seen", "last_used"},
    "api_tokens": {"used_at"},
    "links": {"tries"},
}


@dataclass(frozen=True)
class Reply:
    """How an act ended: `code` of the refusal, None when it was done; `said`: the answer."""

    code: str | None
    said: Any = None

    @property
    def done(self) -> bool:
        return self.code is None


Ask = Callable[[], Awaitable[Reply]]


@dataclass
class Member:
    """Somebody of the staff with a browser of their own."""

    id: str
    login: str
    client: ClientSession
    recovery: list[str]
    totp: pyotp.TOTP
    staff: Staff

    def ask(self, method: str, path: str, **body: Any) -> Ask:
        return http(self.client, method, path, body or None)


def http(client: ClientSession, method: str, path: str, body: Mapping[str, Any] | None = None) -> Ask:
    """A request below /api/v1, or whole when it begins with a slash twice."""

    async def asked() -> Reply:
        whole = path[1:] if path.startswith("//") else f"/api/v1{path}"
        async with client.request(method, whole, json=body) as answer:
            said = await answer.json() if answer.content_type in JSON else await answer.read()
            if answer.status < 400:
                return Reply(None, said)
            if isinstance(said, dict):
                return Reply(said["code"], said)
            found = re.search(rb'"code": ?"([a-z_]+_[a-z_]+)"', said)  # an OperationOutcome of FHIR
            return Reply(found[1].decode() if found else str(answer.status), said)

    return asked


class Place:
    """`server` runs; everything a test makes here ends with `stack`."""

    def __init__(self, server: RunningServer, folder: Path, stack: AsyncExitStack) -> None:
        self.server, self.folder, self.stack = server, folder, stack
        self.house = server.house
        self.url = server.config.public_url
        self.keys_given = 0  # how often the key store gave out a key
        self.browsers: list[Browser] = []
        self._people = 0

    @property
    def config(self) -> Config:
        return self.server.config

    def client(self, **headers: str) -> ClientSession:
        jar = CookieJar(unsafe=True)
        client = ClientSession(self.url, cookie_jar=jar, headers={"Sec-Fetch-Site": "same-origin", **headers})
        self.stack.push_async_callback(client.close)
        return client

    async def member(self, role: str) -> Member:
        """Somebody new, enrolled over HTTP as people are."""
        self._people += 1
        login = f"{role}{self._people}"
        invitation = await self.house.people.add(command_line(), login, f"{login.title()} Example", role)
        assert invitation.user is not None
        client, token = self.client(), invitation.token.reveal()
        offer = (await http(client, "POST", "/enrolment", {"token": token})()).said
        totp = pyotp.TOTP(offer["totp_secret"])
        done: dict[str, Any] = {}
        while "recovery_codes" not in done:  # a code is over when its half minute is
            body = {"token": token, "password": PASSWORD, "code": totp.now()}
            done = (await http(client, "POST", "/enrolment/finish", body)()).said
        cookie = next(cookie.value for cookie in client.cookie_jar if cookie.key == "staff")
        async with self.house.base.store.begin() as connection:  # as if the account were of long standing
            old = self.house.clock.now() - timedelta(days=30)
            row = users.update().where(users.c.id == invitation.user)
            await connection.execute(row.values(created_at=old, admin_since=old))
        caller = await self.house.identity.sessions.resolve(cookie, address=None, device=None)
        staff = Staff(invitation.user, cookie, caller.session or "")
        return Member(invitation.user, login, client, done["recovery_codes"], totp, staff)

    async def booked(self, by: Member, **more: Any) -> dict[str, Any]:
        """A visit and its first link."""
        reply = await by.ask("POST", "/visits", patient={"name": NAME}, **more)()
        assert reply.done, reply
        return reply.said  # type: ignore[no-any-return]

    async def opened(self, made: Mapping[str, Any]) -> ClientSession:
        """A patient's browser that opened the link."""
        client = self.client()
        token = made["link"]["url"].partition("#")[2]
        reply = await http(client, "POST", "/join", {"token": token})()
        assert reply.done, reply
        return client

    async def verified(self, made: Mapping[str, Any]) -> tuple[ClientSession, Guest]:
        """A patient who gave the code and where they are."""
        client = await self.opened(made)
        told = (await http(client, "POST", "/join/verify", {"code": made["link"]["passcode"]})()).said
        details = {"location": "At home", "callback": "+1 555 0100"}
        assert (await http(client, "POST", "/join/details", details)()).done
        cookie = next(cookie.value for cookie in client.cookie_jar if cookie.key == "visit")
        return client, Guest(told["visit"], made["link"]["id"], told["participant"], cookie)

    async def browser(self, who: Staff | Guest, visit: str) -> Browser:
        """A socket, not yet entered."""
        browser = Browser(who, self.url)
        self.stack.push_async_callback(browser.drop)
        auth = {"visit": visit} if isinstance(who, Staff) else {"join": True}
        await browser.connect(auth, origin=self.url)
        self.browsers.append(browser)
        return browser

    async def command(self, *words: str) -> Reply:
        """What the command line says, done by the running server."""
        said = await in_house(self.house, list(words))
        return Reply(said.data.get("error", "failed") if said.exit else None, said.data)

    async def recording(self, owner: Member, visit: str) -> str:
        """A sealed recording of the visit's clinician and patient, of half a second."""
        service: RecordingService = self.house.recordings
        row = await self.house.booking.show(command_line(), visit)
        lookup = self.house.base.fields.lookup("patient", row.patient.name)
        now = self.house.clock.now()
        recording = await service.begin(
            visit=visit,
            clinician=owner.id,
            patient_lookup=lookup,
            parties=PARTIES,
            purpose="treatment_record",
            consents=[Yes(party.participant, now) for party in PARTIES],
            listener=Deaf(),
        )
        for party in PARTIES:
            sink = service.sink(recording, party.participant)
            for number in range(25):
                arrived = self.house.clock.steady() + number * 0.02
                sink.frame(EncodedFrame("audio", opus(number * 960), number * 960, True, arrived))
        await service.stop(recording, "stopped")
        await service.settle()
        return recording

    def caller(self, who: Member, role: str) -> Caller:
        return Caller("user", who.id, role, session=who.staff.session)  # type: ignore[arg-type]

    def turn(self) -> None:
        """A request through the whole server, database included. Blocks."""
        connection = http_client.HTTPConnection("127.0.0.1", self.config.server.port, timeout=10)
        connection.request("GET", "/readyz")
        connection.getresponse().read()
        connection.close()

    async def still(self) -> dict[str, str]:
        """The state once nothing goes on any more that was begun before."""
        before: dict[str, str] = {}
        await self.house.recordings.exports.settle()
        async with asyncio.timeout(20):
            while before != (now := await asyncio.to_thread(self.state)):
                before = now
                await asyncio.sleep(0.02)
        return before

    def state(self) -> dict[str, str]:
        """Everything an act could change, as digests by name. Blocks."""
        return {
            **self._tables(),
            "key store": _folder(self.config.places.keys / "shares"),
            "vault": _folder(self.config.places.recordings),
            "keys given": str(self.keys_given),
            "heard": str([len(browser.heard) for browser in self.browsers]),
        }

    def _tables(self) -> dict[str, str]:
        found: dict[str, str] = {}
        connection = sqlite3.connect(f"file:{self.folder / 'telehealth.db'}?mode=ro", uri=True)
        try:
            for table in metadata.sorted_tables:
                left = VOLATILE_COLUMNS.get(table.name, set())
                columns = ", ".join(column.name for column in table.columns if column.name not in left)
                if table.name not in VOLATILE_TABLES and not table.name.startswith(FOLLOWING):
                    rows = connection.execute(f"SELECT {columns} FROM {table.name}").fetchall()
                    found[table.name] = hashlib.sha256(repr(sorted(map(repr, rows))).encode()).hexdigest()
        finally:
            connection.close()
        return found


@dataclass(frozen=True)
class Party:
    participant: str
    role: str


PARTIES = (Party("par_" + "a" * 26, "patient"), Party("par_" + "b" * 26, "clinician"))


@dataclass(frozen=True)
class Yes:
    participant: str
    at: Any
    text_sha256: str = "ab" * 32
    version: str = "1"


@dataclass
class Deaf:
    """A listener that only remembers."""

    faults: list[str] = field(default_factory=list)

    def first_stored(self, recording: str, participant: str) -> None: ...

    def fault(self, recording: str, code: str) -> None:
        self.faults.append(code)

    def sealed(self, recording: str) -> None: ...


def opus(seed: int) -> bytes:
    """A whole Opus packet of 20 ms."""
    return b"\xfc" + (seed * 2654435761 % 2**64).to_bytes(8, "big") * 12


def _folder(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(folder)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


async def soon(what: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait until it is so."""
    async with asyncio.timeout(seconds):
        while not what():
            await asyncio.sleep(0.005)
