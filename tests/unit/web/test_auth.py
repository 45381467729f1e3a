"""Rules A1 to A5: who may ask, and how often."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_agent.core.runtime import DATABASE
from edge_agent.web import auth
from edge_agent.web.api.routes import COMMANDS, ROUTES
from edge_agent.web.app import Application
from edge_agent.web.forwarding import TrustedProxies
from edge_agent.web.page import routes as page_routes
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
    """After ten wrong ones the next has to wait, at the login and as a bearer."""
    client = _client(farm, TOKEN)
    for _ in range(auth.TRIES):
        assert client.ask("POST", "/login", b"token=wrong", FORM).status == 401
    assert client.ask("POST", "/login", b"token=wrong", FORM).status == 429
    assert client.get("/api/latest", authorization="Bearer other").status == 429
    client.address = "192.0.2.7"
    assert client.get("/api/latest", authorization="Bearer other").status == 401
    client.address = "127.0.0.1"
    farm.clock.advance(auth.TRY_S)
    assert client.get("/api/latest", authorization="Bearer other").status == 401


def test_a4_wrong_tokens_lock_nobody_out_who_has_the_right_one(farm: ShownFarm) -> None:
    """Not from the same address either: as a bearer, at the login, by cookie."""
    client = _client(farm, TOKEN)
    form = f"token={TOKEN}".encode()
    cookie = client.ask("POST", "/login", form, FORM).headers["Set-Cookie"].partition(";")[0]
    for number in range(3 * auth.TRIES):
        client.get("/api/latest", authorization=f"Bearer wrong-{number}")
        client.ask("POST", "/login", b"token=wrong", FORM)
        assert client.get("/api/latest", authorization=f"Bearer {TOKEN}").status == 200
        assert client.ask("POST", "/login", form, FORM).status == 303
        assert client.get("/", cookie=cookie).status == 200


def test_a4_a_password_of_the_proxy_is_no_wrong_token(farm: ShownFarm) -> None:
    """A browser sends the password of basic authentication with each request."""
    client = _client(farm, TOKEN)
    for _ in range(2 * auth.TRIES):
        assert client.get("/", authorization="Basic a2ltOmtpbQ==").status == 401
    assert client.ask("POST", "/login", b"token=wrong", FORM).status == 401


def test_a_token_need_not_be_ascii(farm: ShownFarm) -> None:
    """Sent as UTF-8, in a header and in the form."""
    token = "토마토는 언제나 빨갛습니다"
    client = _client(farm, token)
    # WSGI hands over the bytes of a header as Latin-1.
    sent = token.encode().decode("latin-1")
    assert client.get("/api/latest", authorization=f"Bearer {sent}").status == 200
    assert client.ask("POST", "/login", f"token={token}".encode(), FORM).status == 303


@pytest.mark.parametrize(
    "others",
    [
        "a=b; {0}; c=d",
        'session="not closed; {0}',
        "bad name(=1; {0}",
        "=; ;;=x; {0}; novalue",
        "caf\xe9=\xed\xa0\x80; {0}",
        'json={{"a": [1, 2]}}; {0}',
        "big=" + "x" * 40_000 + "; {0}",
        "{1}=stale; {0}",
        "{0}; {1}=stale",
        "farm-edge=of-another-device; {0}",
        "a=b, {0}",
    ],
)  # fmt: skip
def test_foreign_cookies_do_no_harm(farm: ShownFarm, others: str) -> None:
    """What other programs of the same host have set stands beside ours, however malformed."""
    client = _client(farm, TOKEN)
    own = client.ask("POST", "/login", f"token={TOKEN}".encode(), FORM).headers["Set-Cookie"]
    pair = own.partition(";")[0]
    sent = others.format(pair, pair.partition("=")[0])
    assert client.get("/", cookie=sent).status == 200
    assert client.get("/", cookie=others.format("x=y", "farm-edge")).status == 401


def test_devices_behind_one_host_do_not_log_each_other_out(farm: ShownFarm) -> None:
    """A browser keeps one cookie a name for all ports of a host; the path is the login's own."""
    cookies = []
    for token in ("one device", "another device"):
        heard = _client(farm, token).ask("POST", "/login", f"token={token}".encode(), FORM)
        cookies.append(heard.headers["Set-Cookie"])
    names = {cookie.partition("=")[0] for cookie in cookies}
    assert len(names) == 2
    assert not [cookie for cookie in cookies if "path" in cookie.lower()]


def test_the_cookie_is_secure_where_the_browser_speaks_tls(farm: ShownFarm) -> None:
    """By its Origin, or by a proxy that is trusted; a stranger's header counts for nothing."""
    form = f"token={TOKEN}".encode()

    def is_secure(address: str, **headers: str) -> bool:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        client = _client(farm, TOKEN, address)
        return "; Secure" in client.ask("POST", "/login", form, FORM | named).headers["Set-Cookie"]

    assert not is_secure("127.0.0.1")
    assert is_secure("127.0.0.1", x_forwarded_proto="https")
    assert is_secure("127.0.0.1", origin="https://farm.example")
    assert not is_secure("127.0.0.1", origin="http://farm.example", x_forwarded_proto="http")
    assert not is_secure("192.0.2.9", x_forwarded_proto="https")


@pytest.mark.parametrize(
    "sign",
    [
        {"x-forwarded-for": "203.0.113.5"},
        {"x-forwarded-for": "127.0.0.1"},
        {"X-Forwarded-Proto": "https"},
        {"forwarded": "for=203.0.113.5"},
        {"x-real-ip": "203.0.113.5"},
        {"via": "1.1 nginx"},
        {"cf-connecting-ip": "203.0.113.5"},
        {"x-forwarded-for": ""},
    ],
)
def test_a2_without_a_token_a_request_through_a_proxy_is_refused(
    farm: ShownFarm, sign: dict[str, str]
) -> None:
    """A proxy asks from this machine by its own name, on behalf of anybody."""
    client = _client(farm, None)
    for path in ("/api/latest", "/metrics", "/api/observations.csv"):
        heard = client.ask("GET", path, headers=sign)
        assert heard.status == 403
        assert "set web.token_file" in heard.json["error"]
    page = client.ask("GET", "/", headers=sign)
    assert (page.status, page.headers["Content-Type"]) == (403, "text/html; charset=utf-8")
    told = page.content.decode()
    assert next(iter(sign)).title() in told
    for words in ("[web]에 token_file", "Set token_file under [web]"):
        assert words in told
    assert client.ask("GET", "/health", headers=sign).status == 200
    trusted = _client(farm, TOKEN)
    bearer = {"authorization": f"Bearer {TOKEN}"}
    assert trusted.ask("GET", "/api/latest", headers=sign | bearer).status == 200


def test_a2_without_a_token_http_1_0_is_a_proxy_that_says_nothing(farm: ShownFarm) -> None:
    """As nginx asks where nothing else is set: by its own Host, without a header about it."""
    client = _client(farm, None)
    client.protocol = "HTTP/1.0"
    assert client.get("/api/latest").status == 403
    assert client.get("/health").status == 200
    trusted = _client(farm, TOKEN)
    trusted.protocol = "HTTP/1.0"
    assert trusted.get("/api/latest", authorization=f"Bearer {TOKEN}").status == 200


def test_a5_the_pace_is_that_of_the_client_behind_a_trusted_proxy(farm: ShownFarm) -> None:
    """One visitor does not use up the pace of another; who is not trusted speaks for himself."""
    database = farm.runtime.state / DATABASE
    proxies = TrustedProxies(["192.0.2.0/24"])
    for proxy in ("127.0.0.1", "::ffff:127.0.0.1", "192.0.2.1"):
        client = WebClient(
            Application(farm.snapshots, farm.clock, database, lambda: TOKEN, farm.ask, proxies),
            proxy,
        )
        # The first address is what the client itself invented.
        first = {"x-forwarded-for": "8.8.8.8, 203.0.113.5"}
        answers = [client.ask("GET", "/health", headers=first).status for _ in range(65)]
        assert answers == [200] * auth.BURST + [429] * 5
        assert client.get("/health", x_forwarded_for="203.0.113.6").status == 200
    stranger = _client(farm, TOKEN, "198.51.100.7")
    sent = [
        stranger.get("/health", x_forwarded_for=f"203.0.113.{number}").status
        for number in range(auth.BURST + 1)
    ]
    assert sent[-1] == 429


def test_a3_the_browser_says_where_a_change_comes_from(farm: ShownFarm) -> None:
    """Over TLS it says so itself, whatever Host the proxy passes on."""
    client = _client(farm, TOKEN)
    pair = client.ask("POST", "/login", f"token={TOKEN}".encode(), FORM).headers["Set-Cookie"]
    client.headers["cookie"] = pair.partition(";")[0]
    origin = {"origin": "https://farm.example"}

    def status(**headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return client.ask("POST", "/api/commands/predict", headers=origin | named).status

    assert status(sec_fetch_site="same-origin") == 200
    assert status() == 403
    assert status(host="farm.example") == 200
    for site in ("cross-site", "same-site", "none", ""):
        assert status(host="farm.example", sec_fetch_site=site) == 403


def test_nothing_private_is_cached_by_a_proxy(farm: ShownFarm) -> None:
    """Answers are for one person; refusals, logins and faults are not kept at all."""
    client = _client(farm, TOKEN)
    own = {"authorization": f"Bearer {TOKEN}"}
    for route in (*ROUTES, *page_routes.ROUTES):
        heard = client.ask("GET", route.path, headers=own)
        kept = heard.headers["Cache-Control"]
        assert kept == ("no-cache" if route.open else "private, no-cache"), route.path
        assert ("Vary" in heard.headers) is not route.open
        again = client.ask(
            "GET", route.path, headers=own | {"if-none-match": heard.headers["ETag"]}
        )
        if again.status == 304:
            assert again.headers["Cache-Control"] == kept
    refused = [client.get(path) for path in ("/", "/api/latest", "/metrics", "/nowhere")]
    refused += [client.ask("POST", "/login", b"token=wrong", FORM), client.ask("PUT", "/health")]
    refused.append(client.ask("GET", "/nowhere", headers=own))
    refused.append(client.ask("POST", "/api/commands/predict", headers=own))
    refused.append(client.ask("POST", "/login", f"token={TOKEN}".encode(), FORM))
    assert {heard.headers["Cache-Control"] for heard in refused} == {"no-store"}


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
