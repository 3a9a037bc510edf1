"""How well one source is received: loss, jitter and the echo of its sender reports (RFC 3550 §6.4, A.3, A.8)."""

from signaling.rtc.rtcp import ReportBlock, SenderReport
from signaling.rtc.state import ReceptionState

_JITTER_LIMIT = 1.0  # seconds; more is a clock that stood, not jitter


class Reception(ReceptionState):
    """Counts original packets of one SSRC; what a retransmission brought still counts as lost on the way."""

    def __init__(self, ssrc: int, clock_rate: int) -> None:
        self.ssrc = ssrc
        self.received = 0
        self.octets = 0
        self._rate = clock_rate
        self._base = 0
        self.highest = 0
        self._jitter = 0.0
        self._transit = 0.0
        self._prior = (0, 0)
        self._report: tuple[int, float] | None = None

    @property
    def jitter(self) -> float:
        """Seconds."""
        return self._jitter / self._rate

    @property
    def expected(self) -> int:
        return self.highest - self._base + 1 if self.received else 0

    @property
    def lost(self) -> int:
        return max(0, self.expected - self.received)

    def extend(self, sequence: int) -> int:
        """The 16-bit number counted on across its wraps, as the one nearest to the highest so far."""
        return self.highest + ((sequence - self.highest + 0x8000 & 0xFFFF) - 0x8000)

    def take(self, sequence: int, timestamp: int, octets: int, now: float) -> int:
        """Count one packet that came at steady second `now`; its extended number (RFC 3550 A.1)."""
        transit = (now * self._rate - timestamp) % 0x100000000
        if self.received:
            number = self.highest + ((sequence - self.highest + 0x8000 & 0xFFFF) - 0x8000)
            if number > self.highest:
                self.highest = number
            change = abs((transit - self._transit + 0x80000000) % 0x100000000 - 0x80000000)
            if change < _JITTER_LIMIT * self._rate:
                self._jitter += (change - self._jitter) / 16
        else:
            number = self._base = self.highest = sequence + 0x10000  # so that none before it is negative
        self.received += 1
        self.octets += octets
        self._transit = transit
        return number

    def forgive(self, packets: int) -> None:
        """So many were not lost on the way: the sender or the path was gone."""
        self._base += packets

    def reported(self, report: SenderReport, now: float) -> None:
        """Remember the last sender report; its middle 32 bits are echoed."""
        self._report = report.ntp >> 16 & 0xFFFFFFFF, now

    def block(self, now: float) -> ReportBlock:
        """The report on everything since the last call."""
        expected, received = self.expected - self._prior[0], self.received - self._prior[1]
        self._prior = self.expected, self.received
        lost = expected - received
        fraction = min(255, lost * 256 // expected) if expected > 0 and lost > 0 else 0
        last, at = self._report or (0, now)
        delay = round((now - at) * 65536)
        return ReportBlock(
            self.ssrc, fraction, self.expected - self.received, self.highest - 0x10000, int(self._jitter), last, delay
        )
