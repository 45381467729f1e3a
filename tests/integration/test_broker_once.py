"""`edge-agent once` against a real broker."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from demo.agent import ShiftedClock
from edge_agent.commands.common import OwnClock
from edge_agent.commands.once import once
from edge_agent.core.rules import rules_of
from edge_agent.settings import Config, Device
from edge_agent.system.clock import SystemClock
from edge_agent.system.instance_lock import InstanceLock
from tests.fakes.subscriber import Subscriber

if TYPE_CHECKING:
    from pathlib import Path

    from edge_agent.system.ports import Clock
    from tests.fakes.mosquitto import Mosquitto

BASE = "farm/v1/farm/edge-1"
STATES = {f"alert/{rule.name}/state" for rule in rules_of(Config(device=Device()))}


@pytest.fixture
def farm(tmp_path: Path, broker: Mosquitto) -> Path:
    """Configuration of a device without a release."""
    path = tmp_path / "c.toml"
    path.write_text(
        f'[storage]\npath = "state"\n[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\n'
    )
    return path


def call(path: Path, *args: str, clock: Clock | None = None) -> dict[str, object]:
    """JSON of one run, on the system's clock or another."""
    own = OwnClock(clock or SystemClock())
    result = CliRunner().invoke(once, ["--config", str(path), "--json", *args], obj=own)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert isinstance(document, dict)
    return document


def test_once_publishes_what_it_queued(farm: Path, broker: Mosquitto) -> None:
    """Everything is delivered at once and retained."""
    said = call(farm)
    topics = {"availability", "model", "health", "fresh"} | STATES
    assert (said["queued"], said["waiting"]) == (len(topics) - 1, 0)
    with Subscriber(broker.port) as controller:
        heard = controller.wait(lambda found: len(found) >= len(topics))
    by_topic = {item.topic: item.payload for item in heard}
    assert set(by_topic) == {f"{BASE}/{topic}" for topic in topics}
    assert by_topic[f"{BASE}/availability"] == b"offline", "nobody speaks for the device now"
    assert json.loads(by_topic[f"{BASE}/health"])["historical"] is False


def test_a_past_hour_reaches_no_broker(farm: Path, broker: Mosquitto) -> None:
    """What stands retained is of now alone."""
    said = call(farm, "--at", "2018-07-01T05:00Z")
    assert (said["queued"], said["waiting"]) == (0, 0)
    assert "farm-edge-farm-edge-1" not in broker.log


def test_once_leaves_delivery_to_a_running_service(
    farm: Path, broker: Mosquitto, tmp_path: Path
) -> None:
    """While another process speaks for the device, messages are queued and nothing is sent."""
    with InstanceLock(tmp_path / "state") as lock:
        assert lock.held()
        said = call(farm)
    assert (said["queued"], said["waiting"]) == (len(STATES) + 3,) * 2
    assert "farm-edge-farm-edge-1" not in broker.log


def test_once_without_a_broker_keeps_everything(farm: Path, broker: Mosquitto) -> None:
    """What could not be sent is sent by the next run, in order and once."""
    hour = ShiftedClock(datetime(2026, 7, 1, 5, tzinfo=UTC))
    broker.kill()
    assert call(farm, clock=hour)["waiting"] == len(STATES) + 3
    broker.start()
    said = call(farm, clock=hour)
    assert (said["queued"], said["waiting"]) == (0, 0)
