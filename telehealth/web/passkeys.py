"""Passkeys: signing in with one alone, and one's own list. Shapes are those of WebAuthn Level 3, §5.1.8 and §5.1.9."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from telehealth.errors import NotFound
from telehealth.identity.faults import (
    ChallengeOver,
    PasskeyCloned,
    PasskeyInvalid,
    PasskeyKnown,
    PasskeyRefused,
    PasskeysOff,
    SlowDown,
    TooManyPasskeys,
)
from telehealth.web.arrivals import device_of
from telehealth.web.models import Asked, BrowserKey, Label, Moment, Nothing, Told
from telehealth.web.route import Answer, Ask, Route, Who
from telehealth.web.session import SignedIn, device_cookie, session_cookie, signed_in

_ID = 1364  # 1,023 octets in base64url
Octets = Annotated[str, StringConstraints(min_length=1, max_length=16_384, pattern=r"^[A-Za-z0-9_-]+$")]
CredentialId = Annotated[str, StringConstraints(min_length=1, max_length=_ID, pattern=r"^[A-Za-z0-9_-]+$")]
Transport = Annotated[str, StringConstraints(min_length=1, max_length=32, pattern=r"^[a-z-]+$")]


class Assertion(Asked):
    client_data: Octets = Field(alias="clientDataJSON")
    authenticator_data: Octets = Field(alias="authenticatorData")
    signature: Octets
    user_handle: Octets | None = Field(default=None, alias="userHandle")


class Attestation(Asked):
    client_data: Octets = Field(alias="clientDataJSON")
    attestation_object: Octets = Field(alias="attestationObject")
    transports: Annotated[tuple[Transport, ...], Field(max_length=10)] = ()


class UsedPasskey(Asked):
    """AuthenticationResponseJSON."""

    id: CredentialId
    raw_id: CredentialId = Field(alias="rawId")
    type: Literal["public-key"]
    response: Assertion


class MadePasskey(Asked):
    """RegistrationResponseJSON."""

    id: CredentialId
    raw_id: CredentialId = Field(alias="rawId")
    type: Literal["public-key"]
    response: Attestation


class PasskeySignInBody(Asked):
    credential: UsedPasskey
    key: BrowserKey | None = None


class AddPasskeyBody(Asked):
    credential: MadePasskey
    label: Label


class Options(Told):
    options: Mapping[str, Any] = Field(description="For navigator.credentials, octets in base64url.")


class Passkey(Told):
    id: str
    label: str
    created_at: Moment
    used_at: Moment | None
    suspended_at: Moment | None = Field(description="Switched off: lost, or perhaps copied.")
    backed_up: bool = Field(description="Kept by a password manager, not by one device alone.")


class PasskeyList(Told):
    items: Sequence[Passkey]


def spelled(credential: UsedPasskey | MadePasskey) -> Mapping[str, Any]:
    """As WebAuthn spells it."""
    return credential.model_dump(by_alias=True, exclude_none=True)


async def passkey_sign_in_options(ask: Ask[Nothing, Nothing]) -> Answer:
    """A challenge to sign in with; names nobody."""
    return Answer(Options(options=ask.rooms.passkey_sign_in.options()))


async def passkey_sign_in(ask: Ask[PasskeySignInBody, Nothing]) -> Answer:
    """Sign in by a passkey alone, with user verification."""
    token, info = await ask.rooms.passkey_sign_in.attempt(
        spelled(ask.body.credential),
        address=ask.source.address,
        device=ask.source.device,
        key=ask.body.key.jwk() if ask.body.key else None,
        browser=device_of(ask.http, ask.rooms),
    )
    return Answer(signed_in(info), cookies=(session_cookie(ask.rooms, token), device_cookie(ask, info.user.id)))


async def list_passkeys(ask: Ask[Nothing, Nothing]) -> Answer:
    """One's own passkeys."""
    found = await ask.rooms.passkeys.list(ask.caller)
    return Answer(PasskeyList(items=[Passkey.model_validate(one) for one in found]))


async def new_passkey_options(ask: Ask[Nothing, Nothing]) -> Answer:
    """A challenge to make a passkey with."""
    return Answer(Options(options=await ask.rooms.passkeys.creation_options(ask.caller)))


async def add_passkey(ask: Ask[AddPasskeyBody, Nothing]) -> Answer:
    """Keep a new passkey of one's own."""
    made = await ask.rooms.passkeys.add(ask.caller, spelled(ask.body.credential), ask.body.label)
    return Answer(Passkey.model_validate(made), status=201)


async def remove_passkey(ask: Ask[Nothing, Nothing]) -> Answer:
    """Remove one of one's own; other sessions begun with it end."""
    await ask.rooms.passkeys.remove(ask.caller, ask.id("passkey"))
    return Answer()


_USING = (ChallengeOver, PasskeyRefused, PasskeyCloned, PasskeysOff, SlowDown)
ROUTES = (
    Route(
        "POST",
        "/api/v1/session/passkey/options",
        passkey_sign_in_options,
        Who.ANYONE,
        "session",
        Options,
        codes=(PasskeysOff,),
    ),
    Route(
        "POST",
        "/api/v1/session/passkey",
        passkey_sign_in,
        Who.ANYONE,
        "session",
        SignedIn,
        body=PasskeySignInBody,
        codes=_USING,
    ),
    Route("GET", "/api/v1/passkeys", list_passkeys, Who.STAFF, "account", PasskeyList),
    Route(
        "POST",
        "/api/v1/passkeys/options",
        new_passkey_options,
        Who.STAFF,
        "account",
        Options,
        step_up=True,
        codes=(PasskeysOff, TooManyPasskeys),
    ),
    Route(
        "POST",
        "/api/v1/passkeys",
        add_passkey,
        Who.STAFF,
        "account",
        Passkey,
        body=AddPasskeyBody,
        status=201,
        step_up=True,
        codes=(ChallengeOver, PasskeyRefused, PasskeyInvalid, PasskeyKnown, PasskeysOff, TooManyPasskeys),
    ),
    Route(
        "DELETE",
        "/api/v1/passkeys/{passkey}",
        remove_passkey,
        Who.STAFF,
        "account",
        step_up=True,
        codes=(NotFound,),
    ),
)
