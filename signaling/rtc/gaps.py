"""Which packets of one source are missing, and when to ask its sender for them (RFC 4585 §6.2.1)."""

from dataclasses import dataclass

_RETRIES = 5
_GIVEN_UP = 1.0  # seconds
MOST = 256  # packets missing at once; more is an outage, not loss


@dataclass(slots=True)
class _Missing:
    since: float
    asked: float = 0.0
    tries: int = 0


class Gaps:
    """Missing numbers, each asked for at most 5 times. Full means: the oldest are not asked for again.

    `patience`: seconds before the first time, for what is only out of order comes by itself.
    """

    __slots__ = ("_patience", "missing")

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self.missing: dict[int, _Missing] = {}

    def open(self, first: int, after: int, now: float) -> None:
        """The numbers from `first` to before `after` have not come though later ones have."""
        for number in range(max(first, after - MOST), after):
            self.missing[number] = _Missing(now)
        while len(self.missing) > MOST:
            del self.missing[next(iter(self.missing))]

    def fill(self, number: int) -> float | None:
        """It came. When it was asked for, if exactly once: its arrival then measures the round trip."""
        missing = self.missing.pop(number, None)
        return missing.asked if missing is not None and missing.tries == 1 else None

    def due(self, now: float, interval: float) -> list[int]:
        """Numbers to ask for now, ascending; the pause before each further time grows by `interval` seconds."""
        numbers: list[int] = []
        late: list[int] = []
        for number, missing in self.missing.items():
            if now - missing.since >= _GIVEN_UP or missing.tries >= _RETRIES:
                late.append(number)
            elif now - missing.asked >= interval * missing.tries and now - missing.since >= self._patience:
                missing.tries += 1
                missing.asked = now
                numbers.append(number)
        for number in late:
            if now - self.missing[number].since >= _GIVEN_UP:
                del self.missing[number]
        numbers.sort()
        return numbers
