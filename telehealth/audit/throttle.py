"""Failures before sign-in, aggregated per source and minute, so that strangers cannot fill the log. Pure counting."""

from dataclasses import dataclass, replace

from telehealth.audit.entry import Entry

_ELSEWHERE = ""  # stands for all sources beyond the bound


@dataclass(slots=True)
class _Tally:
    entry: Entry  # the first, and what all of them share
    since: float
    latest: float
    count: int = 0  # beyond the first


class Throttle:
    """The first failure of a source goes in at once, the rest of its minute as one entry with their count."""

    def __init__(self, window: float = 60.0, sources: int = 1024) -> None:
        self._window = window
        self._sources = sources
        self._tallies: dict[tuple[str, str, str], _Tally] = {}

    def count(self, entry: Entry, source: str, now: float) -> Entry | None:
        """The entry, if it is to be entered at once; None once it is only counted. `now`: steady seconds."""
        key = (entry.action.value, entry.outcome.value, source)
        if key not in self._tallies and len(self._tallies) >= self._sources:
            key = (entry.action.value, entry.outcome.value, _ELSEWHERE)
            entry = replace(entry, private={}, actor=replace(entry.actor, id="", address=None, device=None))
        tally = self._tallies.get(key)
        if tally is None:
            self._tallies[key] = _Tally(entry, now, now)
            return entry
        tally.count += 1
        tally.latest = now
        tally.entry = _shared(tally.entry, entry)
        return None

    def due(self, now: float, *, all_of_them: bool = False) -> list[Entry]:
        """Summaries of the minutes that are over; forgets them."""
        over = [key for key, tally in self._tallies.items() if all_of_them or now - tally.since >= self._window]
        tallies = [self._tallies.pop(key) for key in over]
        return [_summary(tally) for tally in tallies if tally.count]


def _shared(first: Entry, other: Entry) -> Entry:
    """What both say; where they differ, nothing."""
    return replace(
        first,
        actor=first.actor if first.actor == other.actor else replace(first.actor, id="", device=None),
        visit=first.visit if first.visit == other.visit else None,
        recording=first.recording if first.recording == other.recording else None,
        patient=first.patient if first.patient == other.patient else None,
        subject=first.subject if first.subject == other.subject else None,
        purpose=first.purpose if first.purpose == other.purpose else None,
        detail=first.detail if first.detail == other.detail else {},
    )


def _summary(tally: _Tally) -> Entry:
    spent = {"count": tally.count, "seconds": round(tally.latest - tally.since), "aggregated": True}
    return replace(tally.entry, detail={**tally.entry.detail, **spent}, private={})
