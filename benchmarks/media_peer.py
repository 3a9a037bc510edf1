"""The far end of a media leg at the least cost: checks, DTLS as the client, SRTP in place, no decoding.

One peer is one socket. It can publish an audio and a video source, receive such, or both, and speaks to our port and
to Janus alike.
"""

import secrets
import socket
import struct
import time
from dataclasses import dataclass

from aioice import stun
from aiortc.rtcdtlstransport import SRTP_PROFILES, RTCCertificate, certificate_digest
from OpenSSL import SSL
from pylibsrtp import Policy, Session
from pylibsrtp._binding import ffi, lib

AUDIO_TYPE, VIDEO_TYPE, REPEAT_TYPE = 111, 96, 97
LEVEL_ID, SENT_ID, MID_ID = 1, 2, 4
_CHECK_EVERY = 2.5  # seconds, as browsers renew consent
_CHECK_AT_FIRST = 0.1
_SO_TIMESTAMPNS = 35
_RECEIVE_BUFFER = 1 << 20
_TRAILER = 144  # octets that SRTP may add
_PROFILE = SRTP_PROFILES[0]

_certificate = RTCCertificate.generateCertificate()  # one for all: what is measured is the server


def _context() -> SSL.Context:
    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
    context.use_certificate(_certificate._cert)
    context.use_privatekey(_certificate._key)
    context.set_tlsext_use_srtp(_PROFILE.openssl_profile)
    return context


_CONTEXT = _context()
_FINGERPRINT = certificate_digest(_certificate._cert, "sha-256")


@dataclass(frozen=True, slots=True)
class Part:
    """One m-section as this peer describes it. `ssrc` 0: it only receives."""

    kind: str
    mid: str
    ssrc: int = 0


class Crypt:
    """One direction of SRTP, in place over a buffer of its own."""

    def __init__(self, key: bytes, direction: int) -> None:
        self._session = Session(Policy(key=key, ssrc_type=direction, srtp_profile=_PROFILE.libsrtp_profile))
        self._srtp = self._session._srtp[0]
        self._octets = ffi.new("unsigned char[]", 2048)
        self.view = memoryview(ffi.buffer(self._octets))
        self._size = ffi.new("int *")

    def seal(self, size: int) -> memoryview:
        """SRTP of the first `size` octets of `view`."""
        self._size[0] = size
        if lib.srtp_protect(self._srtp, self._octets, self._size):
            raise ValueError("protect")
        return self.view[: self._size[0]]

    def seal_control(self, packet: bytes) -> bytes:
        """SRTCP of a compound packet."""
        sealed: bytes = self._session.protect_rtcp(packet)
        return sealed

    def open(self, datagram: memoryview) -> bytes | None:
        """The plain RTP packet, None if it is not authentic or a copy."""
        size = len(datagram)
        self.view[:size] = datagram
        self._size[0] = size
        if lib.srtp_unprotect(self._srtp, self._octets, self._size):
            return None
        return bytes(self.view[: self._size[0]])

    def open_control(self, datagram: bytes) -> bytes:
        plain: bytes = self._session.unprotect_rtcp(datagram)
        return plain


class Peer:
    """One leg. `connect` names the other side; `tick` and `receive` bring it up; then `outgoing` seals."""

    def __init__(self, parts: tuple[Part, ...]) -> None:
        self.parts = parts
        self.ufrag, self.password = secrets.token_hex(4), secrets.token_hex(16)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        self.socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self.socket.bind(("0.0.0.0", 0))
        self.outgoing: Crypt | None = None
        self.incoming: Crypt | None = None
        self.fault = ""
        self._remote: tuple[str, str] | None = None
        self._next_check = 0.0
        self._heard = False
        self._ssl = SSL.Connection(_CONTEXT)
        self._ssl.set_connect_state()
        self._ssl.set_ciphertext_mtu(1200)

    @property
    def live(self) -> bool:
        return self.outgoing is not None

    def describe(self, parts: tuple[Part, ...] | None = None) -> str:
        """This side's session description: an offer, or an answer in the order of `parts`."""
        parts = self.parts if parts is None else parts
        port = self.socket.getsockname()[1]
        lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0"]
        lines += ["a=group:BUNDLE " + " ".join(part.mid for part in parts), "a=msid-semantic: WMS *"]
        for part in parts:
            lines += self._section(part, port)
        return "\r\n".join(lines) + "\r\n"

    def _section(self, part: Part, port: int) -> list[str]:
        audio = part.kind == "audio"
        types = f"{AUDIO_TYPE}" if audio else f"{VIDEO_TYPE} {REPEAT_TYPE}"
        lines = [f"m={part.kind} {port} UDP/TLS/RTP/SAVPF {types}", "c=IN IP4 127.0.0.1", f"a=mid:{part.mid}"]
        lines += ["a=rtcp-mux", "a=rtcp-rsize", "a=setup:active", "a=sendonly" if part.ssrc else "a=recvonly"]
        lines += [f"a=ice-ufrag:{self.ufrag}", f"a=ice-pwd:{self.password}", f"a=fingerprint:sha-256 {_FINGERPRINT}"]
        lines += [f"a=extmap:{MID_ID} urn:ietf:params:rtp-hdrext:sdes:mid"]
        lines += [f"a=extmap:{SENT_ID} http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"]
        if audio:
            lines += [f"a=extmap:{LEVEL_ID} urn:ietf:params:rtp-hdrext:ssrc-audio-level"]
            lines += [f"a=rtpmap:{AUDIO_TYPE} opus/48000/2", f"a=fmtp:{AUDIO_TYPE} minptime=10;useinbandfec=1"]
        else:
            lines += [f"a=rtpmap:{VIDEO_TYPE} VP8/90000", f"a=rtpmap:{REPEAT_TYPE} rtx/90000"]
            lines += [f"a=fmtp:{REPEAT_TYPE} apt={VIDEO_TYPE}"]
            lines += [f"a=rtcp-fb:{VIDEO_TYPE} {what}" for what in ("goog-remb", "ccm fir", "nack", "nack pli")]
        if part.ssrc:
            lines += [f"a=msid:s{part.ssrc} t{part.ssrc}", f"a=ssrc:{part.ssrc} cname:c{part.ssrc}"]
        lines += [f"a=candidate:1 1 udp 2130706431 127.0.0.1 {port} typ host", "a=end-of-candidates"]
        return lines

    def connect(self, description: str) -> None:
        """Take the other side's description and begin."""
        self._remote = field(description, "ice-ufrag"), field(description, "ice-pwd")
        self._next_check = 0.0
        self.socket.connect(_candidate(description))

    def renew(self) -> str:
        """A later offer of the same peer with new ICE credentials (RFC 8445 §9); `connect` takes the answer."""
        self.ufrag, self.password = secrets.token_hex(4), secrets.token_hex(16)
        return self.describe()

    def tick(self, now: float) -> None:
        """A check when one is due; a DTLS flight again when OpenSSL's timer says so."""
        if self._remote is None or self.fault:
            return
        if now >= self._next_check:
            self._next_check = now + (_CHECK_EVERY if self._heard else _CHECK_AT_FIRST)
            self._send(self._check())
        if self._heard and not self.live and self._ssl.DTLSv1_get_timeout() is not None:
            self._ssl.DTLSv1_handle_timeout()
            self._flush()

    def receive(self, datagram: bytes) -> None:
        """STUN or DTLS."""
        if datagram[0] < 4:
            if datagram[:2] == b"\x00\x01":
                self._send(self._reply(datagram))
            elif not self._heard:
                self._heard = True
                self._next_check = time.monotonic() + _CHECK_EVERY
                self._shake()
        elif 20 <= datagram[0] <= 63:
            self._ssl.bio_write(datagram)
            if not self.live:
                self._shake()

    def close(self, *, goodbye: bool = True) -> None:
        """Say close_notify as a browser does, unless its machine just went dark, and go."""
        if self.live and goodbye:
            try:
                self._ssl.shutdown()
            except SSL.Error as error:
                self.fault = str(error)
            self._flush()
        self.socket.close()

    def _check(self) -> bytes:
        assert self._remote is not None
        attributes = {"USERNAME": f"{self._remote[0]}:{self.ufrag}", "PRIORITY": 1845501695, "ICE-CONTROLLING": 7}
        message = stun.Message(
            message_method=stun.Method.BINDING,
            message_class=stun.Class.REQUEST,
            attributes={**attributes, "USE-CANDIDATE": None},
        )
        message.add_message_integrity(self._remote[1].encode())
        return bytes(message)

    def _reply(self, datagram: bytes) -> bytes:
        """Success: Janus checks its paths although it is told to be lite."""
        asked = stun.parse_message(datagram)
        reply = stun.Message(
            message_method=stun.Method.BINDING,
            message_class=stun.Class.RESPONSE,
            transaction_id=asked.transaction_id,
            attributes={"XOR-MAPPED-ADDRESS": self.socket.getpeername()},
        )
        reply.add_message_integrity(self.password.encode())
        return bytes(reply)

    def _shake(self) -> None:
        try:
            self._ssl.do_handshake()
        except SSL.WantReadError:
            self._flush()
            return
        except SSL.Error as error:
            self.fault = str(error)
            self._flush()
            return
        self._flush()
        size = _PROFILE.key_length + _PROFILE.salt_length
        material = self._ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * size, None)
        self.incoming = Crypt(_PROFILE.get_key_and_salt(material, 1), Policy.SSRC_ANY_INBOUND)
        self.outgoing = Crypt(_PROFILE.get_key_and_salt(material, 0), Policy.SSRC_ANY_OUTBOUND)

    def _flush(self) -> None:
        try:
            pending = self._ssl.bio_read(65_536)
        except SSL.WantReadError:
            return
        at = 0
        while at + 13 <= len(pending):
            end = at + 13 + struct.unpack_from("!H", pending, at + 11)[0]
            self._send(pending[at:end])
            at = end

    def _send(self, datagram: bytes) -> None:
        try:
            self.socket.send(datagram)
        except OSError as error:
            self.fault = str(error)


def field(sdp: str, name: str) -> str:
    """The first value of an attribute."""
    return next(line.split(":", 1)[1] for line in sdp.splitlines() if line.startswith(f"a={name}:"))


def sections(sdp: str) -> list[tuple[str, str]]:
    """Kind and mid of each section."""
    found: list[tuple[str, str]] = []
    for line in sdp.splitlines():
        if line.startswith("m="):
            found.append((line[2:].split(" ", 1)[0], ""))
        elif line.startswith("a=mid:"):
            found[-1] = found[-1][0], line[6:]
    return found


def _candidate(sdp: str) -> tuple[str, int]:
    """The first UDP candidate over IPv4."""
    for line in sdp.splitlines():
        words = line.split()
        if line.startswith("a=candidate:") and words[2].lower() == "udp" and ":" not in words[4]:
            return words[4], int(words[5])
    raise ValueError("a description without a candidate")
