"""Ways to make a wrong credential out of a right one, or out of nothing."""

import base64
import hashlib
import random
from collections.abc import Callable, Sequence

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
LOOK_ALIKES = {
    "a": "а",
    "e": "е",
    "o": "о",
    "c": "с",
    "p": "р",
    "x": "х",
    "A": "Α",
    "B": "Β",
    "E": "Ε",
    "0": "０",
    "-": "‐",
}
Mutation = Callable[[str, random.Random], str]


def letters(chance: random.Random, count: int = 43) -> str:
    return "".join(chance.choices(ALPHABET, k=count))


def _place(text: str, chance: random.Random) -> int:
    return chance.randrange(len(text)) if text else 0


def _change(text: str, chance: random.Random) -> str:
    at = _place(text, chance)
    return text[:at] + chance.choice(ALPHABET) + text[at + 1 :]


def _last(text: str, chance: random.Random) -> str:
    """The spare bits of the last sextet: the same octets to a careless reader."""
    return text[:-1] + chance.choice(ALPHABET)


def _alike(text: str, chance: random.Random) -> str:
    at = [place for place, letter in enumerate(text) if letter in LOOK_ALIKES]
    if not at:
        return text + "\u200b"
    place = chance.choice(at)
    return text[:place] + LOOK_ALIKES[text[place]] + text[place + 1 :]


def _digest(text: str, chance: random.Random) -> str:
    """What the database holds, for whoever read it."""
    found = hashlib.sha256(text.encode(errors="surrogatepass")).digest()
    return chance.choice((found.hex(), base64.urlsafe_b64encode(found).decode().rstrip("=")))


MUTATIONS: Sequence[Mutation] = (
    _change,
    _last,
    _alike,
    _digest,
    lambda text, chance: letters(chance, len(text) or 43),
    lambda text, chance: text[: _place(text, chance)],
    lambda text, chance: text[_place(text, chance) + 1 :],
    lambda text, chance: text + letters(chance, chance.randrange(1, 9)),
    lambda text, chance: text + "=" * chance.randrange(1, 4),
    lambda text, chance: text + text,
    lambda text, chance: text[::-1],
    lambda text, chance: text.swapcase(),
    lambda text, chance: text[: _place(text, chance)] + "\0" + text,
    lambda text, chance: text + chance.choice(("\ud800", "\udcff", "\u0000", "'--", "%00", "\r\nX: y", "\u202e")),
    lambda text, chance: chance.choice(("", "null", "undefined", "true", "0", "[]", "{}", "*", "%", "' OR '1'='1")),
    lambda text, chance: _jwt(text, chance),
)


def _jwt(text: str, chance: random.Random) -> str:
    """A token that says of itself how it is to be checked: alg none, or an algorithm nobody asked for."""
    alg = chance.choice(("none", "None", "HS256", "RS256", "ES256", ""))
    head, body = (
        base64.urlsafe_b64encode(part.encode(errors="replace")).decode().rstrip("=")
        for part in (f'{{"alg":"{alg}","typ":"JWT"}}', f'{{"sub":"{text[:40]}","role":"admin","exp":99999999999}}')
    )
    return f"{head}.{body}." + chance.choice(("", letters(chance)))


def wrong(right: str, others: Sequence[str], chance: random.Random) -> str:
    """Never `right` itself: a mutation of it, or a credential that is good for something else."""
    while True:
        other = chance.choice(others) if others and chance.random() < 0.05 else None
        made = other if other is not None else chance.choice(MUTATIONS)(right, chance)
        if made != right:
            return made
