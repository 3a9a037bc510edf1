"""Single sign-on: sent to the provider, come back to the page `/sso`, which hands over what it was given."""

from typing import Annotated, Any
from urllib.parse import parse_qs

from pydantic import Field, StringConstraints

from telehealth.errors import Malformed, NotFound, WrongState
from telehealth.identity.faults import ChallengeOver, LastAdmin, SignInRefused, SlowDown
from telehealth.identity.oidc.faults import (
    LogoutRefused,
    SsoFactorMissing,
    SsoOff,
    SsoRefused,
    SsoTaken,
    SsoUnavailable,
    SsoUnknown,
)
from telehealth.identity.oidc.provider import Returned
from telehealth.identity.oidc.sign_in import Browser, HalfWay, SignedIn
from telehealth.web.models import Asked, BrowserKey, Code, Moment, Nothing, Told
from telehealth.web.route import Answer, Ask, Cookie, Route, Who, cookie_name
from telehealth.web.session import CLEAR_SITE, User, device_cookie, session_cookie

FLOW_SECONDS = 600
LONGEST_FORM = 32 * 1024
_Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]


class BeginBody(Asked):
    again: bool = Field(default=False, description="Prove oneself to the provider anew: for grave acts.")


class Go(Told):
    location: str = Field(description="Where the browser goes.")


class ReturnedBody(Asked):
    """What the provider put into the address (RFC 6749 §4.1.2, RFC 9207)."""

    state: _Text
    code: _Text | None = Field(default=None, description="Absent where the provider refused.")
    iss: _Text | None = None

    def returned(self) -> Returned:
        return Returned(self.code, self.iss)


class FinishBody(ReturnedBody):
    key: BrowserKey | None = None


class CodeBody(Asked):
    code: Code = Field(description="A TOTP code, or a recovery code.")
    key: BrowserKey | None = None


class Finished(Told):
    """Signed in, or `code_needed`: the provider proved one factor alone."""

    user: User | None = None
    idle_seconds: int | None = None
    code_needed: bool = False


class Left(Told):
    location: str | None = Field(description="Where the provider's own session ends; null where it has no such place.")


class Tied(Told):
    name: str | None = Field(description="The provider's name, null where there is none.")
    since: Moment | None


def _browser(ask: Ask[Any, Any], key: BrowserKey | None = None) -> Browser:
    held = ask.http.cookies.get(cookie_name("sso", https=ask.rooms.config.https))
    return Browser(held, ask.source.address, ask.source.device, key.jwk() if key else None)


def _beside(ask: Ask[Any, Any], done: SignedIn) -> tuple[Cookie, Cookie]:
    """The browser is one that somebody signed in with, and there is no way back any more."""
    return device_cookie(ask, done.session.user.id), Cookie("sso", None)


async def sso_begin(ask: Ask[BeginBody, Nothing]) -> Answer:
    """Where to sign in; this browser alone can finish it."""
    location, cookie = await ask.rooms.sso.begin(again=ask.body.again)
    return Answer(Go(location=location), cookies=(Cookie("sso", cookie, FLOW_SECONDS),))


async def sso_finish(ask: Ask[FinishBody, Nothing]) -> Answer:
    """Come back from the provider: signed in, or asked for the second factor."""
    done = await ask.rooms.sso.finish(_browser(ask, ask.body.key), ask.body.state, ask.body.returned())
    if isinstance(done, HalfWay):
        return Answer(Finished(code_needed=True), cookies=(Cookie("sso", done.cookie, FLOW_SECONDS),))
    said = Finished(user=User.model_validate(done.session.user), idle_seconds=done.session.idle_seconds)
    return Answer(said, cookies=(session_cookie(ask.rooms, done.token), *_beside(ask, done)))


async def sso_code(ask: Ask[CodeBody, Nothing]) -> Answer:
    """The person's own second factor, after the provider vouched for the first."""
    done = await ask.rooms.sso.by_code(_browser(ask, ask.body.key), ask.body.code)
    said = Finished(user=User.model_validate(done.session.user), idle_seconds=done.session.idle_seconds)
    return Answer(said, cookies=(session_cookie(ask.rooms, done.token), *_beside(ask, done)))


async def sso_sign_out(ask: Ask[Nothing, Nothing]) -> Answer:
    """Sign out here, and learn where to sign out of the provider."""
    location = await ask.rooms.sso_out.leave(ask.cookie.reveal(), ask.caller, ask.rooms.config.public_url + "/")
    return Answer(Left(location=location), cookies=(Cookie("staff", None),), headers=CLEAR_SITE)


async def sso_back_channel(ask: Ask[Nothing, Nothing]) -> Answer:
    """The provider's word that somebody signed out there (form: `logout_token`); what it began here ends at once."""
    if ask.http.content_type != "application/x-www-form-urlencoded":
        raise Malformed("logout_token")
    content = await ask.http.content.read(LONGEST_FORM + 1)
    while content and len(content) <= LONGEST_FORM and (more := await ask.http.content.read(LONGEST_FORM + 1)):
        content += more
    if len(content) > LONGEST_FORM:
        raise LogoutRefused
    try:
        given = parse_qs(content.decode("ascii"), max_num_fields=20).get("logout_token", [])
    except ValueError:
        raise Malformed("logout_token") from None
    if len(given) != 1:
        raise Malformed("logout_token")
    await ask.rooms.sso_out.by_provider(given[0], ask.source.address)
    return Answer()


async def sso_show_link(ask: Ask[Nothing, Nothing]) -> Answer:
    """Whether one's account is tied to an identity of the provider."""
    settings = ask.rooms.sso.settings
    return Answer(Tied(name=settings.name if settings.on else None, since=await ask.rooms.sso.linked_at(ask.caller)))


async def sso_begin_link(ask: Ask[Nothing, Nothing]) -> Answer:
    """Where to prove who one is to the provider, to tie one's account to it."""
    location, cookie = await ask.rooms.sso.begin_link(ask.caller)
    return Answer(Go(location=location), cookies=(Cookie("sso", cookie, FLOW_SECONDS),))


async def sso_finish_link(ask: Ask[ReturnedBody, Nothing]) -> Answer:
    """Come back from the provider: one's account is tied to that identity."""
    await ask.rooms.sso.finish_link(ask.caller, _browser(ask), ask.body.state, ask.body.returned())
    return Answer(cookies=(Cookie("sso", None),))


async def sso_unlink(ask: Ask[Nothing, Nothing]) -> Answer:
    """The identity opens one's account no more; other sessions begun by it end."""
    await ask.rooms.sso_out.untie(ask.caller)
    return Answer()


_BEGIN = (SsoOff, SsoUnavailable)
_BACK = (ChallengeOver, SlowDown, SsoOff, SsoRefused, SsoUnavailable, SsoTaken)
_OPENS = (*_BACK, SsoUnknown, SsoFactorMissing, LastAdmin)
_CODE = (ChallengeOver, SignInRefused, SlowDown, SsoUnknown)
ROUTES = (
    Route("POST", "/api/v1/session/sso", sso_begin, Who.ANYONE, "session", Go, body=BeginBody, codes=_BEGIN),
    Route(
        "POST",
        "/api/v1/session/sso/finish",
        sso_finish,
        Who.ANYONE,
        "session",
        Finished,
        body=FinishBody,
        codes=_OPENS,
    ),
    Route("POST", "/api/v1/session/sso/code", sso_code, Who.ANYONE, "session", Finished, body=CodeBody, codes=_CODE),
    Route("POST", "/api/v1/session/sso/sign-out", sso_sign_out, Who.STAFF, "session", Left),
    Route(
        "POST",
        "/api/v1/sso/back-channel",
        sso_back_channel,
        Who.ANYONE,
        "session",
        foreign=True,
        codes=(Malformed, LogoutRefused, *_BEGIN),
    ),
    Route("GET", "/api/v1/sso/link", sso_show_link, Who.STAFF, "account", Tied),
    Route("POST", "/api/v1/sso/link", sso_begin_link, Who.STAFF, "account", Go, step_up=True, codes=_BEGIN),
    Route(
        "POST",
        "/api/v1/sso/link/finish",
        sso_finish_link,
        Who.STAFF,
        "account",
        body=ReturnedBody,
        step_up=True,
        codes=_BACK,
    ),
    Route("DELETE", "/api/v1/sso/link", sso_unlink, Who.STAFF, "account", step_up=True, codes=(NotFound, WrongState)),
)
