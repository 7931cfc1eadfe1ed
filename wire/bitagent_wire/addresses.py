"""Which addresses may be asked. Pure, but for the resolution of names.

The addresses of miners come from the chain, where anyone may write any: one in the cluster's own network, or a cloud's
metadata service, would have the validator ask what only it can reach.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from enum import StrEnum

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

METADATA = frozenset(
    ipaddress.ip_address(each)
    for each in ("169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254")
)
"""Services of clouds that hand out credentials: never asked, under no rule."""
_UNICAST = ipaddress.IPv6Network("2000::/3")
"""The only IPv6 addresses that are given out for hosts of the Internet: site-local ones are not among them."""
_SPECIAL = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20")))
"""Addresses of protocols and documentation (IANA's registries) that `is_global` of Python 3.11 does not know."""
_RESOLVED_MAX = 16


class AddressRule(StrEnum):
    """Which addresses may be asked."""

    PUBLIC = "Public"
    LOCAL = "Local"
    """Private and loopback addresses as well, for a chain on this machine or in this cluster."""


class AddressRefused(Exception):
    """An address may not be asked; the message says why."""


def refusal(address: Address, *, rule: AddressRule) -> str | None:
    """Return why an address may not be asked; None if it may. Addresses within addresses are looked at as well."""
    for each in (address, *_embedded(address)):
        if (found := _refusal(each, rule=rule)) is not None:
            return found if each is address else f"it stands for {each}, and {found}"
    return None


async def allowed(host: str, port: int, *, rule: AddressRule) -> str:
    """Return the address to connect to, as a literal.

    A name is resolved once; all that it resolves to must be allowed, and the first is returned, so that it cannot
    resolve to another one later. Raises AddressRefused, and OSError if the name cannot be resolved.
    """
    if not 0 < port < 65536:
        raise AddressRefused(f"{port} is not a port")
    try:
        found = [ipaddress.ip_address(host)]
    except ValueError:
        found = await _resolve(host, port)
    for each in found:
        if (why := refusal(each, rule=rule)) is not None:
            raise AddressRefused(why)
    return str(found[0])


async def _resolve(host: str, port: int) -> list[Address]:
    try:
        answers = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise AddressRefused("it is not a name of a host") from None
    addresses = [ipaddress.ip_address(str(sockaddr[0])) for *_, sockaddr in answers]
    if not addresses or len(addresses) > _RESOLVED_MAX:
        raise AddressRefused(f"the name has {len(addresses)} addresses")
    return addresses


def _refusal(address: Address, *, rule: AddressRule) -> str | None:
    if address in METADATA:
        return "it is an address of a cloud's metadata service"
    if address.is_unspecified:
        return "it is the unspecified address"
    if address.is_link_local:
        return "it is link-local"
    if address.is_multicast:
        return "it is a multicast address"
    if rule is AddressRule.LOCAL and (address.is_loopback or address.is_private):
        return None
    if address.is_loopback:
        return "it is a loopback address"
    unicast = isinstance(address, ipaddress.IPv4Address) or address in _UNICAST
    if not address.is_global or address.is_reserved or not unicast or any(address in each for each in _SPECIAL):
        return "it is not a public address"
    return None


def _embedded(address: Address) -> list[Address]:
    """Return the IPv4 addresses that an IPv6 address stands for: mapped, 6to4 and Teredo.

    NAT64's are reserved, and so refused in any case.
    """
    if isinstance(address, ipaddress.IPv4Address):
        return []
    found: list[Address | None] = [address.ipv4_mapped, address.sixtofour]
    if address.teredo is not None:
        found += address.teredo
    return [each for each in found if each is not None]
