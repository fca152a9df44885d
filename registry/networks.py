"""Networks that an operator names in a setting: addresses and CIDR blocks (RFC 4632)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Networks = tuple[IPv4Network | IPv6Network, ...]


def networks(text: str) -> Networks:
    """Read addresses and networks with commas between. Raises ValueError, naming the wrong one."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def plain(address: str) -> IPv4Address | IPv6Address:
    """Read an address; an IPv4 one that is written as IPv6 is IPv4. Raises ValueError."""
    parsed = ip_address(address)
    return getattr(parsed, "ipv4_mapped", None) or parsed


def holds(among: Networks, address: str) -> bool:
    """Whether an address is in one of the networks; what is no address is in none."""
    try:
        parsed = plain(address)
    except ValueError:
        return False
    return any(parsed in network for network in among)
