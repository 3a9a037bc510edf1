"""The state of legs, sources and sections without the compiled loop: what `_batch.c` keeps, as plain attributes."""

from typing import Any


class BudgetState:
    __slots__ = ("_at", "_burst", "_level", "_rate")


class HistoryState:
    __slots__ = ("_kept", "_most_octets", "_most_packets", "octets")


class ReceptionState:
    """Its attributes are those that subclasses set."""


class FeedState:
    """Its attributes are those that subclasses set."""


class PublicationState:
    """Its attributes are those that subclasses set."""


class OutletState:
    """Its attributes are those that subclasses set."""


class Lane:
    """One leg: its ciphers, where it is sent to, and when it was heard last."""

    __slots__ = (
        "authenticated",
        "budget",
        "deaf_until",
        "incoming",
        "last",
        "leg",
        "octets",
        "outgoing",
        "packets",
        "remote",
        "sources",
    )

    def __init__(self) -> None:
        self.incoming = self.outgoing = self.remote = self.budget = self.sources = self.leg = None
        self.last = self.authenticated = self.deaf_until = 0.0
        self.packets = self.octets = 0


class Cipher:
    """Nothing is encrypted by it here."""

    __slots__ = ()

    def __init__(self, context: int, session: Any) -> None: ...


class Address:
    """Nothing is sent by it here."""

    __slots__ = ("fd", "key")

    def __init__(self, fd: int, host: str, rest: tuple[int, ...]) -> None:
        self.fd = fd
        self.key = f"{host} {rest}".encode()


class Loop:
    """There is none."""

    packets = octets = sent = failed = sent_twice = 0
