"""A browser's side of one leg without a browser: checks, DTLS, a test tone under SRTP, what the reports say of it."""

import os
import random
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from aioice import stun

from signaling.rtc import rtcp
from signaling.rtc.dtls import Association, Identity, Progress, SrtpError
from signaling.rtc.ice import Credentials
from signaling.rtc.paths import Transport
from signaling.rtc.probe_wires import Wire, WireLost, open_wire
from signaling.rtc.rtp import is_rtcp

PAYLOAD_TYPE: Final = 111
_SILENCE: Final = b"\xf8\xff\xfe"  # 20 ms of Opus
_LARGE: Final = _SILENCE + bytes(1100)  # as large as pictures' packets are: some tunnels drop these alone
LARGE_EVERY: Final = 5
_FRAME_SECONDS: Final = 0.02
_STEPS: Final = 960  # RTP units in a frame
_CHECK_AGAIN: Final = 0.3  # seconds
_CHECKS: Final = 5  # round trips measured
_LIMIT: Final = 4.0  # seconds for the checks, and for the handshake
_REPORT_LIMIT: Final = 2.5  # seconds after the last packet; the port reports every second
_NTP_EPOCH: Final = 2_208_988_800


@dataclass(frozen=True, slots=True)
class Destination:
    """One candidate of an answer."""

    transport: Transport
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Probed:
    """How one try went. `fault`: empty, or where it ended; seconds; `lost` of `sent` as the port's reports say.

    Faults: `refused`, `unreachable`, `no_answer`, `handshake`, `fingerprint`, `no_reports`, `cut`.
    """

    destination: Destination
    fault: str = ""
    check_seconds: float | None = None
    round_trip: float | None = None
    sent: int = 0
    lost: int = 0
    jitter: float = 0.0
    took: float = 0.0

    @property
    def loss(self) -> float:
        """Share of the tone's packets that did not arrive, 0 to 1."""
        return self.lost / self.sent if self.sent else 0.0


@dataclass(slots=True)
class _Heard:
    reports: list[tuple[float, rtcp.ReportBlock]] = field(default_factory=list)


class Probe:
    """One try: `offer` goes to the server, `run` does the rest with its answer. Good once."""

    def __init__(self) -> None:
        self._identity = Identity()  # blocks for some milliseconds
        credentials = Credentials.fresh(os.urandom)
        self._ufrag, self._password = credentials.ufrag, credentials.password.reveal()
        self._ssrc = random.SystemRandom().getrandbits(32) or 1
        self.offer = _offer(self._ufrag, self._password, self._identity.fingerprint, self._ssrc)

    async def run(self, answer: str, to: Destination, *, seconds: float = 2.0) -> Probed:
        """Connect to one candidate and send the tone for so long. Never raises for what the network does."""
        begun = time.monotonic()
        result = Probed(to)
        try:
            wire = await open_wire(to.transport, to.address, to.port, _LIMIT)
        except WireLost as lost:
            return replace(result, fault=lost.fault, took=time.monotonic() - begun)
        try:
            result = await _Talk(self, wire, answer).through(result, seconds)
        except WireLost as lost:
            result = replace(result, fault=lost.fault)
        finally:
            wire.close()
        return replace(result, took=time.monotonic() - begun)

    @property
    def identity(self) -> Identity:
        return self._identity

    @property
    def ssrc(self) -> int:
        return self._ssrc

    @property
    def ufrag(self) -> str:
        return self._ufrag


class _Talk:
    """What is said over one wire, in order; `_heard` grows as the port's packets come."""

    def __init__(self, probe: Probe, wire: Wire, answer: str) -> None:
        self._probe = probe
        self._wire = wire
        self._ours = value(answer, "ice-ufrag")
        self._password = value(answer, "ice-pwd")
        name, _, digest = value(answer, "fingerprint").partition(" ")
        self._dtls = Association(probe.identity, frozenset({(name.lower(), digest.upper())}), wire.send, client=True)
        self._heard = _Heard()

    async def through(self, result: Probed, seconds: float) -> Probed:
        trips = await self._check()
        if not trips:
            return replace(result, fault="no_answer")
        result = replace(result, check_seconds=min(trips), round_trip=min(trips))
        if not await self._shake():
            return replace(result, fault="fingerprint" if self._dtls.fault == "fingerprint" else "handshake")
        try:
            sent = await self._play(seconds)
            return self._read(replace(result, sent=sent))
        finally:
            self._dtls.close()

    async def _check(self) -> list[float]:
        """Round trips of proven checks; empty where none was answered within the limit."""
        trips: list[float] = []
        until = time.monotonic() + _LIMIT
        while len(trips) < _CHECKS and time.monotonic() < until:
            message = stun.Message(
                message_method=stun.Method.BINDING,
                message_class=stun.Class.REQUEST,
                attributes={
                    "USERNAME": f"{self._ours}:{self._probe.ufrag}",
                    "PRIORITY": 1,
                    "ICE-CONTROLLING": 7,
                    "USE-CANDIDATE": None,
                },
            )
            message.add_message_integrity(self._password.encode())
            asked = time.monotonic()
            self._wire.send(bytes(message))
            if await self._answered(message.transaction_id, asked + _CHECK_AGAIN):
                trips.append(time.monotonic() - asked)
        return trips

    async def _answered(self, transaction: bytes, until: float) -> bool:
        while (datagram := await self._wire.receive(until)) is not None:
            if (
                len(datagram) >= 20
                and datagram[0] < 4
                and datagram[8:20] == transaction
                and _proves(datagram, self._password)
            ):
                return True
        return False

    async def _shake(self) -> bool:
        until = time.monotonic() + _LIMIT
        self._dtls.start()
        while self._dtls.progress is Progress.HANDSHAKING and time.monotonic() < until:
            datagram = await self._wire.receive(time.monotonic() + 0.1)
            if datagram is None:
                self._dtls.tick()
            elif datagram and 20 <= datagram[0] <= 63:
                self._dtls.receive(datagram)
        return self._dtls.progress is Progress.ESTABLISHED

    async def _play(self, seconds: float) -> int:
        """Send the tone, then wait for a report on its last packet; how many packets."""
        frames = max(1, round(seconds / _FRAME_SECONDS))
        begun = time.monotonic()
        for number in range(frames):
            await self._listen(begun + number * _FRAME_SECONDS, lambda: False)
            if number % 25 == 0:
                self._report(number)
            self._media(number)
        until = time.monotonic() + _REPORT_LIMIT
        await self._listen(until, lambda: any(block.highest >= frames - 1 for _, block in self._heard.reports))
        return frames

    async def _listen(self, until: float, enough: Callable[[], bool]) -> None:
        while not enough() and (datagram := await self._wire.receive(until)) is not None:
            keys = self._dtls.keys
            if keys is None or not datagram or not 128 <= datagram[0] <= 191 or not is_rtcp(datagram):
                continue
            try:
                plain = keys.incoming.unprotect_rtcp(datagram)
            except SrtpError:
                continue  # not from who we shook hands with
            for said in rtcp.parse_rtcp(plain) or ():
                if isinstance(said, rtcp.ReportBlock) and said.ssrc == self._probe.ssrc:
                    self._heard.reports.append((time.time(), said))

    def _media(self, number: int) -> None:
        head = struct.pack("!BBHII", 0x80, PAYLOAD_TYPE, number & 0xFFFF, number * _STEPS, self._probe.ssrc)
        keys = self._dtls.keys
        if keys is not None:
            self._wire.send(keys.outgoing.protect(head + (_SILENCE if number % LARGE_EVERY else _LARGE)))

    def _report(self, number: int) -> None:
        keys = self._dtls.keys
        if keys is not None:
            said = rtcp.SenderReport(self._probe.ssrc, _ntp(time.time()), number * _STEPS)
            report = rtcp.sender_report(said, number, number * len(_SILENCE))
            names = rtcp.source_description({self._probe.ssrc: "probe"})
            self._wire.send(keys.outgoing.protect_rtcp(report + names))

    def _read(self, result: Probed) -> Probed:
        if self._dtls.keys is None:
            return replace(result, fault="cut")
        if not self._heard.reports:
            return replace(result, fault="no_reports")
        _, last = self._heard.reports[-1]
        missing = max(0, result.sent - 1 - last.highest)  # the end of the tone is not in any report
        lost = min(result.sent, max(0, last.total_lost) + missing)
        trips = [_trip(at, block) for at, block in self._heard.reports if block.last_report]
        return replace(
            result,
            lost=lost,
            jitter=last.jitter / 48_000,
            round_trip=min(trips) if trips else result.round_trip,
        )


def _trip(at: float, block: rtcp.ReportBlock) -> float:
    """RFC 3550 §6.4.1: seconds from our report to its echo, without the time it lay there."""
    middle = _ntp(at) >> 16 & 0xFFFFFFFF
    return max(0.0, (((middle - block.last_report - block.delay) + 0x80000000) % 0x100000000 - 0x80000000) / 65536)


def _ntp(seconds: float) -> int:
    return int((seconds + _NTP_EPOCH) * 2**32)


def _proves(datagram: bytes, password: str) -> bool:
    try:
        message = stun.parse_message(datagram)
        return message.message_class is stun.Class.RESPONSE and message.check_message_integrity(password.encode())
    except (ValueError, LookupError, struct.error):
        return False


def value(sdp: str, name: str) -> str:
    """The first value of an attribute; empty where there is none."""
    return next((line.split(":", 1)[1] for line in sdp.splitlines() if line.startswith(f"a={name}:")), "")


def destinations(answer: str) -> list[Destination]:
    """Where an answer can be reached, each once."""
    found: dict[Destination, None] = {}
    for line in answer.splitlines():
        if line.startswith("a=candidate:"):
            words = line.split()
            transport: Transport = "tcp" if words[2].lower() == "tcp" else "udp"
            found[Destination(transport, words[4], int(words[5]))] = None
    return list(found)


def _offer(ufrag: str, password: str, fingerprint: tuple[str, str], ssrc: int) -> str:
    lines = [
        *("v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0"),
        *(f"m=audio 9 UDP/TLS/RTP/SAVPF {PAYLOAD_TYPE}", "c=IN IP4 0.0.0.0", "a=mid:0", "a=sendonly", "a=rtcp-mux"),
        *("a=setup:actpass", f"a=ice-ufrag:{ufrag}", f"a=ice-pwd:{password}"),
        *(f"a=fingerprint:{fingerprint[0]} {fingerprint[1]}", f"a=rtpmap:{PAYLOAD_TYPE} opus/48000/2"),
        f"a=ssrc:{ssrc} cname:probe",
    ]
    return "\r\n".join(lines) + "\r\n"
