"""A session that was begun with a key is worth nothing without it."""

import pytest
from identity_house import ADMIN, PASSWORD, PLACE, House
from session_key import SessionKey

from telehealth.access import Caller
from telehealth.identity.faults import ProofNeeded


async def bound(house: House, key: SessionKey, login: str = "ada") -> Caller:
    who = await house.enrolled(login)
    token, _ = await house.sign_in.attempt(login, PASSWORD, house.code_of(who), key=key.jwk, **PLACE)
    house.clock.step(seconds=30)
    return await house.sessions.resolve(token.reveal(), **PLACE)


async def test_a_proof_is_good_once_for_its_own_session_and_for_minutes(house: House) -> None:
    key = SessionKey()
    caller = await bound(house, key)
    proof = key.proof(house.possession.challenge(caller))
    await house.possession.require(caller, proof)
    with pytest.raises(ProofNeeded):
        await house.possession.require(caller, proof)
    late = key.proof(house.possession.challenge(caller))
    house.clock.step(minutes=5)
    with pytest.raises(ProofNeeded):
        await house.possession.require(caller, late)
    other = await bound(house, key, "bob")
    with pytest.raises(ProofNeeded):
        await house.possession.require(caller, key.proof(house.possession.challenge(other)))


async def test_a_stolen_cookie_without_the_key_proves_nothing_and_the_try_is_entered(house: House) -> None:
    key, thief = SessionKey(), SessionKey()
    caller = await bound(house, key)
    challenge = house.possession.challenge(caller)
    good = key.proof(challenge)
    wrong = (
        None,
        "",
        ".",
        challenge,
        f"{challenge}.",
        thief.proof(challenge),
        key.proof(challenge, title="another protocol\n"),
        key.proof("AAAA"),
        good[:-4],
        good + "AAAA",
        good + "=",
        good.replace(".", ".."),
        "ä." + good.partition(".")[2],
        "A" * 10_000,
    )
    for proof in wrong:
        with pytest.raises(ProofNeeded):
            await house.possession.require(caller, proof)
    await house.possession.require(caller, good)
    assert ("access.refused", "refused") in await house.entries()


async def test_a_step_up_and_a_new_token_keep_the_key(house: House) -> None:
    key = SessionKey()
    who = await house.enrolled()
    token, _ = await house.sign_in.attempt("ada", PASSWORD, house.code_of(who), key=key.jwk, **PLACE)
    house.clock.step(seconds=30)
    caller = await house.sessions.resolve(token.reveal(), **PLACE)
    fresh = await house.sign_in.prove_again(caller, PASSWORD, house.code_of(who))
    again = await house.sessions.resolve(fresh.reveal(), **PLACE)
    with pytest.raises(ProofNeeded):
        await house.possession.require(again, None)
    await house.possession.require(again, key.proof(house.possession.challenge(again)))


async def test_a_key_that_is_no_point_of_the_curve_opens_nothing(house: House) -> None:
    key = SessionKey()
    who = await house.enrolled()
    jwk = {**key.jwk, "y": "A" * 43}
    token, _ = await house.sign_in.attempt("ada", PASSWORD, house.code_of(who), key=jwk, **PLACE)
    caller = await house.sessions.resolve(token.reveal(), **PLACE)
    with pytest.raises(ProofNeeded):
        await house.possession.require(caller, key.proof(house.possession.challenge(caller)))


async def test_programs_and_sessions_begun_without_a_key_have_nothing_to_prove(house: House) -> None:
    who = await house.enrolled()
    await house.possession.require(await house.sessions.resolve(who.session.reveal(), **PLACE), None)
    _, token = await house.tokens.create(ADMIN, who.user, "x", ["recordings:read"], 1)
    await house.possession.require(await house.tokens.resolve(token.reveal(), address="192.0.2.7"), None)
