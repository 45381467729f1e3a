"""What is shown is of the moment of the request, and however many ask the loop has little to do."""

from __future__ import annotations

from html import unescape
from typing import TYPE_CHECKING, cast

import pytest

from edge_agent.alerts.log import AlertLog
from edge_agent.core.runtime import DATABASE
from edge_agent.system.memory_fallback import into_memory
from edge_agent.web import renewal
from edge_agent.web.app import Application
from edge_agent.web.renewal import RENEW_S, Renewal
from tests.fakes.shown_farm import ShownFarm
from tests.fakes.web_client import WebClient

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge_agent.core.events import Item, LoopCall


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[ShownFarm]:
    """A farm that has worked two hours."""
    made = ShownFarm(tmp_path)
    made.work(2)
    yield made
    made.close()


def client_of(farm: ShownFarm, asked: list[Item], *, busy: bool = False) -> WebClient:
    """A client whose requests the loop answers at once, or never."""

    def put(item: Item) -> None:
        asked.append(item)
        if not busy:
            cast("LoopCall", item).call()

    renew = Renewal(put, lambda: farm.snapshots.update(farm.runtime, farm.decision), farm.clock)
    database = farm.runtime.state / DATABASE
    return WebClient(
        Application(farm.snapshots, farm.clock, database, lambda: None, farm.ask, renew=renew)
    )


def test_a_request_shows_what_has_come_and_gone_since_the_last_watch(farm: ShownFarm) -> None:
    """A queue that was sent, a reading that came."""
    client = client_of(farm, [])
    assert any(client.get("/api/health").json["outbox"].values())
    farm.clock.advance(RENEW_S + 5)
    waiting = [entry.message.id for entry in farm.runtime.outbox.due(None, limit=1000)]
    farm.runtime.outbox.delivered(waiting)
    farm.runtime.intake.take("house/bed", b"31.5", farm.clock.now())
    health = client.get("/api/health").json
    assert not any(n for name, n in health["outbox"].items() if name.startswith("waiting_"))
    (bed,) = [report for report in health["sensors"] if report["topic"] == "house/bed"]
    assert (bed["value"], bed["age_s"]) == (31.5, 0)
    assert "31.5" in client.get("/").content.decode()


def test_many_requests_cost_one_snapshot(farm: ShownFarm) -> None:
    """Until it is `RENEW_S` old; what needs no token needs none either."""
    asked: list[Item] = []
    client = client_of(farm, asked)
    for _ in range(20):
        client.get("/api/health")
    client.get("/page.css")
    assert len(asked) == 1
    farm.clock.advance(RENEW_S)
    client.get("/page.css")
    assert len(asked) == 1
    client.get("/")
    assert len(asked) == 2


def test_a_loop_that_works_an_hour_is_not_waited_for_long(
    farm: ShownFarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The snapshot of before is shown."""
    monkeypatch.setattr(renewal, "WAIT_S", 0.01)
    asked: list[Item] = []
    client = client_of(farm, asked, busy=True)
    assert client.get("/api/health").status == 200
    assert client.get("/api/health").status == 200
    assert len(asked) == 1


def test_past_alerts_are_those_in_memory_while_the_disk_refuses(farm: ShownFarm) -> None:
    """The disk has older ones, or none."""
    client = client_of(farm, [])
    before = client.get("/api/alerts/history").json["edges"]
    assert before
    disk, farm.runtime.db = farm.runtime.db, into_memory(farm.runtime.db)
    farm.runtime.log, farm.runtime.on_disk = AlertLog(farm.runtime.db), False
    disk.execute("DELETE FROM alert_log")
    farm.clock.advance(RENEW_S)
    assert client.get("/api/alerts/history").json["edges"] == before
    page = client.get("/api/alerts/history?limit=1").json
    assert page["edges"] == before[:1]
    assert page["next"] == before[0]["number"]
    assert before[0]["text"] in unescape(client.get("/").content.decode())
    disk.close()
