"""Sends mutated datagrams, in a process of its own.

`python -m benchmarks.attack_media_send PORT N RATE SEED OWN FD HOW` with datagrams to mutate as lines of hex on
standard input. OWN: the share that goes out of socket FD, which is a browser's own. HOW: `storm`, or `forge` for whole
SRTP packets, replayed or changed behind the header. Prints how many of each kind went out.
"""

import json
import random
import socket
import sys
import time
from collections import Counter

from tests.fuzz import mutations

_POOL = 20_000  # different datagrams; more would only cost time to make
_SHORT = 0.2  # share that is empty or shorter than any header
_AT_ONCE = 50
_MOST_BEHIND = 0.05  # seconds that may be caught up with at once: a rate, not a burst after a pause of the machine
_STRANGERS = 16  # sockets


def pool(seeds: list[bytes], dice: random.Random) -> list[bytes]:
    """A fifth of it empty or short, the rest mutated."""
    short = [dice.randbytes(dice.choice([0, 0, 1, 2, 4, 8, 11])) for _ in range(int(_SHORT * _POOL))]
    return short + [mutations.octets(dice.choice(seeds), dice) for _ in range(_POOL - len(short))]


def forgeries(seeds: list[bytes], dice: random.Random) -> list[bytes]:
    """Half of it replays; half with sequence numbers still to come, some with other octets changed as well."""
    made = []
    for _ in range(_POOL):
        packet = bytearray(dice.choice(seeds))
        if dice.random() < 0.5:
            ahead = int.from_bytes(packet[2:4], "big") + dice.randrange(1, 20_000)
            packet[2:4] = (ahead & 0xFFFF).to_bytes(2, "big")
            if dice.random() < 0.5:
                packet[dice.randrange(12, len(packet))] ^= 1 << dice.randrange(8)
        made.append(bytes(packet))
    return made


def main(port: int, count: int, rate: float, seed: int, own: float, fd: int, how: str) -> Counter[str]:
    """Send `count` at `rate` a second, 0 for as fast as it goes."""
    dice = random.Random(seed)
    seeds = [bytes.fromhex(line) for line in sys.stdin.read().split()]
    datagrams = forgeries(seeds, dice) if how == "forge" else pool(seeds, dice)
    strangers = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(_STRANGERS)]
    for one in strangers:
        one.connect(("127.0.0.1", port))
    browser = socket.socket(fileno=fd)  # a copy: the browser keeps its own
    sent: Counter[str] = Counter()
    due = time.monotonic()
    for number in range(count):
        datagram = datagrams[dice.randrange(_POOL)]
        mine = dice.random() < own
        wire = browser if mine else strangers[number % _STRANGERS]
        try:
            wire.send(datagram)
        except (BlockingIOError, ConnectionRefusedError):
            sent["not_sent"] += 1
        sent["own" if mine else "foreign"] += 1
        sent["short"] += len(datagram) < 12
        if rate and number % _AT_ONCE == 0:
            due = max(due, time.monotonic() - _MOST_BEHIND) + _AT_ONCE / rate
            time.sleep(max(0.0, due - time.monotonic()))
    return sent


if __name__ == "__main__":
    told = sys.argv[1:]
    print(
        json.dumps(
            main(int(told[0]), int(told[1]), float(told[2]), int(told[3]), float(told[4]), int(told[5]), told[6])
        )
    )
