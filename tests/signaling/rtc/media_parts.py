"""Partners for the media port: a sink that keeps, a clock that is set, and a small browser made of its raw parts."""

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from aioice import stun
from aiortc.rtcdtlstransport import SRTP_PROFILES, RTCCertificate, certificate_digest
from OpenSSL import SSL
from pylibsrtp import Policy, Session

from telehealth.frames import EncodedFrame, TrackKind

AUDIO_TYPE, VIDEO_TYPE, REPEAT_TYPE = 111, 96, 97
AUDIO_SSRC, VIDEO_SSRC, REPEAT_SSRC = 0x1111, 0x2222, 0x3333
LIMIT = 5.0  # seconds that anything may take
_PROFILE = SRTP_PROFILES[0].openssl_profile


class RtpPacket(NamedTuple):
    """One packet in clear, without contributors and padding, as our side sends them."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


def parse_rtp(datagram: bytes) -> RtpPacket:
    """What a packet of ours says, by a reader of its own (RFC 3550 §5.1)."""
    first, second, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", datagram)
    assert first & 0xEF == 0x80
    start = 12 + (4 + 4 * int.from_bytes(datagram[14:16], "big") if first & 0x10 else 0)
    return RtpPacket(second & 0x7F, second >= 0x80, sequence, timestamp, ssrc, datagram[start:])


class KeepingSink:
    """Keeps every call, and lets tests wait until enough came."""

    def __init__(self) -> None:
        self.frames: list[EncodedFrame] = []
        self.reports: list[tuple[TrackKind, int, int]] = []
        self.losses: list[tuple[TrackKind, int]] = []
        self.closings: list[str] = []
        self.after_closing = 0
        self._changed = asyncio.Event()

    def frame(self, frame: EncodedFrame) -> None:
        self.frames.append(frame)
        self._note()

    def sender_report(self, kind: TrackKind, timestamp: int, ntp: int) -> None:
        self.reports.append((kind, timestamp, ntp))
        self._note()

    def lost(self, kind: TrackKind, packets: int) -> None:
        self.losses.append((kind, packets))
        self._note()

    def leg_closed(self, reason: str) -> None:
        self.closings.append(reason)
        self._changed.set()

    def of(self, kind: TrackKind) -> list[EncodedFrame]:
        return [frame for frame in self.frames if frame.kind == kind]

    async def until(self, enough: Callable[["KeepingSink"], bool], limit: float = LIMIT) -> None:
        async with asyncio.timeout(limit):
            while not enough(self):
                self._changed.clear()
                await self._changed.wait()

    def _note(self) -> None:
        self.after_closing += len(self.closings)
        self._changed.set()


class ManualClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def steady(self) -> float:
        return self.seconds


MID_ID, TIME_ID, LEVEL_ID = 4, 2, 1
_EXTENSIONS = [
    f"a=extmap:{MID_ID} urn:ietf:params:rtp-hdrext:sdes:mid",
    f"a=extmap:{TIME_ID} http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    f"a=extmap:{LEVEL_ID} urn:ietf:params:rtp-hdrext:ssrc-audio-level",
]


def offer_lines(ufrag: str, password: str, fingerprint: str, more: Sequence[tuple[str, str]] = ()) -> list[str]:
    """An offer of Opus and VP8 with RTX, as small as it can be; `more` sections, each (kind, direction), after them."""
    common = ["c=IN IP4 0.0.0.0", "a=rtcp-mux", "a=setup:actpass", "a=sendonly"]
    common += [f"a=ice-ufrag:{ufrag}", f"a=ice-pwd:{password}", f"a=fingerprint:sha-256 {fingerprint}"]
    lines = _two_sections(common)
    for mid, (kind, direction) in enumerate(more, 2):
        lines += _section(kind, mid, [line.replace("sendonly", direction) for line in common])
    mids = " ".join(str(mid) for mid in range(2 + len(more)))
    return ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", f"a=group:BUNDLE {mids}", *lines]


def _section(kind: str, mid: int, common: list[str]) -> list[str]:
    """A section whose sources are told by MID alone."""
    common = [*common, f"a=mid:{mid}", *_EXTENSIONS]
    if kind == "audio":
        return [f"m=audio 9 UDP/TLS/RTP/SAVPF {AUDIO_TYPE}", *common, f"a=rtpmap:{AUDIO_TYPE} opus/48000/2"]
    return [
        *(f"m=video 9 UDP/TLS/RTP/SAVPF {VIDEO_TYPE} {REPEAT_TYPE}", *common, f"a=rtpmap:{VIDEO_TYPE} VP8/90000"),
        *(f"a=rtcp-fb:{VIDEO_TYPE} {item}" for item in ("nack", "nack pli", "ccm fir", "goog-remb")),
        *(f"a=rtpmap:{REPEAT_TYPE} rtx/90000", f"a=fmtp:{REPEAT_TYPE} apt={VIDEO_TYPE}"),
    ]


def _two_sections(common: list[str]) -> list[str]:
    common = [*common, *_EXTENSIONS]
    return [
        *(f"m=audio 9 UDP/TLS/RTP/SAVPF {AUDIO_TYPE}", *common, "a=mid:0", f"a=rtpmap:{AUDIO_TYPE} opus/48000/2"),
        *(f"m=video 9 UDP/TLS/RTP/SAVPF {VIDEO_TYPE} {REPEAT_TYPE}", *common, "a=mid:1"),
        *(f"a=rtpmap:{VIDEO_TYPE} VP8/90000", f"a=rtcp-fb:{VIDEO_TYPE} nack", f"a=rtcp-fb:{VIDEO_TYPE} nack pli"),
        *(f"a=rtcp-fb:{VIDEO_TYPE} goog-remb", f"a=rtcp-fb:{VIDEO_TYPE} transport-cc"),
        *(f"a=rtpmap:{REPEAT_TYPE} rtx/90000", f"a=fmtp:{REPEAT_TYPE} apt={VIDEO_TYPE}"),
        *(f"a=ssrc-group:FID {VIDEO_SSRC} {REPEAT_SSRC}", f"a=ssrc:{VIDEO_SSRC} cname:x"),
    ]


def rtp(kind: int, sequence: int, timestamp: int, ssrc: int, payload: bytes, *, marker: bool = False) -> bytes:
    """One plain RTP packet."""
    return struct.pack("!BBHII", 0x80, kind | marker << 7, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc) + payload


def vp8(sequence: int, timestamp: int, *, key: bool, body: bytes = b"picture") -> bytes:
    """A VP8 frame of one packet."""
    payload = b"\x10" + bytes([0x10 if key else 0x11]) + body
    return rtp(VIDEO_TYPE, sequence, timestamp, VIDEO_SSRC, payload, marker=True)


def opus(sequence: int, timestamp: int) -> bytes:
    return rtp(AUDIO_TYPE, sequence, timestamp, AUDIO_SSRC, b"\xfcsound")


def field(sdp: str, name: str) -> str:
    """The first value of an attribute."""
    return next(line.split(":", 1)[1] for line in sdp.splitlines() if line.startswith(f"a={name}:"))


class RawBrowser:
    """ICE, DTLS and SRTP of a sending browser, each step by hand. It controls every datagram."""

    def __init__(
        self,
        port: int,
        *,
        claimed: str | None = None,
        ciphers: bytes = b"DEFAULT",
        profile: bytes = _PROFILE,
        more: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.server = ("127.0.0.1", port)
        self.more = tuple(more)
        self.renumbered: dict[str, str] = {}  # texts of the offer that are to read otherwise
        self.ufrag, self.password = "raw1", "p" * 24
        self.certificate = RTCCertificate.generateCertificate()
        self.fingerprint = claimed or certificate_digest(self.certificate._cert, "sha-256")
        self.socket = self.new_socket()
        self.answer = ""
        self.heard: list[bytes] = []
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_cipher_list(ciphers)
        context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
        context.use_certificate(self.certificate._cert)
        context.use_privatekey(self.certificate._key)
        context.set_tlsext_use_srtp(profile)
        self.ssl = SSL.Connection(context)
        self.ssl.set_connect_state()

    @staticmethod
    def new_socket() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setblocking(False)
        made.bind(("127.0.0.1", 0))
        return made

    @property
    def offer(self) -> str:
        text = "\r\n".join(offer_lines(self.ufrag, self.password, self.fingerprint, self.more)) + "\r\n"
        for old, new in self.renumbered.items():
            text = text.replace(old, new)
        return text

    def close(self) -> None:
        self.socket.close()

    def send(self, datagram: bytes) -> None:
        self.socket.sendto(datagram, self.server)

    async def receive(self, limit: float = LIMIT) -> bytes:
        async with asyncio.timeout(limit):
            return await asyncio.get_running_loop().sock_recv(self.socket, 2048)

    def check(self, *, password: str | None = None, role: str = "ICE-CONTROLLING") -> bytes:
        """A binding request with the credentials of the answer, unless told otherwise."""
        message = stun.Message(
            message_method=stun.Method.BINDING,
            message_class=stun.Class.REQUEST,
            attributes={"USERNAME": f"{field(self.answer, 'ice-ufrag')}:{self.ufrag}", "PRIORITY": 1, role: 7},
        )
        message.add_message_integrity((password or field(self.answer, "ice-pwd")).encode())
        return bytes(message)

    async def pass_check(self) -> stun.Message:
        """The answer to a check, repeated until there is one (RFC 8445 §14.3): an address that the system gave to
        somebody else a moment ago is held for them.
        """
        async with asyncio.timeout(2 * LIMIT):
            while True:
                self.send(self.check())
                with contextlib.suppress(TimeoutError):
                    return await self._check_answered(1.0)

    async def _check_answered(self, limit: float) -> stun.Message:
        async with asyncio.timeout(limit):
            while True:
                datagram = await self.receive()
                if datagram[0] < 4:
                    return stun.parse_message(datagram)

    async def handshake(self, *, lose_first_answer: bool = False) -> None:
        """DTLS as the client; afterwards `outgoing` and `incoming` are there."""
        if lose_first_answer:
            with contextlib.suppress(SSL.WantReadError):
                self.ssl.do_handshake()
            self.flush()
            await self.receive()
        while True:
            try:
                self.ssl.do_handshake()
            except SSL.WantReadError:
                self.flush()
                if (datagram := await self.receive())[0] >= 20:  # a check's second answer is no DTLS
                    self.ssl.bio_write(datagram)
            else:
                break
        self.flush()
        self.outgoing, self.incoming = self._sessions()

    def flush(self) -> None:
        try:
            self.send(self.ssl.bio_read(4096))
        except SSL.WantReadError:
            return

    async def connect(self, answer: str) -> None:
        self.answer = answer
        await self.pass_check()
        await self.handshake()

    def send_rtp(self, *packets: bytes) -> None:
        for packet in packets:
            self.send(self.outgoing.protect(packet))

    def send_rtcp(self, packet: bytes) -> None:
        self.send(self.outgoing.protect_rtcp(packet))

    async def hear(self, kind: int, form: int | None = None) -> bytes:
        """The next RTCP packet of that type and format, alone, out of whatever compound it came in."""
        while True:
            for index, packet in enumerate(self.heard):
                if packet[1] == kind and form in (None, packet[0] & 0x1F):
                    del self.heard[: index + 1]
                    return packet
            datagram = await self.receive()
            if 128 <= datagram[0] <= 191 and 192 <= datagram[1] <= 223:
                self.heard += _apart(self.incoming.unprotect_rtcp(datagram))

    async def hear_rtp(self) -> bytes:
        """The next RTP packet; RTCP that comes before it is kept for `hear`."""
        return self.incoming.unprotect(await self.receive_media())

    async def receive_media(self) -> bytes:
        """The next SRTP datagram as it came."""
        while True:
            datagram = await self.receive()
            if 128 <= datagram[0] <= 191:
                if not 192 <= datagram[1] <= 223:
                    return datagram
                self.heard += _apart(self.incoming.unprotect_rtcp(datagram))

    def _sessions(self) -> tuple[Session, Session]:
        profile = SRTP_PROFILES[0]
        keys = self.ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (profile.key_length + profile.salt_length))

        def session(index: int, direction: int) -> Any:
            key = profile.get_key_and_salt(keys, index)
            return Session(Policy(key=key, ssrc_type=direction, srtp_profile=profile.libsrtp_profile))

        return session(0, Policy.SSRC_ANY_OUTBOUND), session(1, Policy.SSRC_ANY_INBOUND)


class LossyPath:
    """A userspace path between one browser and the port that loses a share of the media going in, by a seed."""

    def __init__(self, port: int, lost: float, seed: int) -> None:
        self.dropped = 0
        self._dice = random.Random(seed)
        self._lost = lost
        self._server = ("127.0.0.1", port)
        self._browser: tuple[str, int] | None = None
        self._near, self._far = RawBrowser.new_socket(), RawBrowser.new_socket()
        self.port: int = self._near.getsockname()[1]
        loop = asyncio.get_running_loop()
        loop.add_reader(self._near, self._inward)
        loop.add_reader(self._far, self._outward)

    def close(self) -> None:
        for end in (self._near, self._far):
            asyncio.get_running_loop().remove_reader(end)
            end.close()

    def _inward(self) -> None:
        datagram, self._browser = self._near.recvfrom(2048)
        if datagram and 128 <= datagram[0] <= 191 and self._dice.random() < self._lost:
            self.dropped += 1
        else:
            self._far.sendto(datagram, self._server)

    def _outward(self) -> None:
        datagram = self._far.recv(2048)
        if self._browser is not None:
            self._near.sendto(datagram, self._browser)


def _apart(compound: bytes) -> list[bytes]:
    packets = []
    while compound:
        size = 4 + 4 * int.from_bytes(compound[2:4], "big")
        packets.append(compound[:size])
        compound = compound[size:]
    return packets
