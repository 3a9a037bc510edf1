"""Rehearses a breach from the theft to the report, in a server of its own that is thrown away.

Nothing of it touches the real data, keys or log: every place lies in a new folder, the network is loopback, and the
patients are invented. What is rehearsed is the real thing: requests over HTTP, the real rules, the real log.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import aiohttp

from recordings.catalogue import Catalogue
from telehealth.access import command_line
from telehealth.alerts.room import AlertView
from telehealth.app import RunningServer, open_server
from telehealth.clock import SystemClock
from telehealth.config import Config
from telehealth.ids import Kind, new_id
from telehealth.secret import Secret
from telehealth.visits.orders import NewPatient, NewVisit

OFFICE, THIEF = "192.0.2.10", "203.0.113.66"  # RFC 5737
STOLEN, PATIENTS = 20, 5
PATIENCE = 60.0
EXPECTED = ("token_new_country", "bulk_playback")


class DrillFailed(Exception):
    """A step did not come to what it should."""


@dataclass(frozen=True, slots=True)
class Step:
    """What was done, and how long it took."""

    name: str
    text: str
    seconds: float


@dataclass(slots=True)
class Rehearsal:
    """`problems`: what the drill found missing; empty when all went as it should."""

    steps: list[Step] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """From the first stolen request to the finished report."""
        return sum(step.seconds for step in self.steps if step.name not in ("server", "office"))


def drill_config(folder: Path) -> Config:
    """Loopback, any free ports, every place in the folder, countries from our own small file."""
    places = {
        "database": f"sqlite:///{folder / 'telehealth.db'}",
        "keys": folder / "keys",
        "root_key": folder / "keys" / "root.key",
        "audit": folder / "audit",
        "recordings": folder / "recordings",
    }
    book = resources.files("telehealth.alerts").joinpath("drill.mmdb").read_bytes()
    country_file = folder / "country.mmdb"
    country_file.write_bytes(book)
    return Config.model_validate(
        {
            "server": {"port": 0, "trusted_proxies": ["127.0.0.1"], "clinic_name": "Drill"},
            "media": {"port": 0},
            "places": places,
            "alerts": {"country_file": country_file},
            "recording": {"least_free_bytes": 0},
        }
    )


async def rehearse(folder: Path, told: Callable[[Step], None] = lambda _: None) -> Rehearsal:
    """The whole drill in this empty folder. Raises DrillFailed, OSError and what a server cannot start with."""
    config, found, clock = await asyncio.to_thread(drill_config, folder), Rehearsal(), SystemClock()
    begun = clock.steady()

    def step(name: str, text: str) -> None:
        nonlocal begun
        now = clock.steady()
        found.steps.append(Step(name, text, round(now - begun, 3)))
        told(found.steps[-1])
        begun = now

    async with open_server(config, clock) as server:
        step("server", "a server of its own, with an empty log")
        play = _Play(server)
        token, secret = await play.prepare()
        await play.office(secret)
        step("office", f"{PATIENTS} invented patients, {STOLEN} recordings, a token in its usual place")
        await play.steal(secret)
        step("theft", f"the token plays {STOLEN} recordings from another country")
        alerts = await play.detected(token)
        step("detection", f"alerts: {', '.join(sorted(one.rule for one in alerts))}")
        await play.contain(token, secret, alerts)
        step("containment", "token revoked and refused, alerts acknowledged")
        found.report = await server.house.stewardship.incidents.open(command_line(), alerts[0].id, days=1)
        found.problems = missing(found.report)
        step("report", "what happened, what data, whose, when discovered, what was done (45 CFR 164.404)")
    return found


def missing(report: dict[str, Any]) -> list[str]:
    """What a breach notice needs and this report lacks, of what the drill knows to be there. Pure."""
    faults = {
        "what happened": report["what_happened"]["acts"].get("playback.grant", 0) < STOLEN,
        "from where": THIEF not in report["what_happened"]["addresses"],
        "what data": len(report["what_data"]["recordings"]) < STOLEN or not report["what_data"]["types"],
        "whose": len(report["whose"]["patients"]) < PATIENTS
        or not all(one["name"] and one["contact"] for one in report["whose"]["patients"]),
        "when discovered": not report["discovered"]["at"],
        "what was done": not any(one["action"] == "token.revoke" for one in report["done"]),
    }
    return [name for name, is_so in faults.items() if is_so]


class _Play:
    """Who does what in the drill."""

    def __init__(self, server: RunningServer) -> None:
        self._server = server
        self._house = server.house
        self._recordings: list[str] = []

    async def prepare(self) -> tuple[str, Secret[str]]:
        """Invented patients with recordings, and a program's token."""
        cli = command_line("drill")
        invited = await self._house.people.add(cli, "drill", "Drill Account", "admin")
        if invited.user is None:
            raise DrillFailed("no account")
        catalogue, now = Catalogue(self._house.base.store), self._house.clock.now()
        for number in range(PATIENTS):
            patient = NewPatient(f"Invented Patient {number + 1}", f"patient{number + 1}@example.org", None)
            clinician = await self._house.people.add(
                cli, f"drill-{number}", f"Invented Clinician {number}", "clinician"
            )
            visit, _ = await self._house.booking.create(cli, NewVisit(patient, clinician.user, now))
            for _ in range(STOLEN // PATIENTS):
                name = new_id(Kind.RECORDING)
                lookup = self._house.base.fields.lookup("patient", patient.name)
                await catalogue.add(
                    id=name,
                    visit_id=visit.id,
                    clinician_id=clinician.user,
                    patient_lookup=lookup,
                    retention_class="visit",
                    started_at=now,
                    facts={},
                )
                await catalogue.move(name, ("capturing",), "sealed", sealed_at=now, stopped_at=now)
                self._recordings.append(name)
        return await self._house.tokens.create(cli, invited.user, "drill", ("recordings:read", "visits:read"), 1)

    async def office(self, secret: Secret[str]) -> None:
        """What the program does on every other day."""
        async with self._at(OFFICE, secret) as program:
            for _ in range(3):
                await _answered(program.get("/api/v1/visits"), 200)
        await self._read()

    async def steal(self, secret: Secret[str]) -> None:
        """Everything that the token opens, from far away."""
        async with self._at(THIEF, secret) as thief:
            await _answered(thief.get("/api/v1/recordings"), 200)
            for name in self._recordings:
                await _answered(thief.post(f"/api/v1/recordings/{name}/grants", json={"purpose": "treatment"}), 201)

    async def detected(self, token: str) -> list[AlertView]:
        """Wait until every rule that must fire has fired."""
        async with asyncio.timeout(PATIENCE):
            while True:
                page = await self._house.alerting.room.find(command_line("drill"), True)
                found = {one.rule: one for one in page.items if one.subject == token}
                if set(EXPECTED) <= set(found):
                    return [found[rule] for rule in EXPECTED]
                await asyncio.sleep(0.1)

    async def contain(self, token: str, secret: Secret[str], alerts: list[AlertView]) -> None:
        """Stop it, see that it stopped, and say so."""
        cli = command_line("drill")
        await self._house.tokens.revoke(cli, token)
        async with self._at(THIEF, secret) as thief:
            await _answered(thief.get("/api/v1/recordings"), 401)
        for alert in alerts:
            await self._house.alerting.room.acknowledge(cli, alert.id, "Drill: token revoked, incident opened.")

    async def _read(self) -> None:
        """Wait until the rules have seen what was usual."""
        async with asyncio.timeout(PATIENCE):
            while True:
                if not self._house.alerting.room.follower.behind:
                    return
                await asyncio.sleep(0.05)

    def _at(self, address: str, secret: Secret[str]) -> aiohttp.ClientSession:
        headers = {"Authorization": f"Bearer {secret.reveal()}", "X-Forwarded-For": address}
        port = self._server.config.server.port
        return aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers=headers)


async def _answered(asking: Any, status: int) -> None:
    async with asking as answer:
        if answer.status != status:
            raise DrillFailed(f"{answer.url.path}: {answer.status} instead of {status}")
