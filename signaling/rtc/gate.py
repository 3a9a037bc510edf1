"""The end of a leg as its sink sees it: one last call, and nothing after it."""

from collections.abc import Callable
from typing import ParamSpec

from telehealth.frames import EncodedFrame, FrameSink, TrackKind
from telehealth.log import get_logger

P = ParamSpec("P")

log = get_logger(__name__)


class Gate:
    """A sink before the sink. Once shut it passes nothing on, even if the sink itself ended the leg within a call.

    If the sink raises, `failed` is called with a reason; without it the fault goes on to whoever brought the frame.
    """

    __slots__ = ("_failed", "_sink")

    def __init__(self, sink: FrameSink, failed: Callable[[str], None] | None = None) -> None:
        self._sink: FrameSink | None = sink
        self._failed = failed

    @property
    def open(self) -> bool:
        """Whether anything still goes to the sink."""
        return self._sink is not None

    def frame(self, frame: EncodedFrame) -> None:
        if self._sink is not None:
            try:
                self._sink.frame(frame)
            except Exception as error:  # noqa: BLE001 -- told or raised again below
                self._fault(error)

    def sender_report(self, kind: TrackKind, timestamp: int, ntp: int) -> None:
        if self._sink is not None:
            self._pass(self._sink.sender_report, kind, timestamp, ntp)

    def lost(self, kind: TrackKind, packets: int) -> None:
        if self._sink is not None:
            self._pass(self._sink.lost, kind, packets)

    def leg_closed(self, reason: str) -> None:
        """Shut, and tell the sink once."""
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.leg_closed(reason)

    def _pass(self, act: Callable[P, None], *given: P.args, **named: P.kwargs) -> None:
        """The call outlives its recorder; a leg that is only recorded does not."""
        try:
            act(*given, **named)
        except Exception as error:  # noqa: BLE001 -- told or raised again below
            self._fault(error)

    def _fault(self, error: Exception) -> None:
        if self._failed is None:
            raise error
        log.error("leg.sink_failed", exc_info=error)
        self._failed("sink_failed")
