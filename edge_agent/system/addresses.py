"""Names and addresses of machines, and web addresses, as people write them. Pure."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

_NAME: Final = re.compile(r"[\w.-]{1,253}")
_DIGITS: Final = re.compile(r"[0-9.]+")
"""An address or nothing: no name is of digits alone."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_LARGEST_PORT: Final = 65535


def is_host(text: str) -> bool:
    """Whether this is the name or the IP address of a machine, with nothing around it."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        if not _NAME.fullmatch(text) or _DIGITS.fullmatch(text):
            return False
    else:
        return True
    try:
        text.encode("idna")
    except UnicodeError:  # an empty or a too long part between two dots
        return False
    return True


def is_network(text: str) -> bool:
    """Whether this is an IP address, or a network such as 10.0.0.0/8."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def is_web_address(text: str) -> bool:
    """Whether a request can be sent there: http or https, a host, a port that can be."""
    if not text.startswith(("http://", "https://")) or text != text.strip():
        return False
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    return port != 0 and is_host(parts.hostname or "") and not _CONTROL.search(text)


@dataclass(frozen=True, slots=True)
class GivenHost:
    """Parts of a text that was given as a host.

    Attributes:
        scheme: In small letters; empty where the text has none.
        user: Whether a user, and perhaps a password, stands before the host.
        host: The host alone; empty where none can be made out.
        port: 0 where the text has none.
    """

    scheme: str
    user: bool
    host: str
    port: int


def parts_of(given: str) -> GivenHost:
    """What a text such as `mqtt://kim@[::1]:1883/` names, whatever stands around the host."""
    before, mark, text = given.strip().rpartition("://")
    # A password may hold any mark, so it is taken off before the path.
    _, at, text = text.rpartition("@")
    text = re.split(r"[/?#]", text)[0]
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    else:
        host, port = text, ""
    number = int(port) if re.fullmatch("[0-9]{1,5}", port) else 0
    if not is_host(host) or (port and not 0 < number <= _LARGEST_PORT):
        host, number = "", 0
    return GivenHost(before.lower() if mark else "", bool(at), host, number)
