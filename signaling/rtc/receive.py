"""What a leg does with decrypted packets: route them to what they publish and tell the sender how it went."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from struct import Struct

from signaling.rtc import rtcp
from signaling.rtc.estimate import CEILING, QueueDelay, UplinkEstimate
from signaling.rtc.extensions import find_extension
from signaling.rtc.publication import Publication
from signaling.rtc.sdp import MID, Offer, Source
from signaling.rtc.state import Lane
from signaling.rtc.stats import LegStats
from signaling.rtc.stream import Stream
from signaling.rtc.timeline import SenderClock, Timeline
from telehealth.frames import CLOCK_RATE, FrameSink, TrackKind

__all__ = ["LegStats", "Receiver"]

_HEADER = Struct("!BBHII")
_KEY_FRAME_EVERY = 1.0  # seconds
_SOUND = 50_000  # bit/s that a publisher sends beside its pictures
_ASSUMED_ROUND_TRIP = 0.1
_ROUND_TRIPS: dict[TrackKind, float] = {"audio": 1.0, "video": 1.5}  # until a missing packet is asked for again
_MOST_GONE = 128  # sources
_RECORDED: tuple[Source, ...] = ("audio", "camera")


@dataclass(slots=True)
class _Recording:
    """A sink and the lines its timestamps run on, whatever sources follow each other."""

    sink: FrameSink
    timelines: dict[TrackKind, Timeline] = field(
        default_factory=lambda: {kind: Timeline(rate) for kind, rate in CLOCK_RATE.items()}
    )

    def stream(self, kind: TrackKind) -> Stream:
        return Stream(kind, self.sink, self.timelines[kind])


class Receiver:
    """Owns what one leg publishes. `send` takes plain RTCP; `count` names what was dropped."""

    def __init__(
        self,
        ssrc: int,
        offer: Offer,
        order: int,
        lane: Lane,
        send: Callable[[bytes], None],
        count: Callable[[str], None],
    ) -> None:
        self.ssrc = ssrc
        self.estimate = UplinkEstimate()
        self.publications: dict[Source, Publication] = {}
        self._order = order
        self._clock = SenderClock()
        self._queue = QueueDelay()
        self._send = send
        self._count = count
        self._recording: _Recording | None = None
        self._sources: dict[int, Publication] = {}
        self._lane = lane
        lane.sources = self._sources
        self._repeats: dict[int, Publication] = {}
        self._gone: deque[int] = deque(maxlen=_MOST_GONE)  # sources of sections that ended
        self._key_asked = float("-inf")
        self._reported = float("-inf")
        self._window = (0, 0, 0)
        self._nacks = self._requests = self._bitrate = 0
        self._loss = 0.0
        self._rtt: float | None = None
        self.follow(offer)

    def follow(self, offer: Offer) -> None:
        """Take what the last offer says: sections that came, changed or rest."""
        present = {section.source: section for section in offer.sending if section.source is not None}
        for gone in [source for source in self.publications if source not in present]:
            self._forget(self.publications.pop(gone))
        for source, section in present.items():
            publication = self.publications.get(source)
            if publication is None:
                publication = self.publications[source] = Publication(section, self._order, self._clock, self._queue)
                self._record(source)
            self._follow_repeats(publication, section.repair)
            publication.follow(section)

    @property
    def said_goodbye(self) -> bool:
        """Whether everything that ever came has ended by RTCP BYE."""
        began = [publication for publication in self.publications.values() if publication.reception is not None]
        return bool(began) and all(publication.silent for publication in began)

    def attach(self, sink: FrameSink) -> None:
        """Give the sink what comes from now on; nothing that is here already."""
        self._recording = _Recording(sink)
        for source in self.publications:
            self._record(source)

    def detach(self) -> None:
        """Give no sink anything."""
        self._recording = None
        for publication in self.publications.values():
            publication.stream = None

    def forget(self) -> None:
        """Let go of kept packets: a leg is a ring of references, and collecting it with them would stop all calls."""
        for publication in self.publications.values():
            publication.history.clear()

    def rtp(self, view: memoryview, size: int, now: float) -> None:
        """One decrypted RTP packet in `view[:size]`, which is used again afterwards."""
        if size < _HEADER.size:
            self._count("rtp_malformed")
            return
        head = _HEADER.unpack_from(view)
        self._lane.packets += 1
        self._lane.octets += size
        publication = self._sources.get(head[4])
        if publication is None:
            publication = self._repeats.get(head[4]) or self._identify(view, size, head)
            if publication is None:
                self._count("payload_unknown")
                return
        if head[1] & 0x7F == publication.codec.payload_type:
            if not publication.take(view, size, head, now):
                self._count("rtp_malformed")
        elif head[1] & 0x7F == publication.codec.rtx:
            took = publication.retake(view, size, head, now)
            if took is not None:
                self._rtt = took if self._rtt is None else self._rtt + (took - self._rtt) / 8
        else:
            self._count("payload_unknown")
            return
        if publication.gaps.missing or publication.wants_key:
            self._repair(publication, now)

    def rtcp(self, said: rtcp.SenderReport | rtcp.Bye, now: float) -> None:
        """What the browser says as a sender."""
        if isinstance(said, rtcp.SenderReport):
            if said.ssrc in self._sources:
                self._sources[said.ssrc].reported(said, now)
            return
        for ssrc in said.ssrcs:
            if ssrc in self._sources:
                self._sources[ssrc].silent = True

    def request_key_frame(self, now: float) -> None:
        """Ask for a key frame of every picture as soon as one may be asked for: once a second."""
        for publication in self._pictures():
            publication.wants_key = True
        self._ask_key_frames(now)

    def tick(self, now: float) -> None:
        """Give up what is too late, ask again; call it every 50 ms or so."""
        for publication in self.publications.values():
            if publication.stream is not None:
                publication.stream.advance(now)
            self._repair(publication, now)

    def report(self, now: float) -> bytes:
        """RR and REMB on everything since the last call, to be called about once a second; empty before media."""
        receptions = [item.reception for item in self.publications.values() if item.reception is not None]
        if not receptions:
            return b""
        elapsed = min(10.0, now - self._reported)
        self._reported = now
        blocks = [reception.block(now) for reception in receptions]
        expected = sum(reception.expected for reception in receptions)
        received = sum(reception.received for reception in receptions)
        before = self._window
        self._window = expected, received, self._lane.octets
        due = max(1, expected - before[0])
        self._loss = min(1.0, max(0.0, 1 - (received - before[1]) / due)) if expected > before[0] else 0.0
        self._bitrate = round(8 * (self._lane.octets - before[2]) / elapsed)
        self.estimate.update(self._loss, self._bitrate, self._queue.seconds)
        about = rtcp.source_description({self.ssrc: "edge"})
        return rtcp.receiver_report(self.ssrc, blocks) + about + self.limits()

    @property
    def hurries(self) -> bool:
        """Whether those who receive can suddenly take much less."""
        return any(publication.hurry for publication in self.publications.values())

    def limits(self) -> bytes:
        """REMB: the least of our own estimate and what those can take who receive, with room for sound kept."""
        heard = _SOUND
        for publication in self._pictures():
            publication.hurry = False
            allowance = publication.allowance
            heard += CEILING if allowance is None else allowance
        self.estimate.heard = heard
        sources = [item.reception.ssrc for item in self.publications.values() if item.reception is not None]
        return rtcp.bandwidth_limit(self.ssrc, sources, self.estimate.announced)

    def stats(self) -> LegStats:
        """The inward half."""
        began = [item for item in self.publications.values() if item.reception is not None]
        return LegStats(
            packets=self._lane.packets,
            octets=self._lane.octets,
            bitrate=self._bitrate,
            loss=self._loss,
            jitter={item.kind: item.reception.jitter for item in reversed(began) if item.reception is not None},
            frames={item.kind: item.stream.frames for item in reversed(began) if item.stream is not None},
            rtt=self._rtt,
            nacks=self._nacks,
            key_frame_requests=self._requests,
            allowed_bitrate=self.estimate.announced,
        )

    def _identify(self, view: memoryview, size: int, head: tuple[int, int, int, int, int]) -> Publication | None:
        """Whose a new source is (RFC 9143 §9.2): by its MID, by the offer, by a payload type of one section alone.

        What comes late from a section that ended is nobody's.
        """
        ssrc, payload_type = head[4], head[1] & 0x7F
        every = list(self.publications.values())
        named = [item for item in every if self._says_mid(item, view, size)]
        named = named or [item for item in every if item.section.ssrc == ssrc]
        if not named and ssrc not in self._gone:
            named = [item for item in every if payload_type in (item.codec.payload_type, item.codec.rtx)]
        if len(named) != 1:
            return None
        publication = named[0]
        if payload_type == publication.codec.rtx:
            self._repeats[ssrc] = publication
        elif payload_type == publication.codec.payload_type:
            self._begin(publication, ssrc)
        else:
            return None
        return publication

    def _says_mid(self, publication: Publication, view: memoryview, size: int) -> bool:
        number = publication.section.extension(MID)
        said = find_extension(view, size, number) if number is not None else None
        return said == publication.section.mid.encode("ascii")

    def _begin(self, publication: Publication, ssrc: int) -> None:
        if publication.reception is not None:
            self._count("source_changed")
            self._sources.pop(publication.reception.ssrc, None)
        self._sources[ssrc] = publication
        publication.begin(ssrc)
        if publication.stream is not None:
            publication.stream.end()
        if self._recording is not None and publication.stream is not None:
            publication.stream = self._recording.stream(publication.kind)

    def _record(self, source: Source) -> None:
        if self._recording is not None and source in _RECORDED:
            publication = self.publications[source]
            publication.stream = self._recording.stream(publication.kind)

    def _follow_repeats(self, publication: Publication, repair: int | None) -> None:
        before = publication.section.repair
        if before not in (None, repair) and self._repeats.get(before) is publication:
            del self._repeats[before]
        if repair is not None:
            self._repeats[repair] = publication

    def _forget(self, publication: Publication) -> None:
        for table in (self._sources, self._repeats):
            for ssrc in [ssrc for ssrc, owner in table.items() if owner is publication]:
                del table[ssrc]
                self._gone.append(ssrc)
        if publication.stream is not None:
            publication.stream.end()

    def _repair(self, publication: Publication, now: float) -> None:
        if publication.gaps.missing and publication.reception is not None:
            missing = publication.gaps.due(
                now, max(0.03, _ROUND_TRIPS[publication.kind] * (self._rtt or _ASSUMED_ROUND_TRIP))
            )
            if missing and publication.nacks:
                self._nacks += len(missing)
                self._send(rtcp.negative_acknowledgement(self.ssrc, publication.reception.ssrc, missing))
        if publication.wants_key or publication.needs_key:
            self._ask_key_frames(now)

    def _pictures(self) -> list[Publication]:
        return [publication for publication in self.publications.values() if publication.kind == "video"]

    def _ask_key_frames(self, now: float) -> None:
        """One request a second for all pictures that need one together, however many receivers ask."""
        if now - self._key_asked < _KEY_FRAME_EVERY:
            return
        wanted = [item for item in self._pictures() if (item.wants_key or item.needs_key) and item.ssrc is not None]
        if not wanted:
            return
        self._key_asked = now
        self._requests += 1
        for publication in wanted:
            publication.wants_key = False
        self._send(b"".join(rtcp.picture_loss(self.ssrc, item.ssrc) for item in wanted if item.ssrc is not None))
