"""Proofs, challenges and assertions that somebody forged: other keys, other sessions, other places, other octets."""

import base64
import json
import random
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, cast

from benchmarks.intruder import SessionKey, SoftwareKey
from benchmarks.mutation import letters, wrong
from telehealth.house import House
from telehealth.identity import authenticator
from telehealth.identity.authenticator import Site
from telehealth.identity.challenges import SIZE, Challenges
from telehealth.identity.faults import PasskeyCloned
from telehealth.store.engine import Connection

KEPT = 64  # right ones made beforehand, from which wrong ones are made


class Proofs:
    """Of a session's key (`telehealth.identity.possession`)."""

    def __init__(self, browser: SessionKey, own: Callable[[], str], foreign: Callable[[], str]) -> None:
        self._browser, self._own, thief = browser, own, SessionKey()
        self._good = [browser.proof(own()) for _ in range(KEPT)]
        self._bad: list[str] = []
        for _ in range(KEPT):
            self._bad += [
                thief.proof(own()),  # a stolen cookie without its browser
                browser.proof(foreign()),  # signed for somebody else's session
                browser.proof(own(), title="telehealth consent receipt 1\n"),  # signed for another purpose
                browser.proof(letters(random.Random(1), 75)),  # a challenge nobody minted
            ]

    def right(self) -> str:
        return self._browser.proof(self._own())

    def forge(self, chance: random.Random) -> Any:
        told, _, signature = chance.choice(self._good).partition(".")
        match chance.randrange(8):
            case 0:
                return chance.choice(self._bad)
            case 1:
                return None
            case 2:
                return f"{told}.{_flipped(signature, chance)}"
            case 3:
                return f"{_flipped(told, chance)}.{signature}"
            case 4:
                return f"{told}." + chance.choice(("", "A" * 86, "A" * 43 + signature[43:], letters(chance, 86)))
            case 5:
                other, _, its = chance.choice(self._good).partition(".")
                return told if other == told else f"{told}.{its}"
            case 6:
                return wrong(f"{told}.{signature}", self._bad, chance)
            case _:
                return f"{told}.{signature}"[: chance.randrange(len(told) + 80)]


def _flipped(text: str, chance: random.Random) -> str:
    """One bit of the octets, never only of the spelling."""
    octets = bytearray(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    octets[chance.randrange(len(octets))] ^= 1 << chance.randrange(8)
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


class Challenged:
    """Challenges of the house, claimed for sessions and purposes they were not minted for."""

    PURPOSES = ("session-proof", "passkey-new", "passkey-sign-in", "passkey-prove")

    def __init__(self, house: House) -> None:
        self._challenges = Challenges(house.base.fields, house.clock, lambda count: random.randbytes(count))
        self._store = house.base.store
        self._good = [self._challenges.mint("session-proof", "ses_a") for _ in range(KEPT)]

    async def judge(self, asked: tuple[Any, ...]) -> None:
        """Only what holds is ever looked up in the database: a forged one has no connection to ask."""
        challenge, purpose, whose, *right = asked
        if right:
            async with self._store.begin() as connection:
                await self._challenges.claim(connection, challenge, purpose, whose)
        else:
            await self._challenges.claim(cast(Connection, None), challenge, purpose, whose)

    def right(self) -> tuple[Any, ...]:
        return self._challenges.mint("session-proof", "ses_a"), "session-proof", "ses_a", True

    def forge(self, chance: random.Random) -> tuple[bytes, str, str]:
        good = chance.choice(self._good)
        match chance.randrange(5):
            case 0:
                return good, chance.choice(self.PURPOSES[1:]), "ses_a"
            case 1:
                return good, "session-proof", chance.choice(("", "ses_b", "ses_", "ses_aa", "ses_a passkey"))
            case 2:
                return chance.randbytes(chance.choice((SIZE, SIZE, 0, 1, SIZE - 1, SIZE + 1))), "session-proof", "ses_a"
            case 3:
                later = bytearray(good)
                later[16:24] = chance.choice((b"\xff" * 8, bytes(8), chance.randbytes(8)))
                return bytes(later), "session-proof", "ses_a"
            case _:
                flipped = bytearray(good)
                flipped[chance.randrange(SIZE)] ^= 1 << chance.randrange(8)
                return bytes(flipped), "session-proof", "ses_a"


@dataclass(frozen=True, slots=True)
class _Used:
    """An assertion, the challenge the server would hold it to, and the counter it remembers."""

    credential: dict[str, Any]
    challenge: bytes
    count: int = 0


class Assertions:
    """Uses of a passkey (WebAuthn Level 3 §7.2), by the function that judges their signature, place and flags."""

    def __init__(self, site: Site, key: SoftwareKey, options: Callable[[], dict[str, Any]]) -> None:
        self._site, self._key, self._options = site, key, options
        self._public = _cose(key)
        self._good = [self._used(key) for _ in range(KEPT)]
        liars = [
            replace(key, origin="https://evil.example"),
            replace(key, origin=key.origin + ".evil.example"),
            replace(key, origin=key.origin.replace("http:", "https:")),
            replace(key, site="evil.example"),
            replace(key, flags=0x01),  # present, not verified
            replace(key, flags=0x04),  # verified, not present
            replace(key, flags=0),
            SoftwareKey(origin=key.origin, site=key.site, id=key.id),  # another key under the same id
        ]
        self._bad = [self._used(liar) for liar in liars for _ in range(8)]
        self._bad += [replace(used, challenge=random.randbytes(SIZE)) for used in self._good]  # a nonce used again
        self._bad += [replace(used, count=10**6) for used in self._good]  # a cloned authenticator

    def _used(self, key: SoftwareKey) -> _Used:
        options = self._options()
        credential = key.use(options)
        return _Used(credential, authenticator.challenge_of(credential))

    async def judge(self, used: _Used) -> None:
        told = authenticator.read_use(self._site, used.credential, used.challenge, self._public)
        if authenticator.counter_went_back(used.count, told.sign_count):
            raise PasskeyCloned

    def right(self) -> _Used:
        return self._used(self._key)

    def forge(self, chance: random.Random) -> _Used:
        """Never one that holds: parts of a bad one may be those of the good one it was made of."""
        if chance.random() < 0.4:
            return chance.choice(self._bad)
        while True:
            good = chance.choice(self._good)
            made = self._bent(good, chance)
            if made.credential != good.credential:
                return made

    def _bent(self, good: _Used, chance: random.Random) -> _Used:
        other = chance.choice(self._bad)
        credential = deepcopy(good.credential)
        response = credential["response"]
        part = chance.choice(("clientDataJSON", "authenticatorData", "signature"))
        match chance.randrange(5):
            case 0:
                response[part] = _flipped(response[part], chance)
            case 1:
                response[part] = other.credential["response"][part]
                response["signature"] = other.credential["response"]["signature"]
            case 2:
                response[part] = chance.choice(("", "AA", "=", letters(chance, 700), None, 7, {}, []))
            case 3:
                credential = _bent(credential, chance)
            case _:
                response["clientDataJSON"] = _client(response["clientDataJSON"], chance)
        return replace(good, credential=credential)


def _client(spelled: str, chance: random.Random) -> str:
    """What the browser says it was asked, said differently after the signature."""
    told = json.loads(base64.urlsafe_b64decode(spelled + "=" * (-len(spelled) % 4)))
    name = chance.choice(("type", "challenge", "origin", "crossOrigin"))
    told[name] = chance.choice(
        ("webauthn.create", "webauthn.get ", "https://evil.example", "", None, True, [], {"a": 1})
    )
    return base64.urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip("=")


def _bent(credential: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """Another shape: a part that is gone, of another type, or from another standard."""
    match chance.randrange(4):
        case 0:
            return {**credential, "type": chance.choice(("password", "", None, 1))}
        case 1:
            return {**credential, "id": letters(chance), "rawId": letters(chance)}
        case 2:
            return {**credential, "rawId": letters(chance)}
        case _:
            response = {name: value for name, value in credential["response"].items() if name != "signature"}
            return {**credential, "response": {**response, "signature": "", "alg": "none"}}


def _cose(key: SoftwareKey) -> bytes:
    """The public key as it was registered (RFC 9052), ES256 on P-256."""
    numbers = key.key.public_key().public_numbers()
    x, y = (number.to_bytes(32, "big") for number in (numbers.x, numbers.y))
    return b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20" + x + b"\x22\x58\x20" + y
