"""How an act stands to the log: what each route, event and command must say about itself."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from telehealth.audit.actions import Action
from tests.order.place import Ask, Place

Prepare = Callable[[Place], Awaitable[Ask]]


@dataclass(frozen=True)
class Opens:
    """Gives somebody something: one of these entries is durable before it happens.

    `reserves`: tables in which the act may leave something beforehand that admits to nothing.
    """

    actions: frozenset[Action]
    prepare: Prepare
    reserves: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Closes:
    """Ends, refuses or protects: happens at once, entered when the log can. `code`: what the answer says."""

    actions: frozenset[Action]
    prepare: Prepare
    code: str | None = None


@dataclass(frozen=True)
class Under:
    """Goes on with what an entry opened: needs none of its own, and stops when the log is down if `stops`."""

    action: Action
    why: str
    prepare: Prepare | None = None


@dataclass(frozen=True)
class Read:
    """Opens, and takes a long way to come to: its source is read instead. `source`: `module:Class.method`.

    An entry, or an act around it, comes before any transaction, key or octet in it.
    """

    actions: frozenset[Action]
    source: str


@dataclass(frozen=True)
class Shows:
    """Opens nothing: `why` says what it shows or does."""

    why: str


Way = Opens | Closes | Under | Read | Shows
Ways = dict[str, tuple[Way, ...]]


def opens(prepare: Prepare, *actions: Action, reserves: str = "") -> Opens:
    return Opens(frozenset(actions), prepare, frozenset(reserves.split()))


def closes(prepare: Prepare, *actions: Action, code: str | None = None) -> Closes:
    return Closes(frozenset(actions), prepare, code)


def read(source: str, *actions: Action) -> Read:
    return Read(frozenset(actions), source)
