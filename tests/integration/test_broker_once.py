"""`edge-agent once` against a real broker."""

from __future__ import annotations

import json
import time
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from demo.agent import ShiftedClock
from edge_agent.alerts import default_rules
from edge_agent.alerts.latches import Latches
from edge_agent.commands.common import OwnClock
from edge_agent.commands.once import once
from edge_agent.commands.status import status
from edge_agent.core.rules import rules_of
from edge_agent.core.runtime import DATABASE
from edge_agent.mqtt.outbox import Outbox
from edge_agent.settings import Config, Device
from edge_agent.system.clock import SystemClock
from edge_agent.system.database import connect
from edge_agent.system.instance_lock import InstanceLock
from tests.fakes.farm import ServiceProcess
from tests.fakes.subscriber import Subscriber

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edge_agent.system.ports import Clock
    from tests.fakes.mosquitto import Mosquitto

BASE = "farm/v1/farm/edge-1"
CONFIG = Config(device=Device())
STATES = {
    f"alert/{rule.name}/state"
    for rule in rules_of(CONFIG)
    if not default_rules.needs_guidance(CONFIG, rule)
}
"""KMA's forecast never came here."""

NAME = "cold"
LIVE = f"""
[[sensors]]
topic = "gh/temp"
quantity = "air_temperature_c"
unit = "C"
role = "indoor"
[[rules]]
name = "{NAME}"
quantity = "air_temperature_c"
operator = "<="
threshold = 5.0
now = true
role = "indoor"
"""


@pytest.fixture
def farm(tmp_path: Path, broker: Mosquitto) -> Path:
    """Configuration of a device without a release."""
    path = tmp_path / "c.toml"
    path.write_text(
        f'[storage]\npath = "state"\n[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\n'
    )
    return path


def call(path: Path, *args: str, clock: Clock | None = None) -> dict[str, Any]:
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
    """While another process speaks for the device, messages are queued and nothing is sent.

    What only that process can know is neither said nor queued: live rules, health, data of now.
    """
    farm.write_text(farm.read_text() + LIVE)
    with InstanceLock(tmp_path / "state") as lock:
        assert lock.held()
        said = call(farm)
        text = CliRunner().invoke(once, ["--config", str(farm), "--dry-run"]).stdout
    assert (said["queued"], said["waiting"]) == (len(STATES),) * 2
    assert f"alert/{NAME}/state" not in {f"alert/{state['rule']}/state" for state in said["states"]}
    assert NAME not in said["rules_unknown"]
    assert not [problem for problem in said["problems"] if "gh/temp" in problem]
    assert "live rules are judged by the running service\n" in text
    assert "farm-edge-farm-edge-1" not in broker.log
    with closing(connect(tmp_path / "state" / DATABASE)) as db:
        assert NAME not in Latches(db).all()
        waiting = {entry.message.topic for entry in Outbox(db).due(None, limit=100)}
    assert waiting == {f"{BASE}/{topic}" for topic in STATES}


def test_once_lists_live_rules_of_the_running_service(
    farm: Path, broker: Mosquitto, tmp_path: Path
) -> None:
    """Their retained states and `/health` stay those of the process that hears the sensors."""
    farm.write_text(f"{farm.read_text()}[web]\nport = 0\n{LIVE}")
    with Subscriber(broker.port) as people, ServiceProcess(farm, tmp_path) as service:
        service.wait_for_line("mqtt 5")
        people.publish("gh/temp", b"3.5")
        _until(lambda: _levels(call(farm, "--dry-run")) == ["raised"])
        time.sleep(1.1)  # Times of issue have whole seconds; the service's first hour is before.
        said = call(farm)
        assert _levels(said) == ["raised"]
        assert NAME not in said["rules_unknown"]
        seen = CliRunner().invoke(status, ["--config", str(farm), "--json"]).stdout
        assert said["problems"] == json.loads(seen)["problems"]
        _until(lambda: call(farm, "--dry-run")["waiting"] == 0)
        people.wait(lambda heard: any(h.topic == f"{BASE}/health" for h in heard))
        assert not [h for h in _since(said, people, "health") if NAME in h["rules_unknown"]]
        assert not [h for h in _since(said, people, f"alert/{NAME}/state") if h["value"] is None]
        assert service.stop()[0] == 0


def _levels(said: dict[str, Any]) -> list[str]:
    return [state["level"] for state in said["states"] if state["rule"] == NAME]


def _since(said: dict[str, Any], people: Subscriber, topic: str) -> list[dict[str, Any]]:
    """Payloads of a topic that were made after a run."""
    start = datetime.fromisoformat(said["at"]).replace(microsecond=0)
    heard = map(json.loads, people.payloads(f"{BASE}/{topic}"))
    return [body for body in heard if datetime.fromisoformat(body["issued_at"]) >= start]


def _until(enough: Callable[[], bool]) -> None:
    end = time.monotonic() + 90
    while not enough():
        assert time.monotonic() < end
        time.sleep(0.5)


def test_once_without_a_broker_keeps_everything(farm: Path, broker: Mosquitto) -> None:
    """What could not be sent is sent by the next run, in order and once."""
    hour = ShiftedClock(datetime(2026, 7, 1, 5, tzinfo=UTC))
    broker.kill()
    assert call(farm, clock=hour)["waiting"] == len(STATES) + 3
    broker.start()
    said = call(farm, clock=hour)
    assert (said["queued"], said["waiting"]) == (0, 0)
