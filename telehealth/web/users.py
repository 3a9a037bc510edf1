"""Staff: invitation, enrolment, roles, reset."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from telehealth.errors import NotFound
from telehealth.identity.faults import (
    EnrolmentCodeWrong,
    InvitationOver,
    LastAdmin,
    LoginTaken,
    PasswordWeak,
    SecondAdminNeeded,
)
from telehealth.identity.resets import ResetRequest
from telehealth.web.models import Asked, BrowserKey, Code, Login, Moment, Name, Nothing, Password, Person, Token, Told
from telehealth.web.route import Answer, Ask, Route, Who
from telehealth.web.session import User, device_cookie, session_cookie

Role = Literal["admin", "clinician", "auditor", "front_desk"]


class TokenBody(Asked):
    token: Token = Field(description="The part of the set-up link after #.")


class Offer(Told):
    purpose: str = Field(description="first_admin, enrol or reset")
    login: str | None = None
    name: str | None = None
    totp_uri: str
    totp_secret: str
    qr_svg: str = Field(description="A data: URL.")


class FinishBody(Asked):
    token: Token
    login: Login | None = None
    name: Name | None = None
    password: Password
    code: Code
    key: BrowserKey | None = None


class Finished(Told):
    recovery_codes: Sequence[str] = Field(description="Shown once.")
    user: User


class StaffMember(Told):
    id: str
    login: str
    name: str
    role: Role
    disabled: bool
    enrolled: bool
    created_at: Moment


class StaffList(Told):
    items: Sequence[StaffMember]


class AddUserBody(Asked):
    login: Login
    name: Name
    role: Role


class ChangeUserBody(Asked):
    role: Role | None = None
    disabled: bool | None = None


class Invited(Told):
    id: str
    enrolment_url: str = Field(description="Shown once.")
    expires_at: Moment


class Reset(Told):
    id: str
    enrolment_url: str | None = Field(description="Shown once; null while a second admin has to approve.")
    request: str | None = Field(description="What the second admin approves.")
    expires_at: Moment


class Waiting(Told):
    id: str
    user: Person
    asked_by: Person
    asked_at: Moment
    expires_at: Moment


class WaitingList(Told):
    items: Sequence[Waiting]


class Clinicians(Told):
    items: Sequence[Person]


async def look_enrolment(ask: Ask[TokenBody, Nothing]) -> Answer:
    """What a set-up link offers; consumes nothing."""
    offer = await ask.rooms.enrolment.look(ask.body.token)
    return Answer(
        Offer(
            purpose=offer.purpose,
            login=offer.login,
            name=offer.name,
            totp_uri=offer.totp_uri.reveal(),
            totp_secret=offer.totp_secret.reveal(),
            qr_svg=offer.qr_svg,
        )
    )


async def finish_enrolment(ask: Ask[FinishBody, Nothing]) -> Answer:
    """Choose a password, prove the TOTP secret, be signed in."""
    body = ask.body
    done = await ask.rooms.enrolment.finish(
        body.token,
        login=body.login,
        name=body.name,
        password=body.password,
        code=body.code,
        address=ask.source.address,
        device=ask.source.device,
        key=body.key.jwk() if body.key else None,
    )
    return Answer(
        Finished(recovery_codes=done.recovery_codes, user=User.model_validate(done.session.user)),
        cookies=(session_cookie(ask.rooms, done.token), device_cookie(ask, done.session.user.id)),
    )


async def list_users(ask: Ask[Nothing, Nothing]) -> Answer:
    """Everybody who can sign in."""
    return Answer(StaffList(items=[StaffMember.model_validate(p) for p in await ask.rooms.people.list(ask.caller)]))


async def add_user(ask: Ask[AddUserBody, Nothing]) -> Answer:
    """Invite somebody; the link is shown once."""
    invitation = await ask.rooms.people.add(ask.caller, ask.body.login, ask.body.name, ask.body.role)
    return Answer(_invited(ask, invitation), status=201)


async def change_user(ask: Ask[ChangeUserBody, Nothing]) -> Answer:
    """Change a role, disable or enable; a disabled user's sessions end."""
    person = await ask.rooms.people.change(ask.caller, ask.id("user"), role=ask.body.role, disabled=ask.body.disabled)
    return Answer(StaffMember.model_validate(person))


async def reset_user(ask: Ask[Nothing, Nothing]) -> Answer:
    """A new set-up link; old password, factors and sessions end. For an admin a second admin approves it first."""
    user = ask.id("user")
    done = await ask.rooms.resets.ask(ask.caller, user)
    if isinstance(done, ResetRequest):
        return Answer(Reset(id=user, enrolment_url=None, request=done.id, expires_at=done.expires_at))
    made = _invited(ask, done)
    return Answer(Reset(id=user, enrolment_url=made.enrolment_url, request=None, expires_at=made.expires_at))


async def list_resets(ask: Ask[Nothing, Nothing]) -> Answer:
    """Resets of admins that wait for a second admin."""
    found = await ask.rooms.resets.waiting(ask.caller)
    names = await ask.rooms.people.name_of({one for row in found for one in (row.user, row.asked_by)})
    items = [
        Waiting(
            id=row.id,
            user=Person(id=row.user, name=names.get(row.user, "")),
            asked_by=Person(id=row.asked_by, name=names.get(row.asked_by, "")),
            asked_at=row.asked_at,
            expires_at=row.expires_at,
        )
        for row in found
    ]
    return Answer(WaitingList(items=items))


async def approve_reset(ask: Ask[Nothing, Nothing]) -> Answer:
    """By an admin who neither asked nor is meant; shows the set-up link once."""
    return Answer(_invited(ask, await ask.rooms.resets.approve(ask.caller, ask.id("reset"))))


async def refuse_reset(ask: Ask[Nothing, Nothing]) -> Answer:
    """By any admin; nothing changes."""
    await ask.rooms.resets.refuse(ask.caller, ask.id("reset"))
    return Answer()


async def list_clinicians(ask: Ask[Nothing, Nothing]) -> Answer:
    """For whom visits can be booked."""
    found = await ask.rooms.people.clinicians(ask.caller)
    return Answer(Clinicians(items=[Person.model_validate(one) for one in found]))


def _invited(ask: Ask[Any, Any], invitation: Any) -> Invited:
    url = f"{ask.rooms.config.public_url}/setup#{invitation.token.reveal()}"
    return Invited(id=invitation.user, enrolment_url=url, expires_at=invitation.expires_at)


ROUTES = (
    Route(
        "POST",
        "/api/v1/enrolment",
        look_enrolment,
        Who.ANYONE,
        "users",
        Offer,
        body=TokenBody,
        codes=(InvitationOver,),
    ),
    Route(
        "POST",
        "/api/v1/enrolment/finish",
        finish_enrolment,
        Who.ANYONE,
        "users",
        Finished,
        body=FinishBody,
        codes=(InvitationOver, PasswordWeak, EnrolmentCodeWrong, LoginTaken),
    ),
    Route("GET", "/api/v1/users", list_users, Who.ADMIN, "users", StaffList, scope="users:manage"),
    Route(
        "POST",
        "/api/v1/users",
        add_user,
        Who.ADMIN,
        "users",
        Invited,
        body=AddUserBody,
        status=201,
        step_up=True,
        scope="users:manage",
        codes=(LoginTaken,),
    ),
    Route(
        "PATCH",
        "/api/v1/users/{user}",
        change_user,
        Who.ADMIN,
        "users",
        StaffMember,
        body=ChangeUserBody,
        step_up=True,
        scope="users:manage",
        codes=(NotFound, LastAdmin, SecondAdminNeeded),
    ),
    Route(
        "POST",
        "/api/v1/users/{user}/reset",
        reset_user,
        Who.ADMIN,
        "users",
        Reset,
        step_up=True,
        scope="users:manage",
        codes=(NotFound,),
    ),
    Route("GET", "/api/v1/resets", list_resets, Who.ADMIN, "users", WaitingList),
    Route(
        "POST",
        "/api/v1/resets/{reset}/approve",
        approve_reset,
        Who.ADMIN,
        "users",
        Invited,
        step_up=True,
        codes=(NotFound, SecondAdminNeeded),
    ),
    Route("DELETE", "/api/v1/resets/{reset}", refuse_reset, Who.ADMIN, "users", codes=(NotFound,)),
    Route("GET", "/api/v1/clinicians", list_clinicians, Who.DESK, "users", Clinicians, scope="visits:write"),
)
