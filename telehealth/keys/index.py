"""Which share lies in which bucket. Pure, in memory, rebuilt from the buckets' headers at each start."""

import datetime
from collections.abc import Iterable
from typing import Final, NamedTuple

from telehealth.keys.bucket import CAPACITY, Header


class Group(NamedTuple):
    """Shares that may lie together."""

    day: datetime.date
    retention_class: str
    held: bool


def group_of(header: Header) -> Group:
    return Group(header.day, header.retention_class, header.held)


class Index:
    """Headers by bucket, buckets by file and by group.

    `unended`: files taken out of buckets whose old keys are not proven dead; while there are any, one may only read.
    """

    def __init__(self, headers: Iterable[Header] = (), *, unended: frozenset[str] = frozenset()) -> None:
        self.unended: Final = unended
        self._headers: dict[str, Header] = {}
        self._places: dict[str, str] = {}
        self._groups: dict[Group, set[str]] = {}
        for header in sorted(headers, key=lambda h: (h.held, h.bucket)):  # held ones last: they win a file's place
            self.put(header)

    def put(self, header: Header) -> None:
        """Take this as the bucket's only header; files named here are placed here."""
        self.drop(header.bucket)
        self._headers[header.bucket] = header
        self._groups.setdefault(group_of(header), set()).add(header.bucket)
        for file_id in header.files:
            self._places[file_id] = header.bucket

    def drop(self, bucket: str) -> None:
        """Forget the bucket; a bucket not known is no error."""
        old = self._headers.pop(bucket, None)
        if old is None:
            return
        siblings = self._groups[group_of(old)]
        siblings.discard(bucket)
        if not siblings:
            del self._groups[group_of(old)]
        for file_id in old.files:
            if self._places.get(file_id) == bucket:
                del self._places[file_id]

    def find(self, file_id: str) -> Header | None:
        """The header of the bucket this file's share lies in."""
        bucket = self._places.get(file_id)
        return None if bucket is None else self._headers[bucket]

    def header(self, bucket: str) -> Header:
        return self._headers[bucket]

    def roomy(self, group: Group) -> list[Header]:
        """The buckets of this group that are not full."""
        siblings = (self._headers[bucket] for bucket in sorted(self._groups.get(group, ())))
        return [header for header in siblings if len(header.files) < CAPACITY]

    def twice(self) -> dict[str, frozenset[str]]:
        """By bucket, the files that are placed elsewhere too: what an interrupted move left behind."""
        found: dict[str, frozenset[str]] = {}
        for bucket, header in self._headers.items():
            extra = frozenset(file_id for file_id in header.files if self._places[file_id] != bucket)
            if extra:
                found[bucket] = extra
        return found

    def headers(self) -> list[Header]:
        return list(self._headers.values())

    def file_ids(self) -> frozenset[str]:
        return frozenset(self._places)

    def held(self) -> int:
        """How many shares are under hold."""
        return sum(len(header.files) for header in self._headers.values() if header.held)
