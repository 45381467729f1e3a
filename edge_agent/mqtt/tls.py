"""TLS to the broker, from PEM files."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files, read again at every attempt so that renewed ones need no restart.

    Without `ca` the system's authorities are used; `cert` and `key` are for mutual TLS.

    Attributes:
        alpn: Names of protocols that the broker is offered (RFC 7301), the preferred one first.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    alpn: tuple[str, ...] = ()


class TlsContext(ssl.SSLContext):
    """Keeps its socket, since paho leaves it open when the handshake fails."""

    socket: ssl.SSLSocket | None = None

    def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:  # noqa: ANN401 - as the base
        """See `ssl.SSLContext`."""
        self.socket = super().wrap_socket(*args, **options)
        return self.socket


def tls_context(files: TlsFiles) -> TlsContext:
    """Context that checks the broker's name and chain, TLS 1.2 or newer.

    Raises:
        OSError: A file cannot be read, or holds no key or certificate.
    """
    context = TlsContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if files.ca is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(files.ca)
    if files.cert is not None:
        context.load_cert_chain(files.cert, files.key)
    if files.alpn:
        context.set_alpn_protocols(list(files.alpn))
    return context
