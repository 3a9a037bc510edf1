"""One's own account: where one is signed in, proving two factors again, the password."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field, model_validator

from telehealth.errors import Malformed, NotFound
from telehealth.identity.faults import (
    ChallengeOver,
    PasskeyCloned,
    PasskeyRefused,
    PasswordWeak,
    SignInRefused,
    SlowDown,
)
from telehealth.web.models import Asked, Code, Moment, Nothing, Password, Told
from telehealth.web.passkeys import UsedPasskey, spelled
from telehealth.web.route import Answer, Ask, Cookie, Route, Who
from telehealth.web.session import CLEAR_SITE, session_cookie


class Device(Told):
    id: str
    name: str = Field(description="Browser and system, empty when it did not tell.")
    factor: str = Field(description="totp, recovery_code, passkey, demo, sso or sso_code")
    created_at: Moment
    seen_at: Moment
    expires_at: Moment
    current: bool = Field(description="The session that asks.")


class DeviceList(Told):
    items: Sequence[Device]


class EndQuery(Asked):
    others: bool = Field(default=False, description="All but the one that asks.")


class StepUpOptions(Told):
    options: Mapping[str, Any] | None = Field(description="For navigator.credentials; null where there is no passkey.")


class StepUpBody(Asked):
    """Either a passkey, or password and code."""

    credential: UsedPasskey | None = None
    password: Password | None = None
    code: Code | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "StepUpBody":
        typed = self.password is not None and self.code is not None
        some = self.password is not None or self.code is not None
        if typed == (self.credential is not None) or (some and not typed):
            raise ValueError("either a passkey, or password and code")
        return self


class PasswordBody(Asked):
    password: Password = Field(description="The present one.")
    new_password: Password


async def list_sessions(ask: Ask[Nothing, Nothing]) -> Answer:
    """Where one is signed in, the latest first."""
    found = await ask.rooms.sessions.devices(ask.caller)
    return Answer(DeviceList(items=[Device.model_validate(one) for one in found]))


async def end_sessions(ask: Ask[Nothing, EndQuery]) -> Answer:
    """Sign out everywhere, or everywhere else; sockets and players stop."""
    if ask.query.others:
        await ask.rooms.sessions.end_others(ask.caller)
        return Answer()
    await ask.rooms.sessions.end_all(ask.caller.id, by=ask.caller)
    return Answer(cookies=(Cookie("staff", None),), headers=CLEAR_SITE)


async def end_session(ask: Ask[Nothing, Nothing]) -> Answer:
    """Sign one of one's own devices out."""
    await ask.rooms.sessions.end_one(ask.caller, ask.id("session"))
    return Answer()


async def lose_device(ask: Ask[Nothing, Nothing]) -> Answer:
    """The device is lost: its session ends, the passkey that began it is switched off."""
    await ask.rooms.passkeys.lose(ask.caller, ask.id("session"))
    return Answer()


async def step_up_options(ask: Ask[Nothing, Nothing]) -> Answer:
    """A challenge to prove with a passkey that it is still oneself."""
    return Answer(StepUpOptions(options=await ask.rooms.passkey_sign_in.prove_options(ask.caller)))


async def step_up(ask: Ask[StepUpBody, Nothing]) -> Answer:
    """Prove two factors again; grave acts are open for some minutes."""
    rooms, body = ask.rooms, ask.body
    if body.credential is not None:
        token = await rooms.passkey_sign_in.prove_again(ask.caller, spelled(body.credential))
    elif body.password is not None and body.code is not None:
        token = await rooms.sign_in.prove_again(ask.caller, body.password, body.code)
    else:
        raise Malformed
    return Answer(cookies=(session_cookie(rooms, token),))


async def change_password(ask: Ask[PasswordBody, Nothing]) -> Answer:
    """Change one's own password; every other session ends."""
    token = await ask.rooms.own_password.change(ask.caller, ask.body.password, ask.body.new_password)
    return Answer(cookies=(session_cookie(ask.rooms, token),))


ROUTES = (
    Route("GET", "/api/v1/sessions", list_sessions, Who.STAFF, "account", DeviceList),
    Route("DELETE", "/api/v1/sessions", end_sessions, Who.STAFF, "account", query=EndQuery),
    Route("DELETE", "/api/v1/sessions/{session}", end_session, Who.STAFF, "account", codes=(NotFound,)),
    Route("POST", "/api/v1/sessions/{session}/lost", lose_device, Who.STAFF, "account", codes=(NotFound,)),
    Route("POST", "/api/v1/session/step-up/options", step_up_options, Who.STAFF, "account", StepUpOptions),
    Route(
        "POST",
        "/api/v1/session/step-up",
        step_up,
        Who.STAFF,
        "account",
        body=StepUpBody,
        codes=(SignInRefused, PasskeyRefused, PasskeyCloned, ChallengeOver, SlowDown),
    ),
    Route(
        "PUT",
        "/api/v1/password",
        change_password,
        Who.STAFF,
        "account",
        body=PasswordBody,
        step_up=True,
        codes=(SignInRefused, PasswordWeak, SlowDown),
    ),
)
