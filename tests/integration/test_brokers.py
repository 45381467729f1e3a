"""The service on every broker of the table (`make test-brokers`).

Alerts get through, what is refused is named, and nothing stays dead once the broker is mended.
"""

from __future__ import annotations

import json
import signal
import sqlite3
import time
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Final

import pytest
from click.testing import CliRunner

from edge_agent.commands.doctor import doctor
from edge_agent.core import service_answer
from edge_agent.core.loop import WATCH_S
from edge_agent.core.runtime import DATABASE
from tests.fakes.broker_table import DISCOVERY, ROWS, running
from tests.fakes.brokers import are_here
from tests.fakes.farm import (
    OWN_RULES_ALONE,
    ROOT,
    ServiceProcess,
    fill_weather,
    install_release,
    write_config,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.fakes.broker_table import Row, Surroundings

CONNECTED_S: Final = 5.0
RETURN_S: Final = 30.0
KINDS: Final = (
    "availability", "fresh", "model", "health", "forecast/temperature", "forecast/humidity",
    "alert/one/state",
)  # fmt: skip


class _Farm:
    """A service that is made to raise one alert after the other.

    Attributes:
        repeated: Alerts heard once more with the same id, as controllers drop them.
    """

    def __init__(self, folder: Path, around: Surroundings) -> None:
        self.folder, self.around = folder, around
        install_release(folder / "state")
        fill_weather(folder / "state")
        self.config = write_config(folder, around.port, around.agent + OWN_RULES_ALONE)
        self.service = ServiceProcess(self.config, folder)
        self.repeated: list[str] = []

    def raise_alert(self, name: str) -> None:
        """A rule that the forecast meets; returns once its alert is written."""
        rule = f'[[rules]]\nname = "{name}"\nquantity = "air_temperature_c"\noperator = ">="\n'
        with self.config.open("a", encoding="utf-8") as file:
            file.write(f"{rule}threshold = 20.0\n")
        self.service.signal(signal.SIGHUP)
        self.wait(lambda: any(name in line for line in self._cycles()))

    def events(self, *names: str) -> list[tuple[str, float]]:
        """Names of the alerts heard, of these, each with the seconds from writing to hearing."""
        found, seen = [], set()
        self.repeated.clear()
        for heard in list(self.around.listener.heard):
            for name in names:
                if heard.topic == f"{ROOT}/alert/{name}/event":
                    event = json.loads(heard.payload)
                    issued = datetime.fromisoformat(event["issued_at"])
                    if event["id"] in seen:
                        self.repeated.append(name)
                    else:
                        found.append((name, heard.at - issued.timestamp()))
                    seen.add(event["id"])
        return found

    def problems(self) -> str:
        """What `status` and `doctor` read from the running service."""
        answer = service_answer.ask(self.folder / "state")
        return "" if answer is None else "\n".join(answer.problems)

    def waits(self, name: str) -> bool:
        """Whether the alert is still to be acknowledged by the broker."""
        topic = (f"{ROOT}/alert/{name}/event",)
        with closing(sqlite3.connect(self.folder / "state" / DATABASE)) as db:
            return bool(db.execute("SELECT 1 FROM outbox WHERE topic = ?", topic).fetchall())

    def health(self) -> str:
        """Problems of the `/health` that was heard last."""
        heard = [h for h in self.around.listener.heard if h.topic == f"{ROOT}/health"]
        return "\n".join(json.loads(heard[-1].payload)["problems"]) if heard else ""

    def wait(self, enough: Callable[[], bool], timeout_s: float = 40.0) -> None:
        """Wait, and listen as systemd does, whose socket would be full soon."""
        end = time.monotonic() + timeout_s
        while not enough():
            heard = sorted({h.topic for h in self.around.listener.heard})
            assert time.monotonic() < end, f"{heard}\n{self.service.log[-4000:]}"
            self.service.forget()

    def _cycles(self) -> list[str]:
        lines = self.service.log.splitlines()
        return [line.partition("alerts: ")[2] for line in lines if "alerts: " in line]


@pytest.mark.brokers
@pytest.mark.timeout(300)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_on_this_broker(tmp_path: Path, row: Row) -> None:
    """Raised while connected, raised while away, what is refused, and after it is mended."""
    if row.kind in {"rabbitmq", "aedes"} and not are_here():
        pytest.skip("make test-brokers brings RabbitMQ and aedes (90 MB)")
    with running(row, tmp_path) as around:
        farm = _Farm(tmp_path, around)
        with farm.service as service:
            _alerts_get_through(farm, row)
            _refusals_are_named(farm, row)
            if row.refused:
                _nothing_stays_dead(farm)
            assert service.stop()[0] == 0


def _alerts_get_through(farm: _Farm, row: Row) -> None:
    around = farm.around
    farm.wait(lambda: f"{ROOT}/availability" in {h.topic for h in around.listener.heard})
    farm.raise_alert("one")
    farm.wait(lambda: bool(farm.events("one")), CONNECTED_S + 1)
    ((_, seconds),) = farm.events("one")
    assert seconds <= CONNECTED_S + 1, "issued_at has whole seconds"
    farm.wait(lambda: not farm.waits("one"))  # a PUBACK that is cut off would repeat it
    around.link.shut()
    farm.raise_alert("two")
    farm.raise_alert("three")
    around.link.open()
    farm.wait(lambda: len(farm.events("two", "three")) == 2, RETURN_S)
    around.listener.mark(qos=0 if "max_qos 0" in row.settings else 1)
    names = [name for name, _ in farm.events("one", "two", "three")]
    assert names == ["one", "two", "three"]
    # A broker that hangs up on what it refuses acknowledges nothing of what came before it.
    if not (row.refused and row.kind in {"rabbitmq", "aedes"}):
        assert farm.repeated == []


def _refusals_are_named(farm: _Farm, row: Row) -> None:
    farm.wait(lambda: all(word in farm.problems() for word in row.refused))
    farm.wait(lambda: all(word in farm.health() for word in row.refused), 2 * WATCH_S)
    said = CliRunner().invoke(doctor, ["--config", str(farm.config), "--json"])
    findings = json.loads(said.stdout)["findings"]
    broker = [f for f in findings if f["check"].startswith("broker")]
    assert broker
    wrong = [f for f in broker if f["outcome"] != "OK"]
    if not row.refused:
        assert wrong == []
    for word in row.refused:
        told = [f for f in wrong if word in f["seen"]]
        assert told, broker
        assert all(f["advice"] for f in told)


def _nothing_stays_dead(farm: _Farm) -> None:
    """What was refused arrives; what was not has arrived before, and nobody is told it twice."""
    around = farm.around
    around.mend()
    around.link.shut()
    farm.raise_alert("four")
    around.link.open()
    topics = {DISCOVERY, *(f"{ROOT}/{kind}" for kind in KINDS), f"{ROOT}/alert/four/event"}
    farm.wait(lambda: topics <= {h.topic for h in around.listener.heard}, 60.0)
    farm.wait(lambda: not any(word in farm.problems() for word in ("refuse", "mqtt:")), 90.0)
