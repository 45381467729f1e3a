"""Why TLS to a real Mosquitto fails: the one real cause, in the doctor and in the service's log."""

from __future__ import annotations

import json
import queue
import random
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from edge_agent import config
from edge_agent.commands.doctor import doctor
from edge_agent.core.delivery_setup import broker_of
from edge_agent.messages.topics import Topics
from edge_agent.mqtt.backoff import Backoff
from edge_agent.mqtt.client import MqttConnection
from edge_agent.mqtt.connection import Down, Event, Session
from edge_agent.mqtt.delivery import Delivery
from edge_agent.system.clock import SystemClock
from tests.fakes.certificates import Authority
from tests.fakes.farm import write_config
from tests.fakes.mosquitto import Mosquitto
from tests.fakes.outbox import MemoryOutbox

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Case:
    """A broker and a device that do not fit together.

    Attributes:
        seen: What is told; everything else is not.
        advice: What to do.
        step: The doctor's line.
        address: For which the broker's certificate is made; empty: a broker without TLS.
        begins: When that certificate begins to be valid, for 25 hours.
        tls: Lines of [mqtt.tls].
        trusts: The authority that the device trusts.
        host: As which the device calls the broker.
        wants: Whether the broker wants a certificate of the device.
    """

    seen: str
    advice: str
    step: str = "broker TLS"
    address: str = "127.0.0.1"
    begins: timedelta = timedelta(hours=-1)
    tls: str = 'enabled = true\nca = "trusted/ca.pem"\n'
    trusts: str = "farm"
    host: str = "127.0.0.1"
    wants: bool = False


CASES = {
    "a name": Case(
        "certificate verify failed: Hostname mismatch, certificate is not valid for 'localhost'",
        "set mqtt.host to a name in the broker's certificate, or have this one put into it",
        host="localhost",
    ),
    "another address": Case(
        "certificate verify failed: IP address mismatch, certificate is not valid for '127.0.0.1'",
        "set mqtt.host to a name in the broker's certificate, or have this one put into it",
        address="127.0.0.2",
    ),
    "expired": Case(
        "certificate verify failed: certificate has expired",
        "renew the broker's certificate, unless this device's clock is wrong",
        begins=timedelta(days=-3),
    ),
    "not yet valid": Case(
        "certificate verify failed: certificate is not yet valid",
        "set this device's clock, unless the broker's certificate begins later",
        begins=timedelta(days=3),
    ),
    "another authority": Case(
        "certificate verify failed: unable to get local issuer certificate",
        "mqtt.tls.ca holds another authority than signed the broker's certificate",
        trusts="stranger",
    ),
    "no authority": Case(
        "certificate verify failed: unable to get local issuer certificate",
        "set mqtt.tls.ca to the authority that signed the broker's certificate",
        tls="enabled = true\n",
    ),
    "TLS to a plain port": Case(
        "this port speaks MQTT without TLS",
        "set mqtt.port to the broker's port for TLS (mostly 8883), or [mqtt.tls] enabled = false",
        address="",
    ),
    "plain to a TLS port": Case(
        "this port speaks TLS",
        "set [mqtt.tls] enabled = true, or mqtt.port to the broker's port without TLS",
        step="broker login",
        tls="",
    ),
    "plain to a port that wants certificates": Case(
        "this port speaks TLS",
        "set [mqtt.tls] enabled = true, or mqtt.port to the broker's port without TLS",
        step="broker login",
        tls="",
        wants=True,
    ),
    "no certificate": Case(
        "the broker wants a client certificate",
        "set mqtt.tls.cert and mqtt.tls.key",
        step="broker login",
        wants=True,
    ),
    "a certificate of a stranger": Case(
        "the broker refuses the client certificate: unknown ca",
        "have mqtt.tls.cert signed by an authority that the broker trusts, and look at its end",
        step="broker login",
        tls='enabled = true\nca = "trusted/ca.pem"\n'
        'cert = "other/device.pem"\nkey = "other/device.key"\n',
        wants=True,
    ),
}


def _broker(folder: Path, case: Case) -> Mosquitto:
    farm = Authority(folder / "farm", "farm")
    other = Authority(folder / "other", "stranger")
    (folder / "trusted").mkdir()
    trusted = {"farm": farm, "stranger": other}[case.trusts]
    (folder / "trusted/ca.pem").write_bytes(trusted.file.read_bytes())
    if not case.address:
        return Mosquitto(folder / "broker")
    cert, key = farm.issue("broker", address=case.address, begins=case.begins)
    files = (f"certfile {cert}", f"keyfile {key}")
    wants = (f"cafile {farm.file}", "require_certificate true") if case.wants else ()
    other.issue("device")
    return Mosquitto(folder / "broker", (*files, *wants))


@pytest.mark.parametrize("name", CASES)
def test_the_cause_is_named_alike_by_doctor_and_service(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What OpenSSL says, or what the port answers; no list of what it might be."""
    case = CASES[name]
    with _broker(tmp_path, case) as broker:
        path = write_config(tmp_path, broker.port, f"[mqtt.tls]\n{case.tls}")
        path.write_text(path.read_text().replace('"127.0.0.1"', f'"{case.host}"'))
        done = CliRunner().invoke(doctor, ["--config", str(path), "--json"])
        found = {f["check"]: f for f in json.loads(done.stdout)["findings"]}
        problem = _service_problem(path)
    finding = found[case.step]
    assert finding["outcome"] == "FAIL"
    assert finding["seen"].removeprefix(f"{case.host}:{broker.port}: ") == case.seen
    assert finding["advice"] == case.advice
    assert problem == f"{case.seen}; {case.advice}"
    assert [r.getMessage() for r in caplog.records if r.levelname == "WARNING"] == [
        f"mqtt: {problem}"
    ]


def _service_problem(path: Path) -> str:
    """Why the service is not connected, after its first attempts."""
    settings = config.load(path, {})
    topics = Topics.of("farm", "edge-1", settings.mqtt.base_topic)
    events: queue.Queue[Event] = queue.Queue()
    clock = SystemClock()
    link = MqttConnection(broker_of(settings, topics), events.put, clock)
    session = Session(topics.availability)
    delivery = Delivery(link, MemoryOutbox(), session, Backoff(random.random), clock)
    delivery.tick(None)
    while not isinstance(event := events.get(timeout=20), Down):
        delivery.handle(event)
    delivery.handle(event)
    return delivery.state.problem
