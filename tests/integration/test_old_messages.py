"""Readings and commands that a real Mosquitto held back are not taken for new (O1, O2)."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Final

import pytest
from paho.mqtt.client import Client, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge_agent.system.clock import SystemClock
from tests.fakes.farm import ROOT, ServiceProcess, fill_weather, install_release, write_config
from tests.fakes.subscriber import Subscriber

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fakes.mosquitto import Mosquitto

SENSORS: Final = """
[[sensors]]
topic = "house/plain"
quantity = "air_temperature_c"
unit = "C"
role = "indoor"

[[sensors]]
topic = "soil/timed"
field = "v"
time_field = "at"
quantity = "soil_moisture_pct"
unit = "%"
role = "soil"

[[rules]]
name = "house-hot"
quantity = "air_temperature_c"
operator = ">"
threshold = 40
now = true
role = "indoor"

[[rules]]
name = "soil-wet"
quantity = "soil_moisture_pct"
operator = ">"
threshold = 40
now = true
role = "soil"
"""
HOT: Final = b"43.5"


@pytest.fixture(params=["5", "3.1.1"])
def device(tmp_path: Path, broker: Mosquitto, request: pytest.FixtureRequest) -> Path:
    """Configuration of a device with a release, two sensors and a live rule on each."""
    install_release(tmp_path / "state")
    fill_weather(tmp_path / "state")
    return write_config(tmp_path, broker.port, f'protocol = "{request.param}"\n{SENSORS}')


@pytest.fixture
def farm(broker: Mosquitto) -> Iterator[Subscriber]:
    """Hears the device, and publishes as sensors and controllers do."""
    with Subscriber(broker.port, f"{ROOT}/#") as person:
        yield person


def _cycle(farm: Subscriber, number: str) -> None:
    """Have a cycle worked, and wait until all that it sent has come."""
    farm.publish(f"{ROOT}/cmd/predict", json.dumps({"id": number}).encode())
    _answered(farm, "predict", number)
    # Its answer is queued behind the messages of the cycle.
    farm.publish(f"{ROOT}/cmd/republish", json.dumps({"id": f"after-{number}"}).encode())
    _answered(farm, "republish", f"after-{number}")


def _answered(farm: Subscriber, name: str, number: str) -> None:
    farm.wait(lambda _: number in _answers(farm, name))


def _answers(farm: Subscriber, name: str) -> list[str]:
    results = farm.payloads(f"{ROOT}/cmd/{name}/result")
    return [json.loads(payload)["request_id"] for payload in results]


def _raised(farm: Subscriber, rule: str) -> int:
    events = farm.payloads(f"{ROOT}/alert/{rule}/event")
    return sum(json.loads(payload)["event_type"] == "raised" for payload in events)


def _timed(age_s: float) -> bytes:
    return json.dumps({"v": 55.0, "at": SystemClock().now().timestamp() - age_s}).encode()


def _ready(farm: Subscriber) -> None:
    """Wait until it hears sensors and commands: it subscribes before it says `online`."""
    online = f"{ROOT}/availability", b"online"
    farm.wait(lambda heard: any((h.topic, h.payload) == online for h in heard))


def _session_of_an_earlier_version(port: int, protocol: str) -> None:
    """Subscribe with a session that the broker keeps for a week, and go."""
    five = protocol == "5"
    properties = Properties(PacketTypes.CONNECT) if five else None  # type: ignore[no-untyped-call]
    if properties is not None:
        properties.SessionExpiryInterval = 7 * 86_400
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id="farm-edge-farm-edge-1",
        clean_session=None if five else False,
        protocol=MQTTv5 if five else MQTTv311,
    )
    heard: list[int] = []
    client.on_subscribe = lambda *_: heard.append(1)
    if five:
        client.connect("127.0.0.1", port, clean_start=False, properties=properties)
    else:
        client.connect("127.0.0.1", port)
    client.loop_start()
    client.subscribe([("house/plain", 1), ("soil/timed", 1), (f"{ROOT}/cmd/+", 1)])
    end = time.monotonic() + 10
    while not heard:
        assert time.monotonic() < end
        time.sleep(0.02)
    client.disconnect()
    client.loop_stop()


def test_a_live_message_counts_though_it_is_retained(
    device: Path, farm: Subscriber, tmp_path: Path
) -> None:
    """A sensor that publishes with the retain flag is heard, and its rule raised."""
    with ServiceProcess(device, tmp_path):
        _ready(farm)
        farm.publish("house/plain", HOT, retain=True)
        _cycle(farm, "1")
        farm.wait(lambda _: _raised(farm, "house-hot") == 1, 10.0)


def test_what_the_broker_kept_is_no_reading_of_now(
    device: Path, farm: Subscriber, tmp_path: Path
) -> None:
    """The retained value of a sensor without a time raises nothing; the next live one does."""
    farm.publish("house/plain", HOT, retain=True)
    with ServiceProcess(device, tmp_path):
        _ready(farm)
        _cycle(farm, "1")
        assert _raised(farm, "house-hot") == 0
        farm.publish("house/plain", HOT)
        _cycle(farm, "2")
        farm.wait(lambda _: _raised(farm, "house-hot") == 1, 10.0)


@pytest.mark.parametrize(("age_s", "raised"), [(60, 1), (7200, 0)])
def test_a_kept_message_with_a_time_is_as_old_as_it_says(
    device: Path, farm: Subscriber, tmp_path: Path, age_s: float, raised: int
) -> None:
    """With `time_field` a retained value of a minute ago counts, one of two hours ago does not."""
    farm.publish("soil/timed", _timed(age_s), retain=True)
    with ServiceProcess(device, tmp_path):
        _ready(farm)
        _cycle(farm, "1")
        _cycle(farm, "2")
        assert _raised(farm, "soil-wet") == raised


@pytest.mark.parametrize("earlier_version", [False, True])
def test_what_waited_in_the_broker_is_not_worked(
    device: Path, broker: Mosquitto, farm: Subscriber, tmp_path: Path, earlier_version: bool
) -> None:
    """QoS 1 readings and commands that were published while the agent was away do nothing."""
    if earlier_version:
        _session_of_an_earlier_version(broker.port, "5" if '"5"' in device.read_text() else "3.1.1")
    else:
        with ServiceProcess(device, tmp_path) as service:
            _ready(farm)
            assert service.stop()[0] == 0
    farm.publish("house/plain", HOT)
    farm.publish(f"{ROOT}/cmd/snooze", b'{"id": "late", "rule": "heat", "minutes": 60}')
    farm.heard.clear()
    with ServiceProcess(device, tmp_path):
        _ready(farm)
        _cycle(farm, "1")
        assert _raised(farm, "house-hot") == 0
        assert _answers(farm, "snooze") == []
        farm.publish(f"{ROOT}/cmd/snooze", b'{"id": "now", "rule": "heat", "minutes": 60}')
        _answered(farm, "snooze", "now")
