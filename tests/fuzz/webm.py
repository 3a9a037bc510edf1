"""What the network sends, as it becomes a file."""

from recordings import framelog
from recordings.remux import Plan, Weaver, lay_out
from recordings.survey import Survey
from recordings.webm import picture_size
from telehealth.frames import TrackKind
from tests.fuzz.pieces import apart, joined

_KEY_FRAME = bytes.fromhex("3000009d012a40014000f000")


def one_webm(octets: bytes) -> None:
    """Frames with times and sizes of anybody's choice become a file whose every element ends where it says."""
    part: framelog.NoteContent = {
        "note": "part",
        "version": 1,
        "leg": 0,
        "part": 0,
        "wall": "2026-11-22T09:00:00.000Z",
    }
    segment = framelog.note(part, 1000.0) + framelog.frame("audio", b"\xf8", 0, True, 1000.0)
    arrived, stamp = 1000.0, 0
    for piece in apart(octets):
        kind: TrackKind = "video" if piece[:1] > b"\x7f" else "audio"
        stamp += int.from_bytes(piece[1:5], "big")
        arrived += int.from_bytes(piece[5:7], "big") / 1000  # ten thousand frames in a week at most
        data = piece[7:]
        picture_size(data)
        key = kind == "audio" or (bool(data) and not data[0] & 1)
        segment += framelog.frame(kind, data, stamp, key, arrived)
    survey = Survey()
    survey.consume(segment)
    film = lay_out(Plan.of(survey, min(survey.first_moments().values())))
    weaver = Weaver(film)
    weaver.consume(segment)
    weaver.close()
    file = b"".join(weaver.take())
    assert _elements(file) == [0x1A45DFA3, 0x18538067]


def _elements(octets: bytes) -> list[int]:
    """The elements of a file, those in Segment and Cluster looked at as well; nothing is left over (RFC 8794)."""
    at, found = 0, []
    while at < len(octets):
        width = 9 - octets[at].bit_length()
        ident, at = int.from_bytes(octets[at : at + width], "big"), at + width
        width = 9 - octets[at].bit_length()
        size = int.from_bytes(octets[at : at + width], "big") & (1 << 7 * width) - 1
        at += width + size
        assert at <= len(octets)
        found.append(ident)
        if ident in (0x18538067, 0x1F43B675):
            _elements(octets[at - size : at])
    return found


def frames() -> bytes:
    """A key frame, then sound and pictures in turn."""
    pieces = [b"\x80" + bytes(6) + _KEY_FRAME]
    for number in range(1, 20):
        step = (960).to_bytes(4, "big") + (2).to_bytes(2, "big")
        pieces.append((b"\x80" if number % 2 else b"\x01") + step + b"\x31" + bytes(40))
    return joined(*pieces)
