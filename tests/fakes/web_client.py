"""Asks the application without a socket, as the server would."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from edge_agent.web.app import Application


@dataclass
class Heard:
    """An answer."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever JSON holds
        """The content, decoded."""
        return msgspec.json.decode(self.content)


class WebClient:
    """Sends requests from one address to one application."""

    def __init__(self, application: Application, address: str = "127.0.0.1") -> None:
        self.application = application
        self.address = address
        self.headers = {"host": "127.0.0.1:8080"}
        self.protocol = "HTTP/1.1"

    def ask(
        self, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Heard:
        """One request."""
        path, _, query = target.partition("?")
        sent = self.headers | {name.lower(): value for name, value in (headers or {}).items()}
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REMOTE_ADDR": self.address,
            "SERVER_PROTOCOL": self.protocol,
            "CONTENT_TYPE": sent.pop("content-type", ""),
            "wsgi.input": io.BytesIO(body),
        }
        environ |= {f"HTTP_{k.upper().replace('-', '_')}": v for k, v in sent.items()}
        heard: list[Any] = []
        content = b"".join(self.application(environ, lambda *given: heard.extend(given)))
        return Heard(int(heard[0].split()[0]), dict(heard[1]), content)

    def get(self, target: str, **headers: str) -> Heard:
        """Read."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("GET", target, headers=named)
