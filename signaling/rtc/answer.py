"""Writing the answer: ICE-lite, receive-only, one bundle (RFC 8829, RFC 8445 §2.5, RFC 9143)."""

from collections.abc import Sequence
from dataclasses import dataclass

from signaling.rtc.ice import Credentials
from signaling.rtc.sdp import Codec, Offer, Section

_HIGHEST_PRIORITY = 126 << 24 | 65_535 << 8 | 255  # a host candidate, RFC 8445 §5.1.2.1


@dataclass(frozen=True, slots=True)
class Place:
    """Where browsers reach the port, best address first, and the fingerprint of its certificate."""

    addresses: tuple[str, ...]
    port: int
    fingerprint: tuple[str, str]


def write_answer(offer: Offer, place: Place, ours: Credentials, session_id: int, version: int) -> str:
    """The SDP answer to `offer`: its m-lines in its order, those we do not take with port 0."""
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
        "a=recvonly",
        f"a=mid:{section.mid}",
        "a=rtcp-mux",
        "a=rtcp-rsize",
        "a=setup:passive",
        f"a=ice-ufrag:{ours.ufrag}",
        f"a=ice-pwd:{ours.password.reveal()}",
        f"a=fingerprint:{place.fingerprint[0]} {place.fingerprint[1]}",
        *(f"a=extmap:{number} {uri}" for number, uri in section.extensions),
        *(_audio(codec) if section.kind == "audio" else _video(codec)),
        *_candidates(place.addresses, place.port),
        "a=end-of-candidates",
    ]


def _audio(codec: Codec) -> list[str]:
    return [f"a=rtpmap:{codec.payload_type} opus/48000/2", f"a=fmtp:{codec.payload_type} minptime=10;useinbandfec=1"]


def _video(codec: Codec) -> list[str]:
    lines = [f"a=rtpmap:{codec.payload_type} VP8/90000"]
    lines += [f"a=rtcp-fb:{codec.payload_type} {item}" for item in codec.feedback]
    if codec.rtx is not None:
        lines += [f"a=rtpmap:{codec.rtx} rtx/90000", f"a=fmtp:{codec.rtx} apt={codec.payload_type}"]
    return lines


def _candidates(addresses: Sequence[str], port: int) -> list[str]:
    return [
        f"a=candidate:{rank} 1 udp {_HIGHEST_PRIORITY - (rank << 8)} {address} {port} typ host"
        for rank, address in enumerate(addresses)
    ]


def _family(address: str) -> str:
    return "IP6" if ":" in address else "IP4"
