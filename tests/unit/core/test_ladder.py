"""Every forecast has its 48 hours, on whatever rung of the ladder."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from edge_agent.contract.bundles import GUIDANCE, ISSUED, VALID
from edge_agent.contract.forecast import Forecast, Source
from edge_agent.contract.schema import AIR_TEMPERATURE, LEADS, RELATIVE_HUMIDITY, WIND_SPEED
from tests.fakes.lying_sensor import HISTORY_H, OWN, farm, hours

if TYPE_CHECKING:
    from pathlib import Path

HOUR = timedelta(hours=1)
NIGHT = datetime(2027, 1, 15, 15, tzinfo=UTC)
WAVE = {
    at: 2 + 6 * np.cos((at.hour - 5) / 24 * 2 * np.pi)
    for at in (NIGHT - back * HOUR for back in range(HISTORY_H + 60))
}


def test_a_source_that_ends_shortens_no_forecast(tmp_path: Path) -> None:
    """Models, then an earlier forecast, then normals: 48 hours, each named, without a step."""
    rungs, cached = [], []
    with farm(tmp_path, {OWN: hours(WAVE)}) as (runtime, clock):
        for step in range(42):
            now = NIGHT + step * HOUR
            decision, _ = runtime.run_cycle()
            forecast = decision.forecast
            assert isinstance(forecast, Forecast)
            assert list(forecast.valid_at) == [now + lead * HOUR for lead in LEADS]
            made = forecast.sources_of(AIR_TEMPERATURE)
            end = list(made).index(Source.CLIMATOLOGY) if Source.CLIMATOLOGY in made else 48
            assert set(made[end:]) <= {Source.CLIMATOLOGY}
            rungs.append(forecast.source)
            if forecast.source is Source.CACHED:
                cached.append(end)
                # These models say one value for all hours, so the only steps are the normals'.
                values = forecast.targets[AIR_TEMPERATURE].values
                assert np.abs(np.diff(values)).max() < 2.0
            for target in forecast.targets.values():
                assert (np.diff(target.quantiles, axis=1) >= 0).all()
            clock.advance(3600)
        state = [e.message for e in runtime.outbox.due(None, limit=9999)]
    assert list(dict.fromkeys(rungs)) == [Source.MODEL, Source.CACHED, Source.CLIMATOLOGY]
    # What is stored holds no normals, so they are never taken for an earlier forecast.
    assert cached == list(range(cached[0], cached[0] - len(cached), -1))
    (newest,) = [m for m in state if m.topic.endswith("/forecast/temperature")][-1:]
    assert len(json.loads(newest.payload)["hours"]) == len(LEADS)


def _issue(issued: datetime, count: int, warmer: float) -> pl.DataFrame:
    """An issue of KMA's with a strong wind, so much warmer than the farm."""
    times = [issued + lead * HOUR for lead in range(1, count + 1)]
    values = {
        ISSUED: issued,
        VALID: times,
        AIR_TEMPERATURE: [2 + 6 * np.cos((at.hour - 5) / 24 * 2 * np.pi) + warmer for at in times],
        RELATIVE_HUMIDITY: 70.0,
        WIND_SPEED: 12.0,
    }
    issue = pl.DataFrame(values, schema_overrides=GUIDANCE)
    return pl.concat([GUIDANCE.to_frame(), issue], how="diagonal")


def test_an_issue_that_is_set_aside_gives_no_wind_either(tmp_path: Path) -> None:
    """M4: also where the one before has ended, so that KMA's forecast has no hour left."""
    with farm(tmp_path, {OWN: hours(WAVE)}) as (runtime, _):
        runtime.store.put_guidance(_issue(NIGHT - 12 * HOUR, 10, 0.0))
        runtime.store.put_guidance(_issue(NIGHT - 9 * HOUR, 60, 15.0))
        decision, _ = runtime.run_cycle()
    assert isinstance(decision.forecast, Forecast)
    assert any("set aside" in note for note in decision.forecast.notes)
    assert decision.forecast.points == {}
