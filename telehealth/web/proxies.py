"""Where a request comes from, believing only proxies we were told to trust."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from aiohttp import web

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Source:
    """`address`: the client's, without a port. `device`: its User-Agent, shortened."""

    address: str
    device: str
    forwarded: bool = False  # came by a proxy of ours, whether or not that one said for whom

    @property
    def loopback(self) -> bool:
        """Whether a program on this machine asks by itself; what came by a proxy never is, whatever was claimed."""
        found = _address(self.address)
        return found is not None and found.is_loopback and not self.forwarded


@dataclass(frozen=True, slots=True)
class Proxies:
    """The networks whose X-Forwarded-For counts."""

    networks: tuple[Network, ...]

    @classmethod
    def of(cls, names: tuple[str, ...]) -> "Proxies":
        return cls(tuple(ip_network(name) for name in names))

    def trusts(self, text: str) -> bool:
        found = _address(text)
        return found is not None and any(found in network for network in self.networks)

    def source(self, request: web.Request) -> Source:
        """The last address that no proxy of ours has, reading X-Forwarded-For from its trusted end.

        No other header counts: `Forwarded` (RFC 7239), X-Real-IP and the like are as anybody wrote them.
        """
        address = request.remote or "unknown"
        forwarded = self.trusts(address)  # a proxy that names nobody speaks for the world, also from loopback
        hops = [hop for value in request.headers.getall("X-Forwarded-For", []) for hop in value.split(",")]
        while hops and self.trusts(address):
            claimed = _address(_without_port(hops.pop().strip()))
            if claimed is None:
                break
            address = str(claimed)
        return Source(address, _printable(request.headers.get("User-Agent", ""))[:200], forwarded)


def _without_port(text: str) -> str:
    """`192.0.2.1:5000`, `[2001:db8::1]:5000` and `[2001:db8::1]` as some proxies write them."""
    if text.startswith("["):
        inside, closed, port = text[1:].partition("]")
        return inside if closed and (not port or (port[:1] == ":" and port[1:].isdigit())) else ""
    host, colon, port = text.partition(":")
    return host if colon and port.isdigit() and "." in host else text


def _address(text: str) -> Address | None:
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def _printable(text: str) -> str:
    return text if text.isprintable() else "".join(letter for letter in text if letter.isprintable())
