"""Foreign ClientHellos racing set-ups, addresses named by a client, a flood from inside a recorded visit.

N: set-ups that are raced, a thousand in full; packets of the flood are a hundred times as many.
"""

import asyncio
import random
import socket
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

from OpenSSL import SSL

from benchmarks.attack_media_call import Caller
from benchmarks.figure import Figure, measured, said, say, wished
from benchmarks.media_peer import AUDIO_TYPE
from benchmarks.pipe import Partner, partner

SPECIAL = (
    *("0.0.0.1", "10.0.0.1", "10.255.255.254", "100.64.0.1", "127.0.0.2", "127.0.0.53", "127.255.255.254"),
    *("169.254.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.254", "192.0.0.8", "192.0.0.170", "192.0.2.1"),
    *("192.31.196.1", "192.52.193.1", "192.88.99.1", "192.168.0.1", "192.168.255.254", "192.175.48.1"),
    *("198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "224.0.0.251", "239.255.255.250", "240.0.0.1"),
    *("255.255.255.255", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "100::1", "2001::1", "2001:db8::1"),
    *("2002:7f00:1::1", "fc00::1", "fd00:ec2::254", "fe80::1", "ff02::1", "ff02::fb"),
)
_TOGETHER = 8  # set-ups at once
_HELLOS = 20  # before each step of a set-up
_STRANGERS = 8
_FLOOD_A_SECOND = 12_000  # and a second at least


def run(seed: int) -> Iterator[Figure]:
    """All three."""
    count = wished(1_000)
    yield from asyncio.run(_raced(count, seed))
    yield from asyncio.run(_named(seed))
    yield from asyncio.run(_flooded(100 * count, seed))


async def _raced(count: int, seed: int) -> list[Figure]:
    dice, failed, took = random.Random(seed), 0, list[float]()
    hellos = [_hello() for _ in range(32)]
    async with partner("benchmarks.attack_media_target") as target:
        for at in range(0, count, _TOGETHER):
            names = [f"raced_{number}" for number in range(at, min(count, at + _TOGETHER))]
            for seconds in await asyncio.gather(*(_race(target, name, hellos, dice) for name in names)):
                failed += seconds is None
                took += [] if seconds is None else [seconds]
        stats = await target.ask("stats")
    say(f"  {stats['port'].get('dropped_stray', 0)} foreign hellos; set-up {max(took, default=0):.2f} s at the longest")
    return [measured("media.attack.races_failed", failed, "1", n=count, seed=seed, at_most=0)]


def _hello() -> bytes:
    """A real ClientHello of somebody else."""
    context = SSL.Context(SSL.DTLS_METHOD)
    stranger = SSL.Connection(context)
    stranger.set_connect_state()
    with suppress(SSL.WantReadError):
        stranger.do_handshake()
    octets: bytes = stranger.bio_read(4096)
    return octets


async def _race(target: Partner, name: str, hellos: list[bytes], dice: random.Random) -> float | None:
    """Seconds a set-up took while strangers sent their hellos to the port; None if it failed."""
    caller, begun = Caller(name, dice.randrange(1 << 20, 1 << 31)), time.monotonic()
    answered = await target.ask("offer", leg=name, sdp=caller.peer.describe(), room=name)
    racing = asyncio.create_task(_strangers(answered["port"], hellos, dice))
    try:
        await caller.take(answered["sdp"])
    except (TimeoutError, ConnectionError):
        return None
    finally:
        racing.cancel()
        await asyncio.gather(racing, return_exceptions=True)
        leg = await target.ask("leg", leg=name)
        await caller.close()
        await target.ask("close", leg=name)
    return time.monotonic() - begun if leg["state"] == "connected" else None


async def _strangers(port: int, hellos: list[bytes], dice: random.Random) -> None:
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(_STRANGERS)]
    try:
        while True:
            for _ in range(_HELLOS):
                dice.choice(sockets).sendto(dice.choice(hellos), ("127.0.0.1", port))
            await asyncio.sleep(0.002)
    finally:
        for one in sockets:
            one.close()


class Watch:
    """Sees every packet that this machine sends anywhere, where the system lets it (CAP_NET_RAW); counts the named."""

    def __init__(self, named: tuple[str, ...], port: int) -> None:
        self.seen = 0
        self._packed = {ip_address(one).packed for one in named}
        self._port = port
        self._raw = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0003))
        self._raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self._raw.setblocking(False)

    def count(self) -> int:
        """Packets to named addresses and the port named with them, since the beginning."""
        with suppress(BlockingIOError):
            while True:
                self._look(self._raw.recv(128))
        return self.seen

    def close(self) -> None:
        self._raw.close()

    def _look(self, packet: bytes) -> None:
        if packet[0] >> 4 == 4:
            head, to = 4 * (packet[0] & 15), packet[16:20]
        else:
            head, to = 40, packet[24:40]
        if to in self._packed and packet[head + 2 : head + 4] == struct.pack("!H", self._port):
            self.seen += 1


async def _named(seed: int) -> list[Figure]:
    """Offers full of special addresses, connected and talked over: does anything go there?"""
    named_port = random.Random(seed).randrange(20_000, 30_000)
    watch = Watch(SPECIAL, named_port)
    _prove(watch, named_port)
    async with partner("benchmarks.attack_media_target") as target:
        caller = Caller("named", 1000)
        sdp = caller.peer.describe()
        for transport in ("udp", "tcp"):
            for number, one in enumerate(SPECIAL):
                kind = "tcptype active" if transport == "tcp" else "generation 0"
                line = f"a=candidate:{number} 1 {transport} 2130706431 {one} {named_port} typ host {kind}\r\n"
                sdp = sdp.replace("a=end-of-candidates\r\n", line + "a=end-of-candidates\r\n", 1)
        answered = await target.ask("offer", leg="named", sdp=sdp, room="named")
        await caller.take(answered["sdp"])
        caller.talk()
        for _ in range(15):
            await asyncio.sleep(0.1)
            watch.count()
        await caller.close()
        await target.ask("close", leg="named")
    sent = watch.count()
    watch.close()
    return [measured("media.attack.named_addresses_packets", sent, "1", n=len(SPECIAL), seed=seed, at_most=0)]


def _prove(watch: Watch, port: int) -> None:
    """The watch must see one packet of ours, or it proves nothing. Raises RuntimeError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        ours.sendto(b"x", ("127.0.0.2", port))
    time.sleep(0.05)
    if not watch.count():
        raise RuntimeError("the watch sees nothing")
    watch.seen = 0


async def _flooded(count: int, seed: int) -> list[Figure]:
    """Two recorded visits; one of the four people floods the port with authentic packets."""
    with tempfile.TemporaryDirectory() as folder:
        async with partner("benchmarks.media_ours", str(Path(folder) / "data")) as ours:
            people = [Caller(f"flooded_{number}", 1000 * (number + 1)) for number in range(4)]
            offers = [person.peer.describe() for person in people]
            answers = (await ours.ask("answers", offers=offers, record=True))["answers"]
            for person, answer in zip(people, answers, strict=True):
                await person.take(answer)
            for person in people[1:]:
                person.talk()
            await asyncio.sleep(0.5)
            sent = await _flood(people[0], count)
            for person in people:
                await person.hush()
            await asyncio.sleep(1.0)
            port = (await ours.ask("stats"))["port"]
            stopped = await ours.ask("stop")
            for person in people:
                await person.close()
    told = [(person.sent, kept) for person, kept in zip(people, stopped["kept"], strict=True)][1:]
    for said_of, (sound, pictures) in told:
        say(f"  kept {sound} of {said_of.audio} frames of sound, {pictures} of {said_of.video} pictures")
    say(f"  flood {sent} packets, faults {stopped['faults']}, {port}")
    sound_lost = max(1 - kept[0] / said_of.audio for said_of, kept in told)
    lost = max(1 - kept[1] / said_of.video for said_of, kept in told)
    worst = {"flood_others_lost": lost, "flood_others_sound_lost": sound_lost}  # each: of one of the three
    return [
        *(
            measured(f"media.attack.{name}", 100 * max(0.0, share), "%", n=sent, seed=seed, at_most=0.5)
            for name, share in worst.items()
        ),
        measured("media.attack.flood_faults", len(stopped["faults"]), "1", n=sent, seed=seed, at_most=0),
    ]


async def _flood(person: Caller, count: int) -> int:
    """Authentic sound as fast as it goes, the loop's other work in between."""
    crypt = person.peer.outgoing
    assert crypt is not None
    sent, begun = 0, time.monotonic()
    while sent < count or time.monotonic() - begun < max(1.0, count / _FLOOD_A_SECOND):
        for _ in range(100):
            packet = struct.pack("!BBHII", 0x80, AUDIO_TYPE, sent & 0xFFFF, 960 * sent & 0xFFFFFFFF, 1000) + bytes(900)
            crypt.view[: len(packet)] = packet
            with suppress(BlockingIOError, ConnectionRefusedError):
                person.peer.socket.send(crypt.seal(len(packet)))
            sent += 1
        person.peer.tick(time.monotonic())
        await asyncio.sleep(0.004)
    return sent


if __name__ == "__main__":
    said(run)
