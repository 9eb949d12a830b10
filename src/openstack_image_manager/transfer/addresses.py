"""Distinguish public network addresses from internal ones."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

# The last 32 bits are an IPv4 address: RFC 6052; RFC 4291, 2.5.5.1; RFC 2765, 2.1.
_TRANSLATED = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "::/96", "::ffff:0:0:0/96")))
# Not on the Internet, although Python says so: RFC 8215; RFC 3879.
_LOCAL = tuple(map(ipaddress.ip_network, ("64:ff9b:1::/48", "fec0::/10")))
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_internal(address: str) -> bool:
    """True for an IP address that is not on the public Internet: loopback, link-local, private, multicast, reserved,
    also inside an IPv6 address."""
    ip: Address = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if any(ip in network for network in _LOCAL):
            return True
        if inner is None and any(ip in network for network in _TRANSLATED):
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        ip = inner or ip
    return not ip.is_global or ip.is_multicast


def literal_address(host: str) -> str | None:
    """The IP address that a host name spells, in any form that resolvers accept (127.1, 0x7f000001, localhost)."""
    host = host.rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):  # RFC 6761, 6.3
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return None


def is_allowed(host: str, address: str | None, allowed: Iterable[str]) -> bool:
    """True if the host, or the network of its address, is in `allowed`."""
    host = host.rstrip(".").lower()
    for entry in allowed:
        if entry.rstrip(".").lower() == host:
            return True
        try:
            if address and ipaddress.ip_address(address) in ipaddress.ip_network(entry, strict=False):
                return True
        except ValueError:  # a name
            continue
    return False
