"""Fixed keys, a clock that the test moves, and entries to enter."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from telehealth.audit.actions import Action
from telehealth.audit.entry import Actor, Entry, Outcome
from telehealth.audit.log import AuditLog, Limits
from telehealth.audit.note import Signer
from telehealth.secret import Secret

ORIGIN = "log.example/audit"
SEED = Secret(b"s" * 32)
PSEUDONYMS = Secret(b"p" * 32)
WRAPPING = Secret(b"w" * 32)
PUBLIC = Signer(ORIGIN, SEED).public_key
QUICK = Limits(memory=0, retry_every=0.005, brief=2.0, throttle_tick=0.005)


class MovedClock:
    def __init__(self) -> None:
        self.moment = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
        self.seconds = 0.0

    def now(self) -> datetime:
        return self.moment

    def steady(self) -> float:
        return self.seconds

    def move(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)
        self.seconds += seconds


def an_entry(number: int = 0, **changes: Any) -> Entry:
    fields: dict[str, Any] = {
        "action": Action.PLAYBACK_GRANT,
        "outcome": Outcome.DONE,
        "actor": Actor("user", id="usr_a", role="admin", address="192.0.2.7", device="a browser"),
        "visit": f"vis_{number % 3}",
        "recording": "rec_1",
        "patient": f"pat_{number % 2}",
        "detail": {"number": number},
        "private": {"reason": f"asked by telephone {number}"},
    }
    return Entry(**{**fields, **changes})


OpenLog = Callable[..., Awaitable[AuditLog]]
