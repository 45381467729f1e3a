"""Removes secrets from what is shown or packed for support."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

import msgspec

from edge_agent.contract.errors import ConfigError
from edge_agent.system import locations

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from edge_agent.settings import Config

MASK: Final = "***"
PASSWORD_CREDENTIAL: Final = "mqtt-password"  # noqa: S105 - name of the systemd credential
WEB_CREDENTIAL: Final = "web-token"
PUSH_CREDENTIAL: Final = "push-token"


def masked(loaded: Config) -> dict[str, Any]:
    """The configuration as plain values, with secrets in addresses masked."""
    plain: dict[str, Any] = msgspec.to_builtins(loaded)
    parts = urlsplit(plain["depot"]["url"])
    if "@" in parts.netloc or parts.query:
        host = parts.netloc.rpartition("@")[2]
        secret = f"{MASK}@" if "@" in parts.netloc else ""
        query = MASK if parts.query else ""
        plain["depot"]["url"] = urlunsplit((parts.scheme, secret + host, parts.path, query, ""))
    if loaded.push.url:
        # With the path of such a service anybody may push, and often read.
        push = urlsplit(loaded.push.url)
        plain["push"]["url"] = f"{push.scheme}://{push.hostname}/{MASK}"
    return plain


def secrets(loaded: Config, env: Mapping[str, str]) -> tuple[str, ...]:
    """Every secret of this device, the longest first."""
    values = {
        _file(loaded.mqtt.password_file, PASSWORD_CREDENTIAL, env),
        _file(loaded.web.token_file, WEB_CREDENTIAL, env),
        _file(loaded.push.token_file, PUSH_CREDENTIAL, env),
        urlsplit(loaded.push.url).path.strip("/"),
        *_in_address(loaded.depot.url),
    }
    return tuple(sorted(filter(None, values), key=len, reverse=True))


def without(text: str, secret_values: Iterable[str]) -> str:
    """A text with every secret masked."""
    for secret in secret_values:
        text = text.replace(secret, MASK)
    return text


def _file(path: str, credential: str, env: Mapping[str, str]) -> str | None:
    try:
        return locations.secret(path, credential, env) if path or credential else None
    except ConfigError:
        return None


def _in_address(url: str) -> Iterator[str]:
    parts = urlsplit(url)
    for secret in (parts.password, parts.username, *(value for _, value in parse_qsl(parts.query))):
        if secret:
            yield secret
            yield unquote(secret)
