"""What a request says of a reverse proxy that it came through. Pure."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_SIGNS: Final = {
    "forwarded", "via", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "client-ip",
    "true-client-ip", "cf-connecting-ip", "cdn-loop", "x-original-uri", "x-original-host",
}  # fmt: skip


class TrustedProxies:
    """Proxies whose word on client and TLS is taken: this machine's own, and those configured.

    Args:
        others: Addresses or networks, such as "192.168.0.2" or "10.0.0.0/8".
    """

    def __init__(self, others: Iterable[str] = ()) -> None:
        self._networks = tuple(ipaddress.ip_network(text, strict=False) for text in others)

    def client(self, peer: str, headers: Mapping[str, str]) -> str:
        """Address of the client: the last one that a trusted proxy names, else the peer.

        Args:
            peer: Address at the other end of the connection.
            headers: By names in small letters.
        """
        hops = headers.get("x-forwarded-for") or headers.get("x-real-ip") or ""
        address = plain(peer)
        # Each proxy appends the address that it saw; what stands before that may be invented.
        for hop in reversed(hops.split(",")):
            given = plain(hop.strip())
            if not self._trusts(address) or not _is_address(given):
                break
            address = given
        return address

    def over_tls(self, peer: str, headers: Mapping[str, str]) -> bool:
        """Whether the client speaks TLS, by its Origin or by a trusted proxy."""
        if headers.get("origin", "").startswith("https://"):
            return True  # a browser's own word about itself
        return headers.get("x-forwarded-proto", "") == "https" and self._trusts(plain(peer))

    def _trusts(self, address: str) -> bool:
        if not _is_address(address):
            return False
        given = ipaddress.ip_address(address)
        return given.is_loopback or any(given in network for network in self._networks)


def sign_of_proxy(protocol: str, headers: Mapping[str, str]) -> str | None:
    """What shows that a request came through a proxy; None where nothing does.

    Programs of today ask by HTTP/1.1; nginx asks by HTTP/1.0 where nothing else is set, with no
    header that names it.

    Args:
        protocol: Of the request line, such as "HTTP/1.1".
        headers: By names in small letters.
    """
    for name in headers:
        if name in _SIGNS or name.startswith("x-forwarded"):
            return name.title()
    return protocol if protocol == "HTTP/1.0" else None


def is_here(host: str) -> bool:
    """Whether a Host header or an address names this machine by its own names."""
    name = plain(host)
    if not _is_address(name):
        try:
            name = plain(urlsplit(f"//{host}").hostname or "")
        except ValueError:
            return False
    return name == "localhost" or (_is_address(name) and ipaddress.ip_address(name).is_loopback)


def plain(address: str) -> str:
    """An address without the form that IPv4 has on a socket of both families."""
    try:
        given = ipaddress.ip_address(address)
    except ValueError:
        return address
    mapped = given.ipv4_mapped if isinstance(given, ipaddress.IPv6Address) else None
    return str(mapped or given)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
