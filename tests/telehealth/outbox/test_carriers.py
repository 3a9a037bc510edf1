"""Real partners: an SMTP server and an HTTP gateway on this machine."""

import asyncio
import email
import email.policy
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from icalendar import Calendar

from telehealth.outbox.carriers import carriers_of
from telehealth.outbox.failure import DeliveryFailed
from telehealth.outbox.mail import Mailer
from telehealth.outbox.messages import Message, code_message, link_message, unpacked
from telehealth.outbox.sms import SmsGateway
from telehealth.secret import Secret
from telehealth.sections import Mail, Sms

START = datetime(2031, 5, 6, 7, 0, tzinfo=UTC)
URL = Secret("https://clinic.example/join#secretsecret")
LINK = link_message(
    "en", "Clinic by the Lake", URL, link="lnk_1", scheduled_at=START, minutes=30, zone="Europe/Vienna", now=START
)


@dataclass
class Relay:
    """Takes mail in, unless told otherwise."""

    port: int = 0
    taken: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    refuse_recipient: str | None = None
    refuse_mail: str | None = None

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
        if self.refuse_recipient:
            return self.refuse_recipient
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        if self.refuse_mail:
            return self.refuse_mail
        self.recipients.extend(envelope.rcpt_tos)
        parsed = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        self.taken.append(parsed)
        return "250 OK"


def certificate(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cafile=pem)


@asynccontextmanager
async def serving(relay: Relay, **options: Any) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(relay, hostname="localhost", **options), "127.0.0.1", 0)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield
    finally:
        server.close()
        await server.wait_closed()


@pytest.fixture
async def relay() -> AsyncIterator[Relay]:
    relay = Relay()
    async with serving(relay):
        yield relay


def mailer(relay: Relay) -> Mailer:
    return Mailer(Mail(host="127.0.0.1", port=relay.port, sender="clinic@example.org", security="none"), None)


async def test_a_link_arrives_by_mail_with_a_calendar_file_without_its_secret(relay: Relay) -> None:
    await mailer(relay).send("pat@example.org", LINK)
    (mail,) = relay.taken
    assert relay.recipients == ["pat@example.org"]
    assert mail["Subject"] == "Your video visit with Clinic by the Lake, 2031-05-06 09:00"
    assert mail["Auto-Submitted"] == "auto-generated"
    body = mail.get_body()
    assert body is not None
    assert URL.reveal() in body.get_content()
    (attached,) = mail.iter_attachments()
    assert attached.get_content_type() == "text/calendar"
    assert "secretsecret" not in attached.get_content()
    (event,) = Calendar.from_ical(attached.get_content()).walk("VEVENT")
    assert (event.decoded("dtstart"), event.decoded("dtend")) == (START, START + timedelta(minutes=30))


@pytest.mark.parametrize(
    ("answer", "code", "final"),
    [
        ("550 no such box", "recipient_refused", True),
        ("451 later", "recipient_refused", False),
    ],
)
async def test_a_refused_recipient_is_final_or_not(relay: Relay, answer: str, code: str, final: bool) -> None:
    relay.refuse_recipient = answer
    with pytest.raises(DeliveryFailed) as failed:
        await mailer(relay).send("pat@example.org", LINK)
    assert (failed.value.code, failed.value.final) == (code, final)


@pytest.mark.parametrize(("answer", "final"), [("554 no", True), ("452 full", False)])
async def test_refused_mail_is_final_or_not(relay: Relay, answer: str, final: bool) -> None:
    relay.refuse_mail = answer
    with pytest.raises(DeliveryFailed) as failed:
        await mailer(relay).send("pat@example.org", LINK)
    assert (failed.value.code, failed.value.final) == ("mail_refused", final)


async def test_no_relay_is_no_end(relay: Relay) -> None:
    off = Relay()
    async with serving(off):
        pass
    with pytest.raises(DeliveryFailed) as failed:
        await mailer(off).send("pat@example.org", LINK)
    assert (failed.value.code, failed.value.final) == ("unreachable", False)


async def test_an_address_cannot_smuggle_headers(relay: Relay) -> None:
    with pytest.raises(DeliveryFailed) as failed:
        await mailer(relay).send("pat@example.org\nBcc: other@example.org", LINK)
    assert failed.value.final
    assert relay.taken == []


async def test_mail_is_encrypted_before_sign_in(tmp_path: Path) -> None:
    theirs, ours = await asyncio.to_thread(certificate, tmp_path)
    relay = Relay()

    def sign_in(_server: Any, _session: Any, _envelope: Any, _mechanism: str, given: Any) -> AuthResult:
        right = isinstance(given, LoginPassword) and given.password == b"relay secret"
        return AuthResult(success=right, handled=False)

    locked = {"tls_context": theirs, "require_starttls": True, "authenticator": sign_in, "auth_required": True}
    async with serving(relay, **locked):
        settings = Mail(host="localhost", port=relay.port, sender="clinic@example.org", user="clinic")
        await Mailer(settings, Secret("relay secret"), ours).send("pat@example.org", LINK)
        assert len(relay.taken) == 1
        with pytest.raises(DeliveryFailed) as failed:
            await Mailer(settings, Secret("wrong"), ours).send("pat@example.org", LINK)
        assert (failed.value.code, failed.value.final) == ("mail_sign_in", False)


async def test_a_relay_nobody_vouches_for_gets_nothing(tmp_path: Path) -> None:
    theirs, _ = await asyncio.to_thread(certificate, tmp_path)
    relay = Relay()
    async with serving(relay, tls_context=theirs):
        settings = Mail(host="localhost", port=relay.port, sender="clinic@example.org")
        with pytest.raises(DeliveryFailed) as failed:
            await Mailer(settings, None).send("pat@example.org", LINK)
    assert (failed.value.code, failed.value.final) == ("mail_tls", False)
    assert relay.taken == []


async def test_a_relay_without_starttls_gets_nothing(relay: Relay) -> None:
    settings = Mail(host="127.0.0.1", port=relay.port, sender="clinic@example.org")
    with pytest.raises(DeliveryFailed):
        await Mailer(settings, None).send("pat@example.org", LINK)
    assert relay.taken == []


@dataclass
class Gateway:
    url: str = ""
    status: int = 202
    asked: list[tuple[str | None, Any]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append((request.headers.get("Authorization"), await request.json()))
        headers = {"Location": "/elsewhere"} if 300 <= self.status < 400 else {}
        return web.Response(status=self.status, headers=headers)


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    gateway = Gateway()
    app = web.Application()
    app.router.add_post("/{any:.*}", gateway.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    gateway.url = f"http://{host}:{port}/send"
    yield gateway
    await runner.cleanup()


async def test_an_sms_is_one_documented_request(gateway: Gateway) -> None:
    await SmsGateway(gateway.url, Secret("gateway token")).send("+436601234567", Message("hello"))
    assert gateway.asked == [("Bearer gateway token", {"to": "+436601234567", "text": "hello"})]
    await SmsGateway(gateway.url, None).send("+436601234567", Message("hello"))
    assert gateway.asked[1][0] is None


@pytest.mark.parametrize(
    ("status", "code", "final"),
    [
        (400, "gateway_refused", True),
        (403, "gateway_refused", True),
        (302, "gateway_refused", True),
        (429, "gateway_failed", False),
        (500, "gateway_failed", False),
        (503, "gateway_failed", False),
    ],
)
async def test_a_gateways_answer_says_whether_to_try_again(
    gateway: Gateway, status: int, code: str, final: bool
) -> None:
    gateway.status = status
    with pytest.raises(DeliveryFailed) as failed:
        await SmsGateway(gateway.url, None).send("+436601234567", Message("hello"))
    assert (failed.value.code, failed.value.final) == (code, final)
    assert len(gateway.asked) == 1


async def test_a_gateway_that_is_not_there_is_tried_again() -> None:
    with pytest.raises(DeliveryFailed) as failed:
        await SmsGateway("http://127.0.0.1:9/send", None).send("+436601234567", Message("hello"))
    assert (failed.value.code, failed.value.final) == ("unreachable", False)


def test_messages_say_nothing_about_whom() -> None:
    code = code_message("en", "Clinic by the Lake", Secret("123456"), 10)
    assert code.text.startswith("123456 ")
    assert "123456" not in code.subject
    assert len(code.text) <= 160
    assert unpacked(LINK.packed()) == LINK
    assert "secretsecret" not in repr(LINK)


def test_the_configuration_turns_channels_on(tmp_path: Path) -> None:
    assert carriers_of(Mail(), Sms()) == {}
    token = tmp_path / "token"
    token.write_text("secret\n")
    found = carriers_of(Mail(host="127.0.0.1", sender="a@example.org"), Sms(url="https://x.example", token_file=token))
    assert set(found) == {"email", "sms"}
