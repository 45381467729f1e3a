"""An action that nobody heard is ordered anew while its reason stands (promise S6)."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from edge_agent.mqtt.backoff import Backoff
from edge_agent.mqtt.connection import Acknowledged, Session, Up
from edge_agent.mqtt.delivery import Delivery
from tests.fakes.alert_farm import ROOT, SENSOR, AlertFarm
from tests.fakes.farm import OWN_RULES_ALONE
from tests.fakes.publisher import FakeLink

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXPIRES_S = 600
RULES = f"""{OWN_RULES_ALONE}
[push]
url = "http://127.0.0.1:9/"
severities = ["warning"]
{SENSOR}max_age_s = 300

[[rules]]
name = "cold"
quantity = "air_temperature_c"
operator = "<="
threshold = 5.0
clear = 6.0
now = true
role = "indoor"
[rules.action]
command = "heater_on"
expires_s = {EXPIRES_S}
"""
EVENT = f"{ROOT}/alert/cold/event"


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[AlertFarm]:
    """A house with a heater; its broker is away."""
    made = AlertFarm(tmp_path, RULES)
    with closing(made.worker):
        yield made


def minutes(farm: AlertFarm, count: int, celsius: float | None = 1.0) -> None:
    """Minutes with a reading each and no broker."""
    for _ in range(count):
        farm.clock.advance(60)
        farm.celsius = celsius
        farm._read()
        farm.worker.watch(farm.clock.now())


def waiting(farm: AlertFarm) -> list[dict[str, Any]]:
    """Alert events in the queue, in order."""
    entries = farm.runtime.outbox.due(None, limit=1000)
    return [json.loads(e.message.payload) for e in entries if e.message.topic == EVENT]


def pushes(farm: AlertFarm) -> int:
    """Number of alerts that were pushed to people."""
    (number,) = farm.runtime.db.execute("SELECT count(*) FROM push").fetchone()
    return int(number)


def test_an_action_that_expired_in_the_queue_is_ordered_anew(farm: AlertFarm) -> None:
    """One order waits at any time, and it is no older than its life; people are told once."""
    ids = set()
    for _ in range(60):
        minutes(farm, 1)
        (event,) = waiting(farm)
        assert event["event_type"] == "raised"
        assert event["action"]["expires_at"] > farm.clock.now().isoformat()
        ids.add(event["id"])
    assert len(ids) == 60 * 60 // EXPIRES_S
    assert pushes(farm) == 1


def test_what_was_heard_is_not_ordered_again(farm: AlertFarm) -> None:
    """However long the alert stands, and though the queue forgets old ids."""
    minutes(farm, 1)
    assert farm.hear() == ["raised"]
    minutes(farm, 2)
    farm.runtime.db.execute("DELETE FROM outbox_delivered")
    minutes(farm, 30)
    assert waiting(farm) == []


def test_nothing_is_ordered_once_the_reason_is_gone_or_unknown(farm: AlertFarm) -> None:
    """A silent sensor orders nothing; nor does the end of the cold."""
    minutes(farm, 1)
    (first,) = waiting(farm)
    minutes(farm, 30, celsius=None)
    assert [event["id"] for event in waiting(farm)] == [first["id"]]
    minutes(farm, 30, celsius=10.0)
    assert [event["event_type"] for event in waiting(farm)] == ["raised", "cleared"]


def test_a_clock_set_back_orders_anew_within_the_life_of_an_order(farm: AlertFarm) -> None:
    """An order that was dated by 2099 holds for its own length from now, no longer."""
    farm.clock.jump(27_000 * 86_400)
    minutes(farm, 1)
    farm.clock.jump(-27_000 * 86_400)
    minutes(farm, 1 + EXPIRES_S // 60)
    (event,) = waiting(farm)
    assert event["action"]["expires_at"].startswith(f"{farm.clock.now():%Y-%m-%dT}")


@pytest.mark.parametrize(("code", "orders"), [(0x00, 1), (0x10, 4)])
def test_a_broker_without_a_subscriber_is_no_listener(
    farm: AlertFarm, code: int, orders: int
) -> None:
    """PUBACK `no matching subscribers`: the controller is away, so the order comes again."""
    link = FakeLink(lambda _: None)
    session = Session("availability", protocol="5")
    delivery = Delivery(link, farm.runtime.outbox, session, Backoff(lambda: 0.5), farm.clock)
    delivery.tick(farm.clock.now())
    delivery.handle(Up("5", window=100, largest=None))
    minutes(farm, 1)
    for _ in range(40):
        before = len(link.sent)
        delivery.tick(farm.clock.now())
        for token, _ in link.sent[before:]:
            delivery.handle(Acknowledged(token, code, ""))
        delivery.tick(farm.clock.now())
        minutes(farm, 1)
    sent = [json.loads(m.payload) for _, m in link.sent if m.topic == EVENT]
    assert [event["event_type"] for event in sent] == ["raised"] * orders
    assert pushes(farm) == 1
