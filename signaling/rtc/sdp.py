"""Reading an offer: limits first, then aiortc's parser, then our own checks. What passes is a frozen value."""

import re
from dataclasses import dataclass
from typing import Any, ClassVar

from aiortc.sdp import MediaDescription, SessionDescription

from telehealth.errors import Reason, Refusal
from telehealth.frames import TrackKind

LARGEST_OFFER = 65_536  # octets
_MOST_LINES = 4_000
_MOST_CANDIDATES = 200
_MOST_SECTIONS = 8
_MOST_LINES_PER_SECTION = 256
_PARSER_ERRORS = (AssertionError, AttributeError, LookupError, StopIteration, TypeError, ValueError)
_PLAIN = re.compile(r"[\x20-\x7e\r\n]*")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]{1,32}")
_ICE = re.compile(r"[A-Za-z0-9+/]{4,256}")
_DIGEST_LENGTH = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
_KEPT = frozenset(
    [
        *("mid", "rtcp-mux", "sendrecv", "sendonly", "recvonly", "inactive", "rtpmap", "fmtp"),
        *("setup", "fingerprint", "ice-ufrag", "ice-pwd", "group", "ssrc", "ssrc-group"),
    ]
)
_FEEDBACK = ("goog-remb", "ccm fir", "nack", "nack pli")
_KINDS = ("audio", "video", "application", "text", "message")
_EXTENSIONS = (
    "urn:ietf:params:rtp-hdrext:sdes:mid",
    "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
)
_PROFILE = "UDP/TLS/RTP/SAVPF"


class OfferRefused(Refusal):
    """An offer we cannot or will not answer. `fault` is a stable word for tests and logs, never part of the offer."""

    code: ClassVar[str] = "offer_refused"
    reason: ClassVar[Reason] = Reason.INVALID
    message: ClassVar[str] = "The connection offer cannot be used."

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Codec:
    """An accepted payload type. `rtx` is the payload type of its retransmissions."""

    payload_type: int
    feedback: tuple[str, ...]
    rtx: int | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """One m-line. Only one with a `codec` is accepted."""

    kind: str
    profile: str
    form: str
    mid: str
    extensions: tuple[tuple[int, str], ...] = ()
    codec: Codec | None = None
    ssrc: int | None = None


@dataclass(frozen=True, slots=True)
class Payloads:
    """Which payload type belongs to which track, in one bundle."""

    audio: int | None
    video: int | None
    rtx: int | None
    nack: bool
    video_ssrc: int | None

    def kind(self, payload_type: int) -> TrackKind | None:
        if payload_type == self.audio:
            return "audio"
        return "video" if payload_type == self.video else None


@dataclass(frozen=True, slots=True)
class Offer:
    """What a browser offers, as far as we use it. `fingerprints`: (hash name, upper-case hex with colons)."""

    sections: tuple[Section, ...]
    ufrag: str
    password: str
    fingerprints: frozenset[tuple[str, str]]

    @property
    def payloads(self) -> Payloads:
        chosen = {section.kind: section for section in self.sections if section.codec is not None}
        audio, video = chosen.get("audio"), chosen.get("video")
        codec = video.codec if video else None
        return Payloads(
            audio=audio.codec.payload_type if audio and audio.codec else None,
            video=codec.payload_type if codec else None,
            rtx=codec.rtx if codec else None,
            nack=codec is not None and "nack" in codec.feedback,
            video_ssrc=video.ssrc if video else None,
        )


def parse_offer(text: str) -> Offer:
    """Read an SDP offer in bounded time. Raises OfferRefused whatever is wrong with it."""
    kept, bundle_only = _reduce(text)
    try:
        session = SessionDescription.parse(kept)
        return _read(session, bundle_only)
    except _PARSER_ERRORS as error:
        raise OfferRefused("unreadable") from error


def _reduce(text: str) -> tuple[str, set[int]]:
    """Keep the lines we use; the second answer counts the m-lines marked bundle-only (port 0 means no there)."""
    if len(text) > LARGEST_OFFER:
        raise OfferRefused("too_large")
    if not _PLAIN.fullmatch(text):
        raise OfferRefused("not_plain")
    lines = text.splitlines()
    if len(lines) > _MOST_LINES:
        raise OfferRefused("too_many_lines")
    sections: list[dict[str, None]] = [{}]
    bundle_only: set[int] = set()
    candidates = 0
    for line in lines:
        if line.startswith("m="):
            sections.append({})
        name = line[2:].split(":", 1)[0] if line.startswith("a=") else ""
        if name == "bundle-only":
            bundle_only.add(len(sections) - 2)
        candidates += name == "candidate"
        if line.startswith(("v=", "m=")) or _is_kept(name, line):
            sections[-1][line] = None
        if len(sections) - 1 > _MOST_SECTIONS or len(sections[-1]) > _MOST_LINES_PER_SECTION:
            raise OfferRefused("too_many_lines")
    if candidates > _MOST_CANDIDATES:
        raise OfferRefused("too_many_lines")
    return "\r\n".join(line for section in sections for line in section) + "\r\n", bundle_only


def _is_kept(name: str, line: str) -> bool:
    """Whether the parser needs the line. It would forget the direction of `extmap:3/recvonly`, so that goes."""
    if name == "extmap":
        return "/" not in line.split(" ", 1)[0]
    if name == "rtcp-fb":
        return line.partition(" ")[2] in _FEEDBACK
    return name in _KEPT


def _read(session: Any, bundle_only: set[int]) -> Offer:
    bundled = {str(item) for group in session.group if group.semantic == "BUNDLE" for item in group.items}
    taken: set[str] = set()
    sections: list[Section] = []
    accepted: list[MediaDescription] = []
    for index, media in enumerate(session.media):
        section = _plain_section(media)
        open_ = media.port != 0 or index in bundle_only
        if open_ and section.mid in bundled and media.kind not in taken:
            codec = _choose(media)
            if codec is not None:
                taken.add(media.kind)
                accepted.append(media)
                section = _with_codec(section, media, codec)
        sections.append(section)
    if not accepted:
        raise OfferRefused("nothing_to_receive")
    if len({section.mid for section in sections}) != len(sections):
        raise OfferRefused("mid_twice")
    _check_payload_types(sections)
    ufrag, password = _credentials(accepted[0])
    return Offer(tuple(sections), ufrag, password, _fingerprints(accepted))


def _plain_section(media: Any) -> Section:
    mid, form = str(media.rtp.muxId), str(media.fmt[0])
    if media.kind not in _KINDS or not _TOKEN.fullmatch(mid) or not _TOKEN.fullmatch(form):
        raise OfferRefused("section")
    if not re.fullmatch(r"[A-Z/]{1,32}", media.profile):
        raise OfferRefused("section")
    return Section(media.kind, media.profile, form, mid)


def _with_codec(section: Section, media: Any, codec: Codec) -> Section:
    extensions = tuple(
        (header.id, header.uri)
        for header in media.rtp.headerExtensions[:32]
        if header.uri in _EXTENSIONS and 1 <= header.id <= 255
    )
    repeats = {group.items[1] for group in media.ssrc_group if group.semantic == "FID" and len(group.items) == 2}
    sources = [source.ssrc for source in media.ssrc if 0 < source.ssrc <= 0xFFFFFFFF and source.ssrc not in repeats]
    ssrc = sources[0] if sources else None
    return Section(section.kind, section.profile, section.form, section.mid, extensions, codec, ssrc)


def _choose(media: Any) -> Codec | None:
    """The codec we take from a section that sends; None if there is none or the section is no use."""
    if media.kind not in ("audio", "video") or media.profile != _PROFILE:
        return None
    if media.direction not in (None, "sendrecv", "sendonly") or not media.rtcp_mux:
        return None
    wanted = ("opus", 48_000, 2) if media.kind == "audio" else ("vp8", 90_000, None)
    for codec in media.rtp.codecs:
        if (codec.name.lower(), codec.clockRate, codec.channels) == wanted and codec.payloadType in media.fmt:
            break
    else:
        return None
    if media.kind == "audio":
        return Codec(codec.payloadType, ())
    offered = {f"{item.type} {item.parameter or ''}".strip() for item in codec.rtcpFeedback}
    feedback = tuple(item for item in _FEEDBACK if item in offered)
    return Codec(codec.payloadType, feedback, _retransmission(media, codec.payloadType))


def _retransmission(media: Any, payload_type: int) -> int | None:
    for codec in media.rtp.codecs:
        if codec.name.lower() == "rtx" and codec.parameters.get("apt") == payload_type:
            return int(codec.payloadType) if codec.payloadType in media.fmt else None
    return None


def _check_payload_types(sections: list[Section]) -> None:
    chosen = [section.codec for section in sections if section.codec is not None]
    used = [codec.payload_type for codec in chosen] + [codec.rtx for codec in chosen if codec.rtx is not None]
    if len(set(used)) != len(used) or any(not 0 <= number <= 127 or 64 <= number <= 95 for number in used):
        raise OfferRefused("payload_types")


def _credentials(media: Any) -> tuple[str, str]:
    ufrag, password = media.ice.usernameFragment, media.ice.password
    if not ufrag or not password or not _ICE.fullmatch(ufrag) or not _ICE.fullmatch(password) or len(password) < 22:
        raise OfferRefused("ice_credentials")
    return ufrag, password


def _fingerprints(accepted: list[MediaDescription]) -> frozenset[tuple[str, str]]:
    """The fingerprints of the bundle. Every m-line must agree and leave the passive DTLS role to us."""
    sets = set()
    for media in accepted:
        if media.dtls is None or media.dtls.role not in ("auto", "client"):
            raise OfferRefused("dtls_role")
        found = {(item.algorithm.lower(), item.value.upper()) for item in media.dtls.fingerprints}
        sets.add(frozenset(item for item in found if item[0] in _DIGEST_LENGTH))
    if len(sets) != 1:
        raise OfferRefused("fingerprints")
    fingerprints = sets.pop()
    for name, value in fingerprints:
        if not re.fullmatch(r"([0-9A-F]{2}:)+[0-9A-F]{2}", value) or len(value) != 3 * _DIGEST_LENGTH[name] - 1:
            raise OfferRefused("fingerprints")
    if not fingerprints:
        raise OfferRefused("fingerprints")
    return fingerprints
