"""Pushes to a real HTTP server that answers this and that."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest

from edge_agent.contract.errors import Refused, TryLater
from edge_agent.mqtt.webhook import sender
from tests.fakes.mosquitto import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = "/a-topic-nobody-should-know"


class Ntfy(HTTPServer):
    """Takes what is posted; `status` is what it answers."""

    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.heard: list[tuple[str, dict[str, str], bytes]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Ntfy

    def do_POST(self) -> None:
        """One push."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.heard.append((self.path, dict(self.headers), body))
        self.send_response(self.server.status)
        self.send_header("Location", "http://127.0.0.1:1/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def ntfy() -> Iterator[Ntfy]:
    """A server on a free port."""
    with Ntfy() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_push_carries_text_type_and_token(ntfy: Ntfy) -> None:
    """UTF-8 text as it is, and the secret as a bearer token."""
    url = f"http://127.0.0.1:{ntfy.server_port}{PATH}"
    sender(url, lambda: "s3cret", json=False)("서리 경보".encode())
    ((path, headers, body),) = ntfy.heard
    assert (path, body.decode()) == (PATH, "서리 경보")
    assert headers["Authorization"] == "Bearer s3cret"
    assert headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("status", "treatment"),
    [(429, TryLater), (408, TryLater), (500, TryLater), (503, TryLater), (302, Refused),
     (401, Refused), (404, Refused), (413, Refused)],
)  # fmt: skip
def test_an_answer_decides_what_comes_next(
    ntfy: Ntfy, status: int, treatment: type[Exception]
) -> None:
    """Later, or never; a redirect is not followed; no secret is in the words."""
    ntfy.status = status
    url = f"http://127.0.0.1:{ntfy.server_port}{PATH}"
    with pytest.raises(treatment) as told:
        sender(url, lambda: "s3cret", json=True)(b"{}")
    assert str(status) in str(told.value)
    assert "nobody-should-know" not in str(told.value)
    assert "s3cret" not in str(told.value)
    assert len(ntfy.heard) == 1


def test_nobody_there_is_tried_again() -> None:
    """A refused connection is a pause, told without the address's path."""
    with pytest.raises(TryLater) as told:
        sender(f"http://127.0.0.1:{free_port()}{PATH}", lambda: None, json=True)(b"{}")
    assert "nobody-should-know" not in str(told.value)
