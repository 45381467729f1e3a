"""The service as systemd and a controller see it: a process, a real broker, real signals."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from edge_agent.core.runtime import DATABASE
from tests.fakes.farm import ROOT, ServiceProcess, fill_weather, install_release, write_config
from tests.fakes.gate import Gate
from tests.fakes.home_assistant import faults
from tests.fakes.mosquitto import Mosquitto
from tests.fakes.subscriber import Subscriber

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STOP_LIMIT_S = 5.0
SENSOR = """
[[sensors]]
topic = "greenhouse/1"
field = "t"
quantity = "air_temperature_c"
unit = "C"
role = "indoor"
"""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that does not run yet."""
    server = Mosquitto(tmp_path / "broker")
    yield server
    server.kill()


@pytest.fixture
def device(tmp_path: Path, broker: Mosquitto) -> Path:
    """Configuration of a device with a release and hot weather."""
    install_release(tmp_path / "state")
    fill_weather(tmp_path / "state")
    return write_config(tmp_path, broker.port)


def test_alerts_made_without_a_broker_arrive_when_it_comes(
    device: Path, broker: Mosquitto, tmp_path: Path
) -> None:
    """READY without a broker; then forecast, alert and presence; `offline` at the end, in time."""
    # The agent reaches the broker through a gate, so that the controller is there first.
    gate = Gate(broker.port)
    text = device.read_text("utf-8").replace(f"port = {broker.port}", f"port = {gate.port}")
    device.write_text(text, "utf-8")
    with ServiceProcess(device, tmp_path) as service:
        service.wait_for_line("READY=1")
        service.wait_for_line("alerts: heat")
        with broker, Subscriber(broker.port, f"{ROOT}/#") as controller, gate:
            heard = controller.wait(
                lambda found: any(h.topic == f"{ROOT}/health" for h in found), 60.0
            )
            events = [json.loads(h.payload) for h in heard if h.topic.endswith("/heat/event")]
            assert [event["event_type"] for event in events] == ["raised"]
            assert events[0]["model_release"] == 3
            assert controller.payloads(f"{ROOT}/availability")[-1] == b"online"
            code, seconds = service.stop()
            assert code == 0
            assert seconds < STOP_LIMIT_S
            controller.wait(lambda found: found[-1].payload == b"offline")
        assert "stopped" in service.log
        ending = service.log.partition("mqtt: connected")[2]
        assert "mqtt:" not in ending, "a connection that was ended is not lost"
    with closing(sqlite3.connect(tmp_path / "state" / DATABASE)) as db:
        # News of the agent's own health may come as it stops.
        waiting = db.execute("SELECT count(*) FROM outbox WHERE topic NOT LIKE '%/health'")
        assert waiting.fetchone() == (0,)


def test_without_a_release_it_asks_for_patience(tmp_path: Path, broker: Mosquitto) -> None:
    """Not READY before a release is there; ready as soon as one was brought on a stick."""
    with ServiceProcess(write_config(tmp_path, broker.port), tmp_path) as service:
        service.wait_for_line("EXTEND_TIMEOUT_USEC=")
        assert "READY=1" not in service.heard
        install_release(tmp_path / "state")
        service.signal(signal.SIGHUP)
        service.wait_for_line("READY=1")
        assert service.stop()[1] < STOP_LIMIT_S


def test_reload_takes_good_files_and_keeps_the_old_on_bad_ones(
    device: Path, broker: Mosquitto, tmp_path: Path
) -> None:
    """HUP with a broken file changes nothing and says why; with a good one sensors are heard."""
    with broker, ServiceProcess(device, tmp_path) as service:
        service.wait_for_line("mqtt 5")
        good = device.read_text("utf-8")
        device.write_text(good + '[mqtts]\nhost = "x"\n', "utf-8")
        service.forget()
        service.signal(signal.SIGHUP)
        service.wait_for_line("RELOADING=1")
        service.wait_for_line("reload: ")
        device.write_text(good + SENSOR, "utf-8")
        service.forget()
        service.signal(signal.SIGHUP)
        service.wait_for_line("RELOADING=1")
        service.wait_for_line("READY=1")
        with Subscriber(broker.port, "none") as sensor:
            # Connected comes before subscribed; a HUP works a cycle, which writes samples down.
            for _ in range(10):
                service.wait_for_line("mqtt 5")
                sensor.publish("greenhouse/1", b"garbage \xff")
                sensor.publish("greenhouse/1", b'{"t": 31.5}')
                service.forget()
                service.signal(signal.SIGHUP)
                service.wait_for_line("READY=1")
                service.wait_for_line("mqtt 5")
                if _samples(tmp_path):
                    break
        assert _samples(tmp_path) == [31.5]
        assert service.stop()[0] == 0


def test_a_reload_keeps_the_connection(device: Path, broker: Mosquitto, tmp_path: Path) -> None:
    """A new sensor is heard and nobody sees `offline`; another connection says both."""
    presence = f"{ROOT}/availability"
    with (
        broker,
        Subscriber(broker.port, f"{ROOT}/#") as home,
        ServiceProcess(device, tmp_path) as service,
    ):
        home.wait(lambda _: b"online" in home.payloads(presence))
        good = device.read_text("utf-8")
        device.write_text(good + SENSOR, "utf-8")
        service.forget()
        service.signal(signal.SIGHUP)
        service.wait_for_line("READY=1")
        home.publish("greenhouse/1", b'{"t": 31.5}')
        home.publish(f"{ROOT}/cmd/snooze", b'{"id": "1", "rule": "heat", "minutes": 9}')
        home.wait(lambda _: bool(home.payloads(f"{ROOT}/cmd/snooze/result")))
        assert home.payloads(presence) == [b"online"]
        assert "connection lost" not in service.log
        device.write_text(good.replace("[mqtt]", "[mqtt]\nkeepalive_s = 30"), "utf-8")
        service.signal(signal.SIGHUP)
        home.wait(lambda _: home.payloads(presence) == [b"online", b"offline", b"online"])
        assert service.stop()[0] == 0
    assert _samples(tmp_path) == [31.5]


def test_home_assistant_is_told_once(device: Path, broker: Mosquitto, tmp_path: Path) -> None:
    """One retained description that it accepts, not repeated by a restart."""
    topic = "homeassistant/device/farm-edge-farm-edge-1/config"
    with broker, Subscriber(broker.port, "#") as home:
        with ServiceProcess(device, tmp_path) as service:
            home.wait(lambda found: any(h.topic == topic for h in found))
            home.wait(lambda found: any(h.topic.endswith("/model") for h in found))
            assert service.stop()[0] == 0
        with ServiceProcess(device, tmp_path) as service:
            service.wait_for_line("mqtt 5")
            home.mark()
            assert len(home.payloads(topic)) == 1
            assert service.stop()[0] == 0
        assert faults(topic, home.payloads(topic)[0]) == []


def test_commands_are_worked_and_answered(device: Path, broker: Mosquitto, tmp_path: Path) -> None:
    """A snooze from a controller holds, a wrong one is told, a retained one does nothing."""
    with broker, Subscriber(broker.port, f"{ROOT}/#") as controller:
        controller.publish(f"{ROOT}/cmd/reload", b"", retain=True)
        with ServiceProcess(device, tmp_path) as service:
            service.wait_for_line("mqtt 5")
            controller.wait(lambda found: any(h.topic.endswith("/model") for h in found))
            controller.publish(f"{ROOT}/cmd/snooze", b'{"id": "1", "rule": "heat", "minutes": 9}')
            controller.publish(f"{ROOT}/cmd/ack", b'{"id": "2", "rule": "no-such"}')
            controller.wait(lambda found: sum(h.topic.endswith("/result") for h in found) == 2)
            assert service.stop()[0] == 0
            assert "taken anew" not in service.log
        first = json.loads(controller.payloads(f"{ROOT}/cmd/snooze/result")[0])
        second = json.loads(controller.payloads(f"{ROOT}/cmd/ack/result")[0])
    assert (first["ok"], first["request_id"]) == (True, "1")
    # In the farm's own time, which is what the person's watch shows.
    assert re.match(r"heat: quiet until [\d-]+ [\d:]+ KST \(UTC\+09:00\); ", first["text"])
    assert (second["ok"], second["request_id"]) == (False, "2")


def _samples(folder: Path) -> list[float]:
    with closing(sqlite3.connect(folder / "state" / DATABASE)) as db:
        return [value for (value,) in db.execute("SELECT DISTINCT value FROM samples")]


def test_two_services_never_share_a_folder(device: Path, broker: Mosquitto, tmp_path: Path) -> None:
    """The second one says so and ends with 69; the first goes on."""
    other = tmp_path / "other"
    other.mkdir()
    with ServiceProcess(device, tmp_path) as first:
        first.wait_for_line("READY=1")
        with ServiceProcess(device, other) as second:
            assert second._process is not None
            assert second._process.wait(30) == 69
            assert "another edge-agent runs on this folder" in second.log
        assert first.stop()[0] == 0
    assert broker.port


def test_a_bad_configuration_ends_with_78(tmp_path: Path) -> None:
    """The code tells systemd not to restart what only a person can put right."""
    config = tmp_path / "config.toml"
    config.write_text("[mqtt]\nprotocol = 4\n", "utf-8")
    with ServiceProcess(config, tmp_path) as service:
        assert service._process is not None
        assert service._process.wait(30) == 78
        assert "mqtt.protocol" in service.log
        assert "Traceback" not in service.log
