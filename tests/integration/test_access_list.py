"""deploy/mosquitto/acl in a real Mosquitto: the agent can do all it needs, others only theirs."""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent import config
from edge_agent.commands.doctor import doctor
from edge_agent.commands.status import status
from edge_agent.core.runtime import Runtime
from edge_agent.observations import export
from tests.fakes.clock import FakeClock
from tests.fakes.farm import ROOT, ServiceProcess, fill_weather, install_release, write_config
from tests.fakes.mosquitto import Mosquitto

if TYPE_CHECKING:
    from collections.abc import Iterator

    from paho.mqtt.client import MQTTMessage, MQTTMessageInfo
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode

DEPLOY = Path(__file__).parents[2] / "deploy" / "mosquitto"
USERS = ("edge-1", "controller", "homeassistant", "sensors", "display", "stranger")
NOT_AUTHORIZED = 0x87


class _Person:
    """A client with a user of its own, which knows what the broker said to each publication."""

    def __init__(self, port: int, user: str) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self._codes: dict[int, int] = {}
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=user, protocol=MQTTv5)
        self._client.username_pw_set(user, user)
        self._client.on_message = self._take
        self._client.on_publish = self._noted
        self._client.connect("127.0.0.1", port)
        self._client.subscribe("#", qos=1)
        self._client.loop_start()

    def _take(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self.heard.append((message.topic, bytes(message.payload)))

    def _noted(
        self, _c: Client, _d: object, mid: int, code: ReasonCode, _p: Properties | None
    ) -> None:
        self._codes[mid] = code.value

    def says(self, topic: str, payload: bytes = b"{}") -> int:
        """Publish; reason code of the PUBACK."""
        info: MQTTMessageInfo = self._client.publish(topic, payload, qos=1)
        _wait(lambda: info.mid in self._codes)
        return self._codes[info.mid]

    def topics(self) -> set[str]:
        return {topic for topic, _ in self.heard}

    def leave(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def _wait(enough: object, timeout_s: float = 20.0) -> None:
    assert callable(enough)
    end = time.monotonic() + timeout_s
    while not enough():
        assert time.monotonic() < end
        time.sleep(0.02)


def _work_hours_unheard(path: Path, state: Path) -> None:
    """So that there are hours to be told afterwards."""
    now = datetime.now(UTC)  # noqa: TID251 - the weather ends at the machine's now
    for back in (2, 1):
        clock = FakeClock(now - timedelta(hours=back))
        with closing(Runtime(config.load(path, {}), state, clock, lambda: True)) as runtime:
            runtime.run_cycle()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker with the access list that is shipped, and a password for each of its users."""
    accounts = tmp_path / "accounts"
    accounts.touch()
    for user in USERS:
        subprocess.run(
            ["mosquitto_passwd", "-b", str(accounts), user, user], check=True, capture_output=True
        )
    options = [f"password_file {accounts}", f"acl_file {DEPLOY / 'acl'}"]
    with Mosquitto(tmp_path / "broker", options, anonymous=False) as running:
        yield running


def test_everybody_has_what_is_theirs_and_no_more(tmp_path: Path, broker: Mosquitto) -> None:
    """No message of the agent is refused; commands are for those who may give them."""
    install_release(tmp_path / "state")
    fill_weather(tmp_path / "state")
    fill_weather(tmp_path / "state", source=export.SOURCE)
    (tmp_path / "password").write_text("edge-1")
    user = 'username = "edge-1"\npassword_file = "password"\nshare_history = true\n'
    user += '[irrigation]\ncrop = "tomato"\n[[sensors]]\ntopic = "zigbee2mqtt/roof"\n'
    user += 'quantity = "air_temperature_c"\nunit = "C"\n'
    path = write_config(tmp_path, broker.port, user)
    _work_hours_unheard(path, tmp_path / "state")
    people = {name: _Person(broker.port, name) for name in USERS[1:]}
    with ServiceProcess(path, tmp_path) as service:
        service.wait_for_line("mqtt 5")
        controller = people["controller"]
        _wait(lambda: f"{ROOT}/health" in controller.topics())
        for name in ("sensors", "display", "stranger"):
            assert people[name].says(f"{ROOT}/cmd/reload") == NOT_AUTHORIZED
            assert people[name].says(f"{ROOT}/alert/heat/event") == NOT_AUTHORIZED
        assert people["homeassistant"].says(f"{ROOT}/cmd/reload") == NOT_AUTHORIZED
        assert people["controller"].says(f"{ROOT}/cmd/reload/result") == NOT_AUTHORIZED
        assert people["homeassistant"].says(f"{ROOT}/cmd/republish") == 0
        assert people["homeassistant"].says(f"{ROOT}/cmd/irrigated", b'{"mm": 5}') == 0
        assert controller.says(f"{ROOT}/cmd/snooze", b'{"id": "1", "rule": "heat"}') == 0
        _wait(lambda: f"{ROOT}/cmd/snooze/result" in controller.topics())
        examined = CliRunner().invoke(doctor, ["--config", str(path), "--json"])
        found = {f["check"]: f["outcome"] for f in json.loads(examined.stdout)["findings"]}
        assert found["broker loop"] == "OK"
        assert service.stop()[0] == 0
        assert "taken anew" not in service.log, "nobody's reload was worked"
    for person in people.values():
        person.leave()
    told = json.loads(CliRunner().invoke(status, ["--config", str(path), "--json"]).stdout)
    assert told["outbox"]["refused"] == {}
    assert told["outbox"]["waiting"] == {}
    said = {"availability", "fresh", "model", "health", "forecast/temperature", "alert/heat/event"}
    said |= {"history", "history/temperature"}
    assert {f"{ROOT}/{topic}" for topic in said} <= people["display"].topics()
    assert not [topic for topic in people["stranger"].topics() if topic.startswith(ROOT)]
    assert "homeassistant/device/farm-edge-farm-edge-1/config" in people["homeassistant"].topics()


def test_the_example_broker_is_one_that_mosquitto_takes(tmp_path: Path) -> None:
    """Every line of mosquitto.conf but its paths is used as it stands."""
    accounts = tmp_path / "accounts"
    accounts.touch()
    ours = {
        "listener": None, "certfile": None, "keyfile": None, "allow_anonymous": None,
        "password_file": f"password_file {accounts}", "acl_file": f"acl_file {DEPLOY / 'acl'}",
        "persistence": None, "persistence_location": None,
    }  # fmt: skip
    lines = (DEPLOY / "mosquitto.conf").read_text("utf-8").splitlines()
    wanted = [line for line in lines if line and not line.startswith("#")]
    options = [ours.get(line.split()[0], line) for line in wanted]
    with Mosquitto(tmp_path / "broker", [o for o in options if o], anonymous=False) as broker:
        assert "Error" not in broker.log
