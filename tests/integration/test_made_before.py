"""Workspaces and devices of an earlier version go on working (tests/fixtures/before_house)."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import demo.agent
from tests.fakes.subscriber import Subscriber

if TYPE_CHECKING:
    from tests.fakes.mosquitto import Mosquitto

STATE = Path(__file__).parents[1] / "fixtures" / "before_house" / "state.tar.xz"
RUN = "20260105-806aac1473dd"
AWAY = "2026-01-18T06:10+00:00"
"""Within the hour whose messages found no broker, and before the drill among them runs out."""
NEXT = "2026-01-18T07:02+00:00"


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """Folder with a trainer's workspace and a device, side by side."""
    with tarfile.open(STATE) as packed:
        packed.extractall(tmp_path, filter="data")
    return tmp_path


@pytest.fixture
def central(unpacked: Path) -> Path:
    """The trainer's workspace."""
    return unpacked / "central"


@pytest.fixture
def device(unpacked: Path) -> Path:
    """The device's folder: configuration, and state with a release and waiting messages."""
    return unpacked / "house"


def call(folder: Path, program: str, *arguments: str, code: int = 0) -> str:
    """Standard output of a console program, which must end with this exit code."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name(program)), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, f"{arguments}: {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


def document(folder: Path, program: str, *arguments: str) -> Any:  # noqa: ANN401 - any JSON
    """JSON that a program prints."""
    return json.loads(call(folder, program, *arguments, "--json"))


def agent(device: Path, *arguments: str) -> Any:  # noqa: ANN401 - any JSON
    """JSON that `edge-agent` prints."""
    return document(device, "edge-agent", *arguments, "--config", "config.toml")


def agent_at(time: str, device: Path, *arguments: str) -> Any:  # noqa: ANN401 - any JSON
    """The same on a clock that shows a time."""
    return document(
        device, "python", demo.agent.__file__, time, *arguments, "--config", "config.toml"
    )


def connect_to(device: Path, broker: Mosquitto) -> None:
    """Name the broker in the device's configuration."""
    path = device / "config.toml"
    text, count = re.subn(
        r"(?m)^(\[mqtt\]\n.*\nport = )\d+", rf"\g<1>{broker.port}", path.read_text()
    )
    assert count == 1
    path.write_text(text)


def publish(central: Path) -> None:
    """Sign everything again, so that no signature has run out, with newer hours and release 3."""
    call(central, "trainer", "keys", "renew")
    call(central, "trainer", "relay")
    call(
        central,
        "trainer",
        "rollout",
        "--channel",
        "stable",
        "--percent",
        "99.9",
        "--reason",
        "test",
    )


def test_a_workspace_shows_its_run_lake_channels_and_keys(central: Path) -> None:
    """Run, lake, live releases and keys are read as they were written."""
    status = document(central, "trainer", "status")
    assert list(status["stations"]) == ["108"]
    assert [(name, live["run"]) for name, live in status["channels"].items()] == [("stable", RUN)]
    (run,) = document(central, "trainer", "runs")
    assert run["run"] == RUN
    roles = {role["role"]: role for role in document(central, "trainer", "keys", "show")}
    assert all(role["here"] == role["keyids"] for role in roles.values())
    assert "models" in roles


def test_a_report_is_made_of_an_old_run(central: Path) -> None:
    """Metrics, gate's word and models of an old run make a whole page."""
    call(central, "trainer", "report", "--out", "report.html")
    assert RUN in (central / "report.html").read_text("utf-8")


def test_an_old_depot_takes_hours_and_releases(central: Path) -> None:
    """Its keys sign a relay, an old run's promotion and a rollout; numbers go on."""
    before = document(central, "trainer", "status")["channels"]
    publish(central)
    call(central, "trainer", "promote", RUN, "--channel", "staging")
    after = document(central, "trainer", "status")["channels"]
    newest = max(channel["release"] for channel in before.values())
    assert after["stable"]["release"] == newest + 1
    assert after["staging"]["release"] == newest + 2


def test_a_device_shows_its_old_state(device: Path) -> None:
    """Release, alerts, queue and forecasts are read from an old state folder."""
    status = agent(device, "status")
    assert status["release"] == agent(device, "release")["release"] > 0
    assert {edge["rule"] for edge in agent(device, "history")} >= {"frost", "frost-watch"}
    assert any(
        "/alert/frost/event" in line["topic"] for line in agent(device, "queue", "ls")["messages"]
    )
    assert all(check["outcome"] == "ok" for check in agent(device, "self-test")["checks"])
    hour = agent(device, "once", "--dry-run", "--at", NEXT)
    assert (hour["source"], hour["observations"]) == ("model_relayed_station", "station:108")


def test_an_old_queue_is_delivered(device: Path, broker: Mosquitto) -> None:
    """Every topic that waited comes out, alerts as they were queued, and the next hour follows."""
    waiting = agent(device, "queue", "ls")["messages"]
    connect_to(device, broker)
    with Subscriber(broker.port) as controller:
        agent_at(AWAY, device, "once")
        heard = controller.wait(
            lambda messages: {one["topic"] for one in waiting} <= {one.topic for one in messages}
        )
        next_hour = agent_at(NEXT, device, "once")
    came = [json.loads(one.payload) for one in heard if one.topic.endswith("/event")]
    alerts = [one["payload"] for one in waiting if one["kind"] == "alert"]
    assert alerts
    assert all(alert in came for alert in alerts)
    assert agent(device, "queue", "ls")["messages"] == []
    assert (next_hour["waiting"], next_hour["source"]) == (0, "model_relayed_station")
    assert next_hour["queued"] > 0


def test_an_old_device_takes_news_of_an_old_depot(central: Path, device: Path) -> None:
    """A device that trusts the old root follows the renewed one to a new release and new hours."""
    publish(central)
    config = device / "config.toml"
    config.write_text(config.read_text().replace("../depot-house", "../central/depot"))
    before = agent(device, "release")["release"]
    news = agent(device, "sync")
    assert news["release"] == agent(device, "release")["release"] > before
    assert news["new_hours"] > 24
