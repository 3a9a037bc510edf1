"""Shapes shared by several requests and answers."""

import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)

from telehealth.clock import rfc3339
from telehealth.secret import Secret

T = TypeVar("T")

_TIME_SCHEMA: dict[str, Any] = {
    "type": "string",
    "format": "date-time",
    "examples": ["2026-01-31T09:30:00.000Z"],
}
Moment = Annotated[
    datetime,
    PlainSerializer(rfc3339, return_type=str),
    WithJsonSchema(_TIME_SCHEMA, mode="serialization"),
]
GivenMoment = Annotated[AwareDatetime, WithJsonSchema(_TIME_SCHEMA, mode="validation")]


_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # what turns writing around


def clean(text: str) -> str:
    """Refuse controls, C1 among them, line ends and what turns writing: names end up in calendars, mails, terminals."""
    if any(unicodedata.category(letter) in ("Cc", "Zl", "Zp") or letter in _TURNING for letter in text):
        raise ValueError("control characters are not allowed")
    return text


def _line(longest: int, shortest: int = 1) -> Any:
    return Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=shortest, max_length=longest),
        AfterValidator(clean),
    ]


Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120), AfterValidator(clean)]
Login = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=80, pattern=r"^[^\s/#?]+$"),
    AfterValidator(clean),
]
Record = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64), AfterValidator(clean)]
Contact = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(clean)]
Note = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), AfterValidator(clean)]
Token = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9_-]+$")]
Label = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80), AfterValidator(clean)]
Coordinate = Annotated[str, StringConstraints(min_length=43, max_length=43, pattern=r"^[A-Za-z0-9_-]+$")]
Password = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Code = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]


class Asked(BaseModel):
    """A body or query from outside: frozen, unknown fields refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Told(BaseModel):
    """An answer, read from a room's own dataclass by attribute."""

    model_config = ConfigDict(from_attributes=True, frozen=True, populate_by_name=True)


class Nothing(Asked):
    """No body, no query."""


class BrowserKey(Asked):
    """A P-256 key of the browser as JWK (RFC 7518 §6.2); its private half cannot leave it."""

    kty: Literal["EC"]
    crv: Literal["P-256"]
    x: Coordinate
    y: Coordinate

    def jwk(self) -> dict[str, str]:
        return self.model_dump()


class PageQuery(Asked):
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    after: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None


class Page(Told, Generic[T]):
    items: Sequence[T]
    next: str | None = Field(default=None, description="Give it back as `after` for the next page.")


class Clinic(Told):
    name: str
    logo: str | None = Field(default=None, description="Path of the logo on this server.")


class Person(Told):
    id: str
    name: str


def shown(secret: Secret[str] | str | None) -> str | None:
    """A secret that this answer shows once."""
    return secret.reveal() if isinstance(secret, Secret) else secret
