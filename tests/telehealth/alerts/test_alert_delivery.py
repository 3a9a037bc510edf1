"""Alerts get out: signed, again and again, past receivers that are down; what did not is an entry."""

import asyncio
import hmac
import json
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from email import message_from_bytes
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from aiosmtpd.controller import UnthreadedController
from alert_tower import ADMIN, Tower
from sqlalchemy import insert, select

from telehealth.alerts.channels import SIGNATURE, ByMail, Syslog, Webhook
from telehealth.alerts.settings import Alerts
from telehealth.audit.actions import Action as A
from telehealth.events import Bus
from telehealth.outbox.mail import Mailer
from telehealth.outbox.outbox import Outbox
from telehealth.secret import Secret
from telehealth.sections import Mail
from telehealth.store.tables import alert_deliveries

SECRET = Secret("a shared secret")
PAGE = "https://clinic.example/alerts"


@dataclass
class Receiver:
    """Takes POSTs; answers what the test says."""

    status: int = 204
    bodies: list[bytes] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.read())
        self.signatures.append(request.headers[SIGNATURE])
        return web.Response(status=self.status, headers={"Location": "/elsewhere"})

    async def elsewhere(self, request: web.Request) -> web.Response:
        raise AssertionError("a redirect was followed")


@pytest.fixture
async def receiver() -> AsyncIterator[tuple[Receiver, str]]:
    found, app = Receiver(), web.Application()
    app.router.add_post("/hook", found.take)
    app.router.add_route("*", "/elsewhere", found.elsewhere)
    server = TestServer(app)
    await server.start_server()
    yield found, str(server.make_url("/hook"))
    await server.close()


async def hooked(open_tower: Any, url: str, **settings: Any) -> Tower:
    tower: Tower = await open_tower(settings=Alerts(**settings))
    tower.channels = {"webhook": Webhook(url, SECRET, tower.clock, "Lake Clinic", PAGE)}
    tower.restart()
    return tower


async def deliver(tower: Tower) -> None:
    while await tower.room.deliveries.deliver_due():
        pass


async def test_the_webhook_gets_signed_json_without_patient_data(
    open_tower: Any, receiver: tuple[Receiver, str]
) -> None:
    got, url = receiver
    tower = await hooked(open_tower, url)
    await tower.enter(
        A.BREAK_GLASS_ADMIT, visit="vis_a", subject="par_a", patient="pat_zora", private={"reason": "Zora"}
    )
    await tower.raised()
    await deliver(tower)
    [body], [signature] = got.bodies, got.signatures
    seconds, digest = (part.partition("=")[2] for part in signature.split(","))
    assert hmac.new(b"a shared secret", f"{seconds}.".encode() + body, "sha256").hexdigest() == digest
    told = json.loads(body)
    assert (told["rule"], told["severity"], told["subject"]) == ("break_glass", "critical", "usr_a")
    assert told["url"] == PAGE
    assert b"Zora" not in body
    assert b"192.0.2.7" not in body
    await deliver(tower)
    assert len(got.bodies) == 1


async def test_a_receiver_that_is_down_for_hours_gets_it_when_it_is_back(
    open_tower: Any, receiver: tuple[Receiver, str]
) -> None:
    got, url = receiver
    got.status = 503
    tower = await hooked(open_tower, url, again_minutes=1440)
    await tower.enter(A.BREAK_GLASS_ADMIT)
    await tower.raised()
    for _ in range(80):
        await deliver(tower)
        tower.clock.step(minutes=5)
        tower.restart()
    assert 10 <= len(got.bodies) <= 40  # bounded: ever longer pauses
    [view] = (await tower.room.find(ADMIN, True)).items
    assert view.deliveries[0].failure == "http_503"
    got.status = 200
    tower.clock.step(minutes=15)
    await deliver(tower)
    [view] = (await tower.room.find(ADMIN, True)).items
    assert view.deliveries[0].sent_at == tower.clock.now()
    failed = await tower.entries(A.ALERT_SEND)
    assert [(one.outcome, one.detail["code"]) for one in failed] == [("failed", "http_503")]


async def test_one_message_that_cannot_even_be_read_holds_up_no_other(
    open_tower: Any, receiver: tuple[Receiver, str]
) -> None:
    got, url = receiver
    tower = await hooked(open_tower, url)
    await tower.enter(A.BREAK_GLASS_ADMIT)
    await tower.raised()
    async with tower.store.begin() as c:
        [row] = (await c.execute(select(alert_deliveries))).mappings().all()
        broken = {**row, "id": f"{row['id']}x", "to_sealed": b"under a key that is gone"}
        await c.execute(insert(alert_deliveries).values(broken))
    await deliver(tower)
    assert len(got.bodies) == 1
    [failed] = await tower.entries(A.ALERT_SEND)
    assert (failed.outcome, failed.detail["code"]) == ("failed", "broken")


async def test_what_cannot_be_delivered_is_given_up_and_entered(
    open_tower: Any, receiver: tuple[Receiver, str]
) -> None:
    got, url = receiver
    got.status = 302
    tower = await hooked(open_tower, url, give_up_hours=1)
    await tower.enter(A.BREAK_GLASS_ADMIT)
    await tower.raised()
    for _ in range(20):
        await deliver(tower)
        tower.clock.step(minutes=10)
    [view] = (await tower.room.find(ADMIN, True)).items
    assert (view.deliveries[0].failure, view.deliveries[0].sent_at) == ("http_302", None)
    assert view.deliveries[0].given_up_at is not None
    first, last = await tower.entries(A.ALERT_SEND)
    assert (first.detail["given_up"], last.detail["given_up"]) == (False, True)
    tried = len(got.bodies)
    tower.clock.step(hours=5)
    await deliver(tower)
    assert len(got.bodies) == tried


async def test_a_critical_alert_is_told_again_until_somebody_takes_it_on(
    open_tower: Any, receiver: tuple[Receiver, str]
) -> None:
    got, url = receiver
    tower = await hooked(open_tower, url, again_minutes=30)
    await tower.enter(A.BREAK_GLASS_ADMIT)
    await tower.enter(A.USER_CREATE, subject="usr_b", detail={"role": "admin"})  # a warning: told once
    rows = await tower.raised()
    for _ in range(4):
        await tower.room.look_at_gauges(tower.gauges())
        await deliver(tower)
        tower.clock.step(minutes=16)
    again = [json.loads(body)["reminder"] for body in got.bodies if json.loads(body)["rule"] == "break_glass"]
    assert again == [0, 1]
    assert sum(json.loads(body)["rule"] == "admin_made" for body in got.bodies) == 1
    critical = next(row for row in rows if row.rule == "break_glass")
    await tower.room.acknowledge(ADMIN, critical.id, "it was me")
    told = len(got.bodies)
    tower.clock.step(hours=3)
    await tower.room.look_at_gauges(tower.gauges())
    await deliver(tower)
    assert len(got.bodies) == told


async def test_what_is_less_grave_than_wished_stays_on_the_page(
    open_tower: Any, receiver: tuple[Receiver, str]
) -> None:
    got, url = receiver
    tower = await hooked(open_tower, url)
    await tower.enter(A.AUDIT_EXPORT)
    await tower.raised()
    await deliver(tower)
    assert got.bodies == []


class Postbox:
    """An SMTP server's hands."""

    def __init__(self) -> None:
        self.mails: list[Any] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # aiosmtpd's name
        self.mails.append((envelope.rcpt_tos, message_from_bytes(envelope.content)))
        return "250 OK"


async def test_an_alert_goes_out_by_mail_though_the_log_is_down(open_tower: Any) -> None:
    tower: Tower = await open_tower(settings=Alerts(mail_to=("it@clinic.example",)))
    postbox = Postbox()
    smtp = UnthreadedController(postbox, hostname="127.0.0.1", port=0, loop=asyncio.get_running_loop())
    smtp.server = await smtp._create_server()
    port = smtp.server.sockets[0].getsockname()[1]
    mailer = Mailer(Mail(host="127.0.0.1", port=port, sender="clinic@clinic.example", security="none"), None)
    outbox = Outbox(
        store=tower.store,
        fields=tower.fields,
        audit=tower.audit,
        clock=tower.clock,
        bus=Bus(),
        carriers={"email": mailer},
        entropy=os.urandom,
    )
    tower.channels = {"email": ByMail(outbox, tower.clock, "Lake Clinic", PAGE, timedelta(hours=24))}
    tower.restart()

    async def down() -> bool:
        return False

    gauges = tower.gauges(log=down)
    await tower.room.look_at_gauges(gauges)
    tower.clock.step(minutes=2)
    await tower.room.look_at_gauges(gauges)
    await deliver(tower)
    before = tower.audit.head().size
    await outbox.deliver_due()
    [(to, mail)] = postbox.mails
    assert to == ["it@clinic.example"]
    assert mail["Subject"] == "[Lake Clinic] critical: The audit log takes no entries"
    assert PAGE in mail.get_payload()
    assert tower.audit.head().size == before  # no entry was waited for
    smtp.server.close()
    await smtp.server.wait_closed()


async def test_syslog_gets_one_line_as_rfc_5424_says(open_tower: Any) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.setblocking(False)
        tower: Tower = await open_tower()
        url = f"udp://127.0.0.1:{listening.getsockname()[1]}"
        tower.channels = {"syslog": Syslog(url, None, tower.clock, "Lake Clinic", PAGE)}
        tower.restart()
        await tower.enter(A.BREAK_GLASS_ADMIT)
        await tower.raised()
        await deliver(tower)
        line = await asyncio.get_running_loop().sock_recv(listening, 65_535)
    assert line.startswith(b"<82>1 2031-05-06T09:00:00.000Z - telehealth ")  # authpriv, critical
    head, _, text = line.partition(b" alert - ")
    assert head.count(b" ") == 4
    assert json.loads(text)["rule"] == "break_glass"


async def test_a_mail_relay_that_is_down_is_entered_as_an_alert_not_sent(open_tower: Any) -> None:
    tower: Tower = await open_tower(settings=Alerts(mail_to=("it@clinic.example",)))
    mailer = Mailer(Mail(host="127.0.0.1", port=1, sender="clinic@clinic.example", security="none"), None)
    common: dict[str, Any] = {"store": tower.store, "fields": tower.fields, "audit": tower.audit, "clock": tower.clock}
    outbox = Outbox(**common, bus=Bus(), carriers={"email": mailer}, entropy=os.urandom)
    tower.channels = {"email": ByMail(outbox, tower.clock, "Lake Clinic", PAGE, timedelta(hours=24))}
    tower.restart()
    await tower.enter(A.BREAK_GLASS_ADMIT)
    await tower.raised()
    await deliver(tower)
    for _ in range(3):
        await outbox.deliver_due()
        tower.clock.step(minutes=6)
    assert [(one.outcome, one.detail["code"]) for one in await tower.entries(A.ALERT_SEND)] == [
        ("failed", "unreachable")
    ]
    assert await tower.entries(A.LINK_SEND) == []
