"""The composed picture: one tile for each participant, side by side, on black. YUV 4:2:0, full planes in memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import av

from recordings.export.cards import DRAWN_FOR, role_word, words
from recordings.export.wire import TrackJob

BLACK, GREY = 16, 128
WIDEST = 1920
_LINE = 8  # pixels between the two lines of a card, at a tile of 480
_DEFAULT = (4, 3)  # of a tile without a picture


@dataclass(frozen=True, slots=True)
class Tile:
    """Where a participant's picture is: pixels from the left, width; the height is the canvas's."""

    left: int
    width: int


def tiles_of(tracks: Sequence[TrackJob], height: int) -> tuple[int, list[Tile]]:
    """The common height (even, at most `height`) and each participant's tile, in order; at most 1920 wide together."""
    shapes = [(track.width, track.height) if track.width and track.height else _DEFAULT for track in tracks]
    total = sum(height * width / tall for width, tall in shapes)
    common = int(height * min(1.0, WIDEST / total)) // 2 * 2
    tiles, left = [], 0
    for width, tall in shapes:
        wide = max(16, round(common * width / tall / 16) * 16)
        tiles.append(Tile(left, wide))
        left += wide
    return common, tiles


class Canvas:
    """Tiles are painted one by one; `frame` gives the whole as it stands."""

    def __init__(self, tiles: Sequence[Tile], height: int) -> None:
        self.width = sum(tile.width for tile in tiles)
        self.height = height
        self._tiles = tiles
        self._planes = [
            bytearray([BLACK]) * (self.width * height),
            *(bytearray([GREY]) * (self.width // 2 * (height // 2)) for _ in range(2)),
        ]

    def paint(self, number: int, picture: Any) -> None:
        """A decoded picture, scaled to fit its tile with its own shape, bars where it does not fill it."""
        tile = self._tiles[number]
        wide = min(tile.width, round(self.height * picture.width / picture.height / 2) * 2)
        tall = min(self.height, round(tile.width * picture.height / picture.width / 2) * 2)
        wide, tall = max(2, wide), max(2, tall)
        scaled = picture.reformat(width=wide, height=tall, format="yuv420p", interpolation="FAST_BILINEAR")
        if (wide, tall) != (tile.width, self.height):
            self._clear(number)
        left, top = tile.left + (tile.width - wide) // 4 * 2, (self.height - tall) // 4 * 2
        for plane, shrink in zip(range(3), (1, 2, 2), strict=True):
            source = scaled.planes[plane]
            self._blit(plane, memoryview(source), source.line_size, left // shrink, top // shrink, wide // shrink)

    def card(self, number: int, role: str, word: str, language: str) -> None:
        """A black card: whose it is, and why there is no picture."""
        self._clear(number)
        tile = self._tiles[number]
        scale = self.height / DRAWN_FOR
        lines = [words(language, name, scale) for name in (role_word(role), word)]
        widest = max(width for width, _, _ in lines)
        if widest > tile.width - 8:
            lines = [words(language, name, scale * (tile.width - 8) / widest) for name in (role_word(role), word)]
        pause = round(_LINE * scale)
        top = (self.height - sum(height for _, height, _ in lines) - pause) // 2
        for width, height, grey in lines:
            left = tile.left + max(0, (tile.width - width) // 2)
            self._blit(0, memoryview(_limited(grey)), width, left, max(0, top), min(width, tile.width), height)
            top += height + pause

    def frame(self) -> Any:
        """A copy for an encoder."""
        frame: Any = av.VideoFrame(self.width, self.height, "yuv420p")
        for number, plane in enumerate(frame.planes):
            width = self.width if number == 0 else self.width // 2
            plane.update(_padded(self._planes[number], width, plane.line_size, plane.buffer_size))
        return frame

    def _clear(self, number: int) -> None:
        tile = self._tiles[number]
        for plane, (value, shrink) in enumerate(((BLACK, 1), (GREY, 2), (GREY, 2))):
            row = bytes([value]) * (tile.width // shrink)
            self._blit(
                plane, memoryview(row * (self.height // shrink)), len(row), tile.left // shrink, 0, tile.width // shrink
            )

    def _blit(
        self, plane: int, source: memoryview, stride: int, left: int, top: int, width: int, rows: int | None = None
    ) -> None:
        target = self._planes[plane]
        across = self.width if plane == 0 else self.width // 2
        down = self.height if plane == 0 else self.height // 2
        rows = min(len(source) // stride if rows is None else rows, down - top)
        for row in range(rows):
            at = (top + row) * across + left
            target[at : at + width] = source[row * stride : row * stride + width]


def _limited(grey: bytes) -> bytes:
    """Full-range brightness as video's limited range, 16 to 235."""
    return grey.translate(_LIMITED)


_LIMITED = bytes(16 + value * 219 // 255 for value in range(256))


def _padded(data: bytearray, width: int, stride: int, size: int) -> bytes | bytearray:
    """Rows as long as a codec wants them."""
    if stride == width and size == len(data):
        return data
    pad = bytes(stride - width)
    rows = b"".join(bytes(data[at : at + width]) + pad for at in range(0, len(data), width))
    return rows + bytes(size - len(rows))
