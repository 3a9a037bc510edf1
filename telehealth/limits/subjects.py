"""Whose bucket: one network for each household or host. Pure."""

from ipaddress import IPv6Address, ip_address, ip_network


def network_of(address: str) -> str:
    """An IPv4 address itself, the /64 of an IPv6 one (a host has all of it); what is no address as it is."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    if mapped is not None:
        return str(mapped)
    return str(ip_network((found, 64), strict=False)) if isinstance(found, IPv6Address) else str(found)
