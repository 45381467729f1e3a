"""Expiry dates of the TLS files, and warnings about them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge_agent.contract.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from edge_agent.settings import Tls

SOON: Final = timedelta(days=30)
VERY_SOON: Final = timedelta(days=7)


def ends(tls: Tls) -> Iterator[tuple[str, datetime]]:
    """Key of the configuration and end (UTC) of each certificate file that is used.

    A client's file is valid until the first certificate of its chain ends. A file of authorities
    may hold an old one beside its successor, so it is valid until the last of them ends.

    Raises:
        ConfigError: A file cannot be read or holds no certificate.
    """
    if not tls.enabled:
        return
    for key, place, choose in (("mqtt.tls.ca", tls.ca, max), ("mqtt.tls.cert", tls.cert, min)):
        if place:
            yield key, choose(_ends_in(key, Path(place)))


def warnings(tls: Tls, now: datetime) -> tuple[str, ...]:
    """One line for each certificate that has ended or will end soon."""
    try:
        expiry = list(ends(tls))
    except ConfigError as fault:
        return (str(fault),)
    return tuple(_warning(key, end, now) for key, end in expiry if now >= end - SOON)


def _warning(key: str, end: datetime, now: datetime) -> str:
    if now >= end:
        return f"{key}: ended on {end:%Y-%m-%d}: replace the file, no restart is needed"
    left = (end - now) // timedelta(days=1)
    urgency = "URGENT, " if now >= end - VERY_SOON else ""
    return f"{key}: {urgency}ends in {left} days, on {end:%Y-%m-%d}: renew it"


def _ends_in(key: str, place: Path) -> list[datetime]:
    # Imported here, since most devices use no certificate.
    from cryptography import x509

    try:
        certificates = x509.load_pem_x509_certificates(place.read_bytes())
    except OSError as fault:
        raise ConfigError(f"{key}: {place}: {fault.strerror}: check the path") from fault
    except ValueError as fault:
        raise ConfigError(f"{key}: {place}: holds no PEM certificate") from fault
    return [certificate.not_valid_after_utc for certificate in certificates]
