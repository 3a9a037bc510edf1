"""Bearer tokens for programs: made, rotated and revoked by admins in person, never by a token."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, StringConstraints

from telehealth.errors import NotFound, WrongState
from telehealth.web.models import Asked, Label, Moment, Nothing, Told
from telehealth.web.route import Answer, Ask, Route, Who
from telehealth.web.visits import UserId

Network = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]
Scope = Annotated[str, StringConstraints(min_length=1, max_length=40)]


class NewTokenBody(Asked):
    label: Label
    user: UserId | None = Field(default=None, description="For whom it acts; absent: the caller.")
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=20)]
    days: Annotated[int, Field(ge=1, le=366)] = 90
    networks: Annotated[list[Network], Field(max_length=20)] = Field(
        default=[], description="In CIDR notation; none: from anywhere."
    )


class RotateBody(Asked):
    overlap_hours: Annotated[int, Field(ge=0, le=168)] = Field(default=24, description="How long the old one works on.")


class ServiceToken(Told):
    id: str
    user: str
    label: str
    scopes: Sequence[str]
    networks: Sequence[str]
    successor: str | None
    created_at: Moment
    expires_at: Moment
    used_at: Moment | None = Field(description="To the minute.")
    revoked_at: Moment | None


class TokenList(Told):
    items: Sequence[ServiceToken]


class NewToken(Told):
    id: str
    token: str = Field(description="Shown once.")


async def list_tokens(ask: Ask[Nothing, Nothing]) -> Answer:
    """All that ever were, without their secrets."""
    found = await ask.rooms.tokens.list(ask.caller)
    return Answer(TokenList(items=[ServiceToken.model_validate(one) for one in found]))


async def create_token(ask: Ask[NewTokenBody, Nothing]) -> Answer:
    """Make a token; it is shown once."""
    body = ask.body
    made, secret = await ask.rooms.tokens.create(
        ask.caller, body.user or ask.caller.id, body.label, body.scopes, body.days, body.networks
    )
    return Answer(NewToken(id=made, token=secret.reveal()), status=201)


async def rotate_token(ask: Ask[RotateBody, Nothing]) -> Answer:
    """A successor with the same rights; the old one works on for the overlap."""
    hours = ask.body.overlap_hours
    made, secret = await ask.rooms.tokens.rotate(ask.caller, ask.id("token"), overlap_hours=hours)
    return Answer(NewToken(id=made, token=secret.reveal()), status=201)


async def revoke_token(ask: Ask[Nothing, Nothing]) -> Answer:
    """End a token at once."""
    await ask.rooms.tokens.revoke(ask.caller, ask.id("token"))
    return Answer()


ROUTES = (
    Route("GET", "/api/v1/tokens", list_tokens, Who.ADMIN, "tokens", TokenList),
    Route(
        "POST",
        "/api/v1/tokens",
        create_token,
        Who.ADMIN,
        "tokens",
        NewToken,
        body=NewTokenBody,
        status=201,
        step_up=True,
        codes=(NotFound,),
    ),
    Route(
        "POST",
        "/api/v1/tokens/{token}/rotate",
        rotate_token,
        Who.ADMIN,
        "tokens",
        NewToken,
        body=RotateBody,
        status=201,
        step_up=True,
        codes=(NotFound, WrongState),
    ),
    Route("DELETE", "/api/v1/tokens/{token}", revoke_token, Who.ADMIN, "tokens", codes=(NotFound,)),
)
