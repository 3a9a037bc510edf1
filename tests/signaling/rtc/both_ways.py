"""The same seeded packets through a port with the compiled loop and one without; and what came of them."""

import asyncio
import random
import socket
from dataclasses import dataclass, field
from typing import Any, Self

from media_parts import AUDIO_TYPE, REPEAT_SSRC, REPEAT_TYPE, VIDEO_SSRC, VIDEO_TYPE, ManualClock, offer_lines, rtp
from pylibsrtp import Error, Policy, Session
from room_parts import headed, receiver_report, sender_report

from signaling.rtc import Leg, MediaPort, rtcp
from signaling.rtc.dtls import Keys
from signaling.rtc.leg import LegState
from signaling.rtc.paths import UdpPath
from telehealth.frames import EncodedFrame, TrackKind

_FINGERPRINT = ":".join(["AB"] * 32)
_SECTIONS = (("audio", "recvonly"), ("video", "recvonly")) * 2
_STEP = 0.001  # seconds
# Of a port's figures these depend on the machine, or say which way was taken.
_OWN = ("receive_buffer", "kernel_drops", "compiled", "compiled_packets")


class Tape:
    """A sink that writes everything down."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def frame(self, frame: EncodedFrame) -> None:
        self.heard.append(frame)

    def sender_report(self, kind: TrackKind, timestamp: int, ntp: int) -> None:
        self.heard.append((kind, timestamp, ntp))

    def lost(self, kind: TrackKind, packets: int) -> None:
        self.heard.append((kind, packets))

    def leg_closed(self, reason: str) -> None:
        self.heard.append(reason)


def session(key: int, direction: int) -> Session:
    """An AES-GCM session whose key is this octet."""
    return Session(
        Policy(key=bytes([key]) * 44, ssrc_type=direction, srtp_profile=Policy.SRTP_PROFILE_AEAD_AES_256_GCM)
    )


@dataclass
class Person:
    """A browser without DTLS: its socket, its leg, and what it seals with."""

    udp: socket.socket
    leg: Leg
    seal: Session
    tape: Tape = field(default_factory=Tape)

    def hear(self) -> list[bytes]:
        """Every datagram that came to it."""
        found = []
        while True:
            try:
                found.append(self.udp.recv(4096))
            except BlockingIOError:
                return found


class World:
    """One port with three connected people in one room, the first of them recorded. Nothing here awaits."""

    def __init__(self, port: MediaPort, clock: ManualClock) -> None:
        self.port = port
        self.clock = clock
        self.people: list[Person] = []

    @classmethod
    async def open(cls, *, compiled: bool) -> Self:
        clock = ManualClock()
        port = await MediaPort.open("127.0.0.1", 0, public_addresses=["127.0.0.1"], clock=clock, compiled=compiled)
        port._entropy = random.Random(7).randbytes
        port.deafen()
        world = cls(port, clock)
        for number in range(3):
            await world._come(number)
        return world

    async def _come(self, number: int) -> None:
        lines = offer_lines(f"frag{number}", "p" * 24, _FINGERPRINT, _SECTIONS)
        if number == 1:
            lines = [line.replace("a=extmap:1 ", "a=extmap:9 ") for line in lines]
        leg, _ = await self.port.open_leg(f"leg{number}", "\r\n".join(lines) + "\r\n", room="r", publisher=f"p{number}")
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.setblocking(False)
        udp.bind(("127.0.0.1", 0))
        path = UdpPath(self.port._udp[0], udp.getsockname())
        assert self.port.claim(leg, path, self.clock.steady())
        leg.state, leg._remote = LegState.CONNECTED, path
        into, out = session(number + 1, Policy.SSRC_ANY_INBOUND), session(number + 101, Policy.SSRC_ANY_OUTBOUND)
        leg._traffic.open(Keys(into, out, "SRTP_AEAD_AES_256_GCM"))
        person = Person(udp, leg, session(number + 1, Policy.SSRC_ANY_OUTBOUND))
        if number == 0:
            leg.attach(person.tape)
        self.people.append(person)

    def play(self, acts: list["Act"]) -> list[list[bytes]]:
        """Send, let the port take all, and answer what each person got."""
        for act in acts:
            self.people[act.who].udp.sendto(act.datagram, ("127.0.0.1", self.port.port))
        while self.port._drain(self.port._udp[0]):
            """Until nothing is left."""
        return [person.hear() for person in self.people]

    def pass_time(self, seconds: float, *, tick: bool) -> None:
        self.clock.seconds += seconds
        for person in self.people if tick else ():
            person.leg.tick(self.clock.seconds)

    def state(self) -> dict[str, Any]:
        """Everything the two ways share."""
        stats = {name: value for name, value in self.port.stats().items() if value and name not in _OWN}
        found: dict[str, Any] = {"stats": stats, "tape": self.people[0].tape.heard}
        for number, person in enumerate(self.people):
            traffic = person.leg._traffic
            lane = traffic.lane
            found[f"{number} leg"] = (person.leg.state, person.leg.stats(), lane.last, lane.authenticated)
            found[f"{number} budget"] = (traffic._budget._level, traffic._budget._at)
            for source, one in traffic._receiver.publications.items():
                found[f"{number} {source}"] = (one._next, one.last, one.silent, one.wants_key, sorted(one._missing))
                found[f"{number} {source} kept"] = (one.history.octets, list(one.history._kept.items()))
                found[f"{number} {source} delay"] = one._queue.seconds
                if one.reception is not None:
                    came = one.reception
                    found[f"{number} {source} came"] = (came.received, came.octets, came.highest, came.jitter)
            for mid, outlet in traffic._sender.outlets.items():
                found[f"{number} {mid}"] = (
                    *(outlet.packets, outlet.octets, outlet.running, outlet._base, outlet._shift, outlet._time_shift),
                    *(outlet._highest, outlet._timestamp, outlet._sent_at, outlet.held, outlet.paused, outlet.doubled),
                )
        return found

    async def close(self) -> None:
        for person in self.people:
            person.udp.close()
        await self.port.close()
        await asyncio.sleep(0)


@dataclass(frozen=True, slots=True)
class Act:
    """A datagram of one person."""

    who: int
    datagram: bytes


class Script:
    """Seeded traffic of three people: mostly what browsers send, and in between everything else."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._seals = [session(number + 1, Policy.SSRC_ANY_OUTBOUND) for number in range(3)]
        self._numbers = {(who, kind): self._random.choice([1, 65_500]) for who in range(3) for kind in "av"}
        self._sent: list[list[bytes]] = [[], [], []]
        self._begun: set[int] = set()

    def burst(self, now: float, *, wild: float) -> list[Act]:
        """Some datagrams, of which a share of `wild` is unusual."""
        chance = self._random
        found: list[Act] = []
        for _ in range(chance.choice([1, 2, 3, 70])):
            who = chance.randrange(3)
            act = self._strange(who, now) if chance.random() < wild else self._usual(who, now)
            found += [Act(who, datagram) for datagram in act]
        if chance.random() < wild:
            chance.shuffle(found)
        return found

    def _usual(self, who: int, now: float) -> list[bytes]:
        chance = self._random
        packet = self._sound(who, now) if chance.random() < 0.3 else self._picture(who, now)
        sealed = self._sealed(who, packet)
        self._sent[who] = [*self._sent[who][-20:], *sealed]
        return sealed

    def _next(self, who: int, kind: str) -> int:
        self._numbers[who, kind] += 1
        return self._numbers[who, kind] & 0xFFFF

    def _sound(self, who: int, now: float) -> bytes:
        chance = self._random
        packet = rtp(
            AUDIO_TYPE, self._next(who, "a"), int(now * 48_000), 0x1111, chance.randbytes(chance.randrange(90))
        )
        level = chance.choice([None, chance.randrange(256)])
        return headed(packet, mid=chance.choice([None, "0"]), level=level, sent=self._time(now))

    def _picture(self, who: int, now: float) -> bytes:
        chance = self._random
        first = chance.random() < 0.3
        key = first and (who not in self._begun or chance.random() < 0.1)
        if key:
            self._begun.add(who)
        body = chance.choice([b"\x10", b"\x90\xe0\x81\x02\x03\x04"]) if first else b"\x00"
        body += bytes([0x10 if key else 0x11]) + chance.randbytes(chance.randrange(1100))
        marker = chance.random() < 0.3
        packet = rtp(VIDEO_TYPE, self._next(who, "v"), int(now * 90_000), VIDEO_SSRC, body, marker=marker)
        return headed(packet, mid=chance.choice([None, "1"]), sent=self._time(now)) if chance.random() < 0.9 else packet

    def _time(self, now: float) -> int | None:
        return int(now * 262_144) & 0xFFFFFF if self._random.random() < 0.8 else None

    def _strange(self, who: int, now: float) -> list[bytes]:
        """Lost, doubled, forged, cut, reports, repeats, garbage, and packets of other forms."""
        chance, old = self._random, self._sent[who]
        match chance.randrange(9):
            case 0:
                self._picture(who, now)
                return []
            case 1 | 2 if old:
                return [chance.choice([chance.choice(old), self._bent(chance.choice(old))])]
            case 3:
                lost = self._numbers[who, "v"] - chance.randrange(30) & 0xFFFF
                return self._sealed(
                    who, rtp(REPEAT_TYPE, chance.randrange(99), 9, REPEAT_SSRC, lost.to_bytes(2) + b"x")
                )
            case 4:
                return [self._seals[who].protect_rtcp(self._report(now))]
            case 5:
                head = chance.choice([b"", b"\x80", b"\x90", b"\xb0"])
                return [head + chance.randbytes(chance.choice([9, 60, 1600]))]
            case 6:
                return [*self._sealed(who, self._picture(who, now)), *self._usual(who, now)]
            case _:
                return self._sealed(who, self._odd(self._picture(who, now)))

    def _odd(self, plain: bytes) -> bytes:
        """The packet padded, with sources, with other extensions, or another one that nobody announced."""
        chance, first, head, body = self._random, plain[0] & 0xEF, plain[1:12], plain[12:]
        return chance.choice(
            [
                bytes([plain[0] | 0x20]) + plain[1:] + bytes([0, 0, 3]),
                bytes([plain[0] | 0x01]) + head + bytes(4) + body,
                bytes([0x90]) + head + b"\x10\x00\x00\x01\x02\x02\x00\x01" + body,
                bytes([0x90]) + head + b"\xbe\xde\x00\x01" + chance.randbytes(4) + body,
                bytes([first]) + head + body,
                rtp(chance.randrange(128), 9, 9, chance.choice([0x1111, VIDEO_SSRC, 5]), b"abc"),
            ]
        )

    def _sealed(self, who: int, packet: bytes) -> list[bytes]:
        """One datagram, or none where its number was used before."""
        try:
            return [self._seals[who].protect(packet)]
        except Error:
            return []

    def _bent(self, datagram: bytes) -> bytes:
        at = self._random.randrange(len(datagram))
        bent = datagram[:at] + bytes([datagram[at] ^ 1 << self._random.randrange(8)]) + datagram[at + 1 :]
        return self._random.choice([bent, bent[:at], bent + b"x"])

    def _report(self, now: float) -> bytes:
        chance = self._random
        return chance.choice(
            [
                sender_report(0x1111, int((2_208_988_800 + now) * (1 << 32)), int(now * 48_000)),
                sender_report(VIDEO_SSRC, int((2_208_988_800 + now) * (1 << 32)), int(now * 90_000)),
                receiver_report(self.source, lost=chance.choice([0, 0, 20])),
                rtcp.picture_loss(9, self.source),
                rtcp.negative_acknowledgement(9, self.source, [chance.randrange(60) for _ in range(4)]),
                rtcp.bandwidth_limit(9, [self.source], chance.choice([100_000, 2_000_000])),
            ]
        )

    sources: tuple[int, ...] = (1,)

    @property
    def source(self) -> int:
        """One that somebody receives."""
        return self._random.choice(self.sources)
