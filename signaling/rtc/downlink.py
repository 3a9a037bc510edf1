"""How much one browser can take, and what of it each picture gets: sound first (pure, but for its own memory)."""

from collections.abc import Sequence
from dataclasses import dataclass

PICTURE_LEAST = 60_000  # bit/s: below this a picture is no use, and what it takes is better left to sound
_SHARE = 0.9  # of what is available: the rest is for bursts and repeats
_MUCH_LOSS = 0.15
_QUEUE = 0.15  # seconds
_SUDDEN = 0.9
_RISE = 1.08
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
        self._least_round_trip = float("inf")
        self._announced: float | None = None
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
        """Whether packets wait on the way: round trips take much longer than the shortest one."""
        return self.round_trip is not None and self.round_trip - self._least_round_trip > _QUEUE

    @property
    def _suffers(self) -> bool:
        """Whether even the least that pictures get is too much: long queues, or loss."""
        return self.loss > _MUCH_LOSS / 2 or (
            self.round_trip is not None and self.round_trip - self._least_round_trip > 2 * _QUEUE
        )

    def took(self, seconds: float) -> None:
        """A round trip by a receiver report."""
        self._least_round_trip = min(self._least_round_trip, seconds)
        self.round_trip = seconds if self.round_trip is None else self.round_trip + (seconds - self.round_trip) / 4

    def announce(self, bits_per_second: int) -> bool:
        """What the browser believes it can take (REMB); whether we believe it and it is much less than before.

        Its estimate falls with jitter alone, so less is believed only where packets queue or are lost as well; and with
        what it gets, so not while a picture is paused.
        """
        before = self._announced
        if before is None or bits_per_second < before:
            corroborated = self.queues or self.loss > _MUCH_LOSS
            if not corroborated or self._shown is not None:
                return False
        self._announced = bits_per_second
        return bits_per_second < _SUDDEN * (before or _HIGHEST)

    def lose(self, fraction: float, sent: float) -> None:
        """A second in which `fraction` (0–1) of `sent` bit/s was lost on the way."""
        self.loss += (fraction - self.loss) / 3
        if self._shown is not None:
            return
        if min(fraction, self.loss) > _MUCH_LOSS and sent > 0:
            self._by_loss = max(PICTURE_LEAST, min(self._by_loss or sent, sent) * (1 - self.loss / 2))
        elif not self.queues:
            self._by_loss = _raised(self._by_loss)
            self._announced = _raised(self._announced)

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


def _raised(limit: float | None) -> float | None:
    """A limit a second later in which nothing spoke for it; None once it is none."""
    return None if limit is None or limit * _RISE > _HIGHEST else limit * _RISE


def order_of_pictures(sources: Sequence[str]) -> list[int]:
    """Places in the order in which pictures are kept when not all fit: screens, shown on purpose, before cameras."""
    return sorted(range(len(sources)), key=lambda place: (sources[place] != "screen", place))
