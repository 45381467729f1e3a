"""The proxy that the environment names for an address (http_proxy, all_proxy, no_proxy...).

httpx reads these too, but makes a connection for every proxy that it finds, also for those that
an address does not use, and fails on what it does not know.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from edge_agent.contract.errors import ConfigError
from edge_agent.system import addresses

if TYPE_CHECKING:
    import httpx


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy.

    Attributes:
        url: Its address, http or https; may hold a password.
        variable: Variable of the environment that names it.
    """

    url: str
    variable: str


def proxy_for(url: str) -> Proxy | None:
    """The proxy of this environment for an http or https address; None: connect directly.

    Raises:
        ConfigError: A SOCKS proxy, or none that a connection can be made to.
    """
    from urllib.request import getproxies_environment, proxy_bypass

    if not addresses.is_web_address(url):
        return None  # the request says what is wrong
    proxies = getproxies_environment()
    parts = urlsplit(url)
    kind = next((kind for kind in (parts.scheme, "all") if proxies.get(kind)), None)
    host = parts.netloc.rpartition("@")[2]
    if kind is None or proxy_bypass(host, proxies):
        return None
    variable = f"{kind}_proxy"
    if not os.environ.get(variable):
        variable = next(name for name in os.environ if name.lower() == variable)
    address = proxies[kind] if "://" in proxies[kind] else f"http://{proxies[kind]}"
    if address.lower().startswith("socks"):
        raise ConfigError(
            f"this environment names a SOCKS proxy ({variable}), which is not supported: unset "
            "it, name an http:// proxy, or list the host in NO_PROXY"
        )
    if not addresses.is_web_address(address):
        raise ConfigError(
            f"this environment names a proxy that cannot be used ({variable}): write "
            "http://HOST:PORT, or unset it"
        )
    return Proxy(address, variable)


def through(proxy: Proxy | None) -> str:
    """How a connection goes, for the texts of its errors; empty where it is direct."""
    return f" through the proxy of {proxy.variable}" if proxy else ""


def transport(
    proxy: Proxy | None, *, verify: bool = True, connections: int = 1
) -> httpx.HTTPTransport:
    """Connections of an httpx client through the proxy, or directly.

    Args:
        proxy: From `proxy_for`.
        verify: Load the authorities that TLS needs.
        connections: How many at most at a time.
    """
    import httpx  # costs start-up time

    return httpx.HTTPTransport(
        verify=verify,
        limits=httpx.Limits(max_connections=connections),
        proxy=proxy.url if proxy else None,
    )
