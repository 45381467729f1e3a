"""`edge-agent once` against a real broker."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from edge_agent.commands.once import once
from edge_agent.system.clock import SystemClock
from edge_agent.system.instance_lock import InstanceLock
from tests.fakes.subscriber import Subscriber

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.mosquitto import Mosquitto

BASE = "farm/v1/farm/edge-1"


@pytest.fixture
def farm(tmp_path: Path, broker: Mosquitto) -> Path:
    """Configuration of a device without a release."""
    path = tmp_path / "c.toml"
    path.write_text(
        f'[storage]\npath = "state"\n[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\n'
    )
    return path


def call(path: Path, *args: str) -> dict[str, object]:
    """JSON of one run."""
    result = CliRunner().invoke(once, ["--config", str(path), "--json", *args])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert isinstance(document, dict)
    return document


@pytest.mark.parametrize("at", [(), ("--at", "2018-07-01T05:00Z")], ids=["now", "another day"])
def test_once_publishes_what_it_queued(farm: Path, broker: Mosquitto, at: tuple[str, ...]) -> None:
    """Everything is delivered at once and retained; another day's hour says that it is history."""
    said = call(farm, *at)
    # Whether data are fresh is said of now alone.
    topics = {"availability", "model", "health"} | (set() if at else {"fresh"})
    assert (said["queued"], said["waiting"]) == (len(topics) - 1, 0)
    with Subscriber(broker.port) as controller:
        heard = controller.wait(lambda found: len(found) >= len(topics))
    by_topic = {item.topic: item.payload for item in heard}
    assert set(by_topic) == {f"{BASE}/{topic}" for topic in topics}
    assert by_topic[f"{BASE}/availability"] == b"offline", "nobody speaks for the device now"
    assert json.loads(by_topic[f"{BASE}/health"])["historical"] is bool(at)


def test_once_leaves_delivery_to_a_running_service(
    farm: Path, broker: Mosquitto, tmp_path: Path
) -> None:
    """While another process speaks for the device, messages are queued and nothing is sent."""
    with InstanceLock(tmp_path / "state") as lock:
        assert lock.held()
        said = call(farm)
    assert (said["queued"], said["waiting"]) == (3, 3)
    assert "farm-edge-farm-edge-1" not in broker.log


def test_once_without_a_broker_keeps_everything(farm: Path, broker: Mosquitto) -> None:
    """What could not be sent is sent by the next run, in order and once."""
    hour = ("--at", f"{SystemClock().now():%Y-%m-%dT%H:%MZ}")  # The next may begin meanwhile.
    broker.kill()
    assert call(farm, *hour)["waiting"] == 3
    broker.start()
    said = call(farm, *hour)
    assert (said["queued"], said["waiting"]) == (0, 0)
