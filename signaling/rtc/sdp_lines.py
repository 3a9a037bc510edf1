"""An offer's text before anything parses it: within limits, and cut down to the lines we use."""

import re
from typing import ClassVar

from telehealth.errors import Reason, Refusal

LARGEST_OFFER = 131_072  # octets; a browser writes some 5,000 for a video section
FEEDBACK = ("goog-remb", "ccm fir", "nack", "nack pli")
_MOST_LINES = 6_000
_MOST_CANDIDATES = 200
_MOST_SECTIONS = 32
_MOST_LINES_PER_SECTION = 256
_MOST_CODECS = 32  # of a section, retransmission of each counted
_PLAIN = re.compile(r"[\x20-\x7e\r\n]*")
_CODECS = ("opus/48000/2", "vp8/90000", "rtx/90000")
_KEPT = frozenset(
    [
        *("mid", "rtcp-mux", "sendrecv", "sendonly", "recvonly", "inactive"),
        *("setup", "fingerprint", "ice-ufrag", "ice-pwd", "group", "ssrc", "ssrc-group"),
    ]
)


class OfferRefused(Refusal):
    """An offer we cannot or will not answer. `fault` is a stable word for tests and logs, never part of the offer."""

    code: ClassVar[str] = "offer_refused"
    reason: ClassVar[Reason] = Reason.INVALID
    message: ClassVar[str] = "The connection offer cannot be used."

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault


def reduced(text: str) -> tuple[str, set[int]]:
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
    return "\r\n".join(line for section in sections for line in _without_other_codecs(section)) + "\r\n", bundle_only


def _without_other_codecs(section: dict[str, None]) -> list[str]:
    """The lines of a section less what it says of codecs that are not ours: browsers name a dozen."""
    ours = [line[len("a=rtpmap:") :].partition(" ")[0] for line in section if line.startswith("a=rtpmap:")]
    if len(ours) > _MOST_CODECS:
        raise OfferRefused("too_many_lines")
    known = {"*", *ours}
    return [
        line
        for line in section
        if not line.startswith(("a=rtcp-fb:", "a=fmtp:")) or line.partition(":")[2].partition(" ")[0] in known
    ]


def _is_kept(name: str, line: str) -> bool:
    """Whether the parser needs the line. It would forget the direction of `extmap:3/recvonly`, so that goes."""
    if name == "extmap":
        return "/" not in line.split(" ", 1)[0]
    if name == "rtcp-fb":
        return line.partition(" ")[2] in FEEDBACK
    if name == "rtpmap":
        return line.partition(" ")[2].lower() in _CODECS or " " not in line
    if name == "fmtp":
        return " apt=" in line
    return name in _KEPT
