"""The provider as we know it: its endpoints, pinned to the configured issuer, and its keys, which may turn over."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus, urlencode

import aiohttp

from telehealth.clock import Clock
from telehealth.identity.oidc import idtoken
from telehealth.identity.oidc.faults import LogoutRefused, SsoOff, SsoRefused, SsoUnavailable
from telehealth.identity.oidc.flow import Flow
from telehealth.identity.oidc.idtoken import Ended, Expected, Header, Key, Vouched
from telehealth.identity.oidc.settings import Sso, safe
from telehealth.identity.oidc.wire import Wire
from telehealth.secret import Secret

GOOD_FOR = 3600.0  # seconds endpoints and keys are remembered
REFRESH_EVERY = 30.0  # unknown keys make us ask again no oftener: forged tokens cannot make us flood the provider
RETRY_EVERY = 2.0  # after a failure; meanwhile everybody is told at once that it cannot be reached


@dataclass(frozen=True, slots=True)
class Metadata:
    """OpenID Connect Discovery 1.0 §3, as far as we need it."""

    authorization: str
    token: str
    keys: str
    end_session: str | None
    names_itself: bool  # RFC 9207: its answers carry `iss`
    by_post: bool  # client secrets in the body alone


@dataclass(frozen=True, slots=True)
class Returned:
    """What came back to us through the browser."""

    code: str | None
    issuer: str | None


class Provider:
    """Holds what discovery and the JWK set said, for an hour; asks again for a key it does not know."""

    def __init__(self, settings: Sso, wire: Wire, clock: Clock, secret: Secret[str] | None, redirect: str) -> None:
        self.settings = settings
        self._wire = wire
        self._clock = clock
        self._secret = secret
        self._redirect = redirect
        self._asking = asyncio.Lock()
        self._metadata: tuple[Metadata, float] | None = None
        self._keys: tuple[Sequence[Key], float] | None = None
        self._failed_at: float | None = None

    async def authorization_url(self, flow: Flow, max_age: int) -> str:
        """Where the browser goes to sign in. Raises SsoOff, SsoUnavailable."""
        endpoint = (await self.metadata()).authorization
        challenge = base64.urlsafe_b64encode(hashlib.sha256(flow.verifier.encode()).digest()).decode().rstrip("=")
        asked = {
            "response_type": "code",
            "client_id": self.settings.client_id,
            "redirect_uri": self._redirect,
            "scope": " ".join(dict.fromkeys(("openid", *self.settings.scopes))),
            "state": flow.id,
            "nonce": flow.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "max_age": str(max_age),
            **({"prompt": "login"} if flow.again else {}),
        }
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}"

    async def redeem(self, flow: Flow, returned: Returned, max_age: float) -> Vouched:
        """Exchange the code and verify what comes. Raises SsoRefused, SsoUnavailable."""
        metadata = await self.metadata()
        if returned.issuer is None and metadata.names_itself:
            raise SsoRefused("issuer")
        if returned.issuer is not None and returned.issuer != self.settings.issuer:
            raise SsoRefused("issuer")
        if returned.code is None:
            raise SsoRefused("denied")
        said = await self._exchange(metadata, flow, returned.code)
        token, access = said.get("id_token"), said.get("access_token")
        if not isinstance(token, str) or not isinstance(access, str | None):
            raise SsoRefused("shape")
        header, claims = await self._verified(token)
        expected = Expected(
            self.settings.issuer, self.settings.client_id, flow.nonce, self._clock.now(), access, max_age
        )
        return idtoken.vouched(claims, header.alg, expected)

    async def _exchange(self, metadata: Metadata, flow: Flow, code: str) -> Mapping[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect,
            "code_verifier": flow.verifier,
        }
        client = self.settings.client_id
        basic: str | None = None
        if self._secret is None or metadata.by_post:
            form["client_id"] = client
        if self._secret is not None and metadata.by_post:
            form["client_secret"] = self._secret.reveal()
        elif self._secret is not None:  # RFC 6749 §2.3.1: form-encoded first
            basic = aiohttp.encode_basic_auth(quote_plus(client), quote_plus(self._secret.reveal()))
        said = await self._wire.post(metadata.token, form, basic)
        if said.status >= 500:
            raise SsoUnavailable
        if said.status != 200:
            raise SsoRefused("code")
        return said.content

    async def logged_out(self, token: str) -> Ended:
        """Whom a logout token is about. Raises LogoutRefused, SsoUnavailable, SsoOff."""
        try:
            header, claims = await self._verified(token)
            settings = self.settings
            return idtoken.ended(claims, header, settings.issuer, settings.client_id, self._clock.now())
        except SsoRefused:
            raise LogoutRefused from None

    async def sign_out_url(self, back: str) -> str | None:
        """Where the browser ends the provider's own session (RP-Initiated Logout 1.0 §2); None where it cannot."""
        try:
            endpoint = (await self.metadata()).end_session
        except (SsoOff, SsoUnavailable):
            return None
        if endpoint is None:
            return None
        asked = {"client_id": self.settings.client_id, "post_logout_redirect_uri": back}
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}"

    async def metadata(self) -> Metadata:
        """Raises SsoOff, SsoUnavailable."""
        if not self.settings.on:
            raise SsoOff
        async with self._asking:
            if self._metadata is None or self._clock.steady() - self._metadata[1] > GOOD_FOR:
                url = f"{self.settings.issuer.rstrip('/')}/.well-known/openid-configuration"
                self._metadata = _metadata(await self._get(url), self.settings.issuer), self._clock.steady()
            return self._metadata[0]

    async def _verified(self, token: str) -> tuple[Header, Mapping[str, Any]]:
        header = idtoken.header_of(token)
        key = idtoken.key_for(header, await self._known_keys(GOOD_FOR))
        if key is None:
            key = idtoken.key_for(header, await self._known_keys(REFRESH_EVERY))
        if key is None:
            raise SsoRefused("key")
        return header, idtoken.claims_of(token, header, key)

    async def _known_keys(self, age: float) -> Sequence[Key]:
        """The keys, no older than so many seconds."""
        url = (await self.metadata()).keys
        async with self._asking:
            if self._keys is None or self._clock.steady() - self._keys[1] > age:
                self._keys = idtoken.keys_of(await self._get(url)), self._clock.steady()
            return self._keys[0]

    async def _get(self, url: str) -> Mapping[str, Any]:
        if self._failed_at is not None and self._clock.steady() - self._failed_at < RETRY_EVERY:
            raise SsoUnavailable(retry_after=RETRY_EVERY)
        try:
            said = await self._wire.get(url)
            if said.status != 200:
                raise SsoUnavailable
        except SsoUnavailable:
            self._failed_at = self._clock.steady()
            raise
        self._failed_at = None
        return said.content


def _metadata(document: Mapping[str, Any], issuer: str) -> Metadata:
    """Raises SsoUnavailable for a document of another issuer, or one that leads to where we would not go."""
    ours = hmac.compare_digest(str(document.get("issuer")).encode(), issuer.encode())
    loopback = issuer.startswith("http://")
    found: dict[str, str] = {}
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", "end_session_endpoint"):
        url = document.get(name)
        if isinstance(url, str) and safe(url, loopback=loopback):
            found[name] = url
        elif name != "end_session_endpoint" or url is not None:
            raise SsoUnavailable
    methods = document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    if not ours or not isinstance(methods, list):
        raise SsoUnavailable
    return Metadata(
        found["authorization_endpoint"],
        found["token_endpoint"],
        found["jwks_uri"],
        found.get("end_session_endpoint"),
        document.get("authorization_response_iss_parameter_supported") is True,
        "client_secret_post" in methods and "client_secret_basic" not in methods,
    )
