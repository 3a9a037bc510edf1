"""Mutated socket messages of one admitted person, in a process of its own.

`python -m benchmarks.attack_media_messages URL COOKIE N SEED SELF OTHER ENTERS`: prints one JSON line of how each was
answered, by code. Comes back whenever it is cut.
"""

import asyncio
import json
import random
import sys
from collections import Counter
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, WSServerHandshakeError

from benchmarks.attack_media_paths import SPECIAL
from tests.fuzz import mutations
from tests.fuzz.targets import TARGETS

_AT_ONCE = 20
_PATIENCE = 10.0  # seconds for answers
_NONSENSE: tuple[Any, ...] = (
    *(None, 7, -1, 1e308, 2**63, "", "x", "\0", "é" * 300, [], {}, [[[[[[]]]]]], True, {"$ne": 1}),
    *("A" * 60_000, {"sdp": {"sdp": {}}}, "constructor", "__proto__", "par_", "vis_" + "a" * 26),
)


def templates(own: str, other: str) -> list[tuple[str, Any]]:
    """A right message of every kind that a patient may send or try; nothing that ends the call by itself."""
    offers = [seed.decode("latin-1") for seed in TARGETS["sdp"].seeds]
    named = [
        {"candidate": f"candidate:1 1 {transport} 2130706431 {one} 9 typ host", "sdpMid": "0", "sdpMLineIndex": 0}
        for one in SPECIAL
        for transport in ("udp", "tcp")
    ]
    return [
        *(("signal", {"to": other, "candidate": candidate}) for candidate in named),
        *(("signal", {"to": other, "description": {"type": "offer", "sdp": offer}}) for offer in offers),
        *(("leg.offer", {"sdp": offer}) for offer in offers * 4),
        ("leg.ready", {"turn": 1}),
        ("media", {"audio": True, "video": True, "screen": False}),
        ("quality", {"level": 3, "rtt_ms": 20.0, "loss": 0.0, "path": "udp"}),
        ("admit", {"participant": own}),
        ("remove", {"participant": other}),
        ("screen_policy", {"forbidden": True}),
        ("recording.ask", {"purpose": "training"}),
        ("consent.answer", {"request": "con_" + "a" * 26, "answer": "yes", "receipt": "{}", "signature": "x"}),
        ("enter", {"public_key": {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43}, "language": "en"}),
        ("ping", {}),
    ]


def mutated(event: str, payload: Any, dice: random.Random) -> tuple[Any, Any]:
    """One thing wrong, or more: a value, a key, the text of a description, the event's own name."""
    act = dice.random()
    if act < 0.05:
        return dice.choice([*_NONSENSE[:12], event.upper(), event + " ", "connect", "disconnect"]), payload
    if act < 0.15 or not isinstance(payload, dict) or not payload:
        return event, dice.choice(_NONSENSE)
    made = json.loads(json.dumps(payload))
    place = made
    while dice.random() < 0.6 and any(isinstance(value, dict) for value in place.values()):
        place = next(value for value in place.values() if isinstance(value, dict))
    key = dice.choice(list(place) or ["x"])
    if "sdp" in place and dice.random() < 0.8:
        place["sdp"] = mutations.lines(str(place["sdp"]), dice)
    elif act < 0.4:
        place.pop(key, None)
    elif act < 0.5:
        place[dice.choice(["x", "", "__class__", "é"])] = dice.choice(_NONSENSE)
    else:
        place[key] = dice.choice(_NONSENSE)
    return event, made


async def main(url: str, cookie: str, count: int, seed: int, own: str, other: str, enters: str) -> Counter[str]:
    """Send them all."""
    dice, answers, left = random.Random(seed), Counter[str](), count
    kinds = templates(own, other)
    async with ClientSession(headers={"Origin": url, "Cookie": cookie}) as session:
        while left > 0:
            try:
                wire = await session.ws_connect(f"{url}/socket.io/?EIO=4&transport=websocket", max_msg_size=0)
            except WSServerHandshakeError as refused:
                if refused.status != 429:
                    raise
                await asyncio.sleep(0.2)
                continue
            async with wire:
                await wire.receive_str()
                await wire.send_str('40/visit,{"join":true}')
                await wire.send_str(f'42/visit,["enter",{enters}]')
                left -= await _speak(wire, left, kinds, dice, answers)
            answers["connections"] += 1
    return answers


async def _speak(
    wire: ClientWebSocketResponse, left: int, kinds: list[tuple[str, Any]], dice: random.Random, answers: Counter[str]
) -> int:
    """Send until everything is sent or the server hangs up; how many went out."""
    sent = 0
    while sent < left:
        waiting = 0
        for _ in range(min(_AT_ONCE, left - sent)):
            event, payload = mutated(*dice.choice(kinds), dice)
            await wire.send_str(f"42/visit,{sent}{json.dumps([event, payload])}")
            sent, waiting = sent + 1, waiting + 1
        while waiting:
            async with asyncio.timeout(_PATIENCE):
                message = await wire.receive()
            if message.type is not WSMsgType.TEXT:
                answers["cut"] += 1
                return sent
            if message.data == "2":
                await wire.send_str("3")
            elif message.data.startswith("43/visit,"):
                waiting -= 1
                told = json.loads(message.data[message.data.index("[") :])[0]
                answers["ok" if told.get("ok") else str(told.get("error"))] += 1
    return sent


if __name__ == "__main__":
    told = sys.argv[1:]
    found = asyncio.run(main(told[0], told[1], int(told[2]), int(told[3]), *told[4:7]))
    print(json.dumps(found))
