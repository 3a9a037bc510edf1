"""What somebody wants exported, and how it is to leave."""

from dataclasses import dataclass, field, replace
from typing import Protocol

from recordings.export.age import checked_passphrase, checked_recipient
from recordings.export.wire import Format, Protection
from telehealth.secret import Secret


class Asked(Protocol):
    """The same as whoever asks brings it."""

    @property
    def purpose(self) -> str: ...
    @property
    def format(self) -> Format: ...
    @property
    def protection(self) -> Protection: ...
    @property
    def secret(self) -> Secret[str]: ...
    @property
    def language(self) -> str: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def given_to(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Wish:
    """`secret`: recipient (age1…) or passphrase; `reason`: words, needed for plain.

    `given_to`: the person or body who gets it, for the accounting of disclosures (45 CFR 164.528(b)(2)).
    """

    purpose: str
    format: Format = "webm"
    protection: Protection = "recipient"
    secret: Secret[str] = field(default_factory=lambda: Secret(""))
    language: str = "en"
    reason: str | None = None
    given_to: str | None = None

    @classmethod
    def of(cls, asked: Asked) -> "Wish":
        words = (asked.language, asked.reason, asked.given_to)
        return cls(asked.purpose, asked.format, asked.protection, asked.secret, *words)

    def private(self) -> dict[str, str]:
        """What the log seals of it."""
        told = {"reason": self.reason, "recipient": self.given_to}
        return {name: text for name, text in told.items() if text}


def checked(wish: Wish) -> Wish:
    """The wish with a secret that age takes. Raises RecipientUnfit, PassphraseUnfit."""
    match wish.protection:
        case "recipient":
            return replace(wish, secret=Secret(checked_recipient(wish.secret.reveal())))
        case "passphrase":
            return replace(wish, secret=Secret(checked_passphrase(wish.secret.reveal())))
        case "plain":
            return replace(wish, secret=Secret(""))
