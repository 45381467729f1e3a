"""The page behind a real nginx: deploy/nginx-page.conf, and the lines people write instead."""

from __future__ import annotations

import re
import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import httpx
import pytest

from edge_agent.core.runtime import DATABASE
from edge_agent.settings import Web
from edge_agent.web import server
from edge_agent.web.app import Application
from tests.fakes.certificates import Authority
from tests.fakes.mosquitto import free_port
from tests.fakes.nginx import nginx
from tests.fakes.shown_farm import ShownFarm

if TYPE_CHECKING:
    from collections.abc import Iterator

CONF = Path(__file__).parents[2] / "deploy/nginx-page.conf"
TOKEN = "behind a proxy"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
WITH_PASSWORD = httpx.BasicAuth("kim", "kimchi")


class Proxied(NamedTuple):
    """A device with a token and one without, behind one nginx.

    Attributes:
        tls: Client of the example: TLS, below /farm/.
        port: Of the example.
        plain: Client of a site over plain HTTP: /bare/ with proxy_pass alone, /named/ with headers,
            /open/ to the device without a token, /locked/ with a password of nginx's own.
    """

    tls: httpx.Client
    port: int
    plain: httpx.Client


def _example(cert: Path, key: Path, port: int, device: int) -> str:
    site = CONF.read_text("utf-8")
    for old, new in (
        ("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
        ("/etc/nginx/farm.pem", str(cert)),
        ("/etc/nginx/farm.key", str(key)),
        ("http://127.0.0.1:8080/", f"http://127.0.0.1:{device}/"),
        ("rate=10r/s", "rate=1000r/s"),
    ):
        assert old in site
        site = site.replace(old, new)
    return site


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    """A farm, served twice, and nginx."""
    folder = tmp_path_factory.mktemp("proxied")
    farm = ShownFarm(folder / "state")
    farm.work(1)
    authority = Authority(folder / "ca")
    cert, key = authority.issue("farm.example")

    def application(token: str | None) -> Application:
        return Application(
            snapshots=farm.snapshots,
            clock=farm.clock,
            database=folder / "state" / DATABASE,
            token=lambda: token,
            ask=lambda name, _: (True, name),
        )

    passwords = folder / "htpasswd"
    passwords.write_text("kim:{PLAIN}kimchi\n")
    tls_port, plain_port = free_port(), free_port()
    with (
        server.serving(Web(port=0), application(TOKEN)) as locked,
        server.serving(Web(port=0), application(None)) as opened,
    ):
        assert locked
        assert opened
        named = "proxy_set_header Host $host; proxy_set_header X-Real-IP $remote_addr;"
        password = f'auth_basic "farm"; auth_basic_user_file {passwords};'
        site = f"""{_example(cert, key, tls_port, locked)}
        server {{
            listen 127.0.0.1:{plain_port};
            location /bare/ {{ proxy_pass http://127.0.0.1:{opened}/; }}
            location /named/ {{ proxy_pass http://127.0.0.1:{opened}/; {named} }}
            location /newer/ {{
                proxy_pass http://127.0.0.1:{opened}/; proxy_http_version 1.1;
                proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            }}
            location /locked/ {{ proxy_pass http://127.0.0.1:{locked}/; {password} }}
        }}"""
        context = ssl.create_default_context(cafile=str(authority.file))
        tls = f"https://127.0.0.1:{tls_port}/farm/"
        with (
            nginx(folder / "nginx", site, tls_port),
            httpx.Client(base_url=tls, verify=context) as over_tls,
            httpx.Client(base_url=f"http://127.0.0.1:{plain_port}/") as plain,
        ):
            yield Proxied(over_tls, tls_port, plain)
    farm.close()


@pytest.mark.parametrize("path", ["bare/", "named/", "newer/"])
def test_without_a_token_nothing_goes_through_nginx(proxied: Proxied, path: str) -> None:
    """However little nginx says of itself, and whatever the visitor says."""
    for headers in (
        {},
        {"X-Forwarded-For": ""},
        {"Host": "localhost"},
        {"Connection": "keep-alive"},
    ):
        page = proxied.plain.get(path, headers=headers)
        assert page.status_code == 403
        assert "Set token_file under [web]" in page.text
        assert "[web]에 token_file" in page.text
        for private in ("api/latest", "metrics", "api/observations.csv"):
            assert proxied.plain.get(path + private, headers=headers).status_code == 403
    assert proxied.plain.get(f"{path}health").json() == {"ok": True}


def test_a_browser_logs_in_and_acts_below_a_path_over_tls(proxied: Proxied) -> None:
    """Links, style, script, login and buttons stay below the path; the cookie is for TLS."""
    client = proxied.tls
    assert client.get(str(client.base_url)[:-1], follow_redirects=False).status_code == 301
    page = client.get("")
    assert (page.status_code, page.headers["Cache-Control"]) == (401, "no-store")
    links = re.findall(r'(?:href|src|action)="([^"#]+)"', page.text)
    assert len(links) == 4
    for link in links:
        assert page.url.join(link).path.startswith("/farm/"), link
    action = page.url.join(next(link for link in links if link.startswith("login")))
    origin = {"Origin": f"https://127.0.0.1:{proxied.port}"}
    wrong = client.post(action, data={"token": "wrong"}, headers=origin)
    assert wrong.status_code == 401
    assert {wrong.url.join(link).path for link in re.findall(r'href="(\w[^"#]+)"', wrong.text)} == {
        "/farm/icon.svg",
        "/farm/page.css",
    }
    entered = client.post(action, data={"token": TOKEN}, headers=origin)
    assert entered.status_code == 303
    assert "; Secure" in entered.headers["Set-Cookie"]
    home = entered.url.join(entered.headers["Location"])
    assert home.path == "/farm/"
    shown = client.get(home)
    assert (shown.status_code, shown.headers["Cache-Control"]) == (200, "private, no-cache")
    for link in re.findall(r'(?:href|src)="([^"#]+)"', shown.text):
        assert client.get(shown.url.join(link)).status_code == 200, link
    foreign = "; ".join(
        ['broken name=("', f"big={'x' * 40_000}", *shown.request.headers["cookie"].split("; ")]
    )
    assert client.get("api/latest", headers={"Cookie": foreign}).status_code == 200
    script = client.get("page.js").text
    assert re.findall(r"fetch\(`?([^,`$]+)", script) == ["location.href", "api/commands/"]
    asked = client.post("api/commands/predict", headers=origin)
    assert asked.status_code == 200
    stranger = {"Origin": "https://evil.example"}
    assert client.post("api/commands/predict", headers=stranger).status_code == 403
    assert [cookie.path for cookie in client.cookies.jar] == ["/farm"]
    client.cookies.clear()


def test_programs_read_and_ask_through_nginx(proxied: Proxied) -> None:
    """With the token as a bearer, on every address; HEAD and conditional requests as well."""
    client = proxied.tls
    answer = client.get("api/latest", headers=BEARER)
    assert answer.status_code == 200
    tag = {"If-None-Match": answer.headers["ETag"]}
    assert client.get("api/latest", headers=BEARER | tag).status_code == 304
    assert client.head("metrics", headers=BEARER).status_code == 200
    export = client.get("api/observations.csv?days=10", headers=BEARER)
    assert "station:108" in export.text
    assert client.post("api/commands/predict", headers=BEARER).json()["ok"]
    assert (
        client.post("api/commands/predict", content=b"x" * 9_000, headers=BEARER).status_code == 413
    )


def test_a_password_of_nginx_in_front(proxied: Proxied) -> None:
    """The browser sends it with each request; it counts as no token, neither right nor wrong."""
    client = proxied.plain
    assert client.get("locked/").status_code == 401
    for _ in range(15):
        page = client.get("locked/", auth=WITH_PASSWORD)
        assert (page.status_code, "www-authenticate" in page.headers) == (401, False)
    entered = client.post("locked/login", data={"token": TOKEN}, auth=WITH_PASSWORD)
    assert entered.status_code == 303
    assert "; Secure" not in entered.headers["Set-Cookie"]
    assert client.get("locked/", auth=WITH_PASSWORD).status_code == 200
    client.cookies.clear()


@pytest.mark.parametrize(
    "target",
    [
        "/farm/%2e%2e/api/latest", "/farm//api/latest", "/farm/./api/latest", "/farm/api%2flatest",
        "/farm/health/../api/latest", "/farm/health/%2e%2e/api/latest", "/farm/page.css/../metrics",
        "/farm/health;x/../api/latest", "/farm/health%00/api/latest", "/farm/api/latest%3f/health",
        "/farm/health%2f..%2fapi%2flatest", "/farm/\\api\\latest", "/farm/api/latest#/health",
    ],
)  # fmt: skip
def test_no_form_of_a_path_gets_around_the_token(proxied: Proxied, target: str) -> None:
    """What nginx decodes and what the device decodes lead to no address that is open."""
    heard = _sent(proxied, f"GET {target} HTTP/1.1\r\nHost: farm\r\nConnection: close\r\n\r\n")
    assert re.match(rb"HTTP/1.1 (400|401|404) ", heard), heard[:80]
    assert b"forecast" not in heard.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(
    "head",
    [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 60\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Content-Length: +5\r\n",
    ],
)
def test_no_request_is_smuggled_through_nginx(proxied: Proxied, head: str) -> None:
    """A second request in the body of a first is never answered as one of its own."""
    inside = "0\r\n\r\nGET /health HTTP/1.1\r\nHost: farm\r\n\r\n"
    request = f"POST /farm/login HTTP/1.1\r\nHost: farm\r\nConnection: close\r\n{head}\r\n{inside}"
    heard = _sent(proxied, request)
    assert heard.count(b"HTTP/1.1 ") == 1
    assert b'"ok"' not in heard


def _sent(proxied: Proxied, request: str) -> bytes:
    """The whole answer to the bytes of a request, over TLS."""
    context = ssl._create_unverified_context()
    with (
        socket.create_connection(("127.0.0.1", proxied.port), timeout=10) as raw,
        context.wrap_socket(raw) as connection,
    ):
        connection.sendall(request.encode())
        return b"".join(iter(lambda: connection.recv(65_536), b""))
