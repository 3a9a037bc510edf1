"""Signing in and out, keeping a session alive, and what the pages may know before anybody signed in."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from telehealth.config import Config
from telehealth.errors import NotFound, Refusal
from telehealth.identity.faults import SignInRefused, SlowDown, Unauthenticated
from telehealth.identity.sessions import SessionInfo
from telehealth.secret import Secret
from telehealth.web.arrivals import device_of
from telehealth.web.models import Asked, BrowserKey, Clinic, Code, Login, Moment, Nothing, Password, Told
from telehealth.web.rooms import Rooms
from telehealth.web.route import Answer, Ask, Cookie, Route, Who

# Not "cookies": the session's are taken back one by one, and the browser stays known (docs/limits.md).
CLEAR_SITE = {"Clear-Site-Data": '"cache", "storage"'}
AUDIT_YEARS = 6  # 45 CFR 164.316(b)(2); the log itself forgets nothing
DEVICE_SECONDS = 180 * 24 * 3600


class User(Told):
    id: str
    name: str
    role: str


class SignInBody(Asked):
    login: Login
    password: Password
    code: Code = Field(description="A TOTP code, or a recovery code.")
    key: BrowserKey | None = None


class SignedIn(Told):
    user: User
    idle_seconds: int


class SessionAnswer(SignedIn):
    factor: str = Field(description="totp, recovery_code, passkey, demo, sso or sso_code")
    expires_at: Moment
    clinic: Clinic
    demo: bool


class Kept(Told):
    """How long what is kept, as the page on privacy tells patients."""

    identity_days: int = Field(description="After a visit; then the server forgets who its patient was.")
    recording_days: int = Field(
        description="As a rule; a clinic may set other terms for some, and a hold keeps longer."
    )
    backup_days: int = Field(description="That copies of what was deleted may still lie in backups.")
    audit_years: int = Field(description="That the log of who did what is kept at least.")
    copies: bool = Field(description="Whether patients may ask for a copy of a recording.")


class About(Told):
    clinic: Clinic
    demo: bool
    languages: tuple[str, ...]
    sso: str | None = Field(description="Name of the identity provider, null where there is none.")
    kept: Kept
    passkeys_at: str | None = Field(description="The host under which passkeys work, null where they do not.")


class DemoBody(Asked):
    token: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    key: BrowserKey | None = None


class Challenge(Told):
    challenge: str = Field(description="To be signed by the session's key; good once, for minutes.")


def clinic(rooms: Rooms) -> Clinic:
    """The clinic's face: its name, and where its logo is served."""
    logo = "/clinic-logo" if rooms.config.server.clinic_logo else None
    return Clinic(name=rooms.config.server.clinic_name, logo=logo)


def session_cookie(rooms: Rooms, token: Secret[str]) -> Cookie:
    """The staff cookie; its life on the server is what counts."""
    return Cookie("staff", token, rooms.config.sessions.absolute_hours * 3600)


def device_cookie(ask: Ask[Any, Any], user: str) -> Cookie:
    """For the browser that somebody has signed in with: strangers do not slow its next sign-in down."""
    value = device_of(ask.http, ask.rooms).with_(user)
    return Cookie("device", Secret(value), DEVICE_SECONDS)


def signed_in(info: SessionInfo) -> SignedIn:
    """What a page is told that has just signed somebody in."""
    return SignedIn(user=User.model_validate(info.user), idle_seconds=info.idle_seconds)


def _session(rooms: Rooms, info: SessionInfo) -> SessionAnswer:
    return SessionAnswer(
        user=User.model_validate(info.user),
        factor=info.factor,
        idle_seconds=info.idle_seconds,
        expires_at=info.expires_at,
        clinic=clinic(rooms),
        demo=rooms.config.demo,
    )


async def sign_in(ask: Ask[SignInBody, Nothing]) -> Answer:
    """Sign in by password and TOTP; wrong name, password or code look the same."""
    token, info = await ask.rooms.sign_in.attempt(
        ask.body.login,
        ask.body.password,
        ask.body.code,
        address=ask.source.address,
        device=ask.source.device,
        key=ask.body.key.jwk() if ask.body.key else None,
        browser=device_of(ask.http, ask.rooms),
    )
    return Answer(signed_in(info), cookies=(session_cookie(ask.rooms, token), device_cookie(ask, info.user.id)))


async def show_session(ask: Ask[Nothing, Nothing]) -> Answer:
    """Who is signed in, and until when; no activity."""
    return Answer(_session(ask.rooms, await ask.rooms.sessions.info(ask.cookie.reveal())))


async def renew_session(ask: Ask[Nothing, Nothing]) -> Answer:
    """Somebody is there: starts the idle time anew."""
    return Answer(_session(ask.rooms, await ask.rooms.sessions.renew(ask.cookie.reveal())))


async def session_challenge(ask: Ask[Nothing, Nothing]) -> Answer:
    """What the browser signs to open a socket or play a recording."""
    return Answer(Challenge(challenge=ask.rooms.possession.challenge(ask.caller)))


async def sign_out(ask: Ask[Nothing, Nothing]) -> Answer:
    """Sign out; sockets of the session close."""
    await ask.rooms.sessions.end(ask.cookie.reveal(), address=ask.source.address, device=ask.source.device)
    return Answer(cookies=(Cookie("staff", None),), headers=CLEAR_SITE)


async def about(ask: Ask[Nothing, Nothing]) -> Answer:
    """The clinic's name and logo, for pages that show before sign-in."""
    rooms = ask.rooms
    languages, place = tuple(rooms.languages), rooms.passkey_sign_in.place
    sso = rooms.config.sso.name if rooms.config.sso.on else None
    demo, kept = rooms.config.demo, _kept(rooms.config)
    return Answer(About(clinic=clinic(rooms), demo=demo, languages=languages, kept=kept, passkeys_at=place, sso=sso))


def _kept(config: Config) -> Kept:
    days = config.backup.keep_days if config.backup.to is not None else 0
    return Kept(
        identity_days=config.privacy.identity_days,
        recording_days=config.recording.retention_days,
        backup_days=max(days, config.recording.backup_days),
        audit_years=AUDIT_YEARS,
        copies=config.export.patient_copy,
    )


async def enter_demo(ask: Ask[DemoBody, Nothing]) -> Answer:
    """In a demo alone: exchange the printed link for a session, once."""
    if ask.rooms.demo is None or not ask.source.loopback:
        raise NotFound
    key = ask.body.key.jwk() if ask.body.key else None
    source = ask.source
    token, info = await ask.rooms.demo.enter(ask.body.token, address=source.address, device=source.device, key=key)
    return Answer(_session(ask.rooms, info), cookies=(session_cookie(ask.rooms, token),))


_OUT: tuple[type[Refusal], ...] = (Unauthenticated,)

ROUTES = (
    Route(
        "POST",
        "/api/v1/session",
        sign_in,
        Who.ANYONE,
        "session",
        SignedIn,
        body=SignInBody,
        codes=(SignInRefused, SlowDown),
    ),
    Route("GET", "/api/v1/session", show_session, Who.STAFF, "session", SessionAnswer, codes=_OUT),
    Route("POST", "/api/v1/session/renew", renew_session, Who.STAFF, "session", SessionAnswer, codes=_OUT),
    Route("POST", "/api/v1/session/challenge", session_challenge, Who.STAFF, "session", Challenge, codes=_OUT),
    Route("DELETE", "/api/v1/session", sign_out, Who.STAFF, "session", codes=_OUT),
    Route("GET", "/api/v1/about", about, Who.ANYONE, "session", About),
    Route("POST", "/api/v1/demo", enter_demo, Who.ANYONE, "session", SessionAnswer, body=DemoBody, codes=(NotFound,)),
)
