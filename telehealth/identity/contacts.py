"""Where a code or a link can be sent. Pure."""

import re

import phonenumbers

_MAIL = re.compile(r"[^\s@<>,;:\"()\[\]\\]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")


def mail_address(contact: str | None) -> str | None:
    """The contact, if it is one e-mail address."""
    text = (contact or "").strip()
    return text if _MAIL.fullmatch(text) and ".." not in text else None


def phone_number(contact: str | None) -> str | None:
    """The contact in E.164, if it is one telephone number with its country code."""
    try:
        number = phonenumbers.parse((contact or "").strip(), None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def contact_key(contact: str | None) -> str | None:
    """The contact as it is found again however it is written: an address in lower case, a number in E.164."""
    mail = mail_address(contact)
    return mail.casefold() if mail else phone_number(contact)


def address_for(channel: str, contact: str | None) -> str | None:
    """What the channel (`email`, `sms`) needs of the contact, None if it is not there."""
    return {"email": mail_address, "sms": phone_number}[channel](contact)
