"""An OpenID provider on loopback that can be made to lie in every way a test wishes."""

import asyncio
import base64
import hashlib
import json
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aiohttp import web
from aiohttp.test_utils import TestServer
from joserfc import jwk, jws

CLIENT, SECRET = "telehealth-test", "s3cret/with:signs"
LOGOUT = "http://schemas.openid.net/event/backchannel-logout"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@dataclass
class LyingProvider:
    """Honest until told otherwise. `claims` lays over what it says, None leaves a claim out."""

    now: Callable[[], float]
    issuer: str = ""
    key: Any = None
    alg: str = "RS256"
    published: list[Any] = field(default_factory=list)
    claims: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    subject: str = "subject-1"
    token: str | None = None  # instead of a right one
    answer: Callable[[], web.StreamResponse] | None = None  # of the token endpoint
    metadata_answer: Callable[[], web.StreamResponse] | None = None
    hold: asyncio.Event | None = None
    logouts: int = 0
    asked: list[str] = field(default_factory=list)
    flows: dict[str, dict[str, str]] = field(default_factory=dict)

    def rotate(self, kind: str = "RSA", alg: str = "RS256", kid: str = "k1") -> None:
        """A new key, published alone."""
        parameters = {"kid": kid, "use": "sig"}
        made: dict[str, Callable[[], Any]] = {
            "RSA": lambda: jwk.RSAKey.generate_key(2048, parameters),
            "EC": lambda: jwk.ECKey.generate_key("P-256", parameters),
            "OKP": lambda: jwk.OKPKey.generate_key("Ed25519", parameters),
        }
        self.key, self.alg = made[kind](), alg
        self.published = [self.key.as_dict(private=False)]

    def authorize(self, location: str, **more: str) -> dict[str, str]:
        """What the browser brings back from there."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        assert asked["code_challenge_method"] == "S256"
        code = f"code{len(self.flows)}"
        self.flows[code] = asked
        return {"state": asked["state"], "code": code, **more}

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        with_kid = {"alg": self.alg, "kid": self.key.kid, **self.header, **header}
        registry = jws.JWSRegistry(algorithms=[self.alg], strict_check_header=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # EdDSA by its old name
            return jws.serialize_compact(with_kid, json.dumps(claims).encode(), self.key, registry=registry)

    def said(self, nonce: str, access: str = "access") -> dict[str, Any]:
        now = int(self.now())
        half = hashlib.sha256(access.encode()).digest()[:16]
        right = {
            "iss": self.issuer,
            "sub": self.subject,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "auth_time": now,
            "nonce": nonce,
            "sid": "session-1",
            "amr": ["pwd", "mfa"],
            "at_hash": b64(half),
        }
        return {name: value for name, value in {**right, **self.claims}.items() if value is not None}

    def logout_token(self, typ: str = "logout+jwt", **claims: Any) -> str:
        now = int(self.now())
        self.logouts += 1
        right = {
            "iss": self.issuer,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 120,
            "jti": f"logout-{self.logouts}",
            "events": {LOGOUT: {}},
            "sub": self.subject,
        }
        whole = {name: value for name, value in {**right, **claims}.items() if value is not None}
        return self.sign(whole, typ=typ)

    async def _discovery(self, _request: web.Request) -> web.StreamResponse:
        self.asked.append("discovery")
        await self._held()
        if self.metadata_answer is not None:
            return self.metadata_answer()
        right = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/auth",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "end_session_endpoint": f"{self.issuer}/end",
        }
        return web.json_response({**right, **self.metadata})

    async def _jwks(self, _request: web.Request) -> web.StreamResponse:
        self.asked.append("jwks")
        return web.json_response({"keys": self.published})

    async def _token(self, request: web.Request) -> web.StreamResponse:
        self.asked.append("token")
        await self._held()
        form = await request.post()
        if self.answer is not None:
            return self.answer()
        asked = self.flows.pop(str(form["code"]), None)
        basic = base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode()
        assert basic == f"{CLIENT}:s3cret%2Fwith%3Asigns"
        verifier = hashlib.sha256(str(form["code_verifier"]).encode()).digest()
        if asked is None or b64(verifier) != asked["code_challenge"] or form["redirect_uri"] != asked["redirect_uri"]:
            return web.json_response({"error": "invalid_grant"}, status=400)
        token = self.token or self.sign(self.said(asked["nonce"]))
        return web.json_response({"access_token": "access", "token_type": "Bearer", "id_token": token})

    async def _held(self) -> None:
        if self.hold is not None:
            await self.hold.wait()

    async def _elsewhere(self, _request: web.Request) -> web.StreamResponse:
        self.asked.append("elsewhere")
        return web.json_response({})


@asynccontextmanager
async def lying_provider(now: Callable[[], float]) -> AsyncIterator[LyingProvider]:
    provider = LyingProvider(now)
    provider.rotate()
    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", provider._discovery)
    app.router.add_get("/jwks", provider._jwks)
    app.router.add_post("/token", provider._token)
    app.router.add_route("*", "/elsewhere", provider._elsewhere)
    server = TestServer(app)
    await server.start_server()
    provider.issuer = str(server.make_url("")).rstrip("/")
    try:
        yield provider
    finally:
        if provider.hold is not None:
            provider.hold.set()
        await server.close()
