"""The worker's end of an attached sink: frames leave for the server as long as it takes them."""

from collections.abc import Callable

from signaling.workers import words
from signaling.workers.wire import Kind, Line
from telehealth.frames import EncodedFrame, TrackKind


class Dispatch:
    """A FrameSink that sends. Full means: frames are left out until half has gone, the server is told so (BEHIND), and
    video goes on with its next key frame, which is asked for."""

    def __init__(self, line: Line, leg: int, attachment: int, at_most: int, ask_key: Callable[[], None]) -> None:
        self._line = line
        self._leg = leg
        self._attachment = attachment
        self._at_most = at_most
        self._ask_key = ask_key
        self._since: float | None = None  # when the first frame was left out
        self._left_out: dict[TrackKind, int] = {"audio": 0, "video": 0}
        self._needs_key = False

    def frame(self, frame: EncodedFrame) -> None:
        if not self._room(frame):
            self._since = frame.arrived if self._since is None else self._since
            self._left_out[frame.kind] += 1
            return
        if self._since is not None:
            self._tell()
        if frame.kind == "video":
            if self._needs_key and not frame.key:
                return
            self._needs_key = False
        self._line.say(Kind.FRAME, self._leg, words.framed(self._attachment, frame))

    def sender_report(self, kind: TrackKind, timestamp: int, ntp: int) -> None:
        if self._line.backlog <= self._at_most:
            self._line.say(Kind.REPORT, self._leg, words.reported(self._attachment, kind, timestamp, ntp))

    def lost(self, kind: TrackKind, packets: int) -> None:
        if self._since is not None:
            self._left_out[kind] += packets
        else:
            self._line.say(Kind.LOST, self._leg, words.told(words.Lost(self._attachment, kind, packets)))

    def leg_closed(self, reason: str) -> None:
        """The server hears of the end from the leg itself; here only of what it missed."""
        if self._since is not None:
            self._tell()

    def _room(self, frame: EncodedFrame) -> bool:
        backlog = self._line.backlog
        return backlog <= self._at_most // 2 if self._since is not None else backlog + len(frame.data) <= self._at_most

    def _tell(self) -> None:
        behind = words.Behind(self._attachment, self._since or 0.0, self._left_out["audio"], self._left_out["video"])
        self._line.say(Kind.BEHIND, self._leg, words.told(behind))
        self._since = None
        if self._left_out["video"]:
            self._needs_key = True
            self._ask_key()
        self._left_out = {"audio": 0, "video": 0}
