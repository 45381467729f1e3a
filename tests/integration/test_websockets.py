"""MQTT over websockets and ALPN: path, host, TLS, and what is told where one of them is wrong."""

from __future__ import annotations

import json
import ssl
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from edge_agent.commands.doctor import doctor
from tests.fakes.certificates import Authority
from tests.fakes.farm import ROOT, ServiceProcess, fill_weather, install_release, write_config
from tests.fakes.subscriber import Subscriber
from tests.fakes.websocket_server import WebsocketServer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.mosquitto import Mosquitto

ENABLED = '[mqtt.websockets]\nenabled = true\npath = "/farm/mqtt"\n'


def _told(config: Path) -> list[tuple[str, str]]:
    """What is wrong at the broker: check and text with its advice."""
    said = json.loads(CliRunner().invoke(doctor, ["--config", str(config), "--json"]).stdout)
    found = [f for f in said["findings"] if f["check"].startswith("broker")]
    assert found
    return [(f["check"], f"{f['seen']} {f['advice']}") for f in found if f["outcome"] == "FAIL"]


def _context(folder: Path, *protocols: str) -> ssl.SSLContext:
    """Of a server; a client that offers none of the protocols is refused, as by AWS IoT Core."""
    cert, key = Authority(folder / "ca").issue("broker")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


def test_the_service_over_websockets(tmp_path: Path, broker: Mosquitto) -> None:
    """With TLS, a path and a Host header of its own: states out, a command in, `offline` last."""
    install_release(tmp_path / "state")
    fill_weather(tmp_path / "state")
    keys = '[mqtt.tls]\nenabled = true\nca = "ca/ca.pem"\nalpn = ["http/1.1"]\n'
    keys += ENABLED + 'host_header = "broker.farm:443"\n'
    context = _context(tmp_path, "http/1.1")
    server = WebsocketServer(broker.port, "/farm/mqtt", "broker.farm:443", context)
    with server, Subscriber(broker.port, f"{ROOT}/#") as controller:
        config = write_config(tmp_path, server.port, keys)
        with ServiceProcess(config, tmp_path) as service:
            controller.wait(lambda heard: any(h.topic.endswith("/fresh") for h in heard))
            controller.publish(f"{ROOT}/cmd/snooze", b'{"id": "1", "rule": "heat"}')
            controller.wait(lambda heard: any(h.topic.endswith("/result") for h in heard))
            assert _told(config) == []
            assert service.stop()[0] == 0
        controller.wait(lambda heard: heard[-1].payload == b"offline")
    assert set(server.protocols) <= {"http/1.1", None}
    assert "http/1.1" in server.protocols


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("", "speaks HTTP, perhaps MQTT over websockets set [mqtt.websockets] enabled"),
        ("[mqtt.websockets]\nenabled = true\n", "answers 404 Not Found on /mqtt check mqtt.webs"),
        (ENABLED, "answers 421 Misdirected Request on /farm/mqtt check mqtt.websockets.path and"),
        (f'{ENABLED}host_header = "farm"\n[mqtt.tls]\nenabled = true\n', "does not speak TLS"),
    ],
    ids=["without", "path", "host", "tls"],
)
def test_each_wrong_key_has_its_hint(
    tmp_path: Path, broker: Mosquitto, keys: str, words: str
) -> None:
    """The doctor names the cause, and the service logs the same."""
    with WebsocketServer(broker.port, "/farm/mqtt", "farm") as server:
        ((_, text),) = _told(write_config(tmp_path, server.port, keys))
    assert words in text


def test_a_port_without_websockets_is_told(tmp_path: Path, broker: Mosquitto) -> None:
    """Mosquitto hangs up on HTTP."""
    ((check, text),) = _told(write_config(tmp_path, broker.port, ENABLED))
    assert check == "broker login"
    assert "speaks MQTT without websockets set [mqtt.websockets] enabled = false" in text


def test_a_broker_that_wants_another_protocol_within_tls(tmp_path: Path, broker: Mosquitto) -> None:
    """ALPN is offered as configured; where nothing fits, the key is named."""
    context = _context(tmp_path, "mqtt")
    with WebsocketServer(broker.port, "/farm/mqtt", context=context) as server:
        tls = '[mqtt.tls]\nenabled = true\nca = "ca/ca.pem"\nalpn = ["x-amzn-mqtt-ca"]\n'
        config = write_config(tmp_path, server.port, tls + ENABLED)
        wrong = _told(config)
        config.write_text(config.read_text("utf-8").replace("x-amzn-mqtt-ca", "mqtt"), "utf-8")
        assert _told(config) == []
    assert server.protocols[-1] == "mqtt"
    assert all("mqtt.tls.alpn" in text for _, text in wrong)
