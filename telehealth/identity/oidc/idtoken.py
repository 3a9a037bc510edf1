"""What an ID token and a logout token must be (OpenID Connect Core §3.1.3.7, Back-Channel Logout §2.6). Pure."""

import base64
import binascii
import hashlib
import hmac
import json
import math
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from joserfc import jwk, jws, jwt
from joserfc.errors import JoseError, SecurityWarning

from telehealth.identity.oidc.faults import SsoRefused

LARGEST = 16_384  # characters of a token
MOST_KEYS = 64
SKEW = 60.0  # seconds two clocks may differ
OLDEST = 600.0  # seconds since it was issued
LOGOUT = "http://schemas.openid.net/event/backchannel-logout"
Key = jwk.RSAKey | jwk.ECKey | jwk.OKPKey
# Algorithms we take, the kind of key each wants, and the hash that `at_hash` is made with. No `none`, no HMAC.
ALGORITHMS: Mapping[str, tuple[str, str]] = {
    "RS256": ("RSA", "sha256"),
    "PS256": ("RSA", "sha256"),
    "ES256": ("EC", "sha256"),
    "EdDSA": ("OKP", "sha512"),
    "Ed25519": ("OKP", "sha512"),
}


@dataclass(frozen=True, slots=True)
class Header:
    """Of a token nobody verified yet."""

    alg: str
    kid: str | None
    typ: str | None


@dataclass(frozen=True, slots=True)
class Expected:
    """What an ID token must say. `max_age`: seconds since the person proved themselves; None: not asked."""

    issuer: str
    client: str
    nonce: str
    now: datetime
    access_token: str | None
    max_age: float | None


@dataclass(frozen=True, slots=True)
class Vouched:
    """Who somebody is, as the provider vouches; `claims` may name them, so they never enter a log."""

    subject: str
    sid: str | None
    proved_at: datetime
    acr: str | None
    amr: tuple[str, ...]
    claims: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ended:
    """Whose sessions the provider says are over: of a subject, of one of the provider's sessions, or both."""

    id: str
    subject: str | None
    sid: str | None


def header_of(token: str) -> Header:
    """Raises SsoRefused for what is no token of an allowed algorithm."""
    parts = token.split(".")
    if len(token) > LARGEST or len(parts) != 3 or not token.isascii():
        raise SsoRefused("shape")
    try:
        found = json.loads(base64.urlsafe_b64decode(parts[0] + "=" * (-len(parts[0]) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        raise SsoRefused("shape") from None
    alg = found.get("alg") if isinstance(found, dict) else None
    if not isinstance(alg, str) or alg not in ALGORITHMS or "crit" in found:
        raise SsoRefused("algorithm")
    kid, typ = found.get("kid"), found.get("typ")
    if not isinstance(kid, str | None) or not isinstance(typ, str | None):
        raise SsoRefused("shape")
    return Header(alg, kid, typ)


def keys_of(document: Mapping[str, Any]) -> list[Key]:
    """The usable public keys of a JWK set (RFC 7517): signature keys of the kinds we take; others are left out."""
    listed = document.get("keys")
    found: list[Key] = []
    for one in listed[:MOST_KEYS] if isinstance(listed, list) else ():
        if not isinstance(one, dict) or one.get("use", "sig") != "sig" or one.get("kty") not in ("RSA", "EC", "OKP"):
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SecurityWarning)  # a short key is left out below
                key = jwk.import_key(one)
        except (JoseError, ValueError, TypeError, KeyError):
            continue
        if isinstance(key, jwk.RSAKey | jwk.ECKey | jwk.OKPKey) and _strong(key):
            found.append(key)
    return found


def _strong(key: Key) -> bool:
    """RSA of 2048 bits and more, P-256, Ed25519."""
    if isinstance(key, jwk.RSAKey):
        return 2048 <= key.public_key.key_size <= 8192
    return key.as_dict(private=False).get("crv") == ("P-256" if isinstance(key, jwk.ECKey) else "Ed25519")


def key_for(header: Header, keys: Iterable[Key]) -> Key | None:
    """The key the header names; without a name, the only one that fits."""
    kind = ALGORITHMS[header.alg][0]
    fitting = [key for key in keys if key.key_type == kind and key.alg in (None, header.alg)]
    if header.kid is not None:
        fitting = [key for key in fitting if key.kid == header.kid]
    return fitting[0] if len(fitting) == 1 else None


def claims_of(token: str, header: Header, key: Key) -> Mapping[str, Any]:
    """The claims under a signature that holds. Raises SsoRefused."""
    registry = jws.JWSRegistry(algorithms=[header.alg], strict_check_header=False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the name EdDSA is deprecated (RFC 9864); providers still use it
            return jwt.decode(token, key, algorithms=[header.alg], registry=registry).claims
    except (JoseError, ValueError, TypeError, RecursionError):
        raise SsoRefused("signature") from None


def vouched(claims: Mapping[str, Any], alg: str, expected: Expected) -> Vouched:
    """Raises SsoRefused for the first thing that is not as it must be."""
    now = expected.now.timestamp()
    issued = _addressed(claims, expected.issuer, expected.client, now)
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), expected.nonce.encode()):
        raise SsoRefused("nonce")
    _at_hash(claims, alg, expected.access_token)
    proved = _proved(claims, expected.max_age, now) or issued
    amr = claims.get("amr", [])
    if not isinstance(amr, list) or not all(isinstance(one, str) for one in amr):
        raise SsoRefused("amr")
    subject = _text(claims, "sub")
    if subject is None:
        raise SsoRefused("subject")
    moment = datetime.fromtimestamp(min(proved, now), UTC)
    return Vouched(subject, _text(claims, "sid"), moment, _text(claims, "acr"), tuple(amr), claims)


def ended(claims: Mapping[str, Any], header: Header, issuer: str, client: str, now: datetime) -> Ended:
    """Raises SsoRefused; an ID token is no logout token, and the other way round."""
    if header.typ is not None and header.typ.lower() not in ("logout+jwt", "application/logout+jwt", "jwt"):
        raise SsoRefused("type")
    _addressed(claims, issuer, client, now.timestamp())
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(LOGOUT), dict) or "nonce" in claims:
        raise SsoRefused("event")
    subject, sid, name = (_text(claims, one) for one in ("sub", "sid", "jti"))
    if name is None or (subject is None and sid is None):
        raise SsoRefused("subject")
    return Ended(name, subject, sid)


def _addressed(claims: Mapping[str, Any], issuer: str, client: str, now: float) -> float:
    """When it was issued: by this issuer, for us, not over, not of the future."""
    if claims.get("iss") != issuer:
        raise SsoRefused("issuer")
    audience = claims.get("aud")
    listed = [audience] if isinstance(audience, str) else audience
    if not isinstance(listed, list) or client not in listed:
        raise SsoRefused("audience")
    if claims.get("azp", client) != client or (len(listed) > 1 and "azp" not in claims):
        raise SsoRefused("party")
    issued, over = _number(claims, "iat"), _number(claims, "exp")
    if issued is None or over is None or over <= now - SKEW:
        raise SsoRefused("expired")
    before = _number(claims, "nbf")
    if not now - OLDEST <= issued <= now + SKEW or (before is not None and before > now + SKEW):
        raise SsoRefused("issued")
    return issued


def _proved(claims: Mapping[str, Any], max_age: float | None, now: float) -> float | None:
    """When the person proved themselves to the provider; told where it was asked for."""
    at = _number(claims, "auth_time")
    if at is not None and at > now + SKEW:
        raise SsoRefused("auth_time")
    if max_age is not None and (at is None or at < now - max_age - SKEW):
        raise SsoRefused("auth_time")
    return at


def _at_hash(claims: Mapping[str, Any], alg: str, access_token: str | None) -> None:
    if "at_hash" not in claims:
        return
    digest = hashlib.new(ALGORITHMS[alg][1], (access_token or "").encode()).digest()
    right = base64.urlsafe_b64encode(digest[: len(digest) // 2]).decode().rstrip("=")
    if access_token is None or claims["at_hash"] != right:
        raise SsoRefused("at_hash")


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    """A text of at most 255 characters (Core §2: of `sub`); an absent one is None."""
    found = claims.get(name)
    if found is None:
        return None
    if not isinstance(found, str) or not 1 <= len(found) <= 255:
        raise SsoRefused(name)
    return found


def _number(claims: Mapping[str, Any], name: str) -> float | None:
    """A NumericDate of this era; an absent one is None."""
    found = claims.get(name)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        raise SsoRefused(name)
    if not 0 < found < 1e11:
        raise SsoRefused(name)
    return float(found)
