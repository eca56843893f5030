"""From where somebody calls: the address that limits count by and sessions keep.

`X-Forwarded-For` is a header that anybody may send. It is read only where the connection itself comes from a proxy
that is listed in TRUSTED_PROXIES, from its end, and only as far as each address on the way is a listed proxy's.
"""

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from django.conf import settings
from django.http import HttpRequest

# How much of an address says which network it is in: what a household, an office or an attacker has as a whole.
NETWORK_BITS: Final = {4: 24, 6: 64}


def of(request: HttpRequest) -> str:
    """The caller's address; empty where there is none, as on a Unix socket."""
    return caller(request.META.get("REMOTE_ADDR", ""), request.headers.get("X-Forwarded-For", ""))


def caller(peer: str, forwarded: str) -> str:
    """Who called, given the connection's own address and the header. What is no address is not believed."""
    found = _plain(peer)
    for hop in reversed(forwarded.split(",")):
        if not _is_trusted(found):
            break
        before = _plain(hop)
        if not before:
            break
        found = before
    return found


def network(address: str) -> str:
    """The network an address belongs to; who has one address of it usually has them all."""
    if not _plain(address):
        return address
    bits = NETWORK_BITS[ip_address(address).version]
    return str(ip_network(f"{address}/{bits}", strict=False))


def _plain(text: str) -> str:
    """An address in its one form, an IPv4 address that came as IPv6 included; empty if it is none."""
    try:
        found = ip_address(text.strip())
    except ValueError:
        return ""
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return str(mapped or found)


def _is_trusted(address: str) -> bool:
    return bool(address) and any(
        ip_address(address) in net for net in networks(settings.CONFIG.trusted_proxies)
    )


@lru_cache(maxsize=8)
def networks(listed: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """TRUSTED_PROXIES as it was set. :raises ValueError: if it lists what is no address or network."""
    return tuple(ip_network(one.strip(), strict=False) for one in listed.split(",") if one.strip())
