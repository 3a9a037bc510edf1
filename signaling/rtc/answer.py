"""Writing the answer: ICE-lite, one bundle, each section one way (RFC 8829, RFC 8445 §2.5, RFC 9143)."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from signaling.rtc.ice import Credentials
from signaling.rtc.place import Place
from signaling.rtc.sdp import Codec, Offer, Section

_DIRECTIONS = {"sends": "recvonly", "receives": "sendonly", "rests": "inactive"}


@dataclass(frozen=True, slots=True)
class Voice:
    """What we send with in one receiving section: our SSRC, that of its retransmissions, and its place in a stream.

    Sections of one `stream` are played in step.
    """

    ssrc: int
    repair: int | None
    stream: str
    name: str


def write_answer(
    offer: Offer,
    place: Place,
    ours: Credentials,
    session_id: int,
    version: int,
    voices: Mapping[str, Voice] = MappingProxyType({}),
) -> str:
    """The SDP answer to `offer`: its m-lines in its order, those we do not take with port 0.

    `voices`, by mid: what we send in each of its receiving sections.
    """
    mids = " ".join(section.mid for section in offer.sections if section.codec is not None)
    lines = [
        "v=0",
        f"o=- {session_id} {version} IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=ice-lite",
        f"a=group:BUNDLE {mids}",
    ]
    for section in offer.sections:
        if section.codec is None:
            lines += _refused(section)
        else:
            lines += _accepted(section, section.codec, place, ours)
            lines += _sources(voices.get(section.mid), section)
    return "\r\n".join(lines) + "\r\n"


def _refused(section: Section) -> list[str]:
    return [
        f"m={section.kind} 0 {section.profile} {section.form}",
        "c=IN IP4 0.0.0.0",
        "a=inactive",
        f"a=mid:{section.mid}",
    ]


def _accepted(section: Section, codec: Codec, place: Place, ours: Credentials) -> list[str]:
    types = f"{codec.payload_type}" + (f" {codec.rtx}" if codec.rtx is not None else "")
    return [
        f"m={section.kind} {place.port} {section.profile} {types}",
        f"c=IN {_family(place.addresses[0])} {place.addresses[0]}",
        f"a={_DIRECTIONS[section.direction]}",
        f"a=mid:{section.mid}",
        "a=rtcp-mux",
        "a=rtcp-rsize",
        "a=setup:passive",
        f"a=ice-ufrag:{ours.ufrag}",
        f"a=ice-pwd:{ours.password.reveal()}",
        f"a=fingerprint:{place.fingerprint[0]} {place.fingerprint[1]}",
        *(f"a=extmap:{number} {uri}" for number, uri in section.extensions),
        *(_audio(codec) if section.kind == "audio" else _video(codec)),
        *place.candidates(),
        "a=end-of-candidates",
    ]


def _audio(codec: Codec) -> list[str]:
    return [
        f"a=rtpmap:{codec.payload_type} opus/48000/2",
        f"a=fmtp:{codec.payload_type} minptime=10;useinbandfec=1",
        *(f"a=rtcp-fb:{codec.payload_type} {item}" for item in codec.feedback),
    ]


def _video(codec: Codec) -> list[str]:
    lines = [f"a=rtpmap:{codec.payload_type} VP8/90000"]
    lines += [f"a=rtcp-fb:{codec.payload_type} {item}" for item in codec.feedback]
    if codec.rtx is not None:
        lines += [f"a=rtpmap:{codec.rtx} rtx/90000", f"a=fmtp:{codec.rtx} apt={codec.payload_type}"]
    return lines


def _sources(voice: Voice | None, section: Section) -> list[str]:
    """Names what we send before it comes, so that no section is guessed from a payload type."""
    if voice is None or section.direction != "receives":
        return []
    lines = [f"a=msid:{voice.stream} {voice.name}"]
    if voice.repair is not None:
        lines.append(f"a=ssrc-group:FID {voice.ssrc} {voice.repair}")
    named = [voice.ssrc] if voice.repair is None else [voice.ssrc, voice.repair]
    return lines + [f"a=ssrc:{ssrc} cname:{voice.stream}" for ssrc in named]


def _family(address: str) -> str:
    return "IP6" if ":" in address else "IP4"
