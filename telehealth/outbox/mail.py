"""E-mail over SMTP submission (RFC 6409), encrypted unless the relay is on this machine."""

import ssl
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

import aiosmtplib
from aiosmtplib import SMTPException, SMTPRecipientsRefused, SMTPResponseException, SMTPTimeoutError

from telehealth.outbox.failure import DeliveryFailed
from telehealth.outbox.messages import Message
from telehealth.secret import Secret
from telehealth.sections import Mail

TIMEOUT_SECONDS = 20.0


class Mailer:
    """One connection for each message. `tls`: the trust used for STARTTLS and TLS, by default the system's."""

    def __init__(self, mail: Mail, password: Secret[str] | None, tls: ssl.SSLContext | None = None) -> None:
        self._mail = mail
        self._password = password
        self._tls = None if mail.security == "none" else tls or ssl.create_default_context()

    async def send(self, to: str, message: Message) -> None:
        """Raises DeliveryFailed: `recipient_refused`, `mail_refused`, `message_invalid`, `mail_sign_in`, `mail_tls`,
        `timeout` or `unreachable`."""
        security = self._mail.security
        try:
            await aiosmtplib.send(
                self._composed(to, message),
                hostname=self._mail.host,
                port=self._mail.port,
                username=self._mail.user or None,
                password=self._password.reveal() if self._password else None,
                start_tls=security == "starttls",
                use_tls=security == "tls",
                tls_context=self._tls,
                timeout=TIMEOUT_SECONDS,
            )
        except (SMTPException, OSError, TimeoutError, ValueError) as error:
            raise _failure(error) from error

    def _composed(self, to: str, message: Message) -> EmailMessage:
        mail = EmailMessage()
        mail["From"] = self._mail.sender
        mail["To"] = to
        mail["Subject"] = message.subject
        mail["Date"] = formatdate()
        mail["Message-ID"] = make_msgid(domain=self._mail.sender.rpartition("@")[2].rstrip(">") or "localhost")
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
        mail.set_content(message.text)
        if message.calendar is not None:
            mail.add_attachment(
                message.calendar.encode(),
                maintype="text",
                subtype="calendar",
                filename="visit.ics",
                params={"method": "PUBLISH", "charset": "utf-8"},
            )
        return mail


def _failure(error: Exception) -> DeliveryFailed:
    match error:
        case SMTPRecipientsRefused():
            final = all(refused.code >= 500 for refused in error.recipients)
            return DeliveryFailed("recipient_refused", final=final)
        case aiosmtplib.SMTPAuthenticationError():
            return DeliveryFailed("mail_sign_in", final=False)  # an operator may mend it
        case SMTPTimeoutError() | TimeoutError():
            return DeliveryFailed("timeout", final=False)
        case SMTPResponseException():
            return DeliveryFailed("mail_refused", final=error.code >= 500)
        case ssl.SSLError():  # also a ValueError
            return DeliveryFailed("mail_tls", final=False)
        case ValueError():  # a header that cannot be written, such as a line end in an address
            return DeliveryFailed("message_invalid", final=True)
        case _:
            return DeliveryFailed("unreachable", final=False)
