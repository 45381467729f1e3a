"""`trainer fleet` against a real broker that retains what devices said."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from edge_agent.contract.errors import Unavailable
from edge_agent.system.clock import SystemClock
from tests.fakes.mosquitto import Mosquitto, free_port
from tests.fakes.subscriber import Subscriber
from trainer.commands.fleet import fleet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that two devices have told of themselves."""
    with Mosquitto(tmp_path / "broker") as server, Subscriber(server.port, "none") as device:
        now = f"{SystemClock().now():%Y-%m-%dT%H:%M:%SZ}"
        for name in ("a", "b"):
            root = f"farm/v1/hill/{name}"
            device.publish(f"{root}/availability", b"online", retain=True)
            health = {"issued_at": now, "forecast_source": "model"}
            device.publish(f"{root}/health", json.dumps(health).encode(), retain=True)
        yield server


def test_fleet_is_read_from_what_the_broker_retains(broker: Mosquitto, tmp_path: Path) -> None:
    """Table, page, CSV and JSON show both devices."""
    args = ["--mqtt", f"mqtt://127.0.0.1:{broker.port}", "--wait", "0.5"]
    html, csv = tmp_path / "fleet.html", tmp_path / "fleet.csv"
    shown = CliRunner().invoke(fleet, args, catch_exceptions=False)
    assert [line.split()[:3] for line in shown.output.splitlines()[1:]] == [
        ["hill", "a", "online"],
        ["hill", "b", "online"],
    ]
    files = ["--html", str(html), "--csv", str(csv), "--json"]
    found = json.loads(CliRunner().invoke(fleet, [*args, *files], catch_exceptions=False).output)
    assert [device["source"] for device in found] == ["model", "model"]
    assert "2 of 2 devices are well" in html.read_text("utf-8")
    assert len(csv.read_text("utf-8").splitlines()) == 3


def test_no_broker_is_told_in_a_line() -> None:
    """Nothing listens: the address and what to check."""
    with pytest.raises(Unavailable, match="check --mqtt"):
        CliRunner().invoke(
            fleet, ["--mqtt", f"mqtt://127.0.0.1:{free_port()}"], catch_exceptions=False
        )
