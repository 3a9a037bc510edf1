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

    @property
    def loopback(self) -> bool:
        found = _address(self.address)
        return found is not None and found.is_loopback


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
        """The last address that no proxy of ours has, reading X-Forwarded-For from its trusted end."""
        address = request.remote or "unknown"
        hops = [hop.strip() for value in request.headers.getall("X-Forwarded-For", []) for hop in value.split(",")]
        while hops and self.trusts(address):
            claimed = _address(hops.pop())
            if claimed is None:
                break
            address = str(claimed)
        return Source(address=address, device=_printable(request.headers.get("User-Agent", ""))[:200])


def _address(text: str) -> Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def _printable(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())
