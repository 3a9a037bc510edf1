"""Passkeys: one factor with two proofs in it, each use once, every lie refused alike."""

import base64
import copy
import random
from typing import Any

import pytest
from identity_house import ADMIN, PLACE, Enrolment_, House
from software_key import PRESENT, SoftwareKey, spelled

from telehealth.access import Caller
from telehealth.config import Config
from telehealth.errors import NotFound
from telehealth.events import SessionEnded
from telehealth.identity import authenticator
from telehealth.identity.faults import (
    ChallengeOver,
    PasskeyCloned,
    PasskeyInvalid,
    PasskeyKnown,
    PasskeyRefused,
    SlowDown,
    StepUpNeeded,
    TooManyPasskeys,
    Unauthenticated,
)
from telehealth.store.tables import passkeys


async def caller_of(house: House, who: Enrolment_) -> Caller:
    return await house.sessions.resolve(who.session.reveal(), **PLACE)


async def with_passkey(house: House, login: str = "ada") -> tuple[Enrolment_, SoftwareKey]:
    who, key = await house.enrolled(login), SoftwareKey()
    caller = await caller_of(house, who)
    await house.passkeys.add(caller, key.make(await house.passkeys.creation_options(caller)), "laptop")
    return who, key


async def signed_in(house: House, key: SoftwareKey) -> Caller:
    token, _ = await house.passkey_sign_in.attempt(key.use(house.passkey_sign_in.options()), **PLACE)
    return await house.sessions.resolve(token.reveal(), **PLACE)


async def test_a_passkey_signs_in_alone_and_says_so(house: House) -> None:
    who, key = await with_passkey(house)
    caller = await signed_in(house, key)
    assert (caller.id, caller.role, caller.mfa_at) == (who.user, "clinician", house.clock.now())
    (kept,) = await house.passkeys.list(caller)
    assert (kept.label, kept.used_at, kept.suspended_at) == ("laptop", house.clock.now(), None)
    entries = await house.entries()
    assert entries.count(("passkey.add", "done")) == 1
    assert entries.count(("signin.ok", "done")) == 2
    assert [one.factor for one in await house.sessions.devices(caller)] == ["passkey", "totp"]


async def test_options_ask_for_a_discoverable_key_and_a_verified_user_and_name_nobody(house: House) -> None:
    who, key = await with_passkey(house)
    options = await house.passkeys.creation_options(await caller_of(house, who))
    assert options["authenticatorSelection"]["residentKey"] == "required"
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert [one["id"] for one in options["excludeCredentials"]] == [spelled(key.id)]
    assert who.user not in repr(options["user"]["id"])
    asked = house.passkey_sign_in.options()
    assert asked["userVerification"] == "required"
    assert asked["rpId"] == "clinic.example"
    assert not asked.get("allowCredentials")


async def test_a_challenge_is_good_once_for_one_act_and_for_minutes(house: House) -> None:
    who, key = await with_passkey(house)
    options = house.passkey_sign_in.options()
    used = key.use(options)
    await house.passkey_sign_in.attempt(used, **PLACE)
    for again in (used, key.use(options)):
        with pytest.raises(ChallengeOver):
            await house.passkey_sign_in.attempt(again, **PLACE)
    caller = await caller_of(house, who)
    proving = await house.passkey_sign_in.prove_options(caller)
    assert proving is not None
    with pytest.raises(ChallengeOver):
        await house.passkey_sign_in.attempt(key.use(proving), **PLACE)
    late = house.passkey_sign_in.options()
    house.clock.step(minutes=5)
    with pytest.raises(ChallengeOver):
        await house.passkey_sign_in.attempt(key.use(late), **PLACE)
    for forged in (b"", b"x" * 56, b"x" * 5000):
        with pytest.raises(ChallengeOver):
            await house.passkey_sign_in.attempt(key.use({"challenge": spelled(forged)}), **PLACE)


@pytest.mark.parametrize("by", [{"days": -1}, {"hours": -1}, {"hours": 1}, {"days": 1}])
async def test_no_jump_of_the_clock_makes_a_challenge_live_longer(house: House, by: dict[str, int]) -> None:
    _, key = await with_passkey(house)
    options = house.passkey_sign_in.options()
    house.clock.step(**by)
    with pytest.raises(ChallengeOver):
        await house.passkey_sign_in.attempt(key.use(options), **PLACE)


LIES: dict[str, dict[str, Any]] = {
    "another origin": {"origin": "https://clinic.example.evil.example"},
    "plain http": {"origin": "http://clinic.example"},
    "another site": {"site": "evil.example"},
    "nobody verified": {"flags": PRESENT},
    "nobody present": {"flags": 0x04},
    "an unknown credential": {"id": b"n" * 32},
    "no user handle": {"handle": None},
    "another's user handle": {"handle": spelled(b"o" * 32)},
    "another key": {"key": SoftwareKey().key},
}


@pytest.mark.parametrize("lie", LIES)
async def test_every_lie_at_sign_in_is_refused_alike(house: House, lie: str) -> None:
    _, key = await with_passkey(house)
    for name, value in LIES[lie].items():
        setattr(key, name, value)
    with pytest.raises(PasskeyRefused):
        await signed_in(house, key)
    assert ("signin.try", "refused") in await house.entries()


@pytest.mark.parametrize("lie", ["another origin", "another site", "nobody verified", "nobody present"])
async def test_every_lie_at_registration_is_refused(house: House, lie: str) -> None:
    who = await house.enrolled()
    caller, key = await caller_of(house, who), SoftwareKey(**LIES[lie])
    with pytest.raises(PasskeyInvalid):
        await house.passkeys.add(caller, key.make(await house.passkeys.creation_options(caller)), "x")
    assert await house.rows(passkeys) == []


async def test_a_counter_that_went_back_switches_the_passkey_off(house: House) -> None:
    who, key = await with_passkey(house)
    copied = copy.copy(key)
    await signed_in(house, key)
    with pytest.raises(PasskeyCloned):
        await signed_in(house, copied)
    key.count += 5
    with pytest.raises(PasskeyRefused):
        await signed_in(house, key)
    (kept,) = await house.passkeys.list(await caller_of(house, who))
    assert kept.suspended_at is not None
    assert ("passkey.suspend", "done") in await house.entries()


async def test_a_passkey_that_never_counts_is_no_copy(house: House) -> None:
    who, key = await house.enrolled(), SoftwareKey(count=0)
    caller = await caller_of(house, who)
    await house.passkeys.add(caller, key.make(await house.passkeys.creation_options(caller)), "phone")
    for _ in range(3):
        key.count = -1  # counted up to 0 by every use
        assert (await signed_in(house, key)).id == who.user


async def test_a_challenge_of_another_session_makes_no_passkey(house: House) -> None:
    ada, bob = await house.enrolled("ada"), await house.enrolled("bob")
    mine, other = await caller_of(house, ada), await caller_of(house, bob)
    made = SoftwareKey().make(await house.passkeys.creation_options(other))
    with pytest.raises(ChallengeOver):
        await house.passkeys.add(mine, made, "x")


async def test_one_credential_is_one_persons_and_there_are_not_too_many(house: House) -> None:
    _, key = await with_passkey(house)
    bob = await caller_of(house, await house.enrolled("bob"))
    with pytest.raises(PasskeyKnown):
        await house.passkeys.add(bob, key.make(await house.passkeys.creation_options(bob)), "x")
    for _ in range(20):
        await house.passkeys.add(bob, SoftwareKey().make(await house.passkeys.creation_options(bob)), "x")
    with pytest.raises(TooManyPasskeys):
        await house.passkeys.creation_options(bob)


async def test_disabled_and_reset_people_have_no_passkey(house: House) -> None:
    ada, key = await with_passkey(house)
    await house.people.change(ADMIN, ada.user, disabled=True)
    with pytest.raises(PasskeyRefused):
        await signed_in(house, key)
    await house.people.change(ADMIN, ada.user, disabled=False)
    await signed_in(house, key)
    await house.people.reset(ADMIN, ada.user)
    with pytest.raises(PasskeyRefused):
        await signed_in(house, key)
    assert await house.rows(passkeys) == []


async def test_removing_a_passkey_ends_the_other_sessions_begun_with_it(house: House) -> None:
    ada, key = await with_passkey(house)
    first, second = await signed_in(house, key), await signed_in(house, key)
    (kept,) = await house.passkeys.list(first)
    await house.passkeys.remove(first, kept.id)
    assert house.heard(SessionEnded) == [SessionEnded(ada.user, second.session)]
    with pytest.raises(NotFound):
        await house.passkeys.remove(first, kept.id)
    with pytest.raises(PasskeyRefused):
        await signed_in(house, key)


async def test_nobody_removes_anothers(house: House) -> None:
    _, key = await with_passkey(house)
    (kept,) = await house.passkeys.list(await signed_in(house, key))
    bob = await caller_of(house, await house.enrolled("bob"))
    with pytest.raises(NotFound):
        await house.passkeys.remove(bob, kept.id)


async def test_a_lost_device_loses_its_sessions_and_the_passkey_it_used(house: House) -> None:
    ada, key = await with_passkey(house)
    lost, also = await signed_in(house, key), await signed_in(house, key)
    here = await caller_of(house, ada)
    assert lost.session is not None
    await house.passkeys.lose(here, lost.session)
    ended = {heard.session for heard in house.heard(SessionEnded)}
    assert ended == {lost.session, also.session}
    with pytest.raises(PasskeyRefused):
        await signed_in(house, key)
    await caller_of(house, ada)
    assert ("device.lost", "done") in await house.entries()
    with pytest.raises(NotFound):
        await house.passkeys.lose(here, lost.session)


async def test_grave_acts_need_a_recent_proof_and_a_passkey_gives_it(house: House) -> None:
    ada, key = await with_passkey(house)
    caller = await caller_of(house, ada)
    house.sessions.require_recent(caller)
    house.clock.step(minutes=9)
    await house.sessions.renew(ada.session.reveal())
    house.clock.step(minutes=1)
    with pytest.raises(StepUpNeeded):
        house.sessions.require_recent(await caller_of(house, ada))
    options = await house.passkey_sign_in.prove_options(caller)
    assert options is not None
    assert [one["id"] for one in options["allowCredentials"]] == [spelled(key.id)]
    token = await house.passkey_sign_in.prove_again(caller, key.use(options))
    again = await house.sessions.resolve(token.reveal(), **PLACE)
    house.sessions.require_recent(again)
    assert again.session == caller.session
    with pytest.raises(Unauthenticated):
        await caller_of(house, ada)


async def test_a_proof_from_the_future_is_none(house: House) -> None:
    ada = await house.enrolled()
    house.clock.step(hours=-1)
    with pytest.raises(StepUpNeeded):
        house.sessions.require_recent(await caller_of(house, ada))


async def test_anothers_passkey_proves_nothing(house: House) -> None:
    ada, _ = await with_passkey(house)
    _, other = await with_passkey(house, "bob")
    caller = await caller_of(house, ada)
    options = await house.passkey_sign_in.prove_options(caller)
    assert options is not None
    with pytest.raises(PasskeyRefused):
        await house.passkey_sign_in.prove_again(caller, other.use(options))


async def test_without_a_passkey_there_is_nothing_to_ask_for(house: House) -> None:
    assert await house.passkey_sign_in.prove_options(await caller_of(house, await house.enrolled())) is None


async def test_many_wrong_passkeys_from_one_address_have_to_wait(house: House) -> None:
    _, key = await with_passkey(house)
    right, key.id = key.id, b"n" * 32
    for _ in range(50):
        with pytest.raises(PasskeyRefused):
            await signed_in(house, key)
    key.id = right
    with pytest.raises(SlowDown):
        await signed_in(house, key)
    house.clock.step(minutes=1)
    await signed_in(house, key)


async def test_mutated_proofs_are_refused_and_never_break(house: House) -> None:
    _, key = await with_passkey(house)
    (row,) = await house.rows(passkeys)
    dice = random.Random(7)
    site, challenge = authenticator.Site(key.site, (key.origin,), "Clinic"), b"c" * 56
    used = key.use({"challenge": spelled(challenge)})
    for turn in range(6000):
        wrong = _mutated(used, ("authenticatorData", "signature", "clientDataJSON")[turn % 3], dice)
        if wrong != used:
            with pytest.raises(PasskeyRefused):
                authenticator.read_use(site, wrong, challenge, row["public_key"])


def test_mutated_registrations_never_break() -> None:
    dice = random.Random(7)
    key, challenge = SoftwareKey(), b"c" * 56
    site = authenticator.Site(key.site, (key.origin,), "Clinic")
    made = key.make({"user": {"id": "eA"}, "challenge": spelled(challenge)})
    refused = 0
    for turn in range(4000):
        wrong = _mutated(made, ("attestationObject", "clientDataJSON")[turn % 2], dice)
        try:
            authenticator.read_new(site, wrong, challenge)  # attestation `none` signs nothing: some are other passkeys
        except PasskeyInvalid:
            refused += 1
    assert refused > 3000


def _mutated(credential: dict[str, Any], field: str, dice: random.Random) -> dict[str, Any]:
    text = bytearray(base64.urlsafe_b64decode(credential["response"][field] + "=="))
    for _ in range(dice.randint(1, 4)):
        text[dice.randrange(len(text))] = dice.randrange(256)
    cut = text[: dice.randint(1, len(text))] if dice.random() < 0.2 else text
    return {**credential, "response": {**credential["response"], field: spelled(bytes(cut))}}


@pytest.mark.parametrize(
    ("server", "wanted"),
    [
        ({"public_url": "https://visits.example.org"}, ("visits.example.org", ("https://visits.example.org",))),
        (
            {"public_url": "https://visits.example.org:8443"},
            ("visits.example.org", ("https://visits.example.org:8443",)),
        ),
        ({"public_url": "https://visits.example.org:443/"}, ("visits.example.org", ("https://visits.example.org",))),
        ({}, ("localhost", ("http://localhost:8080",))),
    ],
)
def test_passkeys_belong_to_the_name_of_the_server(server: dict[str, str], wanted: tuple[str, tuple[str, ...]]) -> None:
    site = authenticator.site_of(Config.model_validate({"server": server}))
    assert site is not None
    assert (site.id, site.origins) == wanted


def test_an_address_alone_has_no_passkeys() -> None:
    server = {
        "host": "0.0.0.0",
        "public_url": "https://192.0.2.1",
        "trusted_proxies": ["127.0.0.1"],
    }
    assert authenticator.site_of(Config.model_validate({"server": server})) is None
