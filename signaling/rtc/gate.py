"""The end of a leg as its sink sees it: one last call, and nothing after it."""

from telehealth.frames import EncodedFrame, FrameSink, TrackKind


class Gate:
    """A sink before the sink. Once shut it passes nothing on, even if the sink itself ended the leg within a call."""

    __slots__ = ("_sink",)

    def __init__(self, sink: FrameSink) -> None:
        self._sink: FrameSink | None = sink

    def frame(self, frame: EncodedFrame) -> None:
        if self._sink is not None:
            self._sink.frame(frame)

    def sender_report(self, kind: TrackKind, timestamp: int, ntp: int) -> None:
        if self._sink is not None:
            self._sink.sender_report(kind, timestamp, ntp)

    def lost(self, kind: TrackKind, packets: int) -> None:
        if self._sink is not None:
            self._sink.lost(kind, packets)

    def leg_closed(self, reason: str) -> None:
        """Shut, and tell the sink once."""
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.leg_closed(reason)
