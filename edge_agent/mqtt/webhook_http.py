"""Sends a push over HTTP. Addresses of such services are secrets: only the host is ever named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import httpx

from edge_agent.contract.errors import Refused, TryLater

if TYPE_CHECKING:
    from collections.abc import Callable

TIMEOUT_S: Final = 10.0
_LATER: Final = {408, 425, 429}


def sender(url: str, token: Callable[[], str | None], *, json: bool) -> Callable[[bytes], None]:
    """What sends one body.

    Args:
        url: Where to; redirects are not followed.
        token: Read at each try; sent as a bearer token where there is one.
        json: The body is JSON; otherwise plain text.
    """
    host = urlsplit(url).hostname
    kind = "application/json" if json else "text/plain; charset=utf-8"

    def send(body: bytes) -> None:
        headers = {"Content-Type": kind}
        secret = token()
        if secret is not None:
            headers["Authorization"] = f"Bearer {secret}"
        try:
            with httpx.stream(
                "POST", url, content=body, headers=headers, timeout=TIMEOUT_S
            ) as answer:
                status = answer.status_code
        except httpx.HTTPError as fault:
            raise TryLater(f"push to {host}: {type(fault).__name__}; tried again") from fault
        if status in _LATER or status >= 500:
            raise TryLater(f"push to {host}: answered {status}; tried again")
        if not 200 <= status < 300:
            raise Refused(f"push to {host}: refused with {status}: check push.url and its token")

    return send
