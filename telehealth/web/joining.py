"""A patient's way in: link, code, details. Nothing here shows patient data before the code has passed."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints

from telehealth.identity.faults import (
    CodeExpired,
    CodeNotMintedHere,
    CodeWrong,
    LinkUnknown,
    OutsideArea,
    SlowDown,
    TriesUsedUp,
    Unauthenticated,
)
from telehealth.web.models import Asked, Clinic, Code, Contact, Moment, Nothing, Token, Told, clean
from telehealth.web.rooms import Rooms
from telehealth.web.route import Answer, Ask, Cookie, Route, Who, cookie_name
from telehealth.web.session import clinic

LONGEST_COOKIE = 200
Place = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(clean)]
Callback = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=3, max_length=40, pattern=r"^[+0-9()./ \-x#]+$")
]


class JoinBody(Asked):
    token: Token = Field(description="The part of the link after #.")
    language: Literal["en", "ar"] | None = Field(default=None, description="Of the page; later messages are in it.")


class JoinStep(Told):
    step: Literal["early", "code", "device", "over"]
    channel: str
    opens_at: Moment | None = Field(description="For whoever is early.")
    scheduled_at: Moment | None = Field(description="Only once the code has passed.")
    clinic: Clinic
    code_length: int | None
    confirm: Literal["none", "initials", "birth_year", "question"] = Field(description="To be given with the code.")
    question: str | None = Field(description="The clinic's own.")
    details_given: bool
    role: Literal["patient", "interpreter", "relative", "colleague"] = Field(description="As whom one is invited.")
    language_hint: str | None


class Minted(Told):
    channel: str
    expires_at: Moment
    resend_after: Moment | None


class CodeBody(Asked):
    code: Code
    confirm: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)] | None = Field(
        default=None, description="What the step asks to be confirmed; looked at together with the code."
    )


class Joined(Told):
    participant: str
    visit: str


class LostBody(Asked):
    contact: Contact = Field(description="E-mail address, or phone number with its country code.")


class DetailsBody(Asked):
    location: Place
    callback: Callback


def _step(rooms: Rooms, step: Any) -> JoinStep:
    return JoinStep(
        step=step.step,
        channel=step.channel,
        opens_at=step.opens_at,
        scheduled_at=step.scheduled_at,
        clinic=clinic(rooms),
        code_length=step.code_length,
        confirm=step.confirm,
        question=step.question,
        details_given=step.details_given,
        role=step.role,
        language_hint=step.language_hint,
    )


def _place(ask: Ask[Any, Any]) -> dict[str, str | None]:
    """From where, and with what."""
    return {"address": ask.source.address, "device": ask.source.device}


async def open_link(ask: Ask[JoinBody, Nothing]) -> Answer:
    """Open a link: consumes nothing, shows no patient data; unknown, expired and revoked look the same.

    A browser that came in by this link before keeps its session.
    """
    joining, token, source = ask.rooms.joining, ask.body.token, ask.source
    held = ask.http.cookies.get(cookie_name("visit", https=ask.rooms.config.https))
    if held and len(held) <= LONGEST_COOKIE:
        resumed = await joining.resumed(held, token, address=source.address, device=source.device)
        if resumed is not None:
            return Answer(_step(ask.rooms, resumed))
    presession, step = await joining.open(
        token, address=source.address, device=source.device, language=ask.body.language
    )
    return Answer(_step(ask.rooms, step), cookies=(Cookie("visit", presession),))


async def show_join(ask: Ask[Nothing, Nothing]) -> Answer:
    """Where the browser that holds this cookie stands (after a reload)."""
    return Answer(_step(ask.rooms, await ask.rooms.joining.step(ask.cookie.reveal(), **_place(ask))))


async def mint_code(ask: Ask[Nothing, Nothing]) -> Answer:
    """Mint a code and send it by the link's channel, now."""
    return Answer(Minted.model_validate(await ask.rooms.joining.mint(ask.cookie.reveal(), **_place(ask))), status=202)


async def verify_code(ask: Ask[CodeBody, Nothing]) -> Answer:
    """Try a code; the right one turns the pre-session into a participant session with a new cookie."""
    token, joined = await ask.rooms.joining.verify(ask.cookie.reveal(), ask.body.code, ask.body.confirm, **_place(ask))
    return Answer(Joined.model_validate(joined), cookies=(Cookie("visit", token),))


async def lost_link(ask: Ask[LostBody, Nothing]) -> Answer:
    """Send the links of a contact's coming visits once more; the same answer for everybody, known or not."""
    await ask.rooms.lost.ask(ask.body.contact, **_place(ask))
    return Answer(status=202)


async def give_details(ask: Ask[DetailsBody, Nothing]) -> Answer:
    """Where the patient is now and how to call back; needed before the waiting room."""
    await ask.rooms.joining.details(ask.cookie.reveal(), ask.body.location, ask.body.callback, **_place(ask))
    return Answer()


async def give_up(ask: Ask[Nothing, Nothing]) -> Answer:
    """Give the session up; the cookie is cleared."""
    await ask.rooms.joining.give_up(ask.cookie.reveal())
    return Answer(cookies=(Cookie("visit", None),))


_JOIN = "/api/v1/join"
ROUTES = (
    Route("POST", _JOIN, open_link, Who.ANYONE, "joining", JoinStep, body=JoinBody, codes=(LinkUnknown, OutsideArea)),
    Route("GET", _JOIN, show_join, Who.PATIENT, "joining", JoinStep, codes=(Unauthenticated, OutsideArea)),
    Route(
        "POST",
        f"{_JOIN}/code",
        mint_code,
        Who.PATIENT,
        "joining",
        Minted,
        status=202,
        codes=(Unauthenticated, CodeNotMintedHere, SlowDown),
    ),
    Route(
        "POST",
        f"{_JOIN}/verify",
        verify_code,
        Who.PATIENT,
        "joining",
        Joined,
        body=CodeBody,
        codes=(Unauthenticated, CodeWrong, CodeExpired, TriesUsedUp),
    ),
    Route("POST", f"{_JOIN}/lost", lost_link, Who.ANYONE, "joining", body=LostBody, status=202, codes=(SlowDown,)),
    Route("POST", f"{_JOIN}/details", give_details, Who.PATIENT, "joining", body=DetailsBody, codes=(Unauthenticated,)),
    Route("DELETE", _JOIN, give_up, Who.PATIENT, "joining", codes=(Unauthenticated,)),
)
