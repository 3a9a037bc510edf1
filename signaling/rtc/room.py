"""Who hears whom: what people publish, and the receiving sections it is assigned to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from signaling.rtc.outlet import Outlet
from signaling.rtc.publication import Publication
from signaling.rtc.sdp import Source
from signaling.rtc.state import FeedState

MOST_PEOPLE = 8
LEGS_OF_A_PERSON = 2  # the present one and the one that takes over
_ORDER: tuple[Source, ...] = ("audio", "camera", "screen")


@dataclass(frozen=True, slots=True)
class Slot:
    """One receiving m-line of a browser and who is on it. `source`: "audio", "camera" or "screen"."""

    mid: str
    publisher: str
    source: str


class Feed(FeedState):
    """What one person publishes of one source, by whichever of their legs counts, and the outlets it goes to."""

    def __init__(self, publisher: str, source: Source) -> None:
        self.publisher = publisher
        self.source: Source = source
        self.kind = "audio" if source == "audio" else "video"
        self.publications: list[Publication] = []
        self.current: Publication | None = None
        self.outlets: tuple[Outlet, ...] = ()

    def publish(self, publications: list[Publication]) -> None:
        """Exactly these publish it now; one that is gone hands over to whichever sends next."""
        for gone in self.publications:
            if gone not in publications:
                gone.feed = None
        for publication in publications:
            publication.feed = self
        self.publications = publications
        if self.current not in publications:
            self.current = None

    def connect(self, outlet: Outlet) -> None:
        """One more who receives it; a picture that runs already is asked for a key frame."""
        self.outlets = (*self.outlets, outlet)
        outlet.connect(self)
        for publication in self.publications:
            publication.wants_key = self.kind == "video" and publication.reception is not None

    def disconnect(self, outlet: Outlet) -> None:
        """One less."""
        self.outlets = tuple(other for other in self.outlets if other is not outlet)
        outlet.connect(None)


class Member(Protocol):
    """A leg as its room sees it."""

    publisher: str

    def published(self) -> dict[Source, Publication]:
        """What it publishes; nothing unless it is connected."""
        ...

    def outlets(self) -> Sequence[Outlet]:
        """Its receiving sections in the order of the offer."""
        ...

    def ended(self, outlet: Outlet) -> None:
        """What the outlet carried is over."""
        ...

    def assigned(self) -> None:
        """Other people are on its receiving sections now."""
        ...

    def replace(self) -> None:
        """It has to go: newer legs of the same person are there."""
        ...


class Room:
    """The legs of one visit. Small by its limits, so every change works everything out anew."""

    def __init__(self) -> None:
        self.members: list[Member] = []
        self.feeds: dict[tuple[str, Source], Feed] = {}

    def has_place(self, publisher: str) -> bool:
        """Whether one more leg of this person may come."""
        people = {member.publisher for member in self.members}
        return publisher in people or len(people) < MOST_PEOPLE

    def crowded(self, publisher: str) -> list[Member]:
        """The legs of this person that must go when one more comes, oldest first."""
        theirs = [member for member in self.members if member.publisher == publisher]
        return theirs[: max(0, len(theirs) + 1 - LEGS_OF_A_PERSON)]

    def enter(self, member: Member) -> None:
        """It receives from now on; what it publishes counts from its `refresh` on."""
        self.members.append(member)
        self._assign(member)

    def leave(self, member: Member) -> None:
        """It neither publishes nor receives any more."""
        if member in self.members:
            self.members.remove(member)
            for outlet in member.outlets():
                if outlet.feed is not None:
                    outlet.feed.disconnect(outlet)
            self.refresh()

    def refresh(self, asking: Member | None = None) -> None:
        """Follow what members publish now, and tell all but the `asking` one whose sections changed."""
        found: dict[tuple[str, Source], list[Publication]] = {}
        for member in self.members:
            for source, publication in member.published().items():
                found.setdefault((member.publisher, source), []).append(publication)
        changed = self._end({key: feed for key, feed in self.feeds.items() if key not in found})
        for key, publications in found.items():
            self.feeds.setdefault(key, Feed(*key)).publish(publications)
        for member in list(self.members):
            if (self._assign(member) or id(member) in changed) and member is not asking:
                member.assigned()

    def _end(self, ended: dict[tuple[str, Source], Feed]) -> set[int]:
        changed = set()
        for key, feed in ended.items():
            feed.publish([])
            for member in self.members:
                for outlet in member.outlets():
                    if outlet.feed is feed:
                        member.ended(outlet)
                        feed.disconnect(outlet)
                        changed.add(id(member))
            del self.feeds[key]
        return changed

    def _assign(self, member: Member) -> bool:
        """Give free sections to what has none: every sound first, then cameras, then screens. True if one was given."""
        outlets = member.outlets()
        taken = {id(outlet.feed) for outlet in outlets if outlet.feed is not None}
        given = False
        for source in _ORDER:
            for feed in self.feeds.values():
                if feed.source != source or feed.publisher == member.publisher or id(feed) in taken:
                    continue
                outlet = _choose(outlets, feed)
                if outlet is not None:
                    feed.connect(outlet)
                    given = True
        return given


def _choose(outlets: Sequence[Outlet], feed: Feed) -> Outlet | None:
    """A free section of the right kind: beside its person's sound for a camera, the last one for a screen."""
    same = [outlet for outlet in outlets if outlet.kind == feed.kind]
    free = [outlet for outlet in same if outlet.feed is None]
    if not free or feed.source == "audio":
        return free[0] if free else None
    if feed.source == "screen":
        return free[-1]
    sounds = [outlet for outlet in outlets if outlet.kind == "audio"]
    for place, sound in enumerate(sounds):
        beside = same[place] if place < len(same) else None
        if sound.feed is not None and sound.feed.publisher == feed.publisher and beside in free:
            return beside
    return free[0]
