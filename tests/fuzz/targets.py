"""What is fuzzed: for each target its first inputs, and a function that raises if a promise is broken."""

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aioice import stun
from pylibsrtp import Policy, Session

from signaling.rtc import rtcp
from signaling.rtc.answer import write_answer
from signaling.rtc.dtls import Keys
from signaling.rtc.ice import Agent, Credentials, read_check
from signaling.rtc.paths import UdpDoor, UdpPath
from signaling.rtc.place import Place
from signaling.rtc.room import Room
from signaling.rtc.sdp import OfferRefused, parse_offer
from signaling.rtc.traffic import Line, Seat, Traffic
from signaling.rtc.vp8 import LARGEST_FRAME, Vp8Assembler, Vp8Frame, read_descriptor
from telehealth.clock import SystemClock
from telehealth.frames import EncodedFrame, TrackKind
from tests.fuzz.batch import SEEDS, one_batch
from tests.fuzz.pieces import MOST_PIECES, apart, joined
from tests.fuzz.webm import frames, one_webm
from tests.signaling.rtc.media_parts import AUDIO_SSRC, VIDEO_SSRC, offer_lines, opus, rtp, vp8

OFFERS = Path(__file__).resolve().parents[1] / "signaling" / "rtc" / "offers"
FINGERPRINT = ":".join(["AB"] * 32)
_PLACE = Place(("192.0.2.7", "2001:db8::7"), 50_000, ("sha-256", FINGERPRINT))
_OURS = Credentials.fresh(lambda count: bytes(count))


@dataclass(frozen=True, slots=True)
class Target:
    """`one` takes any octets and raises only where something is wrong with us."""

    seeds: tuple[bytes, ...]
    one: Callable[[bytes], None]
    text: bool = False


def _fragment(count: int) -> bytes:
    return bytes(range(count))


def _checks() -> tuple[bytes, ...]:
    found = []
    agent = Agent("them", 0.0, _fragment)
    for attributes in (
        {"ICE-CONTROLLING": 7},
        {"ICE-CONTROLLED": 7},
        {"ICE-CONTROLLING": 7, "USE-CANDIDATE": None},
        {},
    ):
        message = stun.Message(
            message_method=stun.Method.BINDING,
            message_class=stun.Class.REQUEST,
            transaction_id=bytes(12),
            attributes={"USERNAME": f"{agent.current.ufrag}:them", "PRIORITY": 1, **attributes},
        )
        message.add_message_integrity(agent.current.password.reveal().encode())
        found.append(bytes(message))
    return tuple(found)


def one_stun(octets: bytes) -> None:
    """A check is answered if it is proven, and never with much more than was asked."""
    check = read_check(octets)
    if check is None:
        return
    agent = Agent("them", 0.0, _fragment)
    verdict = agent.answer(check, UdpPath(UdpDoor.__new__(UdpDoor), ("192.0.2.1", 9)), 0.0)
    assert not verdict.valid or check.ours == agent.current.ufrag
    assert verdict.reply is None or len(verdict.reply) <= len(octets) + 32


class _Sink:
    """Keeps the promises of a FrameSink in mind: whole frames, a key frame first, timestamps that never fall."""

    def __init__(self) -> None:
        self.last: dict[TrackKind, int] = {}

    def frame(self, frame: EncodedFrame) -> None:
        assert frame.timestamp >= self.last.get(frame.kind, frame.timestamp)
        assert frame.kind == "audio" or frame.key or frame.kind in self.last
        assert len(frame.data) <= LARGEST_FRAME + 1500
        self.last[frame.kind] = frame.timestamp

    def sender_report(self, kind: TrackKind, timestamp: int, ntp: int) -> None:
        assert 0 <= ntp < 1 << 64

    def lost(self, kind: TrackKind, packets: int) -> None:
        assert packets > 0

    def leg_closed(self, reason: str) -> None:
        """Not reached here."""


def _offer(*, receives: bool) -> str:
    text = "\r\n".join(offer_lines("ufrag", "p" * 24, FINGERPRINT)) + "\r\n"
    return text.replace("a=sendonly", "a=recvonly") if receives else text


def _keys() -> Keys:
    def session(direction: int) -> Session:
        policy = Policy(key=bytes(44), ssrc_type=direction, srtp_profile=Policy.SRTP_PROFILE_AEAD_AES_256_GCM)
        return Session(policy)

    return Keys(session(Policy.SSRC_ANY_INBOUND), session(Policy.SSRC_ANY_OUTBOUND), "SRTP_AEAD_AES_256_GCM")


def _fail(error: Exception) -> None:
    raise error


def _pair() -> tuple[Traffic, Traffic, list[bytes]]:
    """One who publishes and is recorded, and one who hears it, both connected, in one room; what is sent."""
    sent: list[bytes] = []
    entropy = random.Random(7).randbytes
    line = Line(SystemClock(), sent.append, lambda _: None, _fail, lambda _: None)
    room = Room()
    speaks = Traffic(parse_offer(_offer(receives=False), room=True), Seat(room, "a", 1, None), line, entropy)
    hears = Traffic(parse_offer(_offer(receives=True), room=True), Seat(room, "b", 2, None), line, entropy)
    for traffic in (speaks, hears):
        traffic.open(_keys())
    speaks.attach(_Sink())
    return speaks, hears, sent


def one_rtp(octets: bytes) -> None:
    """Packets after decryption: published, forwarded, recorded; each goes to one hearer at most, none too large."""
    speaks, _, sent = _pair()
    view = memoryview(bytearray(2048))
    now = 1000.0
    for packet in apart(octets):
        view[: len(packet)] = packet
        before = len(sent)
        now += 0.02
        speaks._receiver.rtp(view, len(packet), now)
        assert len(sent) - before <= 4
    speaks.tick(now + 1.0)
    assert all(len(datagram) <= 1600 for datagram in sent)


def one_rtcp(octets: bytes) -> None:
    """Compound packets after decryption, heard by one who publishes and by one who receives."""
    speaks, hears, sent = _pair()
    view = memoryview(bytearray(2048))
    for number, packet in enumerate((opus(1, 960), vp8(1, 90, key=True), vp8(2, 180, key=False))):
        view[: len(packet)] = packet
        speaks._receiver.rtp(view, len(packet), 1000.0 + number / 50)
    before = len(sent)
    for packet in apart(octets):
        rtcp.parse_rtcp(packet)
        speaks._heard(packet, 1001.0)
        hears._heard(packet, 1001.0)
    assert len(sent) - before <= 40 * MOST_PIECES
    for traffic in (speaks, hears):
        traffic.tick(1002.0)


def one_sdp(octets: bytes) -> None:
    """An offer is answered line by line, or refused with one code."""
    text = octets.decode("latin-1")
    for room in (False, True):
        with suppress(OfferRefused):
            answer = write_answer(parse_offer(text, room=room), _PLACE, _OURS, 1, 1)
            assert all(line[1:2] == "=" for line in answer.split("\r\n")[:-1])


def one_vp8(octets: bytes) -> None:
    """Payloads in order: a descriptor never reaches beyond its payload, a frame never beyond its bound."""
    assembler, needed = Vp8Assembler(), True
    for number, payload in enumerate(apart(octets)):
        descriptor = read_descriptor(payload)
        assert descriptor is None or 1 <= descriptor.size < len(payload)
        stamp = payload[-1] if payload else 0
        made = assembler.push(bool(stamp & 1), 3000 * (number // 3), payload)
        if isinstance(made, Vp8Frame):
            assert made.key or not needed
            assert len(made.data) <= LARGEST_FRAME + 1500
            needed = False
        elif made is not None:
            needed = True


def _report() -> bytes:
    return bytes.fromhex("80c80006") + AUDIO_SSRC.to_bytes(4, "big") + bytes(20)


TARGETS = {
    "stun": Target(_checks(), one_stun),
    "rtp": Target(
        (
            joined(opus(1, 960), vp8(1, 90, key=True), vp8(2, 180, key=False), vp8(4, 360, key=True)),
            joined(
                rtp(97, 5, 90, 0x3333, b"\0\2" + b"\x10\x10" + bytes(20)),
                vp8(65535, 90, key=True),
                vp8(0, 91, key=False),
            ),
            joined(b"\x90\x60\0\1" + bytes(8) + b"\xbe\xde\0\1\x10\x31\0\0" + b"\x10\x10\0"),
        ),
        one_rtp,
    ),
    "rtcp": Target(
        (
            joined(_report() + rtcp.source_description({AUDIO_SSRC: "name"})),
            joined(rtcp.picture_loss(1, VIDEO_SSRC), rtcp.negative_acknowledgement(1, VIDEO_SSRC, [1, 2, 65536])),
            joined(
                rtcp.receiver_report(1, [rtcp.ReportBlock(VIDEO_SSRC, 9, 9, 9, 9, 9, 9)]) + rtcp.goodbye([VIDEO_SSRC])
            ),
            joined(rtcp.bandwidth_limit(1, [VIDEO_SSRC], 300_000)),
        ),
        one_rtcp,
    ),
    "sdp": Target(
        tuple(
            text.encode("latin-1")
            for text in (
                _offer(receives=False),
                _offer(receives=True),
                *((OFFERS / f"{browser}.sdp").read_text() for browser in ("chromium", "firefox")),
            )
        ),
        one_sdp,
        text=True,
    ),
    "vp8": Target(
        (
            joined(b"\x10\x10" + bytes(20), b"\x00" + bytes(20) + b"\1", b"\x10\x11" + bytes(9) + b"\1"),
            joined(b"\x90\xe0\x81\x02\x03\x04\x10" + bytes(20) + b"\1", b"\x80\x80\x01\x11" + bytes(8)),
        ),
        one_vp8,
    ),
    "webm": Target((frames(),), one_webm),
    "batch": Target(SEEDS, lambda octets: one_batch(octets, _pair)),
}
