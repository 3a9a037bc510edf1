"""A house with one right credential of every kind, for those who forge others."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import cast

import pyotp

from benchmarks.pipe import ROOT
from recordings.grants import Lately
from recordings.playback import _Live  # a grant in force, without the recording behind it
from recordings.rows import GrantRow
from recordings.sealed import OpenFile
from telehealth.access import Caller, command_line
from telehealth.audit.entry import Actor
from telehealth.clock import SystemClock
from telehealth.config import Config
from telehealth.house import House, open_house
from telehealth.identity.hashing import Cost
from telehealth.identity.people import Invitation
from telehealth.ids import Kind, new_id
from telehealth.web.visits import CreateVisitBody

sys.path.insert(0, str(ROOT / "tests" / "telehealth" / "identity"))
from session_key import SessionKey  # the tests' own browser and authenticator
from software_key import SoftwareKey

PASSWORD = "a long pass phrase for forgers"
HERE: dict[str, str | None] = {"address": "192.0.2.7", "device": "a browser"}
CHEAP = Cost(1, 64, 1)
TRACK = new_id(Kind.FILE)


@dataclass(frozen=True, slots=True)
class Keys:
    """What opens something. `strangers`: callers whose grant `grant` is not."""

    session: str
    bearer: str
    presession: str
    participant: str
    link: str
    invitation: str
    reset: str
    grant: str
    caller: Caller
    other: Caller
    strangers: tuple[Caller, ...]
    browser: SessionKey
    authenticator: SoftwareKey

    def texts(self) -> list[str]:
        setups = [self.invitation, self.reset]
        return [self.session, self.bearer, self.presession, self.participant, self.link, *setups, self.grant]


def config_in(folder: Path) -> Config:
    places = {"database": f"sqlite:///{folder / 'telehealth.db'}", "root_key": folder / "root" / "root.key"}
    places |= {name: folder / name for name in ("keys", "audit", "recordings")}
    return Config.model_validate({"server": {"clinic_name": "Clinic"}, "places": places})


@asynccontextmanager
async def furnished(folder: Path) -> AsyncIterator[tuple[House, Keys]]:
    async with open_house(config_in(folder), SystemClock(), CHEAP) as house:
        yield house, await _keys(house)


async def _enrolled(house: House, login: str, role: str, browser: SessionKey) -> tuple[str, Caller]:
    invited = await house.people.add(command_line(), login, login.title(), role)
    token, enrolment = invited.token.reveal(), house.identity.enrolment
    offer = await enrolment.look(token)
    code = pyotp.TOTP(offer.totp_secret.reveal()).now()
    done = await enrolment.finish(token, login=None, name=None, password=PASSWORD, code=code, key=browser.jwk, **HERE)
    return done.token.reveal(), await house.identity.sessions.resolve(done.token.reveal(), **HERE)


async def _keys(house: House) -> Keys:
    identity, browser = house.identity, SessionKey()
    session, ada = await _enrolled(house, "ada", "clinician", browser)
    _, bob = await _enrolled(house, "bob", "clinician", SessionKey())
    _, root = await _enrolled(house, "root", "admin", SessionKey())
    _, bearer = await identity.tokens.create(command_line(), ada.id, "program", ["visits:read"], 1)
    invited = await house.people.add(command_line(), "cleo", "Cleo", "clinician")
    reset = await identity.resets.ask(command_line(), bob.id)
    if not isinstance(reset, Invitation):
        raise TypeError("the reset waits for somebody")
    body = {"patient": {"name": "Zora"}, "channel": "passcode"}
    _, link = await house.booking.create(ada, CreateVisitBody.model_validate(body))
    opened, _ = await identity.joining.open(link.token.reveal(), **HERE)
    passcode = link.passcode.reveal() if link.passcode else ""
    participant, _ = await identity.joining.verify(opened.reveal(), passcode, **HERE)
    presession, _ = await identity.joining.open(link.token.reveal(), **HERE)
    return Keys(
        session,
        bearer.reveal(),
        presession.reveal(),
        participant.reveal(),
        link.token.reveal(),
        invited.token.reveal(),
        reset.token.reveal(),
        _granted(house, ada),
        caller=ada,
        other=root,
        strangers=(bob, root, replace(ada, session=root.session), replace(root, session=ada.session)),
        browser=browser,
        authenticator=await _authenticator(house, ada),
    )


async def _authenticator(house: House, caller: Caller) -> SoftwareKey:
    config = house.config.server
    key = SoftwareKey(origin=f"http://localhost:{config.port}", site="localhost")
    await house.identity.passkeys.add(caller, key.make(await house.identity.passkeys.creation_options(caller)), "key")
    return key


class _Sized:
    """A track of which nothing but its size is asked."""

    size = 1

    def close(self) -> None:
        """Nothing is held."""


async def _stands() -> bool:
    return True


def _granted(house: House, caller: Caller) -> str:
    """A grant in force, put where `Playback` keeps those it gave."""
    now, grant = house.clock.now(), new_id(Kind.GRANT)
    until = now + timedelta(days=1)
    row = GrantRow(grant, new_id(Kind.RECORDING), caller.id, "treatment", now, until, None, 0, 0)
    tracks, actor, visit = {TRACK: cast(OpenFile, _Sized())}, Actor("user", caller.id), new_id(Kind.VISIT)
    live = _Live(row, actor, caller.session, visit, until, tracks, Lately(_stands, house.clock))
    house.recordings._playback._live[grant] = live
    return grant
