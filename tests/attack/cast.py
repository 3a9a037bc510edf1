"""A clinic on a real server with one person of every role, and something of everything to point at."""

from dataclasses import dataclass, field
from typing import Any

import pyotp
import requests

from telehealth.access import SCOPES
from tests.stories.house import House

PASSWORD = "a long pass phrase for tests"
OURS = {"Sec-Fetch-Site": "same-origin"}
ROLES = ("admin", "clinician", "auditor", "front_desk")


@dataclass
class Somebody:
    """One caller: headers and cookies of their requests."""

    role: str
    url: str
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.session.headers.update(OURS)
        self.session.trust_env = False

    def ask(self, method: str, path: str, **how: Any) -> requests.Response:
        return self.session.request(method, self.url + path, timeout=30, allow_redirects=False, **how)

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        """What a request that must succeed answers."""
        answer = self.ask("POST", f"/api/v1{path}", json=body)
        assert answer.status_code < 300, f"{path}: {answer.status_code} {answer.text}"
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found


@dataclass
class Clinic:
    """`ids`: something that exists for every name of a path."""

    house: House
    people: dict[str, Somebody]
    ids: dict[str, list[str]]


def enrolled(house: House, role: str, token: str, **first: str) -> Somebody:
    """Somebody who came by a set-up link."""
    who = Somebody(role, house.url)
    offer = who.post("/enrolment", token=token)
    code = pyotp.TOTP(offer["totp_secret"]).now()
    who.post("/enrolment/finish", token=token, password=PASSWORD, code=code, **first)
    return who


def clinic_of(house: House) -> Clinic:
    """Everybody enrolled over HTTP as people are, a program with every scope, and a visit with its patient inside.

    `ids` are of what nobody here needs, so that attacks may change it.
    """
    token = house.said(r"/setup#(\S+)")
    root = enrolled(house, "admin", token, login="root", name="Root")
    people = {"stranger": Somebody("stranger", house.url), "admin": root}
    for role in ROLES[1:]:
        added = root.post("/users", login=f"{role}-2", name=f"The {role}", role=role)
        people[role] = enrolled(house, role, added["enrolment_url"].split("#")[1])
    spare = root.post("/users", login="spare", name="Spare", role="clinician")
    visit = people["clinician"].post("/visits", patient={"name": "Yann Quill"}, channel="passcode")
    patient = people["patient"] = Somebody("patient", house.url)
    patient.post("/join", token=visit["link"]["url"].split("#")[1])
    patient.post("/join/verify", code=visit["link"]["passcode"])
    people["token"] = program = Somebody("token", house.url)
    made = root.post("/tokens", label="all", scopes=sorted(SCOPES))
    program.session.headers["Authorization"] = f"Bearer {made['token']}"
    return Clinic(house, people, _spares(root, people["clinician"], house.url) | {"user": [spare["id"]]})


def _spares(root: Somebody, clinician: Somebody, url: str) -> dict[str, list[str]]:
    """The clinician's visit and the admin's, each with a link; somebody came in by the first."""
    made = [who.post("/visits", patient={"name": "Zora Quill"}, channel="passcode") for who in (clinician, root)]
    guest = Somebody("patient", url)
    guest.post("/join", token=made[0]["link"]["url"].split("#")[1])
    joined = guest.post("/join/verify", code=made[0]["link"]["passcode"])
    return {
        "visit": [one["visit"]["id"] for one in made],
        "link": [one["link"]["id"] for one in made],
        "participant": [joined["participant"]],
        "token": [root.post("/tokens", label="spare", scopes=["audit:read"])["id"]],
    }
