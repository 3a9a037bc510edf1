"""Staff: invitation, enrolment, roles, reset."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from telehealth.errors import NotFound
from telehealth.identity.faults import EnrolmentCodeWrong, InvitationOver, LoginTaken, PasswordWeak
from telehealth.web.models import Asked, Code, Login, Moment, Name, Nothing, Password, Token, Told
from telehealth.web.route import Answer, Ask, Route, Who
from telehealth.web.session import User, session_cookie

Role = Literal["admin", "clinician", "auditor"]


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
    )
    return Answer(
        Finished(recovery_codes=done.recovery_codes, user=User.model_validate(done.session.user)),
        cookies=(session_cookie(ask.rooms, done.token),),
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
    """A new set-up link; the old password, TOTP secret and sessions end."""
    return Answer(_invited(ask, await ask.rooms.people.reset(ask.caller, ask.id("user"))))


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
        scope="users:manage",
        codes=(NotFound,),
    ),
    Route(
        "POST",
        "/api/v1/users/{user}/reset",
        reset_user,
        Who.ADMIN,
        "users",
        Invited,
        scope="users:manage",
        codes=(NotFound,),
    ),
)
