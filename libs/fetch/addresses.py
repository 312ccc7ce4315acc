"""Which addresses are public: those that a stranger's link may lead a server to."""
from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

# RFC 6052 and RFC 8215: translators to IPv4. The address behind them decides; those of local use are never public.
_NAT64: Final = ip_network("64:ff9b::/96")
_REFUSED: Final = tuple(
    ip_network(each) for each in (
        "0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "240.0.0.0/4",
        "::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16", "fec0::/10",
    )
)


def is_public(address: str) -> bool:
    """Whether packets to this address leave for the public internet, whatever notation hides it; False for what is no address."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, IPv6Address):
        inner = _inside(found)
        if inner is not None:
            return is_public(str(inner))
    return (
        found.is_global and not found.is_multicast and not found.is_reserved and not found.is_unspecified
        and not any(found in network for network in _REFUSED if network.version == found.version)
    )


def _inside(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 address leads to, where it is only a cover for one."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return None
