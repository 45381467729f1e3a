"""Proxies of the environment: used, refused by name, or not asked."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from edge_agent import cli
from edge_agent.commands.doctor import doctor
from edge_agent.contract.errors import ConfigError, TryLater
from edge_agent.mqtt.webhook import sender
from edge_agent.system.console import run
from tests.fakes.depot import Yard
from tests.fakes.farm import ServiceProcess, install_release, write_config
from tests.fakes.hostile_web import Handler, HostileWeb
from tests.fakes.kma_workspace import KEY
from tests.fakes.mosquitto import Mosquitto, free_port
from trainer.cli import entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

VARIABLES = ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
SOCKS = "this environment names a SOCKS proxy ({}), which is not supported"
UNUSABLE = "this environment names a proxy that cannot be used ({}): write http://HOST:PORT"
DEPOT = "http://depot.invalid/"


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[HostileWeb]:
    """A real depot behind a web server, which is a forward proxy to `DEPOT` too."""
    yard = Yard.of_now(tmp_path)

    def forward(handler: Handler, _: bytes) -> None:
        path = yard.depot / handler.path.removeprefix(DEPOT)
        found = path.is_file()
        handler.whole(path.read_bytes() if found else b"", 200 if found else 404)

    with HostileWeb(yard.depot) as server:
        server.rules[rf"{DEPOT}.*"] = forward
        yield server


def _config(folder: Path, url: str, port: int = 0) -> Path:
    depot = f'[depot]\nurl = "{url}"\nroot_file = "root.json"\npoll_interval_s = 10\n'
    return write_config(folder, port or free_port(), depot)


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Exit code and error text of the agent's command line."""

    def called(*words: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["edge-agent", *words])
        code = run(cli.cli, "edge-agent")
        return code, capsys.readouterr().err

    return called


def _depot_finding(path: Path) -> tuple[str, str]:
    done = CliRunner().invoke(doctor, ["--config", str(path), "--json"])
    (found,) = (f for f in json.loads(done.stdout)["findings"] if f["check"] == "depot")
    return found["outcome"], found["seen"]


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("ALL_PROXY", "socks5://kim:s3cret@127.0.0.1:9", SOCKS),
        ("all_proxy", "socks5h://127.0.0.1:9", SOCKS),
        ("HTTP_PROXY", "SOCKS4://127.0.0.1:9", SOCKS),
        ("http_proxy", "ftp://127.0.0.1:9", UNUSABLE),
        ("HTTP_PROXY", "127.0.0.1:port", UNUSABLE),
    ],
)
def test_a_proxy_that_cannot_be_used_is_refused_by_its_variable(
    variable: str,
    value: str,
    says: str,
    tmp_path: Path,
    web: HostileWeb,
    call: Callable[..., tuple[int, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One line and exit 78; the doctor has the same words and goes on to its end."""
    path = _config(tmp_path, web.url)
    monkeypatch.setenv(variable, value)
    code, told = call("sync", "--config", str(path))
    assert (code, told.count("\n")) == (78, 1), told
    assert says.format(variable) in told
    assert "s3cret" not in told
    outcome, seen = _depot_finding(path)
    assert outcome == "FAIL"
    assert says.format(variable) in seen
    push = sender(web.url, lambda: None, json=True)
    with pytest.raises(ConfigError, match=variable):
        push(b"{}")
    assert web.asked == []


@pytest.mark.parametrize(
    "names",
    [
        {"ALL_PROXY": "socks5://127.0.0.1:9", "NO_PROXY": "example.com, 127.0.0.1"},
        {"ALL_PROXY": "socks5://127.0.0.1:9", "no_proxy": "*"},
        {"HTTPS_PROXY": "socks5://127.0.0.1:9"},
        {"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1,[fd00::]/8"},
    ],
)
def test_a_proxy_that_is_for_others_is_not_asked(
    names: dict[str, str], tmp_path: Path, web: HostileWeb, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither one for another scheme nor one that NO_PROXY takes away does any harm."""
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    outcome, seen = _depot_finding(_config(tmp_path, web.url))
    assert (outcome, seen[:22]) == ("OK", "reached, signed until "), seen


def test_an_http_proxy_is_used_and_named_where_it_fails(
    tmp_path: Path,
    web: HostileWeb,
    call: Callable[..., tuple[int, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The depot is reached through it; a proxy that refuses is not the depot's fault."""
    path = _config(tmp_path, DEPOT)
    monkeypatch.setenv("HTTP_PROXY", web.url.removeprefix("http://").rstrip("/"))
    assert _depot_finding(path)[0] == "OK"
    assert web.asked[0][0].startswith(DEPOT)
    monkeypatch.setenv("HTTP_PROXY", f"http://kim:s3cret@127.0.0.1:{free_port()}")
    code, told = call("sync", "--config", str(path))
    assert code == 75
    assert "through the proxy of HTTP_PROXY" in told
    assert "check the link and the proxy's and the depot's address" in told
    assert "s3cret" not in told
    with pytest.raises(TryLater, match="through the proxy of HTTP_PROXY"):
        sender(DEPOT, lambda: None, json=True)(b"{}")


def test_the_service_goes_on_and_names_the_variable(
    tmp_path: Path, web: HostileWeb, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its update fails by that line; forecasts and alerts do not need a depot."""
    install_release(tmp_path / "state")
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    with Mosquitto(tmp_path / "broker") as broker:
        path = _config(tmp_path, web.url, broker.port)
        with ServiceProcess(path, tmp_path) as service:
            service.wait_for(lambda _: "ALL_PROXY" in service.log)
            assert SOCKS.format("ALL_PROXY") in service.log
            assert "internal error" not in service.log
            assert service.stop()[0] == 0


def test_the_trainer_refuses_it_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`ingest` and `relay` end with exit 78 before they ask KMA anything."""
    (tmp_path / "trainer.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KMA_SERVICE_KEY", KEY)
    monkeypatch.setenv("TRAINER__KMA__ASOS_URL", f"http://127.0.0.1:{free_port()}/asos")
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    days = ("--from", "2020-12-01", "--to", "2020-12-01")
    monkeypatch.setattr(sys, "argv", ["trainer", "ingest", *days])
    assert entry() == 78
    told = capsys.readouterr().err
    assert SOCKS.format("ALL_PROXY") in told
    assert "internal error" not in told
