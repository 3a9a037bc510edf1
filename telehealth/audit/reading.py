"""Finding entries without loading the log. Blocks; used from threads."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from telehealth.audit.actions import Action
from telehealth.audit.entry import Outcome
from telehealth.audit.files import Files
from telehealth.audit.layout import SEGMENT, Layout, detail_records, leaf_records
from telehealth.audit.leaf import Pseudonyms, Stored, canonical, decode

_NONCE = re.compile(rb'"n":"([0-9a-f]{32})"')


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """What an entry must be about; None = anything. `actor`, `patient`: ids, not pseudonyms. Times are inclusive."""

    action: Action | None = None
    outcome: Outcome | None = None
    actor: str | None = None
    patient: str | None = None
    visit: str | None = None
    recording: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class Reader:
    """Reads leaves and sealed details of the segments that a head covers."""

    def __init__(self, layout: Layout, files: Files, pseudonyms: Pseudonyms) -> None:
        self._layout = layout
        self._files = files
        self._pseudonyms = pseudonyms

    def find(self, size: int, after: int, limit: int, newest_first: bool, wanted: EntryFilter) -> list[Stored]:
        """At most `limit` entries beyond the cursor, in a log of `size`; one segment in memory at a time."""
        found: list[Stored] = []
        needles = self._needles(wanted)
        for index, leaf in self._walk(size, after, newest_first):
            if not all(any(text in leaf for text in texts) for texts in needles):
                continue
            stored = decode(index, leaf)
            if self._fits(stored, wanted):
                found.append(stored)
                if len(found) >= limit:
                    break
        return found

    def one(self, index: int) -> Stored:
        """The entry at this index, which the head must cover."""
        leaves, _ = leaf_records(self._files.read(self._layout.leaves_of(index // SEGMENT)), index % SEGMENT + 1)
        return decode(index, leaves[index % SEGMENT])

    def blob(self, index: int) -> bytes | None:
        """The sealed detail of an entry, or None if it is not there."""
        try:
            content = self._files.read(self._layout.details_of(index // SEGMENT))
        except FileNotFoundError:
            return None
        return next((blob for found, blob, _ in detail_records(content) if found == index), None)

    def nonces(self, size: int, least: int = SEGMENT) -> set[str]:
        """The nonces of at least the last `least` leaves (as far as there are any)."""
        found: set[str] = set()
        for segment in range(max(0, size - least) // SEGMENT, -(-size // SEGMENT)):
            content = self._files.read(self._layout.leaves_of(segment))
            _, end = leaf_records(content, min(SEGMENT, size - segment * SEGMENT))
            found.update(match.decode("ascii") for match in _NONCE.findall(content[:end]))
        return found

    def _walk(self, size: int, after: int, newest_first: bool) -> Iterator[tuple[int, bytes]]:
        begin = 0 if newest_first else max(0, after + 1)
        end = min(size, after) if newest_first and after >= 0 else size
        if begin >= end:
            return
        segments = range(begin // SEGMENT, (end - 1) // SEGMENT + 1)
        for segment in reversed(segments) if newest_first else segments:
            first = segment * SEGMENT
            leaves, _ = leaf_records(self._files.read(self._layout.leaves_of(segment)), min(SEGMENT, end - first))
            places = range(max(0, begin - first), len(leaves))
            for place in reversed(places) if newest_first else places:
                yield first + place, leaves[place]

    def _needles(self, wanted: EntryFilter) -> list[list[bytes]]:
        """Texts of which a fitting leaf holds at least one each: cheap to search, before anything is parsed."""
        needles: list[list[str]] = [
            [value] for value in (wanted.action, wanted.outcome, wanted.visit, wanted.recording) if value is not None
        ]
        if wanted.subject is not None:
            needles.append([self._pseudonyms.subject(wanted.subject) or ""])
        if wanted.patient is not None:
            needles.append([self._pseudonyms.patient(wanted.patient)])
        if wanted.actor is not None:
            needles.append(list(self._pseudonyms.any_of(wanted.actor)))
        return [[canonical(text) for text in texts] for texts in needles]

    def _fits(self, stored: Stored, wanted: EntryFilter) -> bool:
        exact = (
            (wanted.action, stored.action),
            (wanted.outcome, stored.outcome),
            (wanted.visit, stored.visit),
            (wanted.recording, stored.recording),
            (self._pseudonyms.subject(wanted.subject), stored.subject),
            (self._pseudonyms.patient(wanted.patient) if wanted.patient else None, stored.patient),
        )
        if any(asked is not None and asked != found for asked, found in exact):
            return False
        if wanted.actor is not None and stored.actor not in self._pseudonyms.any_of(wanted.actor):
            return False
        return (wanted.since is None or stored.at >= wanted.since) and (
            wanted.until is None or stored.at <= wanted.until
        )
