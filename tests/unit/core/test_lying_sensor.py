"""A farm's own sensor that errs hides no critical condition, and the gap is told (T3, W3)."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from edge_agent.commands.once import _lines as once_lines
from edge_agent.commands.status import _written as status_document
from edge_agent.contract.bundles import GUIDANCE, ISSUED, VALID
from edge_agent.contract.forecast import Forecast, Source
from edge_agent.contract.schema import AIR_TEMPERATURE, TIME
from edge_agent.ops.doctor import examine
from edge_agent.ops.findings import Subject
from edge_agent.web.api import serialize
from edge_agent.web.page.page import page
from edge_agent.web.snapshot import take_snapshot
from tests.fakes import lying_sensor
from tests.fakes.lying_sensor import HISTORY_H, OWN, STATION, farm, hours

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_agent.core.cycle import Decision
    from edge_agent.core.runtime import Runtime

HOUR = timedelta(hours=1)
NIGHT = datetime(2027, 1, 15, 15, tzinfo=UTC)
"""Midnight in Korea."""
DATA = Path(__file__).parents[4] / "shared" / "data" / "asos"
SEOUL = DATA / "asos_hourly_108_2013_2018.parquet"
LATER = timedelta(days=8 * 365 + 2)
"""The record's last night is moved behind the times that a device knows to have passed."""
REAL_NIGHT = datetime(2018, 12, 31, 15, tzinfo=UTC) + LATER


def mild() -> dict[datetime, float]:
    """Days of 8 C and nights of -4 C at a station, up to midnight."""
    times = [NIGHT - back * HOUR for back in range(HISTORY_H + 60)]
    return {at: 2 + 6 * np.cos((at.hour - 5) / 24 * 2 * np.pi) - 0.1 * (at.day % 3) for at in times}


def real() -> dict[datetime, float]:
    """Seoul's hours up to midnight of 31 December 2018."""
    if not SEOUL.is_file():
        pytest.skip("needs Seoul's record (../shared)")
    rows = pl.read_parquet(SEOUL, columns=["tm", "ta"]).drop_nulls()
    known = {at.replace(tzinfo=UTC) - 9 * HOUR + LATER: float(t) for at, t in rows.iter_rows()}
    return {at: known[at] for i in range(HISTORY_H + 60) if (at := REAL_NIGHT - i * HOUR) in known}


Record = Callable[[], dict[datetime, float]]
RECORDS = pytest.mark.parametrize("record", [mild, real])


def decided(
    folder: Path, own: Mapping[datetime, float], station: Mapping[datetime, float]
) -> tuple[Decision, dict[str, Any], tuple[str, ...]]:
    """The cycle's decision, alert events by rule, and the problems in `/health`."""
    with farm(folder, {OWN: hours(own), STATION: hours(station)}) as (runtime, _):
        decision, _ = runtime.run_cycle()
        return decision, _events(decision), _problems(runtime)


def _events(decision: Decision) -> dict[str, Any]:
    return {name: json.loads(event.payload) for name, _, event in decision.edges}


def _problems(runtime: Runtime) -> tuple[str, ...]:
    waiting = [entry.message for entry in runtime.outbox.due(None, limit=1000)]
    (health,) = [m for m in waiting if m.topic.endswith("/health")]
    return tuple(json.loads(health.payload)["problems"])


@RECORDS
@pytest.mark.parametrize("fault", ["12 C too warm", "stuck at 6 C for 11 h"])
def test_the_frost_is_told_by_the_station_and_the_gap_as_well(
    tmp_path: Path, record: Record, fault: str
) -> None:
    """Case 25: the forecast rests on the sensor, the critical alert on the station."""
    truth = record()
    own = (
        lying_sensor.shifted(truth, 12.0)
        if fault.startswith("12")
        else lying_sensor.stuck(truth, 6.0, 11)
    )
    decision, events, problems = decided(tmp_path, own, truth)
    assert isinstance(decision.forecast, Forecast)
    assert decision.forecast.source is Source.MODEL
    frost = events["frost"]
    assert frost["probability"] > 0.4
    assert frost["inputs"][0]["name"] == STATION
    assert STATION in frost["reason"]
    assert frost["text"].endswith("관측소 108 기준.")
    (gap,) = problems
    newest = max(truth)
    assert f"{own[newest]:.1f}°C" in gap
    assert f"{STATION} {truth[newest]:.1f}°C" in gap
    assert "since" in gap


def _issues(hours_of: Mapping[datetime, float]) -> pl.DataFrame:
    """Issues of KMA's forecast, one four hours before each of these hours."""
    issues = hours(hours_of).rename({TIME: VALID})
    issued = (pl.col(VALID) - pl.duration(hours=4)).alias(ISSUED)
    return pl.concat([GUIDANCE.to_frame(), issues.with_columns(issued)], how="diagonal")


@pytest.mark.parametrize("for_h", [1, 2, 5, 30])
@pytest.mark.parametrize("guided", [False, True])
@pytest.mark.parametrize("value", [-40.0, 39.0])
def test_a_broken_sensor_raises_and_hides_nothing(
    tmp_path: Path, value: float, guided: bool, for_h: int
) -> None:
    """What it says never enters a forecast, and is told from its first hour on."""
    truth = {at: t + (12.0 if value < 0 else 0.0) for at, t in mild().items()}
    own = hours(lying_sensor.stuck(truth, value, for_h))
    with farm(tmp_path, {OWN: own, STATION: hours(truth)}) as (runtime, _):
        if guided:
            runtime.store.put_guidance(_issues(truth))
        decision, _ = runtime.run_cycle()
        problems = _problems(runtime)
    assert ("frost" in decision.raised) == (value > 0)
    assert isinstance(decision.forecast, Forecast)
    assert value not in decision.forecast.targets[AIR_TEMPERATURE].values
    (gap,) = [problem for problem in problems if "own air temperature" in problem]
    assert f"{value:.1f}°C, {STATION} " in gap


@RECORDS
@pytest.mark.parametrize("by", [0.0, 2.0])
def test_an_honest_sensor_is_believed(tmp_path: Path, record: Record, by: float) -> None:
    """Nothing is told, and the critical alert rests on the farm's own sensor."""
    truth = record()
    own = lying_sensor.shifted(truth, by)
    decision, events, problems = decided(tmp_path / "both", own, truth)
    assert problems == ()
    with farm(tmp_path / "own", {OWN: hours(own)}) as (runtime, _):
        alone = runtime.decide()
    assert isinstance(decision.forecast, Forecast)
    assert isinstance(alone.forecast, Forecast)
    for name, target in alone.forecast.targets.items():
        np.testing.assert_array_equal(decision.forecast.targets[name].values, target.values)
        np.testing.assert_array_equal(decision.forecast.targets[name].quantiles, target.quantiles)
    assert [event.payload for _, _, event in decision.edges] == [
        event.payload for _, _, event in alone.edges
    ]
    assert "frost" in events


def test_the_alert_stays_until_both_are_over(tmp_path: Path) -> None:
    """A sensor that is off ends no critical alert; a warm day at the station does."""
    truth = mild()
    own = lying_sensor.shifted(truth, 12.0)
    with farm(tmp_path, {OWN: hours(own), STATION: hours(truth)}) as (runtime, clock):
        assert "frost" in runtime.run_cycle()[0].raised
        for step in range(1, 12):
            clock.advance(3600)
            at = NIGHT + step * HOUR
            thaw = -1.0 + 12.0 * (step > 6)
            runtime.store.put_hourly(STATION, hours({at: thaw}))
            runtime.store.put_hourly(OWN, hours({at: 13.0}))
            decision, _ = runtime.run_cycle()
            assert ("frost" in decision.raised) == (step < 7), step


@pytest.mark.parametrize("step", [0.02, 0.1, 0.5, 3.0])
def test_a_slow_shift_teaches_nothing(tmp_path: Path, step: float) -> None:
    """However slowly a sensor drifts, the frost of the last night is told as soon as it is seen."""
    truth = mild()
    newest = max(truth)
    own = {
        at: value + min(step * (HISTORY_H - (newest - at) / HOUR), 15.0)
        if newest - at < HISTORY_H * HOUR
        else value
        for at, value in truth.items()
    }
    _, events, problems = decided(tmp_path, own, truth)
    assert events["frost"]["probability"] > 0.4
    assert len(problems) == (step * HISTORY_H > 6)


def test_a_rule_below_critical_rests_on_the_own_sensor(tmp_path: Path) -> None:
    """It is as it was."""
    truth = mild()
    text = """
[[rules]]
name = "cold"
quantity = "air_temperature_c"
operator = "<="
threshold = 0.0
"""
    sources = {OWN: hours(lying_sensor.shifted(truth, 12.0)), STATION: hours(truth)}
    with farm(tmp_path, sources, text) as (runtime, _):
        decision = runtime.decide()
    assert [name for name, _, _ in decision.edges] == ["frost"]


LIVE = """
[device]
language = "en"
[[sensors]]
topic = "yard/air"
field = "t"
quantity = "air_temperature_c"
unit = "C"
[[rules]]
name = "cold-now"
quantity = "air_temperature_c"
operator = "<="
threshold = 0.0
clear = 1.0
now = true
severity = "{severity}"
"""


@pytest.mark.parametrize(
    ("severity", "by", "age_min", "told"),
    [
        ("critical", 12.0, 89, True),
        ("critical", 12.0, 91, False),
        ("warning", 12.0, 2, False),
        ("critical", 2.0, 2, False),
    ],
)
def test_a_live_critical_rule_looks_at_the_newest_hour_of_the_station(
    tmp_path: Path, severity: str, by: float, age_min: int, told: bool
) -> None:
    """Only where a gap is told, and only at an hour that is not old."""
    truth = mild()
    own = lying_sensor.shifted(truth, by)
    sources = {OWN: hours(own), STATION: hours(truth)}
    with farm(tmp_path, sources, LIVE.format(severity=severity)) as (runtime, clock):
        clock.advance(60 * (age_min - 2))
        runtime.intake.take("yard/air", b'{"t": 9.5}', clock.now())
        runtime.run_watch()
        waiting = [entry.message for entry in runtime.outbox.due(None, limit=1000)]
    events = [json.loads(m.payload) for m in waiting if m.topic.endswith("/event")]
    assert len(events) == told
    if told:
        newest = f"{truth[NIGHT]:.1f}°C"
        assert newest in events[0]["text"]
        assert events[0]["text"].endswith("By station 108.")
        assert [i["name"] for i in events[0]["inputs"]] == [STATION]
        assert STATION in events[0]["reason"]


@pytest.mark.parametrize("by", [0.0, 12.0])
def test_every_place_shows_the_gap(tmp_path: Path, by: float) -> None:
    """`status`, `doctor`, `once`, the page and its interface, in the same words."""
    truth = mild()
    sources = {OWN: hours(lying_sensor.shifted(truth, by)), STATION: hours(truth)}
    state = tmp_path / "state"
    with farm(state, sources) as (runtime, clock):
        decision, _ = runtime.run_cycle()
        (text,) = [gap.text for gap in decision.check.gaps] or [""]
        assert bool(text) == bool(by)
        no_release = "no release is installed: run `edge-agent sync`"
        assert status_document(runtime)["problems"] == [no_release, *([text] if by else [])]
        shown = take_snapshot(runtime, decision)
        subject = Subject(runtime.config, state, clock, {})
        found = [finding.seen for finding in examine(subject) if finding.check == "own sensors"]
    assert found == ([text] if by else [])
    assert ("  problem: " + text in once_lines(decision)) == bool(by)
    health = serialize.health(shown, None, shown.at)
    assert health.problems == ((text,) if by else ())
    (frost,) = [a for a in serialize.alerts(shown, "en").alerts if a.rule == "frost"]
    assert frost.why.inputs == (STATION if by else OWN)
    assert frost.level == "raised"
    assert frost.text is not None
    assert frost.text.endswith("By station 108.") == bool(by)
    for language, words in (("ko", "농장 센서 기온"), ("en", "own air temperature")):
        told = page(shown, None, (), shown.at, language=language, acts=False)
        assert (words in told) == bool(by)


def test_kma_forecast_of_the_past_hours_is_a_source(tmp_path: Path) -> None:
    """Without a station it tells of a gap; where it agrees, a far station tells of none."""
    truth = mild()
    own = hours(lying_sensor.shifted(truth, 12.0))
    for name, forecast, told in (("gap", truth, "guidance:village"), ("agrees", None, "")):
        guided = own if forecast is None else hours(forecast)
        issues = guided.rename({TIME: VALID}).with_columns(
            (pl.col(VALID) - pl.duration(hours=4)).alias(ISSUED)
        )
        # An older issue, and one that is not out yet, say something else.
        others = [
            issues.with_columns(
                pl.col(ISSUED) + pl.duration(hours=by), pl.col(AIR_TEMPERATURE) + 40
            )
            for by in (-3, 30)
        ]
        sources = {OWN: own} if told else {OWN: own, STATION: hours(truth)}
        with farm(tmp_path / name, sources) as (runtime, _):
            for issue in (issues, *others):
                runtime.store.put_guidance(pl.concat([GUIDANCE.to_frame(), issue], how="diagonal"))
            found = runtime.decide().check.gaps
        assert [gap.source for gap in found] == ([told] if told else [])
        if told:
            assert found[0].other == pytest.approx(round(truth[NIGHT], 1))
