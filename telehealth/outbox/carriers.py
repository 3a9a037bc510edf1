"""What carries a message out, and how it says that it could not."""

from collections.abc import Mapping
from typing import Protocol

from telehealth.config import read_secret
from telehealth.outbox.mail import Mailer
from telehealth.outbox.messages import Message
from telehealth.outbox.sms import SmsGateway
from telehealth.sections import Mail, Sms


class Carrier(Protocol):
    """One channel."""

    async def send(self, to: str, message: Message) -> None:
        """Hand over one message. Raises DeliveryFailed."""
        ...


def carriers_of(mail: Mail, sms: Sms) -> Mapping[str, Carrier]:
    """The channels the configuration turns on. Reads secret files, blocks. Raises ConfigRefused."""
    found: dict[str, Carrier] = {}
    if mail.host:
        found["email"] = Mailer(mail, read_secret(mail.password_file) if mail.password_file else None)
    if sms.url:
        found["sms"] = SmsGateway(sms.url, read_secret(sms.token_file) if sms.token_file else None)
    return found
