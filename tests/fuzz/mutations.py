"""Seeded changes to octets and to text: the same seed gives the same changes."""

import random

_TEXT = (" ", ":", "-1", "/", "=", "9" * 30, "x", "\r\n", "a=", "\0", "é")
_EDGES = (0, 1, 0x7F, 0x80, 0xFF)


def octets(whole: bytes, dice: random.Random, longest: int = 2000) -> bytes:
    """The same with one to five things wrong: cut, lengthened, bits and octets changed, a part doubled."""
    made = bytearray(whole)
    for _ in range(dice.randrange(1, 6)):
        act, at = dice.randrange(7), dice.randrange(len(made) + 1)
        if act == 0:
            del made[at:]
        elif act == 1:
            made[at:at] = dice.randbytes(dice.randrange(1, 40))
        elif act == 2:
            del made[at : at + dice.randrange(1, 8)]
        elif act == 3:
            made[at:at] = made[at : at + dice.randrange(1, 64)]
        elif made:
            made[at % len(made)] = dice.choice([*_EDGES, dice.randrange(256)])
    return bytes(made[:longest])


def lines(whole: str, dice: random.Random) -> str:
    """The same text with one to five lines lost, doubled, cut or changed."""
    made = whole.split("\r\n")
    for _ in range(dice.randrange(1, 6)):
        at = dice.randrange(len(made))
        act = dice.randrange(5)
        if act == 0:
            del made[at]
        elif act == 1:
            made.insert(at, made[dice.randrange(len(made))])
        elif act == 2:
            made[at] = made[at][: dice.randrange(len(made[at]) + 1)]
        else:
            place = dice.randrange(len(made[at]) + 1)
            made[at] = made[at][:place] + dice.choice(_TEXT) + made[at][place + 1 :]
        made = made or [""]
    return "\r\n".join(made)
