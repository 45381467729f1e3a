"""KMA's official warnings through the whole line: trainer, depot, device, broker, subscriber."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from edge_agent.contract.errors import TryLater
from edge_agent.core.rule_requests import acknowledge
from edge_agent.core.runtime import Runtime
from edge_agent.settings import Config, Depot, Device
from tests.fakes.broker_agent import BrokerAgent, SleepyClock
from tests.fakes.clock import FakeClock
from tests.fakes.farm import ROOT
from tests.fakes.kma_warnings import BAD_KEY, ISSUE, LIFT, WarningService
from tests.fakes.subscriber import Subscriber
from trainer.ingest.kma_client import KmaClient
from trainer.relay import relay_warnings
from trainer.setup import create
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fakes.mosquitto import Mosquitto

START = datetime(2026, 9, 25, 23, 5, tzinfo=UTC)  # 08:05 KST
ADVISORY = ISSUE | {"command": "1", "warnStress": 0, "tmFc": 202609260800, "tmSeq": 120,
                    "startTime": 202609261000}  # fmt: skip


class Line:
    """KMA, a trainer and a farm; `poll` is what their timers do."""

    def __init__(self, folder: Path, port: int, clock: FakeClock) -> None:
        create(folder / "work", single_key=True)
        env = {"TRAINER__KMA__RETRIES": "0", "TRAINER__KMA__REQUESTS_PER_SECOND": "10000"}
        workspace = Workspace.open(folder / "work" / "trainer.toml", env)
        self.kma, self.clock = WarningService(), clock
        self._client = KmaClient(
            workspace, clock, {"KMA_SERVICE_KEY": "k"}, lambda _s: None, transport=self.kma
        )
        root = str(folder / "work" / "root.json")
        self.config = Config(
            device=Device(warning_zone="제주시중산간"),
            depot=Depot(path=str(workspace.depot), root_file=root),
        )
        self._state, self._port = folder / "state", port
        self._state.mkdir()
        self.runtime = self._started()

    def _started(self) -> Runtime:
        runtime = Runtime(self.config, self._state, self.clock, lambda: True)
        runtime.settle()
        return runtime

    def restart(self) -> None:
        """The power fails before anything is said, and comes back."""
        self.runtime.close()
        self.runtime = self._started()

    def poll(self, minutes: int = 10) -> None:
        """Time passes; the trainer asks KMA, the farm pulls, decides twice and delivers."""
        self.clock.advance(60 * minutes)
        self.relayed = relay_warnings(self._client)
        with suppress(TryLater):  # There is no release, which keeps no warning away.
            self.runtime.fetch()()
        self.decide()

    def decide(self) -> None:
        """The farm decides, restarts, decides again and delivers."""
        self.runtime.run_watch()
        self.restart()
        self.runtime.run_watch()
        agent = BrokerAgent(self.runtime.db, self._port)
        agent.drain()
        agent.stop()


@pytest.fixture
def line(tmp_path: Path, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    """The line at five past eight in Korea."""
    clock = FakeClock(START)
    monkeypatch.setattr(SleepyClock, "now", lambda _: clock.now())
    made = Line(tmp_path, broker.port, clock)
    yield made
    made.runtime.close()


def events(subscriber: Subscriber) -> list[tuple[str, str, str | None, str]]:
    """Alert, what happened, level and why it ended, of every event so far."""
    subscriber.publish(f"{ROOT}/mark", b"x")
    subscriber.wait(lambda heard: heard[-1].topic == f"{ROOT}/mark")
    said = [json.loads(h.payload) for h in subscriber.heard if h.topic.endswith("/event")]
    assert len({each["id"] for each in said}) == len(said)
    return [(e["rule"], e["event_type"], e["kma_level"], e["ended_by"] or "") for e in said]


def state(port: int, topic: str) -> dict[str, Any]:
    """What the broker keeps of a topic."""
    with Subscriber(port, f"{ROOT}/{topic}", name="late") as subscriber:
        heard = subscriber.wait(bool)
    assert heard[0].retain
    document: dict[str, Any] = json.loads(heard[0].payload)
    return document


def test_every_change_is_heard_once(line: Line, broker: Mosquitto) -> None:
    """Issue, change of level, two more kinds, lift, silence and return; with power cuts."""
    with Subscriber(broker.port, f"{ROOT}/#") as subscriber:
        line.poll()
        assert events(subscriber) == []

        line.kma.rows.append(ADVISORY)
        line.poll()
        expected = [("official-rain", "raised", "advisory", "")]
        assert events(subscriber) == expected
        told = state(broker.port, "alert/official-rain/state")
        assert (told["level"], told["kma_level"], told["title"]) == (
            "raised",
            "advisory",
            "호우주의보",
        )
        assert (told["region"], told["zone"]) == ("제주시중산간", "L1091340")
        assert told["announced_at"] == told["since"] == "2026-09-25T23:00:00Z"
        assert told["effective_at"] == "2026-09-26T01:00:00Z"
        assert told["text"] == told["text_ko"]
        assert told["text"].startswith("기상청 발표: 제주시중산간 호우주의보")
        assert state(broker.port, "warning/rain") | {"id": ""} == told | {"id": ""}
        assert state(broker.port, "warning/wind")["level"] == "clear"

        line.poll()
        assert events(subscriber) == expected

        line.kma.rows.append(ISSUE)
        line.poll(180)
        expected.append(("official-rain", "updated", "warning", ""))
        assert events(subscriber) == expected

        line.kma.rows += [
            ISSUE | {"warnVar": 1, "warnStress": 0, "tmFc": 202609261140, "tmSeq": 128},
            ISSUE | {"warnVar": 77, "warnStress": 0, "tmFc": 202609261140, "tmSeq": 128},
        ]
        line.poll(20)
        expected += [
            ("official-wind", "raised", "advisory", ""),
            ("official-other", "raised", "advisory", ""),
        ]
        assert events(subscriber) == expected
        assert state(broker.port, "warning/other")["title"] == "77번 특보주의보"

        line.kma.rows.append(LIFT | {"tmFc": 202609261150, "tmSeq": 129, "endTime": 202609261220})
        line.poll(10)
        assert events(subscriber) == expected
        assert state(broker.port, "warning/rain")["ends_at"] == "2026-09-26T03:20:00Z"
        line.clock.advance(20 * 60)
        line.decide()
        expected.append(("official-rain", "cleared", "warning", "lifted"))
        assert events(subscriber) == expected
        assert state(broker.port, "warning/rain")["level"] == "clear"

        line.clock.advance(7 * 3600)
        line.decide()
        expected += [
            ("official-wind", "cleared", "advisory", "expired"),
            ("official-other", "cleared", "advisory", "expired"),
        ]
        assert events(subscriber) == expected
        silent = state(broker.port, "warning/wind")
        assert silent["level"] == "unknown"
        assert silent["reason"].startswith("no news of KMA's warnings since 2026-09-26T")

        line.poll()
        expected += [
            ("official-wind", "raised", "advisory", ""),
            ("official-other", "raised", "advisory", ""),
        ]
        assert events(subscriber) == expected


def test_a_service_that_fails_lifts_nothing(line: Line, broker: Mosquitto) -> None:
    """The state of before stands until it is too old; the relay names the fault."""
    with Subscriber(broker.port, f"{ROOT}/#") as subscriber:
        line.kma.rows.append(ADVISORY)
        line.poll()
        line.kma.instead = BAD_KEY
        for _ in range(5):
            line.poll(60)
            assert "not registered" in str(line.relayed.fault)
        assert events(subscriber) == [("official-rain", "raised", "advisory", "")]
        line.poll(61)
        assert events(subscriber)[1:] == [("official-rain", "cleared", "advisory", "expired")]


def test_a_person_acknowledges_a_warning(line: Line, broker: Mosquitto) -> None:
    """Shown in the state; a higher level is told all the same."""
    with Subscriber(broker.port, f"{ROOT}/#") as subscriber:
        line.kma.rows.append(ADVISORY)
        line.poll()
        assert "acknowledged" in acknowledge(line.runtime, "official-rain")
        line.decide()
        assert state(broker.port, "warning/rain")["acknowledged"] is True
        line.kma.rows.append(ISSUE)
        line.poll(180)
        assert state(broker.port, "warning/rain")["acknowledged"] is False
        assert [edge for _, edge, _, _ in events(subscriber)] == ["raised", "updated"]
        assert "nothing to acknowledge" in acknowledge(line.runtime, "official-snow")
