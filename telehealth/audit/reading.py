"""Finding entries without loading the log. Blocks; used from threads."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from telehealth.audit.actions import Action
from telehealth.audit.entry import ActorKind, Outcome
from telehealth.audit.files import Files
from telehealth.audit.layout import SEGMENT, Layout, detail_records, leaf_records, leaf_starts
from telehealth.audit.leaf import MAX_LEAF, Pseudonyms, Stored, canonical, decode
from telehealth.audit.segments import Block, Place, Probe, Segments, milliseconds, probes, term
from telehealth.clock import rfc3339

_AT = b'"at":"'  # the first one is the leaf's own: keys are sorted, and quotes within texts are escaped
_NONCE = re.compile(rb'"n":"([0-9a-f]{32})"')


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """What an entry must be about; None = anything. `actor`, `patient`: ids, not pseudonyms. Times are inclusive.

    `about`: ids of visits and recordings, of which it must be about one. `kind`: of the actor. `pseudonym`: the
    patient as the leaf has it.
    """

    action: Action | None = None
    outcome: Outcome | None = None
    actor: str | None = None
    patient: str | None = None
    visit: str | None = None
    recording: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    about: frozenset[str] = frozenset()
    kind: ActorKind | None = None
    pseudonym: str | None = None


@dataclass(frozen=True, slots=True)
class _Sought:
    """A filter made ready: texts of which a leaf holds at least one each, and the same as probes of a block."""

    needles: tuple[tuple[bytes, ...], ...]
    probes: list[list[Probe]]
    since: int | None  # milliseconds
    until: int | None
    first_second: bytes  # the same as text; empty where there is no limit
    last_second: bytes

    def may_be_in(self, block: Block) -> bool:
        return block.may_hold(self.probes, self.since, self.until)

    def of_the_time(self, leaf: bytes) -> bool:
        """By the text of the time alone, which sorts as time does; by seconds, so that `_fits` has the last word."""
        if not self.first_second and not self.last_second:
            return True
        at = leaf.find(_AT) + len(_AT)
        second = leaf[at : at + 19]
        return second >= self.first_second and (not self.last_second or second <= self.last_second)


class Reader:
    """Reads leaves and sealed details of the segments that a head covers."""

    def __init__(self, layout: Layout, files: Files, pseudonyms: Pseudonyms) -> None:
        self._layout = layout
        self._files = files
        self._pseudonyms = pseudonyms
        self._segments = Segments(layout, files, pseudonyms)
        self._blocked = 0  # segments whose blocks were looked at

    def find(self, size: int, after: int, limit: int, newest_first: bool, wanted: EntryFilter) -> list[Stored]:
        """At most `limit` entries beyond the cursor, in a log of `size`; one segment in memory at a time."""
        found: list[Stored] = []
        begin = 0 if newest_first else max(0, after + 1)
        end = min(size, after) if newest_first and after >= 0 else size
        if begin >= end:
            return found
        sought = self._sought(wanted)
        order = range(begin // SEGMENT, (end - 1) // SEGMENT + 1)
        segments = list(reversed(order) if newest_first else order)
        for segment, places in self._worth_reading(segments, size, sought):
            if places is None:
                leaves = self._leaves(segment, begin, end, sought, newest_first)
            else:
                leaves = self._leaves_at(segment, begin, end, places, newest_first)
            for index, leaf in leaves:
                stored = decode(index, leaf)
                if self._fits(stored, wanted):
                    found.append(stored)
                    if len(found) >= limit:
                        return found
        return found

    def catch_up(self, size: int) -> None:
        """Make the block of one whole segment that lacks it. Raises OSError."""
        while self._blocked < size // SEGMENT:
            segment, block = next(self._segments.blocks([self._blocked]))
            self._blocked += 1
            if block is None:
                self._make(segment)
                break

    def one(self, index: int) -> Stored:
        """The entry at this index, which the head must cover."""
        leaves, _ = leaf_records(self._files.read(self._layout.leaves_of(index // SEGMENT)), index % SEGMENT + 1)
        return decode(index, leaves[index % SEGMENT])

    def blobs(self, indexes: Iterable[int]) -> Iterator[tuple[int, bytes]]:
        """The sealed details of these entries, as far as they are there; each segment is read once."""
        wanted = sorted(set(indexes))
        for segment in sorted({index // SEGMENT for index in wanted}):
            here = {index for index in wanted if index // SEGMENT == segment}
            try:
                content = self._files.read(self._layout.details_of(segment))
            except FileNotFoundError:
                continue
            yield from ((index, blob) for index, blob, _ in detail_records(content) if index in here)

    def nonces(self, size: int, least: int = SEGMENT) -> set[str]:
        """The nonces of at least the last `least` leaves (as far as there are any)."""
        found: set[str] = set()
        for segment in range(max(0, size - least) // SEGMENT, -(-size // SEGMENT)):
            content = self._files.read(self._layout.leaves_of(segment))
            _, end = leaf_records(content, min(SEGMENT, size - segment * SEGMENT))
            found.update(match.decode("ascii") for match in _NONCE.findall(content[:end]))
        return found

    def _worth_reading(
        self, segments: Sequence[int], size: int, sought: _Sought
    ) -> Iterator[tuple[int, list[Place] | None]]:
        """Segments that may hold an entry, and where if known; what lacks a block gets one for the next time."""
        for segment, block in self._segments.blocks(segments):
            if block is None:
                yield segment, None
                if (segment + 1) * SEGMENT <= size and (sought.needles or sought.since or sought.until):
                    self._make(segment)
            elif sought.may_be_in(block):
                yield segment, block.places(sought.probes)

    def _make(self, segment: int) -> None:
        content = self._files.read(self._layout.leaves_of(segment))
        starts = leaf_starts(content)
        if len(starts) > SEGMENT:
            leaves = (content[at : until - 2] for at, until in pairwise(starts))
            self._segments.make(segment, ((decode(at, leaf), starts[at] - 2) for at, leaf in enumerate(leaves)))

    def _leaves_at(
        self, segment: int, begin: int, end: int, places: Sequence[Place], newest_first: bool
    ) -> Iterator[tuple[int, bytes]]:
        """The leaves at these places of a segment, each read alone."""
        path, first = self._layout.leaves_of(segment), segment * SEGMENT
        for place in reversed(places) if newest_first else places:
            if begin <= first + place.entry < end:
                records, _ = leaf_records(self._files.read(path, place.octet, 2 + MAX_LEAF), 1)
                yield first + place.entry, records[0]

    def _leaves(
        self, segment: int, begin: int, end: int, sought: _Sought, newest_first: bool
    ) -> Iterator[tuple[int, bytes]]:
        """Leaves of a segment that hold the texts and are of the time, without parsing any."""
        content = self._files.read(self._layout.leaves_of(segment))
        first = segment * SEGMENT
        starts = leaf_starts(content, min(SEGMENT, end - first))
        least = max(0, begin - first)
        places: Sequence[int] = range(least, len(starts) - 1)
        if sought.needles:
            places = [place for place in _places_near(content, starts, sought.needles) if place >= least]
        for place in reversed(places) if newest_first else places:
            leaf = content[starts[place] : starts[place + 1] - 2]
            if _holds(leaf, sought.needles) and sought.of_the_time(leaf):
                yield first + place, leaf

    def _sought(self, wanted: EntryFilter) -> _Sought:
        named = self._named(wanted)
        terms = [[term(name, value) for name, value in choice] for choice in named]
        if wanted.action and wanted.outcome:
            terms.append([term("action.outcome", f"{wanted.action} {wanted.outcome}")])
        if wanted.action and wanted.actor:
            names = self._pseudonyms.any_of(wanted.actor)
            terms.append([term("actor.action", f"{name} {wanted.action}") for name in names])
        return _Sought(
            tuple(tuple(canonical(value) for _, value in choice) for choice in named),
            probes(terms),
            milliseconds(wanted.since) if wanted.since else None,
            milliseconds(wanted.until) if wanted.until else None,
            _second(wanted.since),
            _second(wanted.until),
        )

    def _named(self, wanted: EntryFilter) -> list[list[tuple[str, str]]]:
        """Fields and values of which a fitting leaf has at least one each."""
        found = [
            [(name, str(value))]
            for name, value in (
                ("action", wanted.action),
                ("outcome", wanted.outcome),
                ("kind", wanted.kind),
                ("visit", wanted.visit),
                ("recording", wanted.recording),
                ("subject", self._pseudonyms.subject(wanted.subject)),
                ("patient", self._pseudonyms.patient(wanted.patient) if wanted.patient else wanted.pseudonym),
            )
            if value is not None
        ]
        if wanted.actor is not None:
            found.append([("actor", name) for name in self._pseudonyms.any_of(wanted.actor)])
        if wanted.about:
            found.append([("visit" if one.startswith("vis_") else "recording", one) for one in sorted(wanted.about)])
        return found

    def _fits(self, stored: Stored, wanted: EntryFilter) -> bool:
        exact = (
            (wanted.action, stored.action),
            (wanted.outcome, stored.outcome),
            (wanted.kind, stored.actor_kind),
            (wanted.visit, stored.visit),
            (wanted.recording, stored.recording),
            (self._pseudonyms.subject(wanted.subject), stored.subject),
            (self._pseudonyms.patient(wanted.patient) if wanted.patient else wanted.pseudonym, stored.patient),
        )
        if any(asked is not None and asked != found for asked, found in exact):
            return False
        if wanted.actor is not None and stored.actor not in self._pseudonyms.any_of(wanted.actor):
            return False
        if wanted.about and not wanted.about & {stored.visit, stored.recording}:
            return False
        return (wanted.since is None or stored.at >= wanted.since) and (
            wanted.until is None or stored.at <= wanted.until
        )


def _holds(content: bytes, needles: Sequence[Sequence[bytes]]) -> bool:
    return all(any(text in content for text in texts) for texts in needles)


def _places_near(content: bytes, starts: Sequence[int], needles: Sequence[Sequence[bytes]]) -> list[int]:
    """The leaves that hold the rarest of the texts, in order."""
    rarest = min(needles, key=lambda texts: sum(content.count(text) for text in texts))
    found = set[int]()
    for text in rarest:
        at = content.find(text)
        while 0 <= at < starts[-1]:
            place = bisect_right(starts, at) - 1
            found.add(place)
            at = content.find(text, starts[place + 1])
    return sorted(found)


def _second(moment: datetime | None) -> bytes:
    return rfc3339(moment)[:19].encode() if moment else b""
