"""Life of an alert as people and controllers see it, over the real worker (S1 to S3, T2)."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edge_agent.alerts.state_machine import bounded
from edge_agent.contract.schema import AIR_TEMPERATURE
from edge_agent.core import status_document
from edge_agent.observations.retention import prune
from edge_agent.replay.explain import explain
from edge_agent.web.api import prometheus, serialize
from edge_agent.web.page.context import PageContext
from edge_agent.web.page.now_sections import alert_section
from edge_agent.web.page.texts import PageTexts
from edge_agent.web.snapshot import take_snapshot
from tests.fakes.alert_farm import ROOT, SENSOR, AlertFarm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

COLD = """
[[rules]]
name = "cold"
quantity = "air_temperature_c"
operator = "<="
threshold = 5.0
clear = 6.0
now = true
role = "indoor"
"""
FROST = """
[builtin]
off = ["heat", "dryness", "frost", "frost-watch", "vpd-high"]

[[rules]]
name = "frost"
quantity = "air_temperature_c"
operator = "<="
threshold = 0.0
"""
CRITICAL = 'severity = "critical"\n'
FREE = "cooldown_s = 0\n"
LIVE = SENSOR + COLD
NIGHT = """
[quiet_hours]
start = "22:00"
end = "06:30"
"""
EVENING = datetime(2026, 7, 1, 12, 50, tzinfo=UTC)
"""21:50 in Seoul."""


@pytest.fixture
def new_farm(tmp_path: Path) -> Iterator[Callable[..., AlertFarm]]:
    """Makes a device."""
    with ExitStack() as stack:

        def new(text: str, **keys: datetime) -> AlertFarm:
            farm = AlertFarm(tmp_path, text, **keys)
            stack.callback(farm.close)
            return farm

        yield new


def test_a_snooze_of_three_minutes_delays_a_start_by_three_minutes(
    new_farm: Callable[..., AlertFarm],
) -> None:
    """What began in a snooze is told at its end (S1)."""
    farm = new_farm(LIVE)
    farm.minutes(3)
    farm.ask("snooze", rule="cold", minutes=3)
    assert farm.minutes(2, celsius=1.0) == []
    assert farm.minutes(2) == ["raised"]


def test_the_end_of_a_snooze_within_the_hour_tells_a_forecast_rule_too(
    new_farm: Callable[..., AlertFarm],
) -> None:
    """The minute watch tells it; the next hour is too late (S1)."""
    farm = new_farm(FROST)
    farm.ask("snooze", rule="frost", minutes=10)
    farm.foresee(-5.0)
    assert farm.cycle() == []
    assert farm.minutes(9) == []
    assert farm.minutes(2) == ["raised"]
    assert farm.cycle() == []


def test_a_restart_in_a_snooze_loses_nothing(new_farm: Callable[..., AlertFarm]) -> None:
    """The first hour of the new process tells what the old one held back (S1)."""
    farm = new_farm(FROST)
    farm.ask("snooze", rule="frost", minutes=10)
    farm.foresee(-5.0)
    farm.cycle()
    farm.restart()
    farm.clock.advance(700)
    assert farm.cycle() == ["raised"]


def test_a_snooze_made_in_2099_ends_after_its_own_length(
    new_farm: Callable[..., AlertFarm],
) -> None:
    """The clock is right again a minute later; ten minutes are ten minutes (S3)."""
    farm = new_farm(FROST)
    ahead = timedelta(days=73 * 365).total_seconds()
    farm.clock.jump(ahead)
    farm.ask("snooze", rule="frost", minutes=10)
    farm.clock.jump(-ahead)
    farm.foresee(-5.0)
    assert farm.cycle() == []
    assert farm.minutes(11) == ["raised"]


def test_a_critical_rule_is_told_at_once_through_cool_down_and_snooze(
    new_farm: Callable[..., AlertFarm],
) -> None:
    """One good reading, then frost for an hour (S2)."""
    farm = new_farm(LIVE + CRITICAL)
    answer = farm.ask("snooze", rule="cold", minutes=60)
    assert "critical" in answer
    assert farm.minutes(3, celsius=1.0) == ["raised"]
    assert farm.minutes(3, celsius=20.0) == ["cleared"]
    assert farm.minutes(3, celsius=-8.0) == ["raised"]
    assert farm.state("cold")["level"] == "raised"


def test_an_action_is_given_through_cool_down_snooze_and_quiet_hours(
    new_farm: Callable[..., AlertFarm],
) -> None:
    """A controller is never left alone (S2)."""
    farm = new_farm(
        NIGHT + LIVE + '[rules.action]\ncommand = "heater_on"\n', start=EVENING + timedelta(hours=2)
    )
    farm.ask("snooze", rule="cold", minutes=60)
    assert farm.minutes(3, celsius=1.0) == ["raised"]
    assert farm.minutes(3, celsius=20.0) == ["cleared"]
    assert farm.minutes(3, celsius=-8.0) == ["raised"]
    assert farm.events()[-1]["action"]["command"] == "heater_on"


def test_in_the_cool_down_the_state_says_that_the_condition_holds(
    new_farm: Callable[..., AlertFarm],
) -> None:
    """Raised and held back, until when; told at its end (T2, S1)."""
    farm = new_farm(LIVE)
    assert farm.minutes(3, celsius=1.0) == ["raised"]
    assert farm.minutes(3, celsius=20.0) == ["cleared"]
    ended = farm.clock.now() - timedelta(minutes=1)
    assert farm.minutes(3, celsius=-8.0) == []
    state = farm.state("cold")
    assert state["level"] == "raised"
    assert state["held_back"] == {
        "why": "cool_down",
        "until": (ended + timedelta(hours=1)).isoformat().replace("+00:00", "Z"),
    }
    assert farm.minutes(54) == []
    assert farm.minutes(3) == ["raised"]
    assert farm.state("cold")["held_back"] is None


def test_beyond_the_cap_of_the_day_the_state_says_that_the_condition_holds(
    new_farm: Callable[..., AlertFarm],
) -> None:
    """Raised and held back until midnight on the farm, and told then (T2, S1)."""
    farm = new_farm("[limits]\nalerts_per_day = 1\n" + LIVE + FREE, start=EVENING)
    assert farm.minutes(3, celsius=1.0) == ["raised"]
    assert farm.minutes(3, celsius=20.0) == ["cleared"]
    assert farm.minutes(3, celsius=-8.0) == []
    state = farm.state("cold")
    assert state["level"] == "raised"
    assert state["held_back"] == {"why": "daily_cap", "until": "2026-07-01T15:00:00Z"}
    assert farm.minutes(120) == []
    assert farm.minutes(3) == ["raised"]


def test_the_end_of_the_quiet_hours_within_the_hour_tells_a_forecast_rule(
    new_farm: Callable[..., AlertFarm],
) -> None:
    """Half past six, not seven (S1); meanwhile the state says why and until when (T2)."""
    farm = new_farm(NIGHT + FROST, start=EVENING + timedelta(hours=7, minutes=12))
    farm.foresee(-5.0)
    assert farm.cycle() == []
    state = farm.state("frost")
    assert state["level"] == "raised"
    assert state["held_back"] == {"why": "quiet_hours", "until": "2026-07-01T21:30:00Z"}
    farm.clock.advance(timedelta(hours=1).total_seconds())
    assert farm.cycle() == []
    assert farm.minutes(27) == []
    assert farm.minutes(2) == ["raised"]


def test_what_is_unknown_at_the_end_of_the_quiet_hours_is_told_once_it_is_known(
    new_farm: Callable[..., AlertFarm],
) -> None:
    """No forecast from six to eight; then it is told (S1, T2)."""
    farm = new_farm(NIGHT + FROST, start=EVENING + timedelta(hours=7, minutes=12))
    farm.foresee(-5.0)
    assert farm.cycle() == []
    farm.foresee(None)
    prune(farm.runtime.db, farm.clock.now(), observations_days=1000, forecasts_days=0)
    farm.clock.advance(timedelta(hours=2).total_seconds())
    assert farm.cycle() == []
    assert farm.state("frost")["level"] == "unknown"
    farm.foresee(-5.0)
    farm.clock.advance(timedelta(hours=1).total_seconds())
    assert farm.cycle() == ["raised"]


def test_an_edited_threshold_ends_the_old_alert_and_begins_the_new(
    new_farm: Callable[..., AlertFarm],
) -> None:
    """Ended as changed, and raised anew in the same cycle where the new condition holds."""
    farm = new_farm(LIVE)
    assert farm.minutes(3, celsius=1.0) == ["raised"]
    farm.edit(LIVE.replace("threshold = 5.0", "threshold = 3.0"))
    assert farm.minutes(1) == ["cleared", "raised"]
    cleared, raised = farm.events()[-2:]
    assert (cleared["threshold"], raised["threshold"]) == (5.0, 3.0)
    assert "바뀌" in cleared["text"]
    farm.edit(LIVE.replace("threshold = 5.0", "threshold = -3.0"))
    assert farm.minutes(1) == ["cleared"]
    assert farm.state("cold")["level"] == "clear"


def test_a_rule_that_was_never_told_is_never_ended(new_farm: Callable[..., AlertFarm]) -> None:
    """Taken out while its start is held back: no end of what nobody heard of (S4)."""
    farm = new_farm(FROST)
    farm.ask("snooze", rule="frost", minutes=60)
    farm.foresee(-5.0)
    assert farm.cycle() == []
    farm.edit(FROST.replace('name = "frost"', 'name = "other"').replace("0.0", "-40.0"))
    farm.clock.advance(3600)
    assert farm.cycle() == []


def test_an_acknowledged_alert_sends_its_end_and_the_next_start(
    new_farm: Callable[..., AlertFarm],
) -> None:
    """Updates alone are held back, and that is shown."""
    farm = new_farm(FROST + FREE)
    farm.foresee(-0.5)
    assert farm.cycle() == ["raised"]
    farm.ask("ack", rule="frost")
    farm.clock.advance(3600)
    farm.foresee(-5.0)
    assert farm.cycle() == []
    assert farm.state("frost")["held_back"] == {"why": "acknowledged", "until": None}
    farm.foresee(20.0)
    farm.clock.advance(3600)
    assert farm.cycle() == ["cleared"]
    farm.foresee(-5.0)
    farm.clock.advance(3600)
    assert farm.cycle() == ["raised"]
    assert farm.state("frost")["held_back"] is None


def test_an_end_that_waits_for_the_broker_is_not_replaced(
    new_farm: Callable[..., AlertFarm],
) -> None:
    """Raised, ended, raised, ended: all four leave in this order."""
    farm = new_farm(FROST + FREE)
    for celsius in (-5.0, 20.0, -5.0, 20.0):
        farm.foresee(celsius)
        farm.clock.advance(3600)
        farm.work()
    assert farm.hear() == ["raised", "cleared", "raised", "cleared"]


def test_a_push_is_queued_with_each_edge_and_with_nothing_that_is_held_back(
    new_farm: Callable[..., AlertFarm],
) -> None:
    """What goes out over MQTT is pushed, once, in the same transaction."""
    push = '[push]\nurl = "https://push.example/farm"\nseverities = ["warning"]\n'
    farm = new_farm(push + FROST)
    farm.ask("snooze", rule="frost", minutes=10)
    farm.foresee(-5.0)
    farm.cycle()
    assert farm.runtime.pushes.due(None) is None
    assert farm.minutes(10) == ["raised"]
    pushed = farm.runtime.pushes.due(None)
    assert pushed is not None
    assert pushed.id == farm.events()[0]["id"]
    farm.runtime.pushes.done(pushed.id)
    farm.cycle()
    assert farm.runtime.pushes.due(None) is None


def test_an_event_that_cannot_be_written_is_not_pushed(
    new_farm: Callable[..., AlertFarm], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alert, latch and push are one transaction."""
    farm = new_farm('[push]\nurl = "https://push.example/farm"\n' + LIVE + CRITICAL)

    def fails(_: object) -> None:
        raise OSError("disk")

    monkeypatch.setattr(farm.runtime.pushes, "put", fails)
    with pytest.raises(OSError, match="disk"):
        farm.minutes(3, celsius=1.0)
    assert farm.runtime.latches.all() == {}
    monkeypatch.undo()
    assert farm.minutes(1) == ["raised"]


def test_rules_that_do_not_exist_cannot_be_silenced(new_farm: Callable[..., AlertFarm]) -> None:
    """The answer names the rules there are."""
    farm = new_farm(FROST)
    for command in ("ack", "snooze"):
        answer = farm.ask(command, rule="x")
        assert answer.startswith("rule 'x' is not known; there are ")
        assert "frost" in answer
    assert "nothing to acknowledge" in farm.ask("ack", rule="frost")


def test_snoozes_of_an_earlier_agent_hold_on(
    new_farm: Callable[..., AlertFarm], tmp_path: Path
) -> None:
    """Its table is moved into the latches and goes; a time of 2099 ends within a week."""
    farm = new_farm(FROST.replace('"heat", ', ""))
    farm.foresee(-0.5)
    assert farm.cycle() == ["raised"]
    farm.close()
    until = int((farm.clock.now() + timedelta(hours=30)).timestamp())
    with closing(sqlite3.connect(tmp_path / "agent.db")) as db:
        db.execute(
            "CREATE TABLE quiet (rule TEXT PRIMARY KEY, until INTEGER, seen INTEGER NOT NULL)"
        )
        db.execute("INSERT INTO quiet VALUES ('frost', ?, 1), ('heat', 4085000000, 0)", (until,))
        db.commit()
    farm.worker = farm._start()
    latches = farm.runtime.latches.all()
    assert latches["frost"].acknowledged
    assert int(latches["frost"].snoozed_until.timestamp()) == until  # type: ignore[union-attr]
    assert bounded(latches["heat"], farm.clock.now()).snooze_s == 7 * 86_400
    farm.restart()
    assert farm.runtime.latches.all() == latches


def _shown(farm: AlertFarm, rule: str) -> dict[str, tuple[str, object]]:
    """Level and hold-back of a rule by the place that shows them."""
    snapshot = take_snapshot(farm.runtime, farm.worker._decision)
    alerts = {alert.rule: alert for alert in serialize.alerts(snapshot).alerts}
    health = serialize.health(snapshot, None, farm.clock.now())
    metrics = prometheus.text(snapshot, None, farm.clock.now()).decode()
    raised = re.search(rf'alert_raised{{rule="{rule}",.*}} (.)', metrics)
    held = re.search(rf'alert_held_back{{rule="{rule}",why="(.*)"}} 1.0', metrics)
    by_level = {"raised": serialize.latest(snapshot).alerts_raised, "unknown": health.rules_unknown}
    listed = [level for level, names in by_level.items() if rule in names]
    state, status = farm.state(rule), status_document.document(farm.runtime)["alerts"][rule]
    return {
        "state": (state["level"], state["held_back"] and state["held_back"]["why"]),
        "status": (status["level"], status["held_back"] and status["held_back"]["why"]),
        "api": (alerts[rule].level, (held_back := alerts[rule].held_back) and held_back.why),
        "health": (
            " and ".join(listed) or "clear",
            health.held_back[rule].why if rule in health.held_back else None,
        ),
        "metrics": (
            {"1": "raised", "0": "clear"}[raised[1]] if raised else "unknown",
            held[1] if held else None,
        ),
    }


def test_every_place_says_the_same_of_a_rule(new_farm: Callable[..., AlertFarm]) -> None:
    """Clear, raised and held back, raised and told, seen, unknown (T2)."""
    farm = new_farm(LIVE)
    farm.minutes(3)
    assert set(_shown(farm, "cold").values()) == {("clear", None)}
    farm.ask("snooze", rule="cold", minutes=10)
    farm.minutes(3, celsius=1.0)
    assert set(_shown(farm, "cold").values()) == {("raised", "snooze")}
    assert farm.minutes(8) == ["raised"]
    assert set(_shown(farm, "cold").values()) == {("raised", None)}
    farm.ask("ack", rule="cold")
    farm.hear()
    assert set(_shown(farm, "cold").values()) == {("raised", "acknowledged")}
    farm.clock.advance(1000)
    farm.worker.watch(farm.clock.now())
    farm.hear()
    assert {level for level, _ in _shown(farm, "cold").values()} == {"unknown"}


@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_page_says_why_a_message_waits(
    new_farm: Callable[..., AlertFarm], language: str
) -> None:
    """In the card of the alert, with the time."""
    farm = new_farm(LIVE)
    farm.ask("snooze", rule="cold", minutes=10)
    farm.minutes(3, celsius=1.0)
    snapshot = take_snapshot(farm.runtime, None)
    context = PageContext(snapshot, None, (), farm.clock.now(), PageTexts(language), acts=False)
    page = str(alert_section(context))
    assert {"ko": "14:12까지 보내지 않음(알림 멈춤)", "en": "14:12 (snoozed)"}[language] in page


def test_health_lists_what_is_held_back(new_farm: Callable[..., AlertFarm]) -> None:
    """By rule, with reason and end."""
    farm = new_farm(FROST)
    farm.ask("snooze", rule="frost", minutes=10)
    farm.foresee(-5.0)
    farm.cycle()
    health = [json.loads(m.payload) for m in farm.heard if m.topic == f"{ROOT}/health"][-1]
    assert health["held_back"] == {"frost": {"why": "snooze", "until": "2026-07-01T05:12:00Z"}}


def test_an_alert_that_the_watch_tells_is_explained_by_the_same_decision(
    new_farm: Callable[..., AlertFarm],
) -> None:
    """Told ten past the hour on the forecast of the hour; worked out again: the same."""
    farm = new_farm(FROST)
    farm.ask("snooze", rule="frost", minutes=70)
    farm.foresee(-5.0)
    farm.cycle()
    assert farm.minutes(69) == []
    assert farm.minutes(1) == ["raised"]
    explanation = explain(farm.runtime.log.find(farm.events()[-1]["id"]))
    assert explanation.differences == ()


def test_no_alert_ends_between_two_hours_because_time_passes(
    new_farm: Callable[..., AlertFarm],
) -> None:
    """The only cold hour is past before the next forecast is made: that forecast decides."""
    farm = new_farm(FROST)
    farm.foresee(20.0)
    assert farm.models is not None
    farm.models.predictors[AIR_TEMPERATURE].value = lambda rows: np.where(
        np.arange(len(rows)) == 0, -9.0, 20.0
    )
    assert farm.cycle() == ["raised"]
    assert farm.minutes(65) == []
    assert farm.cycle() == []
    assert farm.minutes(65) == []
    farm.foresee(20.0)
    assert farm.cycle() == ["cleared"]


def test_an_hour_in_1970_is_no_length_of_an_alert(new_farm: Callable[..., AlertFarm]) -> None:
    """The clock starts wrong and is set: the alert lasted as long as it did (T1)."""
    farm = new_farm(LIVE + CRITICAL)
    assert farm.minutes(1, celsius=1.0) == ["raised"]
    back = (farm.clock.now() - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
    farm.clock.jump(-back)
    farm.worker.watch(farm.clock.now())
    farm.clock.jump(back)
    assert farm.minutes(3, celsius=20.0) == ["cleared"]
    assert farm.events()[-1]["lasted_s"] <= 240


def test_a_reload_keeps_the_readings_of_now(new_farm: Callable[..., AlertFarm]) -> None:
    """A refusal that good readings have ended is not brought back by it (T2)."""
    farm = new_farm(LIVE)
    farm.cycle()
    farm.minutes(1, 200.0)
    assert farm.state("cold")["level"] == "unknown"
    farm.minutes(3, 2.0)
    assert farm.state("cold")["level"] == "raised"
    farm.hear()
    farm.celsius = None
    farm.edit(LIVE.replace("threshold = 5.0", "threshold = 4.0"))
    assert farm.cycle() == ["cleared", "raised"]
    assert farm.state("cold")["level"] == "raised"
