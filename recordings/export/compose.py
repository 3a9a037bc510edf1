"""Composing: every participant side by side, everybody's sound together, in step by their tracks' offsets.

Pictures are taken 25 times a second, and only where something changed or a second went by; sound in blocks of 20 ms.
"""

import operator
from array import array
from collections.abc import Callable, Sequence

from recordings.export.canvas import Canvas, tiles_of
from recordings.export.cards import card_at
from recordings.export.intake import BLOCK, Intake, Ranges
from recordings.export.outlet import FPS, HeadHeld, Outlet
from recordings.export.wire import Job, Made

_TICK = 1000 // FPS  # milliseconds of a picture
_BLOCKS = _TICK // 20  # of sound in it
_STILL = FPS  # ticks after which an unchanged picture is given again
_SILENCE = array("f", bytes(4 * BLOCK))
Progress = Callable[[int], None]  # milliseconds done


def compose(job: Job, sources: Sequence[Ranges], target: HeadHeld, progress: Progress) -> Made:
    """Write the composed file. `sources`: the tracks' octets, in the job's order."""
    height, tiles = tiles_of(job.tracks, job.height)
    intakes = [Intake(track, ranges) for track, ranges in zip(job.tracks, sources, strict=True)]
    canvas = Canvas(tiles, height)
    size = canvas.width, canvas.height
    outlet = Outlet(target, job.format, size, milliseconds=job.duration_ms, threads=job.threads)
    shown = _Shown(job, intakes, canvas)
    still = 0
    for tick in range(-(-job.duration_ms // _TICK)):
        moment = tick * _TICK
        still = 0 if shown.paint(moment) or tick == 0 else still + 1
        if still % _STILL == 0:
            outlet.picture(canvas.frame(), moment)
        for block in range(tick * _BLOCKS, (tick + 1) * _BLOCKS):
            outlet.sound(_mixed([intake.sound(block) for intake in intakes]), block * BLOCK)
        if tick % FPS == 0:
            progress(moment)
    outlet.finish()
    for intake in intakes:
        intake.close()
    progress(job.duration_ms)
    return Made(job.duration_ms, canvas.width, canvas.height)


class _Shown:
    """What each tile shows; painted again only when that changes."""

    def __init__(self, job: Job, intakes: Sequence[Intake], canvas: Canvas) -> None:
        self._job, self._intakes, self._canvas = job, intakes, canvas
        self._cards: list[str | None] = ["" for _ in intakes]

    def paint(self, moment: int) -> bool:
        changed = [self._tile(number, intake, moment) for number, intake in enumerate(self._intakes)]
        return any(changed)

    def _tile(self, number: int, intake: Intake, moment: int) -> bool:
        fresh = intake.advance(moment)
        card = card_at(intake.job, moment, has_picture=intake.has_picture(moment))
        was, self._cards[number] = self._cards[number], card
        if card is None:
            if fresh or was is not None:
                self._canvas.paint(number, intake.picture)
                return True
            return False
        if card != "no_picture":
            intake.picture = None  # what is shown after a gap was taken after it
        if card != was:
            self._canvas.card(number, intake.job.role, card, self._job.language)
            return True
        return False


def _mixed(voices: Sequence["array[float] | None"]) -> "array[float]":
    """All voices added up; the encoder's own conversion clips."""
    heard = [voice for voice in voices if voice is not None]
    if not heard:
        return _SILENCE
    whole = heard[0]
    for voice in heard[1:]:
        whole = array("f", map(operator.add, whole, voice))
    return whole
