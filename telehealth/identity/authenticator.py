"""WebAuthn Level 3 by `webauthn`: what authenticators are asked, and whether what they say holds. Pure."""

import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, TypeVar
from urllib.parse import urlsplit

from cbor2 import CBORDecodeError
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes, options_to_json_dict, parse_client_data_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from telehealth.config import Config
from telehealth.identity.challenges import GOOD_FOR
from telehealth.identity.faults import PasskeyInvalid, PasskeyRefused
from telehealth.store.passkeys import PasskeyRow

T = TypeVar("T")
LONGEST_ID = 1023  # octets; WebAuthn §5.8.3
TIMEOUT = int(GOOD_FOR.total_seconds() * 1000)
# What the library and those below it throw at bytes that mean nothing to them.
_UNREADABLE = (
    WebAuthnException,
    CBORDecodeError,
    InvalidSignature,
    UnsupportedAlgorithm,
    binascii.Error,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RecursionError,
)


@dataclass(frozen=True, slots=True)
class Site:
    """Where passkeys belong: relying party id, the origins of our pages under it, and the clinic's name."""

    id: str
    origins: tuple[str, ...]
    name: str


@dataclass(frozen=True, slots=True)
class NewCredential:
    id: bytes
    public_key: bytes = field(repr=False)  # COSE
    sign_count: int
    backed_up: bool


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a credential; whether its counter rose is not judged here."""

    sign_count: int
    backed_up: bool


def site_of(config: Config) -> Site | None:
    """The public URL's name; on loopback `localhost`; None where people come by an address alone."""
    public, server = urlsplit(config.public_url), config.server
    host = public.hostname or ""
    if host and not _is_address(host):
        return Site(host, (_origin(public.scheme, host, public.port),), server.clinic_name)
    if server.loopback:
        scheme = "https" if server.tls_certificate else "http"
        return Site("localhost", (_origin(scheme, "localhost", server.port),), server.clinic_name)
    return None


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _origin(scheme: str, host: str, port: int | None) -> str:
    usual = {"http": 80, "https": 443}[scheme]
    return f"{scheme}://{host}" if port in (None, usual) else f"{scheme}://{host}:{port}"


def creation_options(
    site: Site, challenge: bytes, *, handle: bytes, login: str, name: str, known: Sequence[PasskeyRow]
) -> dict[str, Any]:
    """PublicKeyCredentialCreationOptionsJSON: discoverable, with user verification, none that is `known`."""
    options = generate_registration_options(
        rp_id=site.id,
        rp_name=site.name,
        user_id=handle,
        user_name=login,
        user_display_name=name,
        challenge=challenge,
        timeout=TIMEOUT,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[_descriptor(row) for row in known],
    )
    return options_to_json_dict(options)


def request_options(site: Site, challenge: bytes, known: Sequence[PasskeyRow] = ()) -> dict[str, Any]:
    """PublicKeyCredentialRequestOptionsJSON; without `known` the person chooses whom to be."""
    options = generate_authentication_options(
        rp_id=site.id,
        challenge=challenge,
        timeout=TIMEOUT,
        allow_credentials=[_descriptor(row) for row in known],
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return options_to_json_dict(options)


def _descriptor(row: PasskeyRow) -> PublicKeyCredentialDescriptor:
    names = {kind.value for kind in AuthenticatorTransport}
    transports = [AuthenticatorTransport(one) for one in row.transports if one in names]
    return PublicKeyCredentialDescriptor(id=row.credential_id, transports=transports or None)


def challenge_of(credential: Mapping[str, Any]) -> bytes:
    """The challenge that the browser says was signed; whether it is ours is for `Challenges`. Raises PasskeyRefused."""
    return _reading(
        lambda: parse_client_data_json(base64url_to_bytes(credential["response"]["clientDataJSON"])).challenge,
        PasskeyRefused,
    )


def credential_id(credential: Mapping[str, Any]) -> bytes:
    """Raises PasskeyRefused."""
    return _reading(lambda: base64url_to_bytes(credential["id"]), PasskeyRefused)


def handle_of(credential: Mapping[str, Any]) -> bytes | None:
    """The user handle the authenticator keeps, where it told one. Raises PasskeyRefused."""
    given = credential["response"].get("userHandle")
    return None if given is None else _reading(lambda: base64url_to_bytes(given), PasskeyRefused)


def read_new(site: Site, credential: Mapping[str, Any], challenge: bytes) -> NewCredential:
    """A credential made here, now, by a verified user. Raises PasskeyInvalid."""
    found = _reading(
        lambda: verify_registration_response(
            credential=dict(credential),
            expected_challenge=challenge,
            expected_rp_id=site.id,
            expected_origin=list(site.origins),
            require_user_verification=True,
        ),
        PasskeyInvalid,
    )
    if not 1 <= len(found.credential_id) <= LONGEST_ID:
        raise PasskeyInvalid
    return NewCredential(found.credential_id, found.credential_public_key, found.sign_count, found.credential_backed_up)


def read_use(site: Site, credential: Mapping[str, Any], challenge: bytes, public_key: bytes) -> Use:
    """Signed by this key, here, for this challenge, by a verified user. Raises PasskeyRefused."""
    found = _reading(
        lambda: verify_authentication_response(
            credential=dict(credential),
            expected_challenge=challenge,
            expected_rp_id=site.id,
            expected_origin=list(site.origins),
            credential_public_key=public_key,
            credential_current_sign_count=0,  # judged by `Passkeys`, which must act on it
            require_user_verification=True,
        ),
        PasskeyRefused,
    )
    return Use(found.new_sign_count, found.credential_backed_up)


def counter_went_back(stored: int, told: int) -> bool:
    """Whether there may be two of the authenticator (WebAuthn §6.1.1); those that do not count always tell 0."""
    return (stored > 0 or told > 0) and told <= stored


def _reading(read: Callable[[], T], otherwise: type[PasskeyRefused] | type[PasskeyInvalid]) -> T:
    """The refusal says nothing of why: the answer would help only whoever forged it."""
    try:
        return read()
    except _UNREADABLE:
        raise otherwise from None
