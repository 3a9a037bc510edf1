"""Which segments of the log may hold what is looked for: one small signed block for every whole segment. Blocks.

A block is magic 8 ‖ first and last time u64 ms ‖ Bloom filter 32 KiB ‖ places of rare terms 8 KiB ‖ MAC 32, at
segment × its size in the file `index`. It is made from the leaves and can be thrown away; the MAC is under a key that
only the server has, so that a changed file cannot hide an entry: a block that does not verify is made anew, and its
segment is read meanwhile. Of a term that few entries of the segment hold (an outcome, an act, a kind of actor, a
person) the block says where all of these begin, so that they are read alone: each place is the term's hash 8 ‖ entry in
the segment u16 ‖ octet u32.
"""

import hashlib
import hmac
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from telehealth.audit.files import Files
from telehealth.audit.layout import Layout
from telehealth.audit.leaf import Pseudonyms, Stored

_MAGIC = b"TAINDEX2"
_BITS = 32 * 1024 * 8
_PLACE = 8 + 2 + 4
_MOST_PLACES = 8192 // _PLACE
_RARE = 32  # a term of more entries than these is not worth its places
# Whose places are listed, in this order as far as there is room.
_WORTH = ("outcome", "kind", "action", "action.outcome", "actor", "actor.action")
_BODY = len(_MAGIC) + 16 + _BITS // 8 + _MOST_PLACES * _PLACE
_BLOCK = _BODY + 32
_PROBES = 7
_AT_ONCE = 32  # blocks read together, one MiB
Choice = Sequence[bytes]  # terms of which an entry must hold one


class Place(NamedTuple):
    """Where a leaf stands in its segment: which entry, and the octet at which its record begins."""

    entry: int
    octet: int


@dataclass(frozen=True, slots=True)
class Probe:
    """A term made ready: the bits of the filter that it sets, and the hash under which its places are listed."""

    bits: tuple[int, ...]
    key: bytes


class Block(NamedTuple):
    """What a whole segment may hold."""

    first_at: int  # milliseconds since 1970
    last_at: int
    bits: bytes
    listed: bytes

    def may_hold(self, choices: Sequence[Sequence[Probe]], since: int | None, until: int | None) -> bool:
        """False only if no entry fits; `choices` as `probes` gives them."""
        if (since is not None and self.last_at < since) or (until is not None and self.first_at > until):
            return False
        return all(any(self._has(term) for term in one) for one in choices)

    def places(self, choices: Sequence[Sequence[Probe]]) -> list[Place] | None:
        """All places at which an entry may fit, ascending; None where the block does not list them."""
        known = [found for one in choices if (found := self._of_one(one)) is not None]
        if not known:
            return None
        fewest = min(known, key=len)
        return sorted(fewest)

    def _of_one(self, choice: Sequence[Probe]) -> set[Place] | None:
        found = set[Place]()
        for term in choice:
            places = self._listed(term.key)
            if not places and self._has(term):
                return None
            found.update(places)
        return found

    def _has(self, term: Probe) -> bool:
        return all(self.bits[at >> 3] >> (at & 7) & 1 for at in term.bits)

    def _listed(self, key: bytes) -> list[Place]:
        places, at = list[Place](), self.listed.find(key)
        while at >= 0:
            if at % _PLACE == 0:
                place = self.listed[at + 8 : at + _PLACE]
                places.append(Place(int.from_bytes(place[:2], "big"), int.from_bytes(place[2:], "big")))
            at = self.listed.find(key, at + 1)
        return places


def terms_of(stored: Stored) -> Iterator[tuple[str, str]]:
    """Everything by which an entry is found, alone and in the pairs that are asked for together."""
    yield "action", stored.action
    yield "outcome", stored.outcome
    yield "action.outcome", f"{stored.action} {stored.outcome}"
    yield "actor", stored.actor
    yield "kind", stored.actor_kind
    yield "actor.action", f"{stored.actor} {stored.action}"
    for name in ("visit", "recording", "patient", "subject"):
        value = getattr(stored, name)
        if value is not None:
            yield name, value


def term(name: str, value: str) -> bytes:
    return f"{name} {value}".encode()


def probes(choices: Sequence[Choice]) -> list[list[Probe]]:
    """Terms made ready to be looked for in many blocks."""
    return [[_probe(one) for one in choice] for choice in choices]


def milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


class Segments:
    """Reads and makes blocks; two threads may make the same one, and write the same bytes."""

    def __init__(self, layout: Layout, files: Files, pseudonyms: Pseudonyms) -> None:
        self._path = layout.index
        self._files = files
        self._key = pseudonyms.derived("telehealth audit index v1")

    def blocks(self, segments: Sequence[int]) -> Iterator[tuple[int, Block | None]]:
        """Each segment with its block, or None where none verifies; a MiB in memory at a time."""
        for at in range(0, len(segments), _AT_ONCE):
            some = segments[at : at + _AT_ONCE]
            least = min(some)
            content = self._read(least, max(some) - least + 1)
            for segment in some:
                yield segment, self._block(segment, content, (segment - least) * _BLOCK)

    def make(self, segment: int, entries: Iterable[tuple[Stored, int]]) -> None:
        """Write the block of a whole segment, not yet synced; each entry with the octet of its record. OSError."""
        moments, found = list[int](), defaultdict[tuple[str, str], list[Place]](list)
        for number, (stored, octet) in enumerate(entries):
            moments.append(milliseconds(stored.at))
            for one in terms_of(stored):
                found[one].append(Place(number, octet))
        bits = bytearray(_BITS // 8)
        for one in found:
            for at in _probe(term(*one)).bits:
                bits[at >> 3] |= 1 << (at & 7)
        times = min(moments).to_bytes(8, "big") + max(moments).to_bytes(8, "big")
        body = _MAGIC + times + bytes(bits) + _list_of(found)
        self._files.write_at(self._path, segment * _BLOCK, body + self._mac(segment, body))

    def _read(self, first: int, count: int) -> bytes:
        try:
            return self._files.read(self._path, first * _BLOCK, count * _BLOCK)
        except FileNotFoundError:
            return b""

    def _block(self, segment: int, content: bytes, start: int) -> Block | None:
        body = content[start : start + _BODY]
        mac = content[start + _BODY : start + _BLOCK]
        if body[:8] != _MAGIC or not hmac.compare_digest(mac, self._mac(segment, body)):
            return None
        listed = 24 + _BITS // 8
        first_at, last_at = int.from_bytes(body[8:16], "big"), int.from_bytes(body[16:24], "big")
        return Block(first_at, last_at, body[24:listed], body[listed:])

    def _mac(self, segment: int, body: bytes) -> bytes:
        return hmac.digest(self._key, segment.to_bytes(8, "big") + body, "sha256")


def _probe(one: bytes) -> Probe:
    digest = hashlib.blake2b(one, digest_size=24).digest()
    start, step = int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:16], "big") | 1
    return Probe(tuple((start + probe * step) % _BITS for probe in range(_PROBES)), digest[16:])


def _list_of(found: Mapping[tuple[str, str], Sequence[Place]]) -> bytes:
    """The places of the rarest terms, each term's all or none, as many as there is room for."""
    rare = [(places, one) for one, places in found.items() if one[0] in _WORTH and len(places) <= _RARE]
    listed, left = bytearray(), _MOST_PLACES
    for places, one in sorted(rare, key=lambda item: (_WORTH.index(item[1][0]), len(item[0]))):
        if len(places) <= left:
            left -= len(places)
            key = _probe(term(*one)).key
            listed += b"".join(key + at.entry.to_bytes(2, "big") + at.octet.to_bytes(4, "big") for at in places)
    return bytes(listed).ljust(_MOST_PLACES * _PLACE, b"\0")
