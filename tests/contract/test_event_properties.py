"""Every part of the project agrees on whether an event happened (`contract.events`)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import get_args

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.alerts.evidence import Measured, from_readings
from edge_agent.contract import events
from edge_agent.contract.forecast import NoForecast, Operator
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, TARGETS, TIME
from edge_agent.core.cycle import Decision
from edge_agent.forecasting.verification import Truth, happened
from edge_agent.replay.alert_scores import AlertScorer
from edge_agent.settings import Rule
from trainer.evaluation.events import Event

START = datetime(2026, 7, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
SIGNS = st.sampled_from(get_args(Operator))
VALUES = st.lists(st.sampled_from([np.nan, 1.0, 2.0, 3.0]), min_size=1, max_size=10)


def _by_definition(values: list[float], sign: str, for_h: int) -> bool | None:
    """Rules E1 to E3 by brute force over every window of `for_h` hours."""
    sides = {">=": (2.0, 3.0), ">": (3.0,), "<=": (1.0, 2.0), "<": (1.0,)}[sign]
    for start in range(len(values) - for_h + 1):
        if all(value in sides for value in values[start : start + for_h]):
            return True
    return None if any(value != value for value in values) else False  # noqa: PLR0124 - NaN


def _quiet_hour() -> Decision:
    """A decision at `START` without a forecast or an alert."""
    return Decision(START, NoForecast(START, "test"), "", (), (), (), None, (), None, None, {})


@given(VALUES, SIGNS, st.integers(1, 4))
def test_a_window_is_judged_by_the_definition(
    values: list[float], sign: Operator, for_h: int
) -> None:
    """Rules E1 to E3, against every window of `for_h` hours."""
    met = events.hours_met(np.array(values), sign, 2.0)
    assert events.happened(met, for_h) == _by_definition(values, sign, for_h)


@given(VALUES, SIGNS, st.data())
def test_verification_replay_and_alerts_agree(
    values: list[float], sign: Operator, data: st.DataObject
) -> None:
    """What is verified, what a replay counts, and what a live rule sees is one definition."""
    for_h = data.draw(st.integers(1, len(values)))
    rule = Rule(
        name="r", quantity=AIR_TEMPERATURE, operator=sign, threshold=2.0, within_h=len(values),
        for_h=for_h,
    )  # fmt: skip
    came = _by_definition(values, sign, for_h)
    rows = np.stack([values, np.full(len(values), 50.0)], axis=1)
    assert len(TARGETS) == rows.shape[1]
    assert happened(rule, START, Truth(START + HOUR, rows)) == came

    hours = [START + i * HOUR for i in range(1, len(values) + 1)]
    frame = pl.DataFrame(
        {TIME: hours, AIR_TEMPERATURE: values, RELATIVE_HUMIDITY: rows[:, 1]}, nan_to_null=True
    )
    scorer = AlertScorer(rule, frame)
    scorer.add(_quiet_hour())
    assert scorer.score().event_hours == (1 if came else 0)

    newest = [Measured(at, value) for at, value in zip(hours, values, strict=True)][-for_h:]
    evidence = from_readings(rule, newest)
    if any(np.isnan(values[-for_h:])):
        assert evidence.met is None
    else:
        assert evidence.met == _by_definition(values[-for_h:], sign, for_h)


@given(VALUES, SIGNS)
def test_single_hours_of_the_gate_are_windows_of_one_hour(
    values: list[float], sign: Operator
) -> None:
    """The gate's events are single hours; a missing hour is no event."""
    event = Event("e", AIR_TEMPERATURE, sign, 2.0, 0.5)
    seen = event.happened(np.array(values))
    for value, yes in zip(values, seen, strict=True):
        assert bool(yes) == bool(_by_definition([value], sign, 1))


@given(VALUES, st.integers(1, 4), st.integers(0, 9))
def test_runs_are_hours_in_a_row_without_a_missing_one(
    values: list[float], for_h: int, gap: int
) -> None:
    """A gap between two times and a missing value both end a run."""
    times = [START + (i + (i > gap)) * HOUR for i in range(len(values))]
    known = np.isfinite(values)
    found = [run.start for run in events.runs(times, known, for_h)]
    expected = [
        start
        for start in range(len(values) - for_h + 1)
        if known[start : start + for_h].all() and not start <= gap < start + for_h - 1
    ]
    assert found == expected
