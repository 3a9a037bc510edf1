"""Black cards with quiet words, shown where there is no picture of a participant.

The words are small pictures in `cards/`, drawn once by a browser (`draw_cards`), because a row of letters is not yet
Arabic: shaping and direction need more than a codec has.
"""

import functools
from pathlib import Path
from typing import Any

import av

from recordings.export.wire import TrackJob

FOLDER = Path(__file__).parent / "cards"
LANGUAGES = ("en", "ar")
WORDS = ("not_begun", "no_consent", "paused", "no_media", "no_picture", "ended")
ROLES = ("patient", "clinician", "guest")
DRAWN_FOR = 480  # pixels of a tile's height that the pictures were drawn for
_WITHDRAWN = frozenset({"consent_withdrawn", "withdrawn", "no_consent", "newcomer_unconsented", "consent"})


def card_at(track: TrackJob, moment: int, *, has_picture: bool) -> str | None:
    """Which card a participant has at `moment` (milliseconds of the recording); None: their picture."""
    if moment < track.start_ms:
        return "not_begun"
    if moment >= track.start_ms + track.duration_ms:
        return "ended"
    for gap in track.gaps:
        if gap.from_ms <= moment < gap.to_ms:
            return gap_card(gap.reason)
    return None if has_picture else "no_picture"


def gap_card(reason: str) -> str:
    """The card of a gap by its reason."""
    if reason in _WITHDRAWN:
        return "no_consent"
    return "no_media" if reason in ("no_media", "recorder_too_slow") else "paused"


@functools.cache
def words(language: str, name: str, scale: float) -> tuple[int, int, bytes]:
    """Width, height and brightness (one octet a pixel) of a drawn word. `scale`: 1 at a tile of 480 pixels."""
    language = language if language in LANGUAGES else "en"
    container: Any = av.open(str(FOLDER / f"{language}.{name}.png"))
    with container:
        picture = next(container.decode(video=0))
    width, height = (max(2, round(side * scale) // 2 * 2) for side in (picture.width, picture.height))
    grey = picture.reformat(width=width, height=height, format="gray")
    plane = grey.planes[0]
    data, stride = bytes(plane), plane.line_size
    return width, height, b"".join(data[row * stride : row * stride + width] for row in range(height))


def role_word(role: str) -> str:
    """The drawn word for a role."""
    return f"role_{role}" if role in ROLES else "role_guest"
