"""The bus tells everybody, whatever one of them does."""

import pytest

from telehealth import events
from telehealth.events import Bus, CodeMinted, SessionEnded, VisitChanged


class Kept:
    """A log that keeps what it is told."""

    def __init__(self) -> None:
        self.errors: list[tuple[str, dict[str, object]]] = []

    def error(self, event: str, **fields: object) -> None:
        self.errors.append((event, fields))


async def test_everybody_hears_in_order_and_only_what_they_asked_for() -> None:
    bus, heard = Bus(), list[object]()

    async def first(event: VisitChanged) -> None:
        heard.append(("first", event.visit))

    async def second(event: VisitChanged) -> None:
        heard.append(("second", event.visit))

    stop = bus.subscribe(VisitChanged, first)
    bus.subscribe(VisitChanged, second)
    await bus.publish(VisitChanged("vis_1"))
    await bus.publish(SessionEnded("usr_1"))
    stop()
    await bus.publish(VisitChanged("vis_2"))
    assert heard == [("first", "vis_1"), ("second", "vis_1"), ("second", "vis_2")]


async def test_a_failing_subscriber_is_logged_and_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    bus, heard, kept = Bus(), list[str](), Kept()
    monkeypatch.setattr(events, "log", kept)

    async def failing(event: VisitChanged) -> None:
        raise ValueError(event.visit)

    async def hearing(event: VisitChanged) -> None:
        heard.append(event.visit)

    bus.subscribe(VisitChanged, failing)
    bus.subscribe(VisitChanged, hearing)
    await bus.publish(VisitChanged("vis_1"))
    assert heard == ["vis_1"]
    assert [event for event, _ in kept.errors] == ["events.subscriber_failed"]


def test_a_spoken_code_does_not_print_itself() -> None:
    assert "123456" not in repr(CodeMinted("vis_1", "lnk_1", events.Secret("123456"), None))  # type: ignore[arg-type]
