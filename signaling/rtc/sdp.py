"""Reading an offer: limits first, then aiortc's parser, then our own checks. What passes is a frozen value."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from aiortc.sdp import MediaDescription, SessionDescription

from signaling.rtc.sdp_lines import FEEDBACK, OfferRefused, reduced

__all__ = ["LEVEL", "MID", "SEND_TIME", "Codec", "Direction", "Offer", "OfferRefused"]
__all__ += ["Section", "Source", "parse_offer"]

MOST_RECEIVING = 24
_PARSER_ERRORS = (AssertionError, AttributeError, LookupError, StopIteration, TypeError, ValueError)
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]{1,32}")
_ICE = re.compile(r"[A-Za-z0-9+/]{4,256}")
_DIGEST_LENGTH = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
_KINDS = ("audio", "video", "application", "text", "message")
MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
_EXTENSIONS = (MID, SEND_TIME, LEVEL)
_PROFILE = "UDP/TLS/RTP/SAVPF"


@dataclass(frozen=True, slots=True)
class Codec:
    """An accepted payload type. `rtx` is the payload type of its retransmissions."""

    payload_type: int
    feedback: tuple[str, ...]
    rtx: int | None = None


Source = Literal["audio", "camera", "screen"]
Direction = Literal["sends", "receives", "rests"]


@dataclass(frozen=True, slots=True)
class Section:
    """One m-line as the browser sees it. Only one with a `codec` is accepted.

    `source` says what it is if it ever sent; `ssrc` and `repair` are the sources it names, the second for RTX.
    """

    kind: str
    profile: str
    form: str
    mid: str
    extensions: tuple[tuple[int, str], ...] = ()
    codec: Codec | None = None
    direction: Direction = "rests"
    source: Source | None = None
    ssrc: int | None = None
    repair: int | None = None

    def extension(self, uri: str) -> int | None:
        """The number of a header extension here; None if it was not agreed."""
        return next((number for number, name in self.extensions if name == uri), None)


@dataclass(frozen=True, slots=True)
class Offer:
    """What a browser offers, as far as we use it. `fingerprints`: (hash name, upper-case hex with colons)."""

    sections: tuple[Section, ...]
    ufrag: str
    password: str
    fingerprints: frozenset[tuple[str, str]]

    @property
    def sending(self) -> tuple[Section, ...]:
        """The accepted sections that send now."""
        return tuple(section for section in self.sections if section.direction == "sends" and section.codec)

    @property
    def receiving(self) -> tuple[Section, ...]:
        """The accepted sections that only receive."""
        return tuple(section for section in self.sections if section.direction == "receives" and section.codec)

    @property
    def sources(self) -> dict[str, Source]:
        """What each section is that sends or sent, by mid."""
        return {section.mid: section.source for section in self.sections if section.source is not None}


def parse_offer(text: str, *, room: bool = False, known: Mapping[str, Source] | None = None) -> Offer:
    """Read an SDP offer in bounded time. Raises OfferRefused whatever is wrong with it.

    In a `room` sections may receive as well. `known` says what sections of earlier offers of this browser are, by mid.
    """
    kept, bundle_only = reduced(text)
    try:
        session = SessionDescription.parse(kept)
        return _read(session, bundle_only, room, dict(known or {}))
    except _PARSER_ERRORS as error:
        raise OfferRefused("unreadable") from error


def _read(session: Any, bundle_only: set[int], room: bool, known: dict[str, Source]) -> Offer:
    bundled = {str(item) for group in session.group if group.semantic == "BUNDLE" for item in group.items}
    sections: list[Section] = []
    accepted: list[MediaDescription] = []
    for index, media in enumerate(session.media):
        section = _plain_section(media)
        direction = _direction(media, section.mid, room, known)
        if (media.port != 0 or index in bundle_only) and section.mid in bundled and direction is not None:
            codec = _choose(media)
            if codec is not None and (direction != "sends" or _name(section, known)):
                accepted.append(media)
                section = _with_codec(section, media, codec, direction, known.get(section.mid))
        sections.append(section)
    _check_sections(sections, room)
    ufrag, password = _credentials(accepted[0])
    return Offer(tuple(sections), ufrag, password, _fingerprints(accepted))


def _direction(media: Any, mid: str, room: bool, known: Mapping[str, Source]) -> Direction | None:
    """What the browser does in a section; None if we have no use for it."""
    if media.direction in (None, "sendrecv", "sendonly"):
        return "sends"
    if mid in known:
        return "rests"
    if not room:
        return None
    return "rests" if media.direction == "inactive" else "receives"


def _name(section: Section, known: dict[str, Source]) -> bool:
    """Say what a section that sends is, by its place among those of its kind; False if there are enough already."""
    if section.mid not in known:
        names: tuple[Source, ...] = ("audio",) if section.kind == "audio" else ("camera", "screen")
        free = [name for name in names if name not in known.values()]
        if not free:
            return False
        known[section.mid] = free[0]
    return True


def _check_sections(sections: list[Section], room: bool) -> None:
    directions = [section.direction for section in sections if section.codec is not None]
    if not (directions if room else "sends" in directions):
        raise OfferRefused("nothing_to_receive")
    if directions.count("receives") > MOST_RECEIVING:
        raise OfferRefused("too_many_sections")
    if len({section.mid for section in sections}) != len(sections):
        raise OfferRefused("mid_twice")
    named = [ssrc for section in sections for ssrc in (section.ssrc, section.repair) if ssrc is not None]
    if len(set(named)) != len(named):
        raise OfferRefused("ssrc_twice")
    _check_payload_types(sections)


def _plain_section(media: Any) -> Section:
    mid, form = str(media.rtp.muxId), str(media.fmt[0])
    if media.kind not in _KINDS or not _TOKEN.fullmatch(mid) or not _TOKEN.fullmatch(form):
        raise OfferRefused("section")
    if not re.fullmatch(r"[A-Z/]{1,32}", media.profile):
        raise OfferRefused("section")
    return Section(media.kind, media.profile, form, mid)


def _with_codec(section: Section, media: Any, codec: Codec, direction: Direction, source: Source | None) -> Section:
    extensions = tuple(
        (header.id, header.uri)
        for header in media.rtp.headerExtensions[:32]
        if header.uri in _EXTENSIONS and 1 <= header.id <= 255
    )
    ssrc, repair = _sources(media) if direction == "sends" else (None, None)
    return replace(
        section, extensions=extensions, codec=codec, direction=direction, source=source, ssrc=ssrc, repair=repair
    )


def _sources(media: Any) -> tuple[int | None, int | None]:
    """The SSRC a section sends with and the one that repeats it (RFC 4588 §8.8), as far as it names them."""
    pairs = {
        int(group.items[0]): int(group.items[1])
        for group in media.ssrc_group
        if group.semantic == "FID" and len(group.items) == 2
    }
    named = [source.ssrc for source in media.ssrc if 0 < source.ssrc <= 0xFFFFFFFF]
    originals = [ssrc for ssrc in named if ssrc not in pairs.values()]
    if not originals:
        return None, None
    repair = pairs.get(originals[0])
    return originals[0], repair if repair in named or repair is None or 0 < repair <= 0xFFFFFFFF else None


def _choose(media: Any) -> Codec | None:
    """The codec we take in a section; None if there is none or the section is no use."""
    if media.kind not in ("audio", "video") or media.profile != _PROFILE or not media.rtcp_mux:
        return None
    wanted = ("opus", 48_000, 2) if media.kind == "audio" else ("vp8", 90_000, None)
    for codec in media.rtp.codecs:
        if (codec.name.lower(), codec.clockRate, codec.channels) == wanted and codec.payloadType in media.fmt:
            break
    else:
        return None
    offered = {f"{item.type} {item.parameter or ''}".strip() for item in codec.rtcpFeedback}
    feedback = tuple(item for item in FEEDBACK if item in offered and (media.kind == "video" or item == "nack"))
    repeats = _retransmission(media, codec.payloadType) if media.kind == "video" else None
    return Codec(codec.payloadType, feedback, repeats)


def _retransmission(media: Any, payload_type: int) -> int | None:
    for codec in media.rtp.codecs:
        if codec.name.lower() == "rtx" and codec.parameters.get("apt") == payload_type:
            return int(codec.payloadType) if codec.payloadType in media.fmt else None
    return None


def _check_payload_types(sections: list[Section]) -> None:
    """One payload type means one format throughout a bundle (RFC 9143 §9.1)."""
    meanings: dict[int, str] = {}
    for section in sections:
        if section.codec is None:
            continue
        meant = {section.codec.payload_type: section.kind}
        if section.codec.rtx == section.codec.payload_type:
            raise OfferRefused("payload_types")
        if section.codec.rtx is not None:
            meant[section.codec.rtx] = f"rtx of {section.codec.payload_type}"
        for number, meaning in meant.items():
            if meanings.setdefault(number, meaning) != meaning or not 0 <= number <= 127 or 64 <= number <= 95:
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
