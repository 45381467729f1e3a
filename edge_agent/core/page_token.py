"""The page's token: where it lies, and how long it must be."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge_agent.contract.errors import ConfigError
from edge_agent.core.masking import WEB_CREDENTIAL
from edge_agent.system import locations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_agent.settings import Web

_CREDENTIALS: Final = Path("/run/credentials")
SHORTEST_TOKEN: Final = 12
"""Characters. A right token is never locked out, so its length alone stops those who guess."""


def read(web: Web, env: Mapping[str, str]) -> str | None:
    """The page's token; None where none is configured.

    Raises:
        ConfigError: It cannot be read, is no single line, or is shorter than `SHORTEST_TOKEN`.
    """
    token = locations.secret(web.token_file, WEB_CREDENTIAL, env)
    if token is None:
        return None
    place = web.token_file or f"the credential {WEB_CREDENTIAL}"
    if not token.isprintable():
        raise ConfigError(f"{place}: has a line break or a control character: write one line")
    if len(token) < SHORTEST_TOKEN:
        raise ConfigError(
            f"{place}: the token has fewer than {SHORTEST_TOKEN} characters, and the page stays "
            "shut: write a longer one there, such as what `openssl rand -hex 16` prints"
        )
    return token


def problem(web: Web, env: Mapping[str, str]) -> str | None:
    """What is wrong with the page's token; None where it is right or the page is off."""
    place = Path(web.token_file)
    # A credential of systemd is there as long as the service runs.
    if not web.port or (_CREDENTIALS in place.parents and not place.exists()):
        return None
    try:
        read(web, env)
    except ConfigError as fault:
        return str(fault)
    return None


def problems(web: Web) -> tuple[str, ...]:
    """What is wrong with the token of this process, with its key."""
    text = problem(web, os.environ)
    return () if text is None else (f"web.token_file: {text}",)
