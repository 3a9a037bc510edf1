"""Single sign-on: the provider is believed as far as its signature reaches, and two factors are always there."""

import asyncio
import base64
import hmac
import json
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from identity_house import ADMIN, PLACE, Enrolment_, House, SteppedClock
from joserfc import jwk, jws
from lying_provider import CLIENT, SECRET, LyingProvider, lying_provider

from telehealth.access import Caller
from telehealth.errors import Refusal
from telehealth.events import SessionEnded
from telehealth.identity.faults import ChallengeOver, LastAdmin, SignInRefused, Unauthenticated
from telehealth.identity.oidc.faults import (
    LogoutRefused,
    SsoFactorMissing,
    SsoOff,
    SsoRefused,
    SsoTaken,
    SsoUnavailable,
    SsoUnknown,
)
from telehealth.identity.oidc.idtoken import keys_of
from telehealth.identity.oidc.provider import Provider, Returned
from telehealth.identity.oidc.rooms import SsoRooms, sso_of
from telehealth.identity.oidc.settings import Sso
from telehealth.identity.oidc.sign_in import Browser, HalfWay, SignedIn
from telehealth.identity.oidc.wire import Wire
from telehealth.secret import Secret
from telehealth.sections import Sessions as Limits
from telehealth.store.tables import sessions, sso_links, users


@dataclass
class Door:
    """A clinic with a provider."""

    house: House
    idp: LyingProvider
    rooms: SsoRooms
    held: list[str] = field(default_factory=list)

    async def came_back(self, **changes: Any) -> SignedIn | HalfWay:
        """A whole sign-in, honest but for the changes."""
        location, cookie = await self.rooms.sign_in.begin(again=changes.pop("again", False))
        brought = {**self.idp.authorize(location), **changes}
        return await self.finish(cookie.reveal(), **brought)

    async def finish(self, cookie: str | None, **brought: Any) -> SignedIn | HalfWay:
        browser = Browser(cookie, **PLACE)
        returned = Returned(brought.get("code"), brought.get("iss"))
        return await self.rooms.sign_in.finish(browser, brought["state"], returned)

    async def caller(self, done: SignedIn | HalfWay) -> Caller:
        assert isinstance(done, SignedIn)
        return await self.house.sessions.resolve(done.token.reveal(), **PLACE)

    async def tied(self, login: str = "ada", role: str = "clinician") -> Enrolment_:
        """Somebody whose account is tied to the provider's present subject."""
        who = await self.house.enrolled(login, role)
        caller = await self.house.sessions.resolve(who.session.reveal(), **PLACE)
        location, cookie = await self.rooms.sign_in.begin_link(caller)
        back = self.idp.authorize(location)
        browser = Browser(cookie.reveal(), **PLACE)
        await self.rooms.sign_in.finish_link(caller, browser, back["state"], Returned(back["code"], None))
        return who


def rooms(house: House, idp: LyingProvider, **changes: Any) -> SsoRooms:
    given = {"issuer": idp.issuer, "client_id": CLIENT, "mfa_amr": ("mfa",), "timeout_seconds": 1.0, **changes}
    settings = Sso.model_validate(given)
    provider = Provider(
        settings, Wire(settings.timeout_seconds, None), house.clock, Secret(SECRET), "https://c.example/sso"
    )
    parts = {"store": house.store, "fields": house.fields, "audit": house.audit, "clock": house.clock}
    common = {**parts, "sessions": house.sessions}
    return sso_of(common, provider, house.sign_in, house.bus, os.urandom, Limits())


@pytest.fixture
async def idp(clock: SteppedClock) -> AsyncIterator[LyingProvider]:
    async with lying_provider(lambda: clock.now().timestamp()) as provider:
        yield provider


@pytest.fixture
async def door(house: House, idp: LyingProvider) -> Door:
    return Door(house, idp, rooms(house, idp))


async def test_somebody_tied_signs_in_by_the_provider_alone_when_it_proved_two_factors(door: Door) -> None:
    who = await door.tied()
    caller = await door.caller(await door.came_back())
    assert (caller.id, caller.role, caller.mfa_at) == (who.user, "clinician", door.house.clock.now())
    assert [one.factor for one in await door.house.sessions.devices(caller)] == ["sso", "totp"]
    assert ("sso.link", "done") in await door.house.entries()


async def test_the_proof_is_as_old_as_the_provider_says(door: Door) -> None:
    await door.tied()
    door.idp.claims = {"auth_time": int(door.idp.now()) - 3600}
    caller = await door.caller(await door.came_back())
    assert caller.mfa_at is not None
    assert (door.house.clock.now() - caller.mfa_at).total_seconds() == 3600
    with pytest.raises(Refusal):
        door.house.sessions.require_recent(caller)
    with pytest.raises(SsoRefused):  # asked to prove it anew, the provider did not
        await door.came_back(again=True)


@pytest.mark.parametrize("claims", [{"amr": ["pwd"]}, {"amr": None}, {"acr": "mfa", "amr": []}, {"amr": ["MFA"]}])
async def test_without_two_factors_of_the_provider_the_own_code_is_asked(door: Door, claims: dict[str, Any]) -> None:
    who = await door.tied()
    door.idp.claims = claims
    before = len(await door.house.rows(sessions))
    half = await door.came_back()
    assert isinstance(half, HalfWay)
    assert len(await door.house.rows(sessions)) == before
    browser = Browser(half.cookie.reveal(), **PLACE)
    with pytest.raises(SignInRefused):
        await door.rooms.sign_in.by_code(browser, "000000")
    done = await door.rooms.sign_in.by_code(browser, door.house.code_of(who))
    caller = await door.caller(done)
    assert [one.factor for one in await door.house.sessions.devices(caller) if one.id == caller.session] == ["sso_code"]
    door.house.clock.step(seconds=60)
    with pytest.raises(ChallengeOver):  # good once
        await door.rooms.sign_in.by_code(browser, door.house.code_of(who))
    for cookie in (None, "x", done.token.reveal()):
        with pytest.raises(ChallengeOver):
            await door.rooms.sign_in.by_code(Browser(cookie, **PLACE), door.house.code_of(who))


async def test_the_cookie_of_the_way_out_does_not_pass_for_the_way_back(door: Door) -> None:
    who = await door.tied()
    _, cookie = await door.rooms.sign_in.begin(again=False)
    with pytest.raises(ChallengeOver):
        await door.rooms.sign_in.by_code(Browser(cookie.reveal(), **PLACE), door.house.code_of(who))


async def test_an_identity_nobody_is_tied_to_opens_nothing_whatever_its_name_or_address(door: Door) -> None:
    await door.house.enrolled("ada@clinic.example")
    door.idp.claims = {
        "email": "ada@clinic.example",
        "email_verified": True,
        "preferred_username": "ada@clinic.example",
    }
    with pytest.raises(SsoUnknown):
        await door.came_back()
    assert await door.house.rows(sso_links) == []


async def test_subjects_are_told_apart_by_case(door: Door) -> None:
    await door.tied()
    door.idp.subject = "SUBJECT-1"
    with pytest.raises(SsoUnknown):
        await door.came_back()


async def test_an_identity_is_one_accounts_and_an_account_has_one(door: Door) -> None:
    ada = await door.tied()
    with pytest.raises(SsoTaken):
        await door.tied("bob")
    door.idp.subject = "subject-2"
    caller = await door.house.sessions.resolve(ada.session.reveal(), **PLACE)
    location, cookie = await door.rooms.sign_in.begin_link(caller)
    back = door.idp.authorize(location)
    with pytest.raises(SsoTaken):
        await door.rooms.sign_in.finish_link(
            caller, Browser(cookie.reveal(), **PLACE), back["state"], Returned(back["code"], None)
        )


async def test_a_disabled_or_untied_account_stays_closed(door: Door) -> None:
    who = await door.tied()
    done = await door.came_back()
    caller = await door.caller(done)
    await door.rooms.sign_out.untie(caller)
    with pytest.raises(SsoUnknown):
        await door.came_back()
    caller = await door.house.sessions.resolve(who.session.reveal(), **PLACE)
    await door.house.people.change(ADMIN, who.user, disabled=True)
    with pytest.raises(SsoUnknown):
        await door.came_back()


async def test_a_reset_unties_the_account(door: Door) -> None:
    who = await door.tied()
    await door.house.people.reset(ADMIN, who.user)
    with pytest.raises(SsoUnknown):
        await door.came_back()


async def test_first_sign_in_makes_an_account_with_the_mapped_role(house: House, idp: LyingProvider) -> None:
    mapped = {"physicians": "clinician", "tele-admins": "admin"}
    door = Door(house, idp, rooms(house, idp, provision=True, roles=mapped))
    idp.claims = {"roles": ["staff", "physicians"], "preferred_username": "ada", "name": "Ada Example"}
    caller = await door.caller(await door.came_back())
    assert caller.role == "clinician"
    assert [(one.login, one.name) for one in await house.people.list(ADMIN)] == [("ada", "Ada Example")]
    assert (await door.caller(await door.came_back())).id == caller.id
    idp.subject = "subject-2"
    with pytest.raises(SsoTaken):  # the sign-in name is another's: never tied by it
        await door.came_back()
    for claims in ({"roles": []}, {"roles": None}, {"roles": {"physicians": 1}}, {"preferred_username": "аdа"}):
        idp.claims = {"roles": ["physicians"], "preferred_username": "bob", **claims}
        with pytest.raises(SsoUnknown):
            await door.came_back()


async def test_who_has_no_second_factor_anywhere_does_not_get_in(house: House, idp: LyingProvider) -> None:
    door = Door(house, idp, rooms(house, idp, provision=True, roles={"physicians": "clinician"}))
    idp.claims = {"roles": "physicians", "preferred_username": "ada", "amr": ["pwd"]}
    with pytest.raises(SsoFactorMissing):
        await door.came_back()
    assert await house.rows(sessions) == []


async def test_a_role_follows_the_directory_and_ends_what_was_open(house: House, idp: LyingProvider) -> None:
    door = Door(house, idp, rooms(house, idp, roles={"a.b": "admin", "desk": "front_desk"}, role_claim="realm.groups"))
    idp.claims = {"realm": {"groups": ["desk"]}}
    who = await door.tied()
    caller = await door.caller(await door.came_back())
    assert caller.role == "front_desk"
    assert SessionEnded(who.user) in house.heard(SessionEnded)
    with pytest.raises(Unauthenticated):
        await house.sessions.resolve(who.session.reveal(), **PLACE)
    idp.claims = {"realm": {"groups": []}}
    with pytest.raises(SsoUnknown):
        await door.came_back()


async def test_the_directory_does_not_take_the_last_admin(house: House, idp: LyingProvider) -> None:
    door = Door(house, idp, rooms(house, idp, roles={"desk": "front_desk"}))
    idp.claims = {"roles": "desk"}
    await door.tied("root", "admin")
    with pytest.raises(LastAdmin):
        await door.came_back()
    assert [row["role"] for row in await house.rows(users)] == ["admin"]


LIES: dict[str, dict[str, Any]] = {
    "wrong issuer": {"iss": "https://evil.example"},
    "issuer with a slash": {"iss": "ISSUER/"},
    "wrong audience": {"aud": "other"},
    "no audience": {"aud": None},
    "several audiences, no party": {"aud": [CLIENT, "other"]},
    "another party": {"aud": [CLIENT, "other"], "azp": "other"},
    "expired": {"exp": 1},
    "never expires": {"exp": None},
    "expires as text": {"exp": "99999999999"},
    "expires as true": {"exp": True},
    "issued in the future": {"iat": 2**40},
    "issued long ago": {"iat": 10},
    "not issued": {"iat": None},
    "not yet": {"nbf": 2**36},
    "no nonce": {"nonce": None},
    "another nonce": {"nonce": "n" * 43},
    "a nonce that is a list": {"nonce": ["n"]},
    "no subject": {"sub": None},
    "an empty subject": {"sub": ""},
    "a long subject": {"sub": "s" * 256},
    "a subject that is a number": {"sub": 1},
    "another access token's hash": {"at_hash": "A" * 22},
    "no time of proof": {"auth_time": None},
    "a proof of the future": {"auth_time": 2**36},
    "a proof too old": {"auth_time": 1_000_000},
    "methods as text": {"amr": "mfa"},
}


@pytest.mark.parametrize("lie", LIES)
async def test_every_lie_of_a_signed_token_is_refused_alike(door: Door, lie: str) -> None:
    await door.tied()
    door.idp.claims = {
        n: v.replace("ISSUER", door.idp.issuer) if isinstance(v, str) else v for n, v in LIES[lie].items()
    }
    before = len(await door.house.rows(sessions))
    with pytest.raises(SsoRefused) as refused:
        await door.came_back()
    assert (refused.value.code, refused.value.message) == ("sso_refused", SsoRefused.message)
    assert len(await door.house.rows(sessions)) == before
    assert ("signin.try", "refused") in await door.house.entries()


def forged(idp: LyingProvider, how: str, nonce: str) -> str:
    """A token whose claims are right and whose signature is not."""
    claims = json.dumps(idp.said(nonce)).encode()
    spelled = lambda part: base64.urlsafe_b64encode(part).decode().rstrip("=")  # noqa: E731
    public = idp.key.as_pem(private=False)
    if how == "none":
        return spelled(b'{"alg":"none","kid":"k1"}') + f".{spelled(claims)}."
    if how == "HS256 with the public key":
        signed = spelled(b'{"alg":"HS256","kid":"k1"}') + f".{spelled(claims)}"
        return f"{signed}.{spelled(hmac.digest(public, signed.encode(), 'sha256'))}"
    if how == "another key":
        other = jwk.RSAKey.generate_key(2048, {"kid": "k1"})
        return jws.serialize_compact({"alg": "RS256", "kid": "k1"}, claims, other)
    if how == "a key in the header":
        other = jwk.RSAKey.generate_key(2048, {"kid": "k1"})
        header = {"alg": "RS256", "kid": "k1", "jwk": other.as_dict(private=False)}
        return jws.serialize_compact(header, claims, other)
    if how == "an unknown key":
        return idp.sign(json.loads(claims), kid="k2")
    if how == "critical header":
        return idp.sign(json.loads(claims)).replace("eyJ", spelled(b'{"crit":["x"],"x":1,"alg":"RS256"}') + ".eyJ", 1)
    if how == "huge":
        return idp.sign({**json.loads(claims), "more": "m" * 20_000})
    if how == "changed":
        head, _, signature = idp.sign(json.loads(claims)).split(".")
        return f"{head}.{spelled(claims.replace(b'subject-1', b'subject-2'))}.{signature}"
    return {"no token": "x", "empty": "..", "an algorithm that is a list": spelled(b'{"alg":["RS256"]}') + ".e30.e30",
            "deep": spelled(b"[" * 8000) + ".e30.e30", "not ASCII": "ä.ö.ü"}[how]  # fmt: skip


@pytest.mark.parametrize(
    "how",
    ["none", "HS256 with the public key", "another key", "a key in the header", "an unknown key", "critical header",
     "huge", "changed", "no token", "empty", "an algorithm that is a list", "deep", "not ASCII"],
)  # fmt: skip
async def test_every_forged_signature_is_refused(door: Door, how: str) -> None:
    await door.tied()
    location, cookie = await door.rooms.sign_in.begin(again=False)
    back = door.idp.authorize(location)
    door.idp.token = forged(door.idp, how, door.idp.flows[back["code"]]["nonce"])
    with pytest.raises(SsoRefused):
        await door.finish(cookie.reveal(), **back)


@pytest.mark.parametrize(("kind", "alg"), [("RSA", "PS256"), ("EC", "ES256"), ("OKP", "EdDSA"), ("OKP", "Ed25519")])
async def test_the_other_algorithms_work_and_a_new_key_is_found(door: Door, kind: str, alg: str) -> None:
    await door.tied()
    door.idp.claims = {"at_hash": None}
    door.house.clock.step(seconds=31)
    door.idp.rotate(kind, alg, "k2")
    await door.caller(await door.came_back())
    assert door.idp.asked.count("jwks") == 2


async def test_unknown_keys_make_us_ask_the_provider_no_oftener_than_it_can_bear(door: Door) -> None:
    await door.tied()
    door.idp.header = {"kid": "forged"}
    for _ in range(8):
        with pytest.raises(SsoRefused):
            await door.came_back()
    assert door.idp.asked.count("jwks") == 1
    assert door.idp.asked.count("discovery") == 1


async def test_weak_and_foreign_keys_are_no_keys() -> None:
    small = {"kty": "RSA", "n": base64.urlsafe_b64encode(b"\xff" * 128).decode().rstrip("="), "e": "AQAB"}
    secret = jwk.OctKey.generate_key(256).as_dict()
    curve = jwk.ECKey.generate_key("P-384").as_dict(private=False)
    meant = {**jwk.RSAKey.generate_key(2048).as_dict(private=False), "use": "enc"}
    assert keys_of({"keys": [small, secret, curve, meant, 7, {"kty": "RSA"}, {"kty": []}]}) == []
    assert keys_of({"keys": "x"}) == []
    assert keys_of({}) == []


async def test_state_is_this_browsers_once_and_for_minutes(door: Door) -> None:
    await door.tied()
    location, cookie = await door.rooms.sign_in.begin(again=False)
    other_location, other = await door.rooms.sign_in.begin(again=False)
    back, others = door.idp.authorize(location), door.idp.authorize(other_location)
    changed = cookie.reveal()[:-6] + "AAAAAA"
    for held, brought in (
        (None, back),
        (other.reveal(), back),
        (cookie.reveal(), others),
        (changed, back),
        ("é", back),
    ):
        with pytest.raises(ChallengeOver):
            await door.finish(held, **brought)
    await door.finish(cookie.reveal(), **back)
    with pytest.raises(ChallengeOver):  # replayed
        await door.finish(cookie.reveal(), **back)
    door.house.clock.step(minutes=10)
    with pytest.raises(ChallengeOver):
        await door.finish(other.reveal(), **others)
    assert "token" in door.idp.asked


@pytest.mark.parametrize("by", [{"days": -1}, {"hours": -1}, {"hours": 1}, {"days": 1}])
async def test_no_jump_of_the_clock_makes_a_way_back_live_longer(door: Door, by: dict[str, float]) -> None:
    await door.tied()
    location, cookie = await door.rooms.sign_in.begin(again=False)
    back = door.idp.authorize(location)
    door.house.clock.step(**by)
    with pytest.raises(ChallengeOver):
        await door.finish(cookie.reveal(), **back)


async def test_a_code_of_another_flow_does_not_fit(door: Door) -> None:
    await door.tied()
    location, cookie = await door.rooms.sign_in.begin(again=False)
    thief, _ = await door.rooms.sign_in.begin(again=False)
    back, stolen = door.idp.authorize(location), door.idp.authorize(thief)
    with pytest.raises(SsoRefused):
        await door.finish(cookie.reveal(), **{**back, "code": stolen["code"]})


async def test_the_answer_names_its_issuer_where_the_provider_says_so(door: Door) -> None:
    await door.tied()
    with pytest.raises(SsoRefused):  # mix-up: another provider's answer
        await door.came_back(iss="https://evil.example")
    await door.came_back(iss=door.idp.issuer)
    strict = Door(door.house, door.idp, rooms(door.house, door.idp))
    door.idp.metadata = {"authorization_response_iss_parameter_supported": True}
    with pytest.raises(SsoRefused):
        await strict.came_back()
    await strict.came_back(iss=door.idp.issuer)
    with pytest.raises(SsoRefused):  # the person, or the provider, said no
        await strict.came_back(iss=door.idp.issuer, code=None)


DISCOVERIES: dict[str, dict[str, Any]] = {
    "another issuer": {"issuer": "https://evil.example"},
    "no issuer": {"issuer": None},
    "plain http": {"token_endpoint": "http://idp.example/token"},
    "a file": {"jwks_uri": "file:///etc/passwd"},
    "no endpoint": {"authorization_endpoint": None},
    "a password in it": {"token_endpoint": "https://user:pass@idp.example/"},
    "methods as a number": {"token_endpoint_auth_methods_supported": 7},
    "a page for signing out that is none": {"end_session_endpoint": "javascript:alert(1)"},
}


@pytest.mark.parametrize("lie", DISCOVERIES)
async def test_a_discovery_document_that_leads_elsewhere_is_none(door: Door, lie: str) -> None:
    door.idp.metadata = DISCOVERIES[lie]
    with pytest.raises(SsoUnavailable):
        await door.rooms.sign_in.begin(again=False)


def redirected(idp: LyingProvider) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": f"{idp.issuer}/elsewhere"})


ANSWERS: dict[str, Callable[[LyingProvider], web.StreamResponse]] = {
    "a redirect": redirected,
    "an error": lambda _: web.Response(status=500, text="{}"),
    "no JSON": lambda _: web.Response(text="<html>"),
    "a list": lambda _: web.json_response([1]),
    "too much": lambda _: web.Response(text='{"a":"' + "x" * 300_000 + '"}'),
    "too deep": lambda _: web.Response(text="[" * 100_000),
    "packed": lambda _: web.Response(body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"}),
}


@pytest.mark.parametrize("what", ANSWERS)
async def test_an_answer_that_is_none_is_coded_and_passwords_still_work(door: Door, what: str) -> None:
    who = await door.tied()
    door.idp.answer = lambda: ANSWERS[what](door.idp)
    with pytest.raises((SsoUnavailable, SsoRefused)):
        await door.came_back()
    door.house.clock.step(hours=2)
    door.idp.metadata_answer = lambda: ANSWERS[what](door.idp)
    with pytest.raises(SsoUnavailable):
        await door.came_back()
    assert "elsewhere" not in door.idp.asked
    await door.house.sign_in.attempt(who.login, "seven brown otters swim", door.house.code_of(who), **PLACE)


async def test_a_provider_that_is_away_is_said_to_be_at_once_after_the_first_wait(
    house: House, idp: LyingProvider
) -> None:
    away = rooms(house, idp, issuer="http://127.0.0.1:9")
    for _ in range(50):
        with pytest.raises(SsoUnavailable):
            await away.sign_in.begin(again=False)
    off = rooms(house, idp, issuer="", client_id="")
    with pytest.raises(SsoOff):
        await off.sign_in.begin(again=False)


async def test_a_provider_that_hangs_holds_nobody_longer_than_configured(door: Door) -> None:
    who = await door.tied()
    door.house.clock.step(hours=2)
    door.idp.hold = asyncio.Event()
    many = [door.rooms.sign_in.begin(again=False) for _ in range(60)]
    waiting = asyncio.gather(*many, return_exceptions=True)
    await door.house.sign_in.attempt(who.login, "seven brown otters swim", door.house.code_of(who), **PLACE)
    assert not waiting.done()  # a password did not wait for the provider
    assert all(isinstance(one, SsoUnavailable) for one in await waiting)
    assert door.idp.asked.count("discovery") == 2  # one more for all of them


async def test_the_providers_word_ends_what_it_began_and_nothing_else(door: Door) -> None:
    who = await door.tied()
    first = await door.caller(await door.came_back())
    door.idp.claims = {"sid": "session-2"}
    second = await door.caller(await door.came_back())
    out = door.rooms.sign_out
    assert await out.by_provider(door.idp.logout_token(sid="session-2"), "192.0.2.1") == 1
    assert door.house.heard(SessionEnded)[-1] == SessionEnded(who.user, second.session)
    assert await out.by_provider(door.idp.logout_token(sub=None, sid="session-1"), "192.0.2.1") == 1
    assert door.house.heard(SessionEnded)[-1] == SessionEnded(who.user, first.session)
    await door.came_back()
    again = door.idp.logout_token()
    assert await out.by_provider(again, None) == 1
    assert await door.house.sessions.resolve(who.session.reveal(), **PLACE)  # by password: none of the provider's
    with pytest.raises(LogoutRefused):  # replayed
        await out.by_provider(again, None)
    assert await out.by_provider(door.idp.logout_token(sub="stranger"), None) == 0
    for claims in ({"events": {}}, {"events": None}, {"nonce": "n"}, {"jti": None}, {"sub": None}, {"aud": "other"},
                   {"iss": "https://evil.example"}, {"exp": 1}, {"iat": 10}):  # fmt: skip
        with pytest.raises(LogoutRefused):
            await out.by_provider(door.idp.logout_token(**claims), None)
    with pytest.raises(LogoutRefused):  # an ID token
        await out.by_provider(door.idp.sign(door.idp.said("n")), None)
    with pytest.raises(LogoutRefused):
        await out.by_provider(door.idp.logout_token(typ="at+jwt"), None)


async def test_leaving_leads_to_the_providers_own_way_out_and_works_without_it(door: Door) -> None:
    await door.tied()
    done = await door.came_back()
    assert isinstance(done, SignedIn)
    location = await door.rooms.sign_out.leave(done.token.reveal(), await door.caller(done), "https://c.example/")
    assert location is not None
    assert location.startswith(
        f"{door.idp.issuer}/end?client_id={CLIENT}&post_logout_redirect_uri=https%3A%2F%2Fc.example%2F"
    )
    with pytest.raises(Unauthenticated):
        await door.caller(done)
    door.house.clock.step(hours=2)
    door.idp.metadata_answer = lambda: web.Response(status=503)
    done = await _by_password(door)
    caller = await door.house.sessions.resolve(done.reveal(), **PLACE)
    assert await door.rooms.sign_out.leave(done.reveal(), caller, "https://c.example/") is None


async def _by_password(door: Door) -> Secret[str]:
    who = await door.house.enrolled("zoe")
    return who.session
