"""A clinic in a real server's house, furnished by its HTTP interface alone: staff, visits, patients."""

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any

import pyotp

from tests.stories.house import House

JSON = "application/json"
PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class Answer:
    """What came back; `seconds` until it was whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The code of a problem document, None for anything else."""
        if not self.headers.get("Content-Type", "").startswith("application/problem+json"):
            return None
        code: str = self.json["code"]
        return code

    @property
    def fhir_code(self) -> str | None:
        """The code of an OperationOutcome (FHIR R4), None for anything else."""
        if not self.headers.get("Content-Type", "").startswith("application/fhir+json"):
            return None
        code: str = self.json["issue"][0]["details"]["coding"][0]["code"]
        return code


class Client:
    """One browser's cookies, without the browser. Its requests say that they come from our own page, unless told."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.cookies: dict[str, str] = {}

    def ask(
        self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str | None] | None = None
    ) -> Answer:
        """`body`: bytes go as they are, anything else as JSON; a header of None is left out."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        sent: dict[str, str | None] = {"Origin": self.house.url, "Cookie": self.cookie, "Content-Type": JSON}
        sent |= headers or {}
        begun = time.monotonic()
        wire = http.client.HTTPConnection("127.0.0.1", self.house.port, timeout=10)
        try:
            wire.request(method, path, data, {name: value for name, value in sent.items() if value})
            came = wire.getresponse()
            answer = Answer(came.status, dict(came.headers), came.read(), time.monotonic() - begun)
        finally:
            wire.close()
        for line in came.headers.get_all("Set-Cookie") or []:
            self.cookies |= {name: crumb.value for name, crumb in SimpleCookie(line).items()}
        return answer

    def get(self, path: str) -> Any:
        answer = self.ask("GET", path)
        assert answer.status == 200, (path, answer.status, answer.body[:300])
        return answer.json

    def do(self, method: str, path: str, body: Any = None) -> Any:
        """A request that must succeed; what it says."""
        answer = self.ask(method, path, body)
        assert answer.status < 300, (method, path, answer.status, answer.body[:300])
        return answer.json if answer.body else None

    @property
    def cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    @property
    def crumbs(self) -> list[Any]:
        """The cookies as Playwright takes them."""
        return [{"name": name, "value": value, "url": self.house.url} for name, value in self.cookies.items()]


@dataclass(frozen=True)
class Booked:
    """A visit and its link, whose secrets are shown once."""

    id: str
    link: str
    token: str
    passcode: str


class Clinic:
    """An admin and a clinician, both signed in."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.admin = self._enrolled(house.said(r"/setup#(\S+)"), "admin")
        self.clinician = self.staff("clinician", "clinician")

    def staff(self, login: str, role: str) -> Client:
        """Somebody more with an account."""
        body = {"login": login, "name": f"The {login}", "role": role}
        url: str = self.admin.do("POST", "/api/v1/users", body)["enrolment_url"]
        return self._enrolled(url.partition("#")[2], login)

    def _enrolled(self, token: str, login: str) -> Client:
        client = Client(self.house)
        offer = client.do("POST", "/api/v1/enrolment", {"token": token})
        named = {} if offer["login"] else {"login": login, "name": f"The {login}"}
        code = pyotp.TOTP(offer["totp_secret"]).now()
        done = {"token": token, "password": PASSWORD, "code": code, **named}
        client.do("POST", "/api/v1/enrolment/finish", done)
        return client

    def book(self, patient: str = "Somebody Unwell", **more: Any) -> Booked:
        made = self.clinician.do("POST", "/api/v1/visits", {"patient": {"name": patient}, **more})
        link = made["link"]
        return Booked(made["visit"]["id"], link["id"], link["url"].partition("#")[2], link["passcode"] or "")

    def opened(self, booked: Booked) -> Client:
        """A stranger's browser that has opened the link."""
        client = Client(self.house)
        client.do("POST", "/api/v1/join", {"token": booked.token})
        return client

    def verified(self, booked: Booked, *, details: bool = True) -> Client:
        """A patient past the code; with `details` ready to wait."""
        client = self.opened(booked)
        client.do("POST", "/api/v1/join/verify", {"code": booked.passcode})
        if details:
            client.do("POST", "/api/v1/join/details", {"location": "At home", "callback": "+1 555 0100"})
        return client

    def figure(self, name: str) -> float:
        """One figure of /metrics."""
        return self.figures(name)[0]

    def figures(self, *names: str) -> list[float]:
        """Several of one moment."""
        lines = self.admin.ask("GET", "/metrics").body.decode().splitlines()
        return [
            float(next(line.split()[1] for line in lines if line.startswith(f"telehealth_{name} "))) for name in names
        ]

    def empties(self) -> bool:
        """Whether every socket is closed, now or soon."""
        deadline = time.monotonic() + 3
        while self.figure("sockets"):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def recordings(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.admin.get("/api/v1/recordings")["items"]
        return items

    def recording_in(self, state: str, seconds: float, visit: str | None = None) -> dict[str, Any]:
        """The one recording there is, or the one of that visit, once it is in that state."""
        deadline = time.monotonic() + seconds
        while True:
            found = [one for one in self.recordings() if visit in (None, one["visit"])]
            if len(found) == 1 and found[0]["state"] == state:
                return found[0]
            assert time.monotonic() < deadline, (state, found)
            time.sleep(0.05)

    def tracks(self, recording: Mapping[str, Any]) -> dict[str, bytes]:
        """Every sealed track's WebM by role, as a program reads it under a grant."""
        made = self.admin.do("POST", f"/api/v1/recordings/{recording['id']}/grants", {"purpose": "quality"})
        roles = {track["id"]: track["role"] for track in recording["tracks"]}
        found: dict[str, bytes] = {}
        for one in made["tracks"]:
            answer = self.admin.ask("GET", one["url"].removeprefix(self.house.url))
            assert answer.status == 200, answer.body[:300]
            found[roles[one["id"]]] = answer.body
        return found
