"""How much one browser can take, and what of it each picture gets: sound first (pure, but for its own memory)."""

from collections.abc import Sequence
from dataclasses import dataclass

PICTURE_LEAST = 60_000  # bit/s: below this a picture is no use, and what it takes is better left to sound
_SHARE = 0.9  # of what is available: the rest is for bursts and repeats
_MUCH_LOSS = 0.15
_QUEUE = 0.15  # seconds
_QUEUE_KNOWN = 0.08  # seconds, where packets have queued before: jitter is no longer the likelier reason
_SUDDEN = 0.9
_FALL = 0.95
_ALONE = 0.65  # of what filled the way: a fall without a queue lowers the limit no further
_RISE, _CAREFUL_RISE = 1.08, 1.01
_ASKED = 0.7  # of what arrives, at least, is what a browser asks for where packets queue
_TRIED = 0.7  # of a limit, at least, has to be sent before it is known that more may fit
_PASSED = 1.25  # times what once filled the way: it has become wider
_FORGOTTEN = 60  # seconds at a limit without a queue after which nothing is known of the way's width
_WINDOW = 15  # seconds: the least round trip of the last one to two of these counts as no queue
_PATIENCE = 2.0  # seconds of too little before a picture is paused
_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 40.0  # seconds until it is tried again; doubled each time it fails
_GENTLE = 10.0  # seconds after a pause for which a picture gets little
_HIGHEST = 10_000_000


@dataclass(frozen=True, slots=True)
class Shares:
    """`each`: bit/s for every picture that goes out, None for no limit; `pictures`: how many of them go out."""

    each: int | None
    pictures: int


class Downlink:
    """What the browser says it can take (REMB) and what its loss says; call `divide` about once a second."""

    def __init__(self) -> None:
        self.round_trip: float | None = None
        self.loss = 0.0
        self._least = self._least_before = float("inf")  # seconds: round trips of this window and of the one before
        self._age = 0  # seconds of this window
        self._announced: float | None = None
        self._said = 0.0  # bit/s: the last REMB, believed or not
        self._sent = 0.0  # bit/s in the last second
        self._full: float | None = None  # bit/s that filled the way when packets last began to queue
        self._calm = 0  # seconds since, in which as much went out and nothing queued
        self._by_loss: float | None = None
        self._short_since: float | None = None
        self._shown: int | None = None  # how many pictures may go out; None: all
        self._pause = _FIRST_PAUSE
        self._again = float("-inf")

    @property
    def available(self) -> int | None:
        """Bit/s in all; None while nothing is known to limit it."""
        known = [limit for limit in (self._announced, self._by_loss) if limit is not None]
        return round(min(known)) if known else None

    @property
    def queues(self) -> bool:
        """Whether packets wait on the way: round trips take much longer than the shortest one lately."""
        return self._waiting > (_QUEUE if self._full is None else _QUEUE_KNOWN)

    @property
    def _waiting(self) -> float:
        """Seconds of a round trip beyond the least of the last 15 to 30 s: a longer way is not a queue for ever."""
        return -1.0 if self.round_trip is None else self.round_trip - min(self._least, self._least_before)

    @property
    def _suffers(self) -> bool:
        """Whether even the least that pictures get is too much: long queues, or loss."""
        return self.loss > _MUCH_LOSS / 2 or self._waiting > 2 * _QUEUE

    def took(self, seconds: float) -> None:
        """A round trip by a receiver report."""
        self._least = min(self._least, seconds)
        self.round_trip = seconds if self.round_trip is None else self.round_trip + (seconds - self.round_trip) / 4

    def announce(self, bits_per_second: int) -> bool:
        """What the browser believes it can take (REMB); whether we believe it and it is much less than before.

        Its estimate falls with jitter alone, so less is believed only where packets queue or are lost as well; and with
        what it gets, so not while a picture is paused.
        """
        fell, self._said = bits_per_second < _FALL * self._said, bits_per_second
        before, believed = self._announced, self._believed(bits_per_second, fell)
        if believed is None:
            return False
        self._announced = believed
        sudden = believed < _SUDDEN * (before or _HIGHEST)
        if sudden and self.queues and self._sent:
            self._full, self._calm = min(self._sent, believed / _ASKED), 0
        return sudden

    def lose(self, fraction: float, sent: float) -> None:
        """A second in which `fraction` (0–1) of `sent` bit/s was lost on the way."""
        self._sent, self._age = sent, self._age + 1
        if self._age > _WINDOW:
            self._least_before, self._least, self._age = self._least, float("inf"), 0
        self.loss += (fraction - self.loss) / 3
        if self._shown is not None:
            return
        if min(fraction, self.loss) > _MUCH_LOSS and sent > 0:
            self._by_loss = max(PICTURE_LEAST, min(self._by_loss or sent, sent) * (1 - self.loss / 2))
        elif not self.queues:
            self._by_loss = _raised(self._by_loss)
            self._announced = self._carefully(self._announced)

    def divide(self, sound: float, pictures: int, now: float) -> Shares:
        """Shares for so many `pictures` beside `sound` bit/s of audio; those that do not fit are to be paused."""
        if self.available is None or not pictures:
            self._shown = self._short_since = None
            return Shares(None if now - self._again > _GENTLE else PICTURE_LEAST, pictures)
        room = self.available * _SHARE - sound
        fitting = max(0, min(pictures, int(room // PICTURE_LEAST)))
        if self._shown is not None and now >= self._again:
            self._announced = self._by_loss = self._shown = self._short_since = None
            return Shares(PICTURE_LEAST, pictures)  # tried anew, gently
        shown = pictures if self._shown is None else min(self._shown, pictures)
        if fitting < shown and self._suffers:
            shown = self._shorten(fitting, shown, now)
        else:
            self._short_since = None
        self._shown = None if shown == pictures else shown
        return Shares(max(PICTURE_LEAST, round(room / max(1, shown))), shown)

    def _carefully(self, limit: float | None) -> float | None:
        """Raised as any, but slowly where it filled the way before: the next queue is to be seen before it is long."""
        if limit is None or self._full is None or limit < self._full:
            return _raised(limit)
        if self._sent < _TRIED * limit:
            return limit
        self._calm += 1
        if self._calm > _FORGOTTEN or self._sent > _PASSED * _SHARE * self._full:
            self._full = None
        return _raised(limit, _CAREFUL_RISE)

    def _believed(self, told: int, fell: bool) -> float | None:
        """What we take of what the browser says, None for nothing; `fell`: it says much less than the last time."""
        before = float("inf") if self._announced is None else self._announced
        if told >= before:
            return told if self._full is None else None  # else we raise it ourselves, carefully
        if self._shown is not None:
            return None
        if self.queues or self.loss > _MUCH_LOSS:
            return told
        if not fell or self._full is None:
            return None
        least = max(told, _ALONE * self._full)
        return least if least < before else None

    def _shorten(self, fitting: int, shown: int, now: float) -> int:
        """Too little for all that go out: after a while only what fits does."""
        if self._short_since is None:
            self._short_since = now
        if now - self._short_since < _PATIENCE:
            return shown
        self._short_since = None
        if now - self._again > _LONGEST_PAUSE:
            self._pause = _FIRST_PAUSE
        self._again = now + self._pause
        self._pause = min(_LONGEST_PAUSE, 2 * self._pause)
        return fitting


def _raised(limit: float | None, rise: float = _RISE) -> float | None:
    """A limit a second later in which nothing spoke for it; None once it is none."""
    return None if limit is None or limit * rise > _HIGHEST else limit * rise


def order_of_pictures(sources: Sequence[str]) -> list[int]:
    """Places in the order in which pictures are kept when not all fit: screens, shown on purpose, before cameras."""
    return sorted(range(len(sources)), key=lambda place: (sources[place] != "screen", place))
