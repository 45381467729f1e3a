"""`trainer ingest --source hub|village` and `trainer relay`, as a user calls them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from demo.climate import generate
from demo.kma import KmaStandIn
from demo.kma_answer import kst
from demo.places import SEOUL
from edge_agent.system.clock import SystemClock
from edge_agent.system.console import run
from trainer.cli import cli
from trainer.setup import create
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Call = Callable[..., tuple[int, str, str]]

KEY = "secret/key+1"
NOW = datetime(2026, 11, 20, 3, 20, tzinfo=UTC)


@pytest.fixture(scope="module")
def server() -> Iterator[KmaStandIn]:
    """A stand-in whose weather reaches a few days beyond now."""
    hour = kst(NOW).replace(minute=0)
    frame = generate([SEOUL], hour - timedelta(days=30), hour + timedelta(days=5), seed=1)
    with KmaStandIn(frame, now=NOW, key=KEY) as running:
        yield running


@pytest.fixture
def call(
    tmp_path: Path,
    server: KmaStandIn,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Call:
    """Runs `trainer` in a new workspace at `NOW`; returns exit code, stdout and stderr."""
    # The wall clock would let KMA issue something between two calls, now and then.
    monkeypatch.setattr(SystemClock, "now", lambda _clock: NOW)
    create(tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("TRAINER__KMA__HUB_URL", server.hub_url)
    monkeypatch.setenv("TRAINER__KMA__VILLAGE_URL", server.village_url)
    monkeypatch.setenv("TRAINER__KMA__RETRIES", "0")
    monkeypatch.setenv("TRAINER__KMA__REQUESTS_PER_SECOND", "1000")
    for name in ("KMA_HUB_KEY", "KMA_SERVICE_KEY"):
        monkeypatch.delenv(name, raising=False)

    def run_it(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["trainer", *arguments])
        code = run(cli, "trainer")
        said = capsys.readouterr()
        return code, said.out, said.err

    return run_it


def test_hub_hours_come_once(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first run fills the lake, the second has nothing new (exit 11)."""
    monkeypatch.setenv("KMA_HUB_KEY", KEY)
    code, out, _ = call("ingest", "--source", "hub", "--json")
    assert code == 0
    assert json.loads(out)["added"] > 300
    assert len(Workspace.open(None).lake.hours(108)) == json.loads(out)["added"]
    code, _, err = call("ingest", "--source", "hub")
    assert (code, err) == (11, "trainer: the hub has nothing that the lake lacks\n")


def test_hub_days_can_be_named(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Korean days, both included."""
    monkeypatch.setenv("KMA_HUB_KEY", KEY)
    day = kst(NOW).date() - timedelta(days=20)
    code, out, _ = call("ingest", "--source", "hub", "--from", str(day), "--to", str(day), "--json")
    assert code == 0
    assert 18 <= json.loads(out)["added"] <= 24


def test_forecasts_come_once(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first run keeps every issue and nowcast, the second has nothing new (exit 11)."""
    monkeypatch.setenv("KMA_SERVICE_KEY", KEY)
    code, out, _ = call("ingest", "--source", "village", "--json")
    assert code == 0
    (cell,) = json.loads(out)["cells"]
    assert (cell["nx"], cell["ny"]) == (60, 127)
    assert cell["issues"] >= 8
    assert cell["hours"] >= 18
    code, _, err = call("ingest", "--source", "village")
    assert code == 11
    assert "every forecast and nowcast that KMA still has" in err


@pytest.mark.parametrize(("source", "least", "most"), [("hub", 1, 1), ("village", 31, 40)])
def test_the_plan_is_what_is_asked_then(
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
    server: KmaStandIn,
    source: str,
    least: int,
    most: int,
) -> None:
    """A dry run needs no key and asks nothing; the run makes as many requests as it told."""
    asked = len(server.requests)
    code, out, _ = call("ingest", "--source", source, "--dry-run", "--json")
    told = json.loads(out)["requests"]
    assert (code, len(server.requests)) == (0, asked)
    assert least <= told <= most
    for name in ("KMA_HUB_KEY", "KMA_SERVICE_KEY"):
        monkeypatch.setenv(name, KEY)
    assert call("ingest", "--source", source)[0] == 0
    assert len(server.requests) - asked == told
    _, out, _ = call("ingest", "--source", source, "--dry-run")
    assert int(out.split()[0]) <= 1
    assert "requests, about 0.0 minutes" in out


def test_relay_publishes_and_then_has_nothing_new(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A signed bundle for the station; the same hours again are exit 11."""
    monkeypatch.setenv("KMA_HUB_KEY", KEY)
    code, out, _ = call("relay", "--json")
    assert code == 0
    assert json.loads(out)["published"] is True
    bundles = list((tmp_path / "work/depot/targets/observations/108").glob("*.parquet"))
    assert len(bundles) == 1
    code, out, err = call("relay")
    assert code == 11
    assert out.startswith("station 108: newest hour ")
    assert err == "trainer: the depot has these hours already\n"


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("ingest", "--source", "hub"), 78, "set KMA_HUB_KEY"),
        (("ingest", "--source", "village"), 78, "set KMA_SERVICE_KEY"),
        (("relay",), 66, "run `trainer ingest`"),
        (("relay", "--station", "1"), 64, "station 1 is not one of"),
        (("ingest", "--source", "village", "--from", "2024-01-01"), 64, "two days"),
        (("ingest", "--source", "radar"), 64, "radar"),
    ],
)
def test_what_is_wrong_is_one_line_and_an_exit_code(
    call: Call, arguments: tuple[str, ...], code: int, text: str
) -> None:
    """Missing keys and wrong calls say what to do."""
    found, _, err = call(*arguments)
    assert (found, text in err) == (code, True), err


@pytest.mark.parametrize(
    ("variable", "source"), [("KMA_HUB_KEY", "hub"), ("KMA_SERVICE_KEY", "village")]
)
def test_a_wrong_key_is_refused_and_never_shown(
    call: Call, monkeypatch: pytest.MonkeyPatch, variable: str, source: str, tmp_path: Path
) -> None:
    """Exit 77; the key is in no output and in no file of the workspace."""
    monkeypatch.setenv(variable, "tell-nobody")
    code, out, err = call("ingest", "--source", source, "-v")
    assert code == 77
    assert "tell-nobody" not in out + err
    files = [path for path in (tmp_path / "work").rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if b"tell-nobody" in path.read_bytes()]
