"""`edge-agent doctor` tries at a real broker what the service does, and disturbs nobody."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from edge_agent.commands.doctor import doctor
from tests.fakes.broker_table import DISCOVERY
from tests.fakes.farm import ROOT, ServiceProcess, fill_weather, install_release, write_config
from tests.fakes.mosquitto import Mosquitto
from tests.fakes.subscriber import Subscriber

if TYPE_CHECKING:
    from pathlib import Path

OLD = 'protocol = "3.1.1"\n'
SENSOR = """[[sensors]]
topic = "roof"
quantity = "air_temperature_c"
unit = "C"
"""


def _broker_findings(config: Path) -> list[dict[str, Any]]:
    """What is wrong at the broker, in order."""
    said = json.loads(CliRunner().invoke(doctor, ["--config", str(config), "--json"]).stdout)
    found = [f for f in said["findings"] if f["check"].startswith("broker")]
    assert found
    return [f for f in found if f["outcome"] != "OK"]


@pytest.mark.parametrize("keys", ["", OLD], ids=["5", "3.1.1"])
def test_every_topic_that_may_not_be_written_is_named(tmp_path: Path, keys: str) -> None:
    """One line for each; MQTT 3.1.1 alone would not tell, since Mosquitto keeps silent there."""
    denied = [DISCOVERY, f"{ROOT}/health", f"{ROOT}/alert/+/event", f"{ROOT}/history"]
    acl = tmp_path / "acl"
    lines = ["topic readwrite #", *(f"topic deny {topic}" for topic in denied)]
    acl.write_text("\n".join(lines) + "\n", "utf-8")
    with Mosquitto(tmp_path / "broker", [f"acl_file {acl}"]) as broker:
        keys += "share_history = true\n" + SENSOR
        wrong = _broker_findings(write_config(tmp_path, broker.port, keys))
    named = {f["seen"].partition(":")[0] for f in wrong}
    assert named == {DISCOVERY, f"{ROOT}/health", f"{ROOT}/alert/doctor/event", f"{ROOT}/history"}
    for finding in wrong:
        assert finding["check"] == "broker publish"
        topic = finding["seen"].partition(":")[0]
        assert finding["advice"].startswith(f"let this client write {topic}")


@pytest.mark.parametrize("keys", ["", OLD], ids=["5", "3.1.1"])
@pytest.mark.parametrize(
    "limit", ["message_size_limit 6000", "max_packet_size 6000", "max_packet_size 4000"]
)
def test_a_broker_that_takes_no_long_message(tmp_path: Path, limit: str, keys: str) -> None:
    """The longest message and its length are named, and how far the limit must be raised."""
    # With it, the description for Home Assistant would be longer than the history.
    keys += "discovery = false\n"
    with Mosquitto(tmp_path / "broker", [limit]) as broker:
        wrong = _broker_findings(write_config(tmp_path, broker.port, keys))
    assert not any("let this client" in finding["advice"] for finding in wrong)
    size = wrong[0]
    assert size["check"] == "broker size"
    assert size["seen"].startswith("14000 bytes, as long as the longest message (history after")
    assert "above 14256 bytes" in size["advice"]


@pytest.mark.parametrize("keys", ["", OLD], ids=["5", "3.1.1"])
def test_a_broker_that_keeps_nothing(tmp_path: Path, keys: str) -> None:
    """It refuses the last will, or hangs up on it; the cause is named."""
    with Mosquitto(tmp_path / "broker", ["retain_available false"]) as broker:
        wrong = _broker_findings(write_config(tmp_path, broker.port, keys))
    assert [f["check"] for f in wrong] == ["broker login", "broker retain"]
    assert "(retain)" in wrong[0]["seen"]
    assert all("retain_available true" in f["advice"] for f in wrong)
    assert {f["outcome"] for f in wrong} == {"WARN"}, "the service carries on"


@pytest.mark.parametrize("keys", ["", OLD], ids=["5", "3.1.1"])
def test_a_broker_of_qos_0_alone(tmp_path: Path, keys: str) -> None:
    """It is told, with the option to change; everything else is tried all the same."""
    with Mosquitto(tmp_path / "broker", ["max_qos 0"]) as broker:
        (wrong,) = _broker_findings(write_config(tmp_path, broker.port, keys))
    assert (wrong["check"], wrong["outcome"]) == ("broker login", "WARN")
    assert "QoS" in wrong["seen"]
    assert "max_qos" in wrong["advice"]


def test_a_running_service_and_those_who_listen_notice_nothing(
    tmp_path: Path, broker: Mosquitto
) -> None:
    """No state changes, nothing is retained anew, no alert of a rule, and one connection."""
    install_release(tmp_path / "state")
    fill_weather(tmp_path / "state")
    config = write_config(tmp_path, broker.port)
    with ServiceProcess(config, tmp_path) as service, Subscriber(broker.port) as listener:
        states = {DISCOVERY, *(f"{ROOT}/{name}" for name in ("health", "fresh", "model"))}
        listener.wait(lambda heard: states <= {h.topic for h in heard})
        before = {h.topic: h.payload for h in listener.heard}
        with Subscriber(broker.port, name="later") as later:
            later.mark()
            kept = {h.topic: h.payload for h in later.heard if h.retain}
        listener.heard.clear()
        assert _broker_findings(config) == []
        listener.mark()
        for heard in listener.heard:
            known = before.get(heard.topic)
            harmless = heard.payload == known or b"farm-edge/doctor/1" in heard.payload
            assert harmless or heard.topic in {f"{ROOT}/ping", "mark"}, heard
        with Subscriber(broker.port, name="last") as last:
            last.mark()
            assert {h.topic: h.payload for h in last.heard if h.retain} == kept
        assert service.log.count("mqtt: connected") == 1
        assert service.stop()[0] == 0


def test_a_description_that_was_never_delivered_is_taken_back(
    tmp_path: Path, broker: Mosquitto
) -> None:
    """Home Assistant does not keep a device whose service never ran."""
    with Subscriber(broker.port, "homeassistant/#") as home:
        assert _broker_findings(write_config(tmp_path, broker.port)) == []
        first, last = home.wait(lambda heard: len(heard) == 2)
    assert json.loads(first.payload)["device"]
    assert (last.topic, last.payload) == (DISCOVERY, b"")
