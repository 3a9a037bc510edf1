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


_CODE = {
    "en": (
        "Your code for {clinic}",
        "{code} is your code for your video visit with {clinic}. It is valid for {minutes} minutes. "
        "Nobody from the clinic will ever ask you for it.",
    ),
    "ar": (
        "رمزك من {clinic}",
        "{code} هو رمزك لزيارتك المرئية مع {clinic}. صالح لمدة {minutes} دقائق. لن يطلبه منك أحد من العيادة أبدًا.",
    ),
}
_LINK = {
    "en": (
        "Your video visit with {clinic}, {local:%Y-%m-%d %H:%M}",
        "Your video visit with {clinic}: {when}.\n\n"
        "Open this link on the device you want to use:\n{url}\n\n"
        "The link is for you alone. Please do not pass it on.",
    ),
    "ar": (
        "زيارتك المرئية مع {clinic}، {local:%Y-%m-%d %H:%M}",
        "زيارتك المرئية مع {clinic}: {when}.\n\n"
        "افتح هذا الرابط على الجهاز الذي تريد استخدامه:\n{url}\n\n"
        "هذا الرابط لك وحدك. من فضلك لا ترسله إلى أحد غيرك.",
    ),
}
_CALENDAR = {
    "en": ("Video visit with {clinic}", "The link to the visit is in the message that this file came with."),
    "ar": ("زيارة مرئية مع {clinic}", "رابط الزيارة موجود في الرسالة التي جاء معها هذا الملف."),
}


def code_message(language: str, clinic: str, code: Secret[str], minutes: int) -> Message:
    """The one-time code; the subject does not hold it, since subjects show on locked screens."""
    subject, text = _CODE.get(language, _CODE["en"])
    return Message(text.format(code=code.reveal(), clinic=clinic, minutes=minutes), subject.format(clinic=clinic))


def link_message(
    language: str,
    clinic: str,
    url: Secret[str],
    *,
    link: str,
    scheduled_at: datetime,
    minutes: int,
    zone: str,
    now: datetime,
) -> Message:
    """The link and the time in the clinic's zone; the calendar file holds the time without the link's secret.

    In English where there are no words in the language.
    """
    local = scheduled_at.astimezone(ZoneInfo(zone))
    when = f"{local:%Y-%m-%d %H:%M} ({local.tzname()})"
    subject, text = _LINK.get(language, _LINK["en"])
    words = _CALENDAR.get(language, _CALENDAR["en"])
    calendar = _calendar(words, clinic, link, scheduled_at, minutes, now)
    said = text.format(clinic=clinic, when=when, url=url.reveal())
    return Message(said, subject.format(clinic=clinic, local=local), calendar)


def _calendar(
    words: tuple[str, str], clinic: str, link: str, scheduled_at: datetime, minutes: int, now: datetime
) -> str:
    """Calendars are copied to many places, so the secret stays in the message."""
    event = Event()
    event.add("uid", f"{link}@telehealth")
    event.add("dtstamp", now)
    event.add("dtstart", scheduled_at)
    event.add("dtend", scheduled_at + timedelta(minutes=minutes))
    event.add("summary", words[0].format(clinic=clinic))
    event.add("description", words[1])
    calendar = Calendar()
    calendar.add("prodid", "-//telehealth//visit//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add_component(event)
    return bytes(calendar.to_ical()).decode()
