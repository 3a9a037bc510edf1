"""One track of one leg: packets in, encoded frames out to the sink."""

from signaling.rtc.reorder import Arrived, Gap, Packet, Reorder
from signaling.rtc.rtcp import SenderReport
from signaling.rtc.timeline import Timeline
from signaling.rtc.vp8 import Broken, Vp8Assembler
from telehealth.frames import EncodedFrame, FrameSink, TrackKind

_HOLD: dict[TrackKind, float] = {"audio": 0.2, "video": 0.6}  # seconds to wait for a missing packet
_CAPACITY: dict[TrackKind, int] = {"audio": 128, "video": 1024}  # packets


class Stream:
    """Orders one source's packets and hands whole frames on; video starts with a key frame, at first and after loss."""

    def __init__(self, kind: TrackKind, sink: FrameSink, timeline: Timeline) -> None:
        self.kind: TrackKind = kind
        self.frames = 0
        self._sink = sink
        self._timeline = timeline
        self._reorder = Reorder(hold=_HOLD[kind], capacity=_CAPACITY[kind])
        self._vp8 = Vp8Assembler() if kind == "video" else None

    @property
    def needs_key(self) -> bool:
        """Whether nothing can go on before a key frame that has not begun to arrive."""
        return self._vp8 is not None and self._vp8.needs_key and not self._vp8.receiving_key

    def take(self, sequence: int, marker: bool, timestamp: int, payload: bytes, now: float) -> None:
        """A packet from the sender, first time; one that need not wait is never made an object."""
        if self._reorder.passes(sequence):
            self._emit_next(marker, timestamp, payload, now)
            return
        self._reorder.insert(Packet(sequence, marker, timestamp, payload), now)
        self.advance(now)

    def retake(self, packet: Packet, now: float) -> None:
        """A packet that RTX brought back."""
        self._reorder.insert(packet, now, repeated=True)
        self.advance(now)

    def advance(self, now: float) -> None:
        """Hand on what is due; call it also as time passes."""
        self._hand_on(self._reorder.ready(now))

    def end(self) -> None:
        """Its source is over: hand on what waits, and tell what will not come any more."""
        self._hand_on(self._reorder.rest())
        if self._vp8 is not None and self._vp8.receiving:
            self._lose(1)

    def reported(self, report: SenderReport) -> None:
        """Pass on which moment of the sender's clock belongs to which timestamp."""
        place = self._timeline.locate(report.timestamp)
        if place is not None:
            self._sink.sender_report(self.kind, place, report.ntp)

    def _hand_on(self, items: list[Arrived | Gap]) -> None:
        for item in items:
            if isinstance(item, Gap):
                self._lose(item.packets)
            else:
                _, marker, timestamp, payload = item.packet
                self._emit_next(marker, timestamp, payload, item.at)

    def _lose(self, packets: int) -> None:
        if self._vp8 is not None:
            self._vp8.lose()
        self._sink.lost(self.kind, packets)

    def _emit_next(self, marker: bool, timestamp: int, payload: bytes, at: float) -> None:
        vp8 = self._vp8
        if vp8 is None:
            if payload:
                self._emit(payload, timestamp, True, at)
            return
        frame = vp8.push(marker, timestamp, payload)
        if frame is None:
            return
        if frame is Broken.BROKEN:
            self._sink.lost(self.kind, 1)
        elif not self._emit(frame.data, frame.timestamp, frame.key, at):
            vp8.lose()

    def _emit(self, data: bytes, timestamp: int, key: bool, arrived: float) -> bool:
        place = self._timeline.place(timestamp, arrived)
        if place is None:
            return False
        self.frames += 1
        self._sink.frame(EncodedFrame(self.kind, data, place, key, arrived))
        return True
