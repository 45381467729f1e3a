"""What comes instead of a depot: a login page, a page for a missing file, an answer of a proxy."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from edge_agent import cli
from edge_agent.commands.doctor import doctor
from edge_agent.system.console import run
from tests.fakes.depot import Yard
from tests.fakes.farm import write_config
from tests.fakes.hostile_web import Handler, HostileWeb
from tests.fakes.mosquitto import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fakes.hostile_web import Answer

PAGE = b"\n <!DOCTYPE html><html><title>Login</title><body>Please log in</body></html>"
A_WEB_PAGE = "not a depot: a web page came instead (login page of the network? proxy?)"
CHANGED = "no metadata of a depot: changed on the way (login page of the network? proxy?)"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[HostileWeb]:
    """A web server over a real depot with a release."""
    yard = Yard.of_now(tmp_path)
    with HostileWeb(yard.depot) as server:
        yield server


def _page(handler: Handler, _: bytes) -> None:
    handler.whole(PAGE, Content_Type="text/html")


def _soft_404(handler: Handler, content: bytes) -> None:
    handler.whole(content or PAGE)


def _gzip(handler: Handler, content: bytes) -> None:
    handler.whole(gzip.compress(content), 200 if content else 404, Content_Encoding="gzip")


def _injected(handler: Handler, content: bytes) -> None:
    handler.whole(content + b"<script>x</script>", 200 if content else 404)


def _status(status: int, body: bytes = PAGE, **headers: str) -> Answer:
    return lambda handler, _: handler.whole(body, status, **headers)


CASES: dict[str, tuple[str, Answer, str]] = {
    "captive portal": (".*", _page, A_WEB_PAGE),
    "page for a missing file": (".*", _soft_404, A_WEB_PAGE),
    "unwanted gzip": (".*", _gzip, A_WEB_PAGE),
    "nothing at all": (".*", _status(200, b""), A_WEB_PAGE),
    "portal before the models": ("targets/.*", _page, A_WEB_PAGE),
    "packed models": ("targets/.*", _gzip, A_WEB_PAGE),
    "network login": (".*", _status(511), A_WEB_PAGE),
    "another success": (".*", _status(203), A_WEB_PAGE),
    "redirect to a login": (".*", _status(302, Location="http://login.example/"), "log in to"),
    "script put in": ("metadata/.*", _injected, CHANGED),
    "login as JSON": (".*", _status(200, b'{"login": "needed"}'), A_WEB_PAGE),
    "proxy's login": (".*", _status(407), "the proxy wants a user and a password"),
    "login of the depot": (".*", _status(401), "the depot wants a user and a password"),
    "not taken": (".*", _status(400), "the server does not take this request"),
    "out of service": (".*", _status(503), "the depot is out of service"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_no_depot_is_for_later_and_in_the_same_words_everywhere(
    case: str,
    web: HostileWeb,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Exit 75 and one line that names the file; no refused signature, which nobody has seen."""
    names, answer, words = CASES[case]
    web.rules[names] = answer
    depot = f'[depot]\nurl = "{web.url}"\nroot_file = "root.json"\n'
    path = write_config(tmp_path, free_port(), depot)
    monkeypatch.setattr("sys.argv", ["edge-agent", "sync", "--config", str(path)])
    code = run(cli.cli, "edge-agent")
    told = capsys.readouterr().err
    assert (code, told.count("\n")) == (75, 1), told
    assert words in told
    assert web.url in told
    if names == "targets/.*":  # the doctor downloads no release
        return
    done = CliRunner().invoke(doctor, ["--config", str(path), "--json"])
    (found,) = (f for f in json.loads(done.stdout)["findings"] if f["check"] == "depot")
    assert found["outcome"] == "FAIL"
    assert words in found["seen"]
    assert found["advice"] == "edge-agent sync tries again; what is installed goes on"


def test_a_wrong_content_type_does_no_harm(web: HostileWeb, tmp_path: Path) -> None:
    """The content counts, not what the server calls it."""
    web.rules[".*"] = lambda handler, content: handler.whole(
        content, 200 if content else 404, Content_Type="text/html; charset=utf-8"
    )
    depot = f'[depot]\nurl = "{web.url}"\nroot_file = "root.json"\n'
    path = write_config(tmp_path, free_port(), depot)
    done = CliRunner().invoke(doctor, ["--config", str(path), "--json"])
    (found,) = (f for f in json.loads(done.stdout)["findings"] if f["check"] == "depot")
    assert found["seen"].startswith("reached, signed until")


def test_a_root_file_that_is_a_web_page_is_a_fault_of_the_configuration(
    web: HostileWeb,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The file on the device is at fault, not the depot: exit 78, and which key."""
    (tmp_path / "root.json").write_bytes(PAGE)
    depot = f'[depot]\nurl = "{web.url}"\nroot_file = "root.json"\n'
    path = write_config(tmp_path, free_port(), depot)
    monkeypatch.setattr("sys.argv", ["edge-agent", "sync", "--config", str(path)])
    assert run(cli.cli, "edge-agent") == 78
    told = capsys.readouterr().err
    assert "[depot] root_file" in told
    assert told.count("\n") == 1
