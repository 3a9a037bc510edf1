"""Where alerts go: a webhook, syslog, e-mail. What is sent holds rule, severity, ids and times: no patient data."""

import asyncio
import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import aiohttp

from telehealth.alerts.rows import AlertRow
from telehealth.alerts.rules import SHIPPED, Severity
from telehealth.clock import Clock, rfc3339
from telehealth.errors import Refusal
from telehealth.outbox.messages import Message
from telehealth.outbox.outbox import Outbox
from telehealth.secret import Secret
from telehealth.syslog import Address, Stream, send_datagram
from telehealth.syslog import message as syslog_message

SIGNATURE = "Telehealth-Signature"
SECONDS = 10.0
_TITLES = {rule.name: rule.title for rule in SHIPPED}
_SYSLOG_SEVERITY: Mapping[Severity, int] = {"critical": 2, "warning": 4, "notice": 5}


class NotDelivered(Exception):
    """`code` says why, for the page and the log."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Telling:
    """One alert on its way out. `again`: the how-manieth reminder, 0 for the first telling."""

    delivery: str
    alert: AlertRow
    again: int
    to: str | None = None

    @property
    def title(self) -> str:
        return _TITLES.get(self.alert.rule, self.alert.rule)

    def body(self, clinic: str, page: str) -> dict[str, Any]:
        """The JSON of the webhook and of syslog."""
        alert = self.alert
        return {
            "id": alert.id,
            "delivery": self.delivery,
            "clinic": clinic,
            "rule": alert.rule,
            "title": self.title,
            "severity": alert.severity,
            "subject": alert.subject,
            "facts": dict(alert.facts),
            "times": alert.times,
            "raised_at": rfc3339(alert.raised_at),
            "last_at": rfc3339(alert.last_at),
            "reminder": self.again,
            "url": page,
        }


class Channel(Protocol):
    """One way out."""

    async def tell(self, telling: Telling) -> None:
        """Hand it over. Raises NotDelivered."""
        ...


class Webhook:
    """POST of JSON to the one configured address: no redirect is followed, no proxy asked, no answer read.

    `Telehealth-Signature: t=<Unix seconds>,v1=<hex HMAC-SHA-256 of "<t>.<body>">`; whoever receives it refuses what is
    minutes old. A delivery that was taken and not noted comes again under the same `delivery`.
    """

    def __init__(self, url: str, secret: Secret[str], clock: Clock, clinic: str, page: str) -> None:
        self._url = url
        self._secret = secret
        self._clock = clock
        self._clinic = clinic
        self._page = page

    async def tell(self, telling: Telling) -> None:
        body = json.dumps(telling.body(self._clinic, self._page), ensure_ascii=False).encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "telehealth",
            SIGNATURE: signed(self._secret, self._clock.now(), body),
        }
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS), trust_env=False) as session,
                session.post(self._url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                status = answer.status
        except TimeoutError as error:
            raise NotDelivered("timeout") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NotDelivered("unreachable") from error
        if not 200 <= status < 300:
            raise NotDelivered(f"http_{status}")


def signed(secret: Secret[str], at: datetime, body: bytes) -> str:
    """The signature header's value."""
    seconds = str(int(at.timestamp()))
    digest = hmac.digest(secret.reveal().encode(), seconds.encode() + b"." + body, "sha256")
    return f"t={seconds},v1={digest.hex()}"


class Syslog:
    """RFC 5424, one message for each telling, the JSON of the webhook as its text."""

    def __init__(self, url: str, ca_file: Path | None, clock: Clock, clinic: str, page: str) -> None:
        self._address = Address(url, ca_file)
        self._clock = clock
        self._clinic = clinic
        self._page = page

    async def tell(self, telling: Telling) -> None:
        text = json.dumps(telling.body(self._clinic, self._page)).encode()
        severity = _SYSLOG_SEVERITY[telling.alert.severity]
        content = syslog_message(self._clock.now(), "telehealth", str(os.getpid()), "alert", text, severity=severity)
        try:
            await asyncio.to_thread(self._send, content)
        except OSError as error:
            raise NotDelivered("unreachable") from error

    def _send(self, content: bytes) -> None:
        if self._address.scheme in ("unix", "udp"):
            send_datagram(self._address, content, SECONDS)
            return
        stream = Stream(self._address, SECONDS)
        try:
            stream.send([content])
            stream.finish()
        finally:
            stream.close()


class ByMail:
    """Into the outbox, which delivers, tries again and enters what it could not."""

    def __init__(self, outbox: Outbox, clock: Clock, clinic: str, page: str, keep: timedelta) -> None:
        self._outbox = outbox
        self._clock = clock
        self._clinic = clinic
        self._page = page
        self._keep = keep

    async def tell(self, telling: Telling) -> None:
        alert = telling.alert
        again = f" (reminder {telling.again})" if telling.again else ""
        text = (
            f"{telling.title}{again}\n\nSeverity: {alert.severity}\nTimes: {alert.times}\n"
            f"Since: {rfc3339(alert.raised_at)}\nLast: {rfc3339(alert.last_at)}\n\n"
            f"Look at it and acknowledge it here:\n{self._page}\n"
        )
        subject = f"[{self._clinic}] {alert.severity}: {telling.title}{again}"
        try:
            await self._outbox.queue(
                "email",
                telling.to or "",
                Message(text, subject),
                visit=None,
                link=None,
                kind="alert",
                expires=self._clock.now() + self._keep,
            )
        except Refusal as refusal:
            raise NotDelivered(refusal.code) from refusal
