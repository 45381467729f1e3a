"""What is gone is taken back before anything else is published (rules of `core.withdrawals`)."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from edge_agent.messages.message import Kind, Message
from tests.fakes.alert_farm import ROOT, AlertFarm
from tests.fakes.farm import OWN_RULES_ALONE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RULE = """
[[rules]]
name = "{}"
quantity = "air_temperature_c"
operator = ">="
threshold = 30.0
severity = "{}"
"""
PUSH = '[push]\nurl = "http://127.0.0.1:9/"\nseverities = ["warning"]\ntemplate = "{text}"\n'
DISCOVERY = "homeassistant/device/farm-edge-{}/config"


def rules(*names: str, severity: str = "warning") -> str:
    """A configuration with these rules alone."""
    return OWN_RULES_ALONE + "".join(RULE.format(name, severity) for name in names)


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[AlertFarm]:
    """A device with the rule `a`, and a hot day ahead."""
    made = AlertFarm(tmp_path, rules("a"))
    made.foresee(33.0)
    with closing(made.worker):
        yield made


def told(farm: AlertFarm, since: int = 0) -> list[str]:
    """Alert edges, deletions and descriptions, in the order in which they were sent."""
    lines = []
    for message in farm.heard[since:]:
        topic = message.topic.removeprefix(f"{ROOT}/")
        if topic.endswith("/event"):
            lines.append(f"{topic} {json.loads(message.payload)['event_type']}")
        elif not message.payload or "/device/" in topic:
            lines.append(f"{topic}{' deleted' * (not message.payload)}")
    return lines


def test_the_alert_of_a_gone_rule_ends_before_anything_else(farm: AlertFarm) -> None:
    """Then its state goes, then the new rules are raised, then Home Assistant hears of them."""
    farm.worker.delivery()
    farm.cycle()
    before = len(farm.heard)
    farm.clock.advance(60)
    farm.edit(rules("b"))
    farm.cycle()
    assert told(farm, before) == [
        "alert/a/event cleared",
        "alert/a/state deleted",
        "alert/b/event raised",
        DISCOVERY.format("farm-edge-1"),
    ]
    assert "이 규칙은 설정에서 빠졌습니다" in farm.events()[1]["text"]


def test_a_rule_that_people_were_not_told_of_goes_silently(farm: AlertFarm) -> None:
    """Calm, or held back: no end of what nobody heard of, but its retained state is deleted."""
    farm.foresee(20.0)
    assert farm.cycle() == []
    farm.edit(rules("b"))
    farm.hear()
    assert told(farm)[-2:] == ["alert/a/state deleted", DISCOVERY.format("farm-edge-1")]
    farm.ask("snooze", rule="b", minutes=60)
    farm.foresee(33.0)
    farm.cycle()
    farm.restart(rules("a"))
    farm.hear()
    assert told(farm)[-1] == "alert/b/state deleted"
    assert farm.events() == []


def test_a_rule_that_comes_and_goes_is_deleted_each_time(farm: AlertFarm) -> None:
    """Though the clock may stand: a deletion is no repetition of the one before."""
    for _ in range(2):
        farm.restart(rules("a"))
        farm.cycle()
        farm.restart(rules("b"))
        farm.hear()
    assert told(farm).count("alert/a/state deleted") == 2


def test_people_are_told_in_the_same_order(tmp_path: Path) -> None:
    """A phone ends with what stands: the old alert ended, then the new one raised."""
    farm = AlertFarm(tmp_path, PUSH + rules("a"))
    farm.foresee(33.0)
    with closing(farm.worker):
        farm.work()
        farm.clock.advance(60)
        farm.edit(PUSH + rules("b"))
        farm.work()
        bodies = farm.runtime.db.execute("SELECT body FROM push ORDER BY seq").fetchall()
    texts = [body.decode() for (body,) in bodies]
    assert [text.partition(":")[0] for text in texts] == ["[주의] a", "[해제] a", "[주의] b"]


def test_a_renamed_device_ends_its_alerts_under_the_old_name(farm: AlertFarm) -> None:
    """Every retained topic of that name is deleted, and the new name begins with its own alert."""
    farm.worker.delivery()
    farm.cycle()
    retained = {message.topic for message in farm.heard if message.retain}
    before = len(farm.heard)
    farm.clock.advance(60)
    farm.edit(f"[device]\nid = 'well'\n{rules('a')}")
    farm.cycle()
    news = farm.heard[before:]
    assert {m.topic for m in news if not m.payload} == {*retained, f"{ROOT}/availability"}
    events = [m for m in news if m.topic.endswith("/event")]
    assert [m.topic for m in events] == [
        f"{ROOT}/alert/a/event",
        "farm/v1/farm/well/alert/a/event",
    ]
    assert [json.loads(m.payload)["event_type"] for m in events] == ["cleared", "raised"]
    assert "장치 이름이 바뀌었습니다" in json.loads(events[0].payload)["text"]
    new = news.index(events[1])
    assert all(m.topic.startswith(f"{ROOT}/") for m in news[:new] if "/device/" not in m.topic)
    assert DISCOVERY.format("farm-well") in {m.topic for m in news if m.payload}


def test_another_place_for_the_description_leaves_none_behind(farm: AlertFarm) -> None:
    """Home Assistant under another prefix: the description under the former one is deleted."""
    farm.worker.delivery()
    farm.cycle()
    farm.edit(f"[mqtt]\ndiscovery_prefix = 'ha'\n{rules('a')}")
    farm.hear()
    assert told(farm)[-2:] == [
        f"{DISCOVERY.format('farm-edge-1')} deleted",
        DISCOVERY.format("farm-edge-1").replace("homeassistant", "ha"),
    ]


def test_an_agent_before_this_one_wrote_down_no_name(farm: AlertFarm) -> None:
    """An upgrade that comes together with another name finds the old one by its own messages."""
    farm.cycle()
    farm.runtime.db.execute("DELETE FROM own_name")
    farm.restart(f"[device]\nid = 'well'\n{rules('a')}")
    farm.hear()
    assert f"{ROOT}/availability" in {m.topic for m in farm.heard if not m.payload}


def test_what_is_not_published_any_more_is_deleted(farm: AlertFarm) -> None:
    """Rule 4: advice without a crop, a forecast not named, a rule whose latch is lost."""
    farm.cycle()
    advice, damp = f"{ROOT}/advice/irrigation", f"{ROOT}/forecast/wet_bulb"
    for topic in (advice, damp):
        farm.runtime.outbox.put(Message(topic, topic, b"{}", Kind.STATE, retain=True))
    farm.hear()
    farm.runtime.latches.forget("a")
    before = len(farm.heard)
    farm.edit(rules("b"))
    farm.hear()
    assert {m.topic for m in farm.heard[before:] if not m.payload} == {
        advice,
        damp,
        f"{ROOT}/alert/a/state",
    }
    farm.runtime.outbox.republish_retained(None)
    waiting = {entry.message.topic for entry in farm.runtime.outbox.due(None, limit=100)}
    assert waiting.isdisjoint({advice, damp, f"{ROOT}/alert/a/state"})


def test_a_new_description_is_followed_by_the_values(farm: AlertFarm) -> None:
    """Home Assistant takes the value of an entity that is described anew as expired."""
    farm.worker.delivery()
    farm.cycle()
    before = len(farm.heard)
    farm.edit(f"[device]\nname = 'Glasshouse'\n{rules('a')}")
    farm.hear()
    news = [message.topic for message in farm.heard[before:]]
    assert news == [DISCOVERY.format("farm-edge-1")]
    farm.hear()
    news = [message.topic for message in farm.heard[before:]]
    assert {f"{ROOT}/alert/a/state", f"{ROOT}/forecast/temperature", f"{ROOT}/health"} <= set(news)
    farm.edit(farm.text)
    assert farm.runtime.outbox.due(None) == []
