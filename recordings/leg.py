"""One leg's way to the disk: its line of records, and the capture files they go to."""

from collections.abc import Callable

from recordings import framelog
from recordings.part import CapturedPart, CapturePart, NewFile, Place
from recordings.partners import FileKind
from recordings.track import TrackCapture
from recordings.vault.store import VaultFailed, VaultFrozen
from telehealth.clock import rfc3339
from telehealth.log import get_logger

_log = get_logger(__name__)


class LegRecorder:
    """Stores what a `TrackCapture` holds. A store that fails costs one part: the same records go to a new one."""

    def __init__(
        self,
        place: Place,
        participant_id: str,
        leg: int,
        track: TrackCapture,
        *,
        next_part: Callable[[], int],
        first_file: NewFile | None,
        on_stored: Callable[[], None],
    ) -> None:
        self.track = track
        self.participant_id = participant_id
        self._place = place
        self._leg = leg
        self._next_part = next_part
        self._first_file = first_file
        self._on_stored = on_stored
        self._part: CapturePart | None = None
        self._parts: list[CapturePart] = []
        self._frozen = False
        self._ended = False

    @property
    def captured(self) -> list[CapturedPart]:
        return [part.captured for part in self._parts]

    @property
    def unused(self) -> NewFile | None:
        """The file that was made ready and never needed."""
        return self._first_file

    async def flush(self, *, last: bool = False) -> None:
        """Make everything in the line durable; `last`, or a closed leg, ends the file.

        Raises VaultFull, VaultFailed when a new part failed too, and the key store's refusals.
        """
        last = last or not self.track.is_open
        if self._frozen or self._ended or not (self.track.has_frames or self._part):
            return
        batch = self.track.take()
        if not batch.segments and not last:
            return
        try:
            await self._store(batch.segments, last)
        except VaultFrozen:
            return
        self._ended = last
        if batch.frames:
            self._on_stored()

    async def progress(self) -> None:
        if self._part is not None:
            await self._part.progress()

    def discard(self) -> None:
        """From this instant nothing more is stored, also nothing that waits."""
        self._frozen = True
        self.track.discard()
        for part in self._parts:
            part.freeze()

    async def close(self) -> None:
        """Let go of all files."""
        for part in self._parts:
            await part.close()

    async def _store(self, segments: list[bytes], last: bool) -> None:
        is_fresh = self._part is None
        try:
            await (self._part or await self._open_part()).store(self._opened(segments, is_fresh), last=last)
        except VaultFailed:
            if self._frozen or self._part is None:
                raise
            _log.warning("capture.part_failed", recording=self._place.recording_id, participant=self.participant_id)
            await self._part.close()
            self._part = None
            await (await self._open_part()).store(self._opened(segments, True), last=last)

    async def _open_part(self) -> CapturePart:
        number = self._next_part()
        file, self._first_file = self._first_file, None
        if file is None:
            file = await self._place.new_file(FileKind.CAPTURE, self.participant_id, number)
        part = CapturePart(file, self._place)
        self._parts.append(part)
        self._part = part
        if self._frozen:
            part.freeze()
        return part

    def _opened(self, segments: list[bytes], is_fresh: bool) -> list[bytes]:
        if not is_fresh:
            return segments
        content: framelog.NoteContent = {
            "note": "part",
            "version": 1,
            "leg": self._leg,
            "part": self._parts[-1].captured.row.part,
            "wall": rfc3339(self._place.clock.now()),
        }
        opening = framelog.note(content, self._place.clock.steady()) + self.track.latest_reports
        return [opening, *segments]
