"""A real Home Assistant Core with its MQTT integration, driven over its REST interface.

`make test-home-assistant` installs it into `build/home-assistant`.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx
import msgspec

from tests.fakes.mosquitto import free_port

if TYPE_CHECKING:
    from collections.abc import Callable

_PROJECT = Path(__file__).parents[2]
PYTHON = _PROJECT / "build" / "home-assistant" / "bin" / "python"
LAUNCHER = _PROJECT / "tests" / "home_assistant" / "hass.py"
_CONFIGURATION = """http:
  server_host: 127.0.0.1
  server_port: {port}
logger:
  default: warning
  logs:
    homeassistant.components.mqtt: info
"""
_OWN = (
    "[homeassistant.bootstrap] Skipping pip installation",
    "[aiohttp_fast_zlib]",
    # Its birth message, when the broker goes again before that is acknowledged.
    "[homeassistant] Error doing job: Task exception was never retrieved",
    "[homeassistant.components.mqtt.client] Error returned from MQTT server",
    "[homeassistant.components.mqtt.client] Failed to connect to MQTT server",
)
_ENTITIES = """
{% for id in integration_entities('mqtt') %}{{ id }}
{% endfor %}"""
_DEVICES = """
{% for id in integration_entities('mqtt') | map('device_id') | unique %}
{{ device_attr(id, 'name') }}
{% endfor %}"""


class HomeAssistant:
    """Home Assistant in a process of its own.

    Args:
        folder: For its configuration and log.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "config").mkdir(parents=True)
        port = free_port()
        text = _CONFIGURATION.format(port=port)
        (folder / "config" / "configuration.yaml").write_text(text, "utf-8")
        self._address = f"http://127.0.0.1:{port}"
        self._client = httpx.Client(base_url=self._address, timeout=20.0)
        self._process: subprocess.Popen[bytes] | None = None
        self._changes: list[tuple[str, str]] = []
        self._news = threading.Condition()

    @property
    def log(self) -> str:
        """What it has logged, over restarts."""
        return (self._folder / "log").read_text("utf-8", "replace")

    @property
    def births(self) -> int:
        """How often it has subscribed to everything and said so."""
        return self.log.count("birth message sent")

    def complaints(self) -> list[str]:
        """Its warnings and errors, but for those about its own start and a broker that is away."""
        marks = (" WARNING ", " ERROR ", " CRITICAL ")
        lines = [line for line in self.log.splitlines() if any(mark in line for mark in marks)]
        return [line for line in lines if not any(own in line for own in _OWN)]

    def start(self) -> None:
        """Start it and wait until it runs."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [PYTHON, LAUNCHER, "--config", self._folder / "config", "--skip-pip"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | {"NO_COLOR": "1"},
            )
        self._wait_for(lambda: self._answers("/api/onboarding"), 90.0)
        if "Authorization" in self._client.headers:
            self._wait_for(lambda: self._get("/api/config")["state"] == "RUNNING")
            self._follow()

    def onboard(self, broker_port: int) -> None:
        """Make the first user, and set up MQTT as its page does."""
        user = {"name": "Farm", "username": "farm", "password": "greenhouse", "language": "en"}
        client = {"client_id": f"{self._address}/"}
        code = self._post("/api/onboarding/users", json=user | client)["auth_code"]
        grant = {"grant_type": "authorization_code", "code": code}
        token = self._post("/auth/token", data=grant | client)["access_token"]
        # Tokens of half an hour are longer than a test.
        self._client.headers["Authorization"] = f"Bearer {token}"
        self._wait_for(lambda: self._get("/api/config")["state"] == "RUNNING")
        flow = self._post("/api/config/config_entries/flow", json={"handler": "mqtt"})
        broker = {"broker": "127.0.0.1", "port": broker_port}
        done = self._post(f"/api/config/config_entries/flow/{flow['flow_id']}", json=broker)
        assert done["type"] == "create_entry", done
        self._follow()

    def stop(self) -> None:
        """SIGTERM; it writes its states down, for the next start."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)
            self._process = None

    def entities(self) -> list[str]:
        """Entities of MQTT in the registry."""
        return sorted(self._template(_ENTITIES).split())

    def devices(self) -> list[str]:
        """Names of the devices that these belong to."""
        return sorted(filter(None, self._template(_DEVICES).splitlines()))

    def state(self, entity: str) -> str:
        """State of an entity; empty where there is none."""
        answer = self._client.get(f"/api/states/{entity}")
        return "" if answer.status_code == httpx.codes.NOT_FOUND else str(answer.json()["state"])

    def attributes(self, entity: str) -> dict[str, Any]:
        """Attributes of an entity."""
        attributes: dict[str, Any] = self._get(f"/api/states/{entity}")["attributes"]
        return attributes

    def changes(self) -> list[tuple[str, str]]:
        """Entity and new state of each change so far, in order; `removed` for one that went."""
        with self._news:
            return list(self._changes)

    def wait(self, enough: Callable[[], bool], timeout_s: float = 30.0) -> None:
        """Ask until `enough` says so; fails the test otherwise."""
        self._wait_for(enough, timeout_s)

    def _template(self, template: str) -> str:
        return (
            self._client.post("/api/template", json={"template": template}).raise_for_status().text
        )

    def _get(self, path: str) -> dict[str, Any]:
        answer: dict[str, Any] = self._client.get(path).raise_for_status().json()
        return answer

    def _post(self, path: str, **content: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON or form
        answer: dict[str, Any] = self._client.post(path, **content).raise_for_status().json()
        return answer

    def _answers(self, path: str) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log[-3000:]
        try:
            return self._client.get(path).is_success
        except httpx.TransportError:
            return False

    def _wait_for(self, enough: Callable[[], bool], timeout_s: float = 30.0) -> None:
        end = time.monotonic() + timeout_s
        while not enough():
            assert time.monotonic() < end, f"{self.changes()[-20:]}\n{self.log[-3000:]}"
            time.sleep(0.1)

    def _follow(self) -> None:
        """Take in every event until Home Assistant ends."""
        subscribed = threading.Event()

        def listen() -> None:
            headers = dict(self._client.headers)
            try:
                with httpx.stream(
                    "GET", f"{self._address}/api/stream", headers=headers, timeout=None
                ) as answer:
                    subscribed.set()
                    for line in answer.iter_lines():
                        if line.startswith("data: {"):
                            self._take(msgspec.json.decode(line.removeprefix("data: ")))
            except httpx.TransportError:
                return

        threading.Thread(target=listen, daemon=True).start()
        assert subscribed.wait(10)

    def _take(self, event: dict[str, Any]) -> None:
        data = event["data"]
        if event["event_type"] == "state_changed":
            state = data["new_state"]
            change = (data["entity_id"], "removed" if state is None else state["state"])
        else:
            return
        if change[0].startswith("event.") and state is not None:
            change = (change[0], state["attributes"].get("event_type") or state["state"])
        with self._news:
            self._changes.append(change)
            self._news.notify_all()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._client.close()
