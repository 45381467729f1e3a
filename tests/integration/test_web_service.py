"""The page and interface of a running service: a process, real sockets, real signals."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.fakes.farm import ServiceProcess, fill_weather, install_release, write_config
from tests.fakes.mosquitto import Mosquitto, free_port
from tests.fakes.subscriber import Subscriber

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "let me in please"
SENSOR = """
[[sensors]]
topic = "bed"
quantity = "soil_moisture_pct"
unit = "%"
role = "soil"
"""


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """Configuration of a device with a release, hot weather, a page and a token."""
    install_release(tmp_path / "state")
    fill_weather(tmp_path / "state")
    (tmp_path / "token").write_text(TOKEN + "\n", "utf-8")
    path = write_config(tmp_path, 1)
    text = path.read_text("utf-8").replace("[web]\nport = 0\n", "")
    path.write_text(f'{text}\n[web]\nport = {free_port()}\ntoken_file = "token"\n', "utf-8")
    return path


def _port(service: ServiceProcess) -> int:
    service.wait_for_line("READY=1")
    found = re.search(r"web: http://127\.0\.0\.1:(\d+)/", service.log)
    assert found, service.log
    return int(found[1])


def test_a_service_is_read_and_asked_over_http(device: Path, tmp_path: Path) -> None:
    """Forecast and metrics with the token, nothing without; requests are worked by the loop."""
    with ServiceProcess(device, tmp_path) as service:
        base = f"http://127.0.0.1:{_port(service)}"
        with httpx.Client(base_url=base) as client:
            assert client.get("/api/latest").status_code == 401
            client.headers["authorization"] = f"Bearer {TOKEN}"
            latest = client.get("/api/latest").json()
            assert "heat" in latest["alerts_raised"]
            assert b"farm_edge_cycle_seconds" in client.get("/metrics").content
            done = client.post("/api/commands/predict")
            assert done.json() == {"ok": True, "text": "a cycle is worked now"}
            assert _newer(client, latest["issued_at"])
            back = client.post("/api/commands/rollback")
            assert back.status_code == 409
            assert "no previous release" in back.json()["text"]
            assert client.get("/").text.count('class="point"') >= 90
        assert service.stop()[0] == 0


def _newer(client: httpx.Client, issued_at: str) -> bool:
    for _ in range(100):
        if client.get("/api/latest").json()["issued_at"] > issued_at:
            return True
        time.sleep(0.1)
    return False


def test_a_short_token_costs_the_page_alone(device: Path, tmp_path: Path) -> None:
    """The service says what to write, and takes the longer token without a restart."""
    (tmp_path / "token").write_text("farm\n", "utf-8")
    with ServiceProcess(device, tmp_path) as service:
        base = f"http://127.0.0.1:{_port(service)}"
        with httpx.Client(base_url=base, headers={"authorization": "Bearer farm"}) as client:
            assert "fewer than 12 characters" in service.log
            for address in ("/", "/api/latest"):
                assert client.get(address).status_code == 503
            assert "edge-agent doctor" in client.get("/").text
            assert client.post("/login", data={"token": "farm"}).status_code == 503
            assert client.get("/health").json() == {"ok": True}
            (tmp_path / "token").write_text(TOKEN + "\n", "utf-8")
            right = {"authorization": f"Bearer {TOKEN}"}
            assert client.get("/api/latest", headers=right).status_code == 200


def test_a_port_that_is_taken_costs_the_page_alone(device: Path, tmp_path: Path) -> None:
    """Alerts are made without a page, and the log says what to change."""
    with ServiceProcess(device, tmp_path) as first:
        port = _port(first)
        second = tmp_path / "second"
        second.mkdir()
        install_release(second / "state")
        config = write_config(second, 1)
        text = config.read_text("utf-8").replace("port = 0", f"port = {port}")
        config.write_text(text, "utf-8")
        with ServiceProcess(config, second) as service:
            service.wait_for_line("READY=1")
            assert "change web.host or web.port" in service.log


def test_nothing_is_loaded_where_it_is_switched_off(tmp_path: Path) -> None:
    """Without a port no server thread runs."""
    install_release(tmp_path / "state")
    with ServiceProcess(write_config(tmp_path, 1), tmp_path) as service:
        service.wait_for_line("READY=1")
        assert "web:" not in service.log


def test_the_page_shows_the_moment(device: Path, tmp_path: Path) -> None:
    """A queue that has gone out, a sensor's first reading: within seconds, between two watches."""
    with Mosquitto(tmp_path / "broker") as broker:
        text = device.read_text("utf-8").replace("port = 1\n", f"port = {broker.port}\n", 1)
        device.write_text(text + SENSOR, "utf-8")
        with (
            Subscriber(broker.port, "farm/v1/#", "watcher") as watcher,
            ServiceProcess(device, tmp_path) as service,
        ):
            base = f"http://127.0.0.1:{_port(service)}"
            with httpx.Client(
                base_url=base, headers={"authorization": f"Bearer {TOKEN}"}
            ) as client:
                watcher.wait(lambda heard: any(h.topic.endswith("/heat/event") for h in heard))
                watcher.publish("bed", b"31.5")
                time.sleep(4.0)
                health = client.get("/api/health").json()
                assert health["sensors"][0]["value"] == 31.5
                outbox = health["outbox"]
                assert not any(n for name, n in outbox.items() if name.startswith("waiting_"))
            assert service.stop()[0] == 0
