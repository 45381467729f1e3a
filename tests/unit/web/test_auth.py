"""Rules A1 to A5: who may ask, and how often."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_agent.core.runtime import DATABASE
from edge_agent.web import auth
from edge_agent.web.api.routes import COMMANDS, ROUTES
from edge_agent.web.app import Application
from tests.fakes.shown_farm import ShownFarm
from tests.fakes.web_client import WebClient

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "open sesame"
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShownFarm]:
    """A farm after two hours of work."""
    made = ShownFarm(tmp_path_factory.mktemp("farm"))
    made.work(2)
    yield made
    made.close()


def _client(farm: ShownFarm, token: str | None, address: str = "127.0.0.1") -> WebClient:
    database = farm.runtime.state / DATABASE
    return WebClient(
        Application(farm.snapshots, farm.clock, database, lambda: token, farm.ask), address
    )


@pytest.mark.parametrize("path", [route.path for route in ROUTES if not route.open] + ["/"])
def test_a1_with_a_token_everything_needs_it(farm: ShownFarm, path: str) -> None:
    """Without it, with a wrong one and with half of it: 401; with it: 200."""
    client = _client(farm, TOKEN)
    assert client.get(path).status == 401
    assert client.get(path, authorization="Bearer wrong").status == 401
    assert client.get(path, authorization=f"Bearer {TOKEN[:-1]}").status == 401
    assert client.get(path, authorization=f"Basic {TOKEN}").status == 401
    assert client.get(path, cookie=f"{auth.COOKIE}={TOKEN}").status == 401
    assert client.get(path, authorization=f"Bearer {TOKEN}").status == 200


def test_a1_what_is_open(farm: ShownFarm) -> None:
    """Whether it is alive, and what the login is drawn with."""
    client = _client(farm, TOKEN)
    for path in ("/health", "/page.css", "/page.js", "/icon.svg"):
        assert client.get(path).status == 200
    assert client.get("/health").json == {"ok": True}


def test_a2_without_a_token_only_this_machine_by_its_own_name(farm: ShownFarm) -> None:
    """A page of another site that had its name point here is refused."""
    client = _client(farm, None)
    for host in ("localhost", "localhost:8080", "127.0.0.1:80", "[::1]:8080"):
        assert client.get("/api/latest", host=host).status == 200
    for host in ("evil.example", "evil.example:8080", "", "127.0.0.1.evil.example", "[::1"):
        assert client.get("/api/latest", host=host).status == 403


@pytest.mark.parametrize("name", COMMANDS)
def test_a3_changes_need_the_token(farm: ShownFarm, name: str) -> None:
    """Without a configured token nothing can be changed; with one only by who sends it."""
    before = len(farm.asked)
    assert _client(farm, None).ask("POST", f"/api/commands/{name}").status == 403
    assert _client(farm, TOKEN).ask("POST", f"/api/commands/{name}").status == 401
    assert len(farm.asked) == before


def test_a3_a_cookie_changes_things_from_the_page_alone(farm: ShownFarm) -> None:
    """Login gives a cookie that no script reads; another site cannot make use of it."""
    client = _client(farm, TOKEN)
    heard = client.ask("POST", "/login", f"token={TOKEN.replace(' ', '+')}".encode(), FORM)
    cookie = heard.headers["Set-Cookie"]
    assert heard.status == 303
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert TOKEN not in cookie
    client.headers["cookie"] = cookie.partition(";")[0]
    assert client.get("/").status == 200
    own = {"origin": "http://127.0.0.1:8080"}
    assert client.ask("POST", "/api/commands/predict", headers=own).status == 200
    for other in ({}, {"origin": "http://evil.example"}, {"origin": "null"}):
        assert client.ask("POST", "/api/commands/predict", headers=other).status == 403


def test_a4_wrong_tokens_are_answered_slowly(farm: ShownFarm) -> None:
    """After ten wrong ones even the right one waits; other addresses do not."""
    client = _client(farm, TOKEN)
    for _ in range(auth.TRIES):
        assert client.ask("POST", "/login", b"token=wrong", FORM).status == 401
    assert client.ask("POST", "/login", f"token={TOKEN}".encode(), FORM).status == 429
    right = f"Bearer {TOKEN}"
    assert client.get("/api/latest", authorization=right).status == 429
    client.address = "192.0.2.7"
    assert client.get("/api/latest", authorization=right).status == 200
    client.address = "127.0.0.1"
    farm.clock.advance(auth.TRY_S)
    assert client.get("/api/latest", authorization=right).status == 200


def test_a5_other_machines_have_a_pace(farm: ShownFarm) -> None:
    """A burst, then a rate; this machine is not limited."""
    client = _client(farm, TOKEN, "192.0.2.8")
    client.headers["authorization"] = f"Bearer {TOKEN}"
    answers = [client.get("/api/latest").status for _ in range(auth.BURST + 5)]
    assert answers == [200] * auth.BURST + [429] * 5
    farm.clock.advance(1.0)
    assert [client.get("/health").status for _ in range(21)] == [200] * 20 + [429]
    here = _client(farm, None)
    assert {here.get("/api/latest").status for _ in range(200)} == {200}


def test_a_flood_of_addresses_costs_no_memory() -> None:
    """Only the newest addresses are remembered."""
    paces = auth.RateLimits(1, 1)
    for number in range(5_000):
        paces.take(str(number), 0.0)
    assert not paces.take("4999", 0.0)
    assert paces.take("0", 0.0)


@pytest.mark.parametrize(
    "path", ["/../etc/passwd", "/api/../config.toml", "/page.css/..", "//", "/api"]
)
def test_there_is_nothing_elsewhere(farm: ShownFarm, path: str) -> None:
    """Paths are names in a table, never files."""
    assert _client(farm, None).get(path).status == 404


def test_every_answer_carries_the_guards(farm: ShownFarm) -> None:
    """No script, frame or request of elsewhere, on pages and on faults."""
    client = _client(farm, TOKEN)
    for path in ("/", "/api/latest", "/nowhere", "/health"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
