"""Where browsers reach the port, as candidates (RFC 8445 §5.1, RFC 6544 §4)."""

from dataclasses import dataclass

from signaling.rtc.paths import TRANSPORTS, Transport

_HIGHEST_PRIORITY = 126 << 24 | 65_535 << 8 | 255  # a host candidate, RFC 8445 §5.1.2.1
_HIGHEST_TCP_PRIORITY = 90 << 24 | (4 << 13 | 8_191) << 8 | 255  # a passive host candidate, RFC 6544 §4.2


@dataclass(frozen=True, slots=True)
class Place:
    """Addresses, best first, the number they share, the fingerprint of the certificate, and what is told of it all."""

    addresses: tuple[str, ...]
    port: int
    fingerprint: tuple[str, str]
    transports: tuple[Transport, ...] = TRANSPORTS

    def candidates(self) -> list[str]:
        """SDP lines: every address by UDP, then every address by TCP, each with a foundation of its own."""
        where = [(address, self.port) for address in self.addresses]
        lines = []
        for rank, (address, port) in enumerate(where if "udp" in self.transports else []):
            lines.append(f"a=candidate:{rank} 1 udp {_HIGHEST_PRIORITY - (rank << 8)} {address} {port} typ host")
        for rank, (address, port) in enumerate(where if "tcp" in self.transports else []):
            priority = _HIGHEST_TCP_PRIORITY - (rank << 8)
            lines.append(f"a=candidate:{len(where) + rank} 1 tcp {priority} {address} {port} typ host tcptype passive")
        return lines
