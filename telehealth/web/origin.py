"""Which origins are ours, and whether a request that changes something came from one."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from telehealth.config import Config
from telehealth.web.problems import ForeignOrigin

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def our_origins(config: Config) -> frozenset[str]:
    """The public URL's origin; on loopback also its other spellings at the same port."""
    public = urlsplit(config.public_url)
    ours = {f"{public.scheme}://{public.netloc}"}
    if config.server.loopback:
        scheme = "https" if config.server.tls_certificate else "http"
        ours |= {f"{scheme}://{host}:{config.server.port}" for host in _LOOPBACK}
    return frozenset(ours)


def refuse_foreign(method: str, headers: Mapping[str, str], ours: frozenset[str]) -> None:
    """Raise ForeignOrigin unless a browser vouches that our own page asks.

    `Sec-Fetch-Site` cannot be set by scripts; where a browser does not send it, `Origin` must be ours.
    Both are checked where both are there.
    """
    if method in SAFE:
        return
    site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
    if site is not None and site != "same-origin":
        raise ForeignOrigin
    if origin is None:
        if site is None:
            raise ForeignOrigin
    elif origin not in ours:
        raise ForeignOrigin
