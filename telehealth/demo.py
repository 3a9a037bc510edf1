"""A clinic to look at: people, a visit and ready links, all invented, all gone at the end."""

import hashlib
from dataclasses import dataclass
from typing import Any

import pyotp

from telehealth.access import command_line
from telehealth.audit.actions import Action
from telehealth.audit.entry import Actor, Entry, Outcome
from telehealth.house import ENTROPY, House
from telehealth.identity.faults import Unauthenticated
from telehealth.identity.people import Invitation
from telehealth.identity.secrets import new_token
from telehealth.identity.sessions import Proof, SessionInfo
from telehealth.secret import Secret
from telehealth.visits.orders import NewPatient, NewVisit

CLINICIAN = ("clinician", "Dr Robin Example")
ADMIN = ("admin", "Sam Example")
PATIENT = "Alex Example"
MOST_DOORS = 16


@dataclass(frozen=True, slots=True)
class Shown:
    """What the demo prints."""

    data: dict[str, Any]
    lines: tuple[str, ...]


class Demo:
    """Holds the one-time sign-in links; `seed` once, before the greeting."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._doors: dict[bytes, str] = {}  # SHA-256 of a link's token → user; taken out when used

    async def greeting(self) -> Shown:
        """Make the clinic and say how to get in."""
        url = self._house.config.public_url
        admin = await self._person(*ADMIN, "admin")
        clinician = await self._person(*CLINICIAN, "clinician")
        visit, issued = await self._house.booking.create(
            command_line("demo"), NewVisit(NewPatient(PATIENT), clinician=clinician, recording_planned=True)
        )
        passcode = issued.passcode.reveal() if issued.passcode else ""
        data = {
            "demo": True,
            "clinician_url": f"{url}/demo#{self._door(clinician)}",
            "admin_url": f"{url}/demo#{self._door(admin)}",
            "patient_url": f"{url}/join#{issued.token.reveal()}",
            "passcode": passcode,
            "visit": visit.id,
        }
        lines = (
            "This is a demonstration: everything is thrown away when it stops.",
            f"  clinician  {data['clinician_url']}",
            f"  patient    {data['patient_url']}",
            f"             passcode {passcode}",
            f"  admin      {data['admin_url']}",
            "Open the clinician's and the patient's link in two browser windows, one of them private.",
            "Stop with Ctrl-C.",
        )
        return Shown(data, lines)

    async def enter(
        self, token: str, *, address: str, device: str, key: dict[str, str] | None = None
    ) -> tuple[Secret[str], SessionInfo]:
        """A session for whoever holds a printed link, once. Raises Unauthenticated."""
        user = self._doors.pop(hashlib.sha256(token.encode()).digest(), None)
        if user is None:
            raise Unauthenticated
        sessions = self._house.identity.sessions
        actor = Actor("user", user, address=address, device=device)
        await self._house.log.enter(Entry(Action.SIGNIN_OK, Outcome.DONE, actor, detail={"factor": "demo"}))
        async with self._house.base.store.begin() as connection:
            session, _ = await sessions.start(connection, user, Proof("demo", device, key=key, invited=True))
        return session, await sessions.info(session.reveal())

    def _door(self, user: str) -> str:
        if len(self._doors) >= MOST_DOORS:
            raise RuntimeError("a demo has few doors")
        token = new_token(ENTROPY).reveal()
        self._doors[hashlib.sha256(token.encode()).digest()] = user
        return token

    async def _person(self, login: str, name: str, role: str) -> str:
        """An enrolled account; nobody knows its password."""
        invitation: Invitation = await self._house.people.add(command_line("demo"), login, name, role)
        token = invitation.token.reveal()
        offer = await self._house.identity.enrolment.look(token)
        code = pyotp.TOTP(offer.totp_secret.reveal()).at(self._house.clock.now())
        done = await self._house.identity.enrolment.finish(
            token,
            login=None,
            name=None,
            password=new_token(ENTROPY).reveal(),
            code=code,
            address=None,
            device=None,
        )
        await self._house.identity.sessions.end(done.token.reveal())
        return done.session.user.id
