"""Guests of a visit: interpreter, relative, colleague; for whoever may send the visit's links."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from telehealth.errors import NotFound, WrongState
from telehealth.identity.faults import ChannelNotAllowed
from telehealth.visits.faults import GuestsFull
from telehealth.web.models import Contact, Moment, Name, Nothing, Told
from telehealth.web.route import Answer, Ask, Route, Who
from telehealth.web.visits import Link, LinkBody, NewLink, new_link

GuestRole = Literal["interpreter", "relative", "colleague"]
Language = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,4})?$", max_length=8)]


class GuestBody(LinkBody):
    role: GuestRole
    name: Name = Field(description="Everybody in the visit sees it.")
    contact: Contact | None = Field(default=None, description="E-mail address or phone number.")
    language: Language | None = None


class Guest(Told):
    id: str
    role: GuestRole
    name: str
    contact: str | None
    language: str | None
    state: Literal["invited", "arrived", "verified", "waiting", "admitted", "left", "removed"]
    participant: str | None
    link: Link | None
    created_at: Moment


class GuestList(Told):
    items: Sequence[Guest]


class NewGuest(Told):
    guest: Guest
    link: NewLink


async def invite_guest(ask: Ask[GuestBody, Nothing]) -> Answer:
    """Invite one guest more; the link's secrets are shown once."""
    guest, issued = await ask.rooms.guests.invite(ask.caller, ask.id("visit"), ask.body)
    return Answer(NewGuest(guest=Guest.model_validate(guest), link=new_link(ask, issued)), status=201)


async def list_guests(ask: Ask[Nothing, Nothing]) -> Answer:
    """Those whose invitation stands, each with the newest link."""
    found = await ask.rooms.guests.list(ask.caller, ask.id("visit"))
    return Answer(GuestList(items=[Guest.model_validate(guest) for guest in found]))


async def issue_guest_link(ask: Ask[LinkBody, Nothing]) -> Answer:
    """A new link for a guest; the earlier one is revoked."""
    issued = await ask.rooms.guests.issue_link(ask.caller, ask.id("visit"), ask.id("guest"), ask.body)
    return Answer(new_link(ask, issued), status=201)


async def remove_guest(ask: Ask[Nothing, Nothing]) -> Answer:
    """Take the invitation back; whoever came by it is out."""
    await ask.rooms.guests.remove(ask.caller, ask.id("visit"), ask.id("guest"))
    return Answer()


def _route(method: Any, path: str, handler: Any, scope: str, **more: Any) -> Route:
    return Route(method, f"/api/v1/visits/{{visit}}/guests{path}", handler, Who.DESK, "guests", scope=scope, **more)


_READ, _WRITE = "visits:read", "visits:write"
_SENT = (NotFound, WrongState, ChannelNotAllowed)
ROUTES = (
    _route("GET", "", list_guests, _READ, answer=GuestList, codes=(NotFound,)),
    _route("POST", "", invite_guest, _WRITE, answer=NewGuest, body=GuestBody, status=201, codes=(*_SENT, GuestsFull)),
    _route("POST", "/{guest}/links", issue_guest_link, _WRITE, answer=NewLink, body=LinkBody, status=201, codes=_SENT),
    _route("DELETE", "/{guest}", remove_guest, _WRITE, codes=(NotFound,)),
)
