"""Tries at signing in: counted before they are looked at and forgiven when right, so that many at once get no more."""

from dataclasses import dataclass
from datetime import datetime

from telehealth.identity.ports import Fields
from telehealth.identity.slowing import (
    ADDRESS,
    FORGOTTEN,
    LOGIN,
    PAIR,
    Slope,
    Standing,
    after_failure,
    seconds_to_wait,
)
from telehealth.limits.subjects import network_of
from telehealth.store import attempts
from telehealth.store.engine import Connection, Store


@dataclass(frozen=True, slots=True)
class Counted:
    """Who is counted, and how: `own` subjects are forgotten by a right try, `shared` ones only get this try back."""

    own: tuple[tuple[bytes, Slope], ...]
    shared: tuple[tuple[bytes, Slope], ...]


class Tries:
    """A name from one address, the name alone, the address alone: each with its own patience.

    A browser (or session) that is known as the account's own is counted by itself: strangers cannot hold it up.
    """

    def __init__(self, store: Store, fields: Fields) -> None:
        self._store = store
        self._fields = fields

    def of(self, login: str | None, address: str | None, known: str | None = None) -> Counted:
        """What is counted for a try. `login` None: not known yet; `known`: the account's own browser or session."""
        if known is not None:
            return Counted(((self._fields.lookup("tries-known", f"{login or ''} {known}"), PAIR),), ())
        source = network_of(address or "unknown")
        shared = ((self._fields.lookup("tries-address", source), ADDRESS),)
        if login is None:
            return Counted((), shared)
        pair = self._fields.lookup("tries-pair", f"{login} {source}")
        return Counted(((pair, PAIR), (self._fields.lookup("tries-login", login), LOGIN)), shared)

    async def count(self, counted: Counted, now: datetime) -> float:
        """Count a failure in advance; the seconds to wait if it is too soon, and then nothing is counted."""
        async with self._store.begin() as connection:
            await attempts.forget_before(connection, now - FORGOTTEN)
            standings = []
            subjects = counted.own + counted.shared
            for subject, _ in subjects:
                row = await attempts.standing(connection, subject)
                standings.append(Standing(*row) if row else Standing())
            wait = max(seconds_to_wait(standing, now) for standing in standings)
            if wait > 0:
                return wait
            for (subject, slope), standing in zip(subjects, standings, strict=True):
                next_one = after_failure(standing, slope, now)
                await attempts.put(connection, subject, next_one.failures, next_one.until, now)
        return 0.0

    async def forgive(self, counted: Counted) -> None:
        """The try was no failure of theirs."""
        async with self._store.begin() as connection:
            await self.clear(connection, counted)

    async def clear(self, connection: Connection, counted: Counted) -> None:
        """Forget the failures of this name; those from this address stay, but for this try."""
        if counted.own:
            await attempts.clear(connection, [subject for subject, _ in counted.own])
        for subject, _ in counted.shared:
            await attempts.give_back(connection, subject)
