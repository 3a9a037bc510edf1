"""`[limits]` and `[redis]` of `config.toml`."""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator

from telehealth.limits.bucket import Rate
from telehealth.sections import Section


def _sane(pair: tuple[float, float]) -> tuple[float, float]:
    a_second, at_once = pair
    if not (0.001 <= a_second <= 1e6 and 1 <= at_once <= 1e6):
        raise ValueError("[a second, at once], as in [20, 100]; at least one at once")
    return pair


Pair = Annotated[tuple[float, float], AfterValidator(_sane)]


class Limits(Section):
    """Each `(a second, at once)`."""

    address: Pair = (200, 1000)
    sign_in: Pair = (0.5, 10)
    account: Pair = (100, 1000)
    link: Pair = (20, 200)
    code: Pair = (1, 20)
    connect: Pair = (0.5, 20)
    check: Pair = (0.5, 24)
    socket: Pair = (40, 80)

    def rate(self, name: str) -> Rate:
        """The rate of this name. Raises AttributeError for one that is none."""
        return Rate(*getattr(self, name))


class Redis(Section):
    url: str = ""
    password_file: Path | None = None
    ca_file: Path | None = None
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9:._-]{0,40}$")] = "telehealth:"
    node: Annotated[str, Field(pattern=r"^[a-z]{0,12}$")] = ""  # this server's name among several; empty: the only one

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and (parts.scheme not in ("redis", "rediss", "unix") or parts.password or parts.query):
            raise ValueError("redis://host:port, rediss:// (TLS) or unix:///path; the password in redis.password_file")
        return url

    def faults(self) -> list[tuple[bool, str]]:
        """Whether each thing is wrong, and how it is said."""
        host = urlsplit(self.url).hostname
        clear = self.url.startswith("redis://") and host not in ("127.0.0.1", "localhost", "::1")
        return [
            (clear, "redis.url must be rediss:// (TLS) beyond this machine"),
            (bool(self.node) and not self.url, "redis.node needs redis.url"),
        ]
