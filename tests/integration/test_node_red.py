"""A real Node-RED runs deploy/node-red/flow.json against a real broker and a running agent."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.fakes.farm import ROOT, ServiceProcess, fill_weather, install_release, write_config
from tests.fakes.gate import Gate
from tests.fakes.mosquitto import Mosquitto, free_port
from tests.fakes.subscriber import Subscriber

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).parents[2]
NODE_RED = PROJECT / "build" / "node-red" / "node_modules" / "node-red" / "red.js"
RULE = """[[rules]]
name = "heat"
quantity = "air_temperature_c"
operator = ">="
threshold = 20.0
[rules.action]
command = "vent_open"
max_run_s = 1
"""
SETTINGS = """module.exports = {
  uiHost: "127.0.0.1", disableEditor: true, httpAdminRoot: false, httpNodeRoot: false,
  telemetry: {enabled: false, updateNotification: false}, flowFile: "flow.json",
};
"""


@pytest.fixture
def node_red(tmp_path: Path, broker: Mosquitto) -> Iterator[None]:
    """Node-RED with the flow as it is shipped, but for the broker's port."""
    node = shutil.which("node")
    if node is None or not NODE_RED.exists():
        pytest.skip("Node-RED is not here: make test-node-red brings it from npm (120 MB)")
    flow = json.loads((PROJECT / "deploy" / "node-red" / "flow.json").read_bytes())
    for part in flow:
        if part["type"] == "mqtt-broker":
            part["port"] = str(broker.port)
    folder = tmp_path / "node-red"
    folder.mkdir()
    (folder / "flow.json").write_text(json.dumps(flow), "utf-8")
    (folder / "settings.js").write_text(SETTINGS, "utf-8")
    command = [node, str(NODE_RED), "--userDir", str(folder), "--port", str(free_port())]
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    yield
    running.terminate()
    running.wait(20)


@pytest.mark.usefixtures("node_red")
def test_an_alert_is_obeyed_and_acknowledged(tmp_path: Path, broker: Mosquitto) -> None:
    """The flow opens the vent and closes it by itself, acknowledges, and the agent agrees."""
    install_release(tmp_path / "state")
    fill_weather(tmp_path / "state")
    gate = Gate(broker.port)
    path = write_config(tmp_path, gate.port, RULE)
    with Subscriber(broker.port) as controller, ServiceProcess(path, tmp_path) as service:
        service.wait_for_line("alerts: heat")
        log = tmp_path / "node-red" / "log"
        service.wait_for(lambda _: "Connected to broker" in log.read_text("utf-8"), 60.0)
        with gate:
            controller.wait(
                lambda heard: any(h.topic == f"{ROOT}/cmd/ack/result" for h in heard), 30.0
            )
            controller.wait(lambda heard: any(h.payload == b"off" for h in heard))
            assert service.stop()[0] == 0
    assert controller.payloads("greenhouse/vent_open") == [b"on", b"off"]
    (asked,) = map(json.loads, controller.payloads(f"{ROOT}/cmd/ack"))
    (answer,) = map(json.loads, controller.payloads(f"{ROOT}/cmd/ack/result"))
    assert asked["rule"] == "heat"
    assert (answer["ok"], answer["request_id"]) == (True, asked["id"])
