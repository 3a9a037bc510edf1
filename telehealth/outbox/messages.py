"""What is sent: clinic, time, link or code, and never a word about whom or why."""

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from icalendar import Calendar, Event

from telehealth.secret import Secret

Kind = Literal["link", "code", "alert"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message for either channel: SMS carries `text` alone; `calendar` is an iCalendar file (RFC 5545)."""

    text: str = field(repr=False)
    subject: str = ""
    calendar: str | None = field(default=None, repr=False)

    def packed(self) -> str:
        """JSON, to be sealed."""
        return json.dumps(asdict(self), ensure_ascii=False)


def unpacked(text: str) -> Message:
    """What `packed` wrote."""
    return Message(**json.loads(text))


def code_message(clinic: str, code: Secret[str], minutes: int) -> Message:
    """The one-time code; the subject does not hold it, since subjects show on locked screens."""
    text = (
        f"{code.reveal()} is your code for your video visit with {clinic}. It is valid for {minutes} minutes. "
        "Nobody from the clinic will ever ask you for it."
    )
    return Message(text, f"Your code for {clinic}")


def link_message(
    clinic: str, url: Secret[str], *, link: str, scheduled_at: datetime, minutes: int, zone: str, now: datetime
) -> Message:
    """The link and the time in the clinic's zone; the calendar file holds the time without the link's secret."""
    local = scheduled_at.astimezone(ZoneInfo(zone))
    when = f"{local:%Y-%m-%d %H:%M} ({local.tzname()})"
    text = (
        f"Your video visit with {clinic}: {when}.\n\n"
        f"Open this link on the device you want to use:\n{url.reveal()}\n\n"
        "The link is for you alone. Please do not pass it on."
    )
    calendar = _calendar(clinic, link, scheduled_at, minutes, now)
    return Message(text, f"Your video visit with {clinic}, {local:%Y-%m-%d %H:%M}", calendar)


def _calendar(clinic: str, link: str, scheduled_at: datetime, minutes: int, now: datetime) -> str:
    """Calendars are copied to many places, so the secret stays in the message."""
    event = Event()
    event.add("uid", f"{link}@telehealth")
    event.add("dtstamp", now)
    event.add("dtstart", scheduled_at)
    event.add("dtend", scheduled_at + timedelta(minutes=minutes))
    event.add("summary", f"Video visit with {clinic}")
    event.add("description", "The link to the visit is in the message that this file came with.")
    calendar = Calendar()
    calendar.add("prodid", "-//telehealth//visit//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add_component(event)
    return bytes(calendar.to_ical()).decode()
