"""Scores of `bench.skill.guidance` on forecasts whose errors are known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from bench.skill import guidance as bench
from bench.skill import guidance_events
from edge_agent.contract.bundles import GUIDANCE, ISSUED, VALID
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, TIME, TIME_DTYPE
from edge_agent.replay.forecast_table import SCHEMA
from edge_agent.settings import Rule

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

HOUR = timedelta(hours=1)
FIRST = datetime(2019, 7, 1, tzinfo=UTC)
HOURS = 24 * 6


def truth(at: datetime) -> float:
    """Degrees that rise and fall in the day by one an hour."""
    return 15.0 + abs(12 - at.hour)


def observed() -> pl.DataFrame:
    """Hours of both quantities."""
    times = [FIRST + n * HOUR for n in range(HOURS + 49)]
    degrees = [truth(at) for at in times]
    columns = {TIME: times, AIR_TEMPERATURE: degrees, RELATIVE_HUMIDITY: [50.0] * len(times)}
    return pl.DataFrame(columns, schema_overrides={TIME: TIME_DTYPE})


def forecasts(error: float, jump: float = 0.0) -> pl.DataFrame:
    """Every hour 48 hours of temperature, with p10 to p90 of 2 C around them; `jump` from 30 h."""
    rows = []
    for n in range(HOURS):
        full = FIRST + n * HOUR
        for lead in range(1, 49):
            valid, far = full + lead * HOUR, lead >= 30
            value = truth(valid) + error + jump * far
            source = "climatology" if far and jump else "model"
            numbers = (value, value - 2, value, value + 2)
            rows.append((full + 2 * HOUR / 60, valid, lead, AIR_TEMPERATURE, *numbers, source, 1))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def issues() -> pl.DataFrame:
    """An issue each three hours, each with the number of its hour in the day added as an error."""
    rows = []
    for n in range(-46, HOURS, 3):
        issued = FIRST + n * HOUR
        for lead in range(4, 67, 3):
            valid = issued + lead * HOUR
            rows.append({ISSUED: issued, VALID: valid, AIR_TEMPERATURE: truth(valid) + issued.hour})
    return pl.DataFrame(rows, schema=GUIDANCE)


def every_hour(error: float) -> pl.DataFrame:
    """The same issues with every hour, each value too warm by one number."""
    frames = [issues().with_columns(pl.col(VALID) + n * HOUR) for n in range(3)]
    warm = pl.col(VALID).map_elements(truth, pl.Float64) + error
    return pl.concat(frames).with_columns(warm.alias(AIR_TEMPERATURE))


def line_of(lines: list[str], start: str) -> str:
    """The only line that begins so."""
    (line,) = [line for line in lines if line.startswith(start)]
    return line


def test_the_raw_forecast_is_the_newest_that_was_readable() -> None:
    """An issue counts ten minutes after its base time; between its hours there is a line."""
    rows = bench.with_truth(forecasts(1.0), observed(), issues())
    known = rows.filter(pl.col("raw").is_not_null(), pl.col("lead_h") == 24)
    error = (known["raw"] - known["truth"]).cast(pl.Int64)
    # Of the decision of 05:02 the newest issue is that of 02 h.
    newest = (known["issued_at"] - timedelta(minutes=10)).dt.hour()
    expected = [hour - (hour - 2) % 3 for hour in newest.to_list()]
    assert [value % 24 for value in error.to_list()] == [value % 24 for value in expected]
    assert rows["raw"].null_count() > rows.height // 2
    assert rows["line"].null_count() == 0


def test_figures_are_those_of_the_errors() -> None:
    """RMSE, bias, cover and ratio of a forecast that is a degree too warm beside one two off."""
    two_off = issues().with_columns(
        pl.col(VALID).map_elements(truth, pl.Float64).alias(AIR_TEMPERATURE) + 2.0
    )
    rows = bench.with_truth(forecasts(1.0), observed(), two_off)
    line = line_of(bench.report(rows, observed()), "temperature 24 h all")
    assert "   144 hours, RMSE  1.000, bias +1.000, 80 % covers 1.000" in line
    assert "raw 2.000 on 48, ratio 0.500" in line
    outside = bench.with_truth(forecasts(-3.0), observed(), None)
    line = line_of(bench.report(outside, observed()), "temperature 24 h JJA")
    # Two thirds of 5 C at a tenth, 3 C at a half and 1 C at nine tenths.
    assert line.endswith("RMSE  3.000, bias -3.000, 80 % covers 0.000, loss 1.933")


def test_a_step_at_a_lead_is_found() -> None:
    """Six degrees at 30 h stand out, at the lead and at the change of source."""
    smooth = bench.with_truth(forecasts(0.0), observed(), None)
    line = line_of(bench.report(smooth, observed()), "temperature steps")
    assert line.startswith("temperature steps: largest mean 1.00 of the usual one")
    assert "source changes none" in line
    rough = bench.with_truth(forecasts(0.0, jump=6.0), observed(), None)
    line = line_of(bench.report(rough, observed()), "temperature steps")
    assert ", to 30 h; where the source changes" in line
    assert "(144 times); largest 7.00" in line


def test_the_command_reads_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A part of the period, by the time of the decision."""
    forecasts(1.0).write_parquet(tmp_path / "f.parquet")
    observed().write_parquet(tmp_path / "o.parquet")
    issues().write_parquet(tmp_path / "g.parquet")
    files = ["--observations", str(tmp_path / "o.parquet"), "--guidance"]
    period = ["--from", "2019-07-02", "--to", "2019-07-04T23:30Z"]
    bench.main([str(tmp_path / "f.parquet"), *files, str(tmp_path / "g.parquet"), *period])
    said = capsys.readouterr().out
    assert "temperature 24 h all:     72 hours, RMSE  1.000" in said
    assert "raw" in said


def test_the_raw_forecast_has_the_errors_of_the_year_before() -> None:
    """Two degrees too warm before the first decision and four after it: its p50 is 2 C off."""
    decisions = pl.col("issued_at") >= FIRST + 4 * 24 * HOUR
    guidance = pl.concat(
        [
            every_hour(2.0).filter(pl.col(VALID) < FIRST + 4 * 24 * HOUR),
            every_hour(4.0).filter(pl.col(VALID) >= FIRST + 4 * 24 * HOUR),
        ]
    )
    rows = bench.with_truth(forecasts(0.0).filter(decisions), observed(), guidance)
    line = line_of(bench.report(rows, observed()), "temperature 24 h all")
    # 0.267 of the forecast, whose p10 and p90 are 2 C off, over 2.0.
    assert "raw 4.000 on 48, ratio 0.000, of the losses 0.133" in line


def test_an_event_counts_in_the_day_after_a_decision() -> None:
    """One hour of 31 C is in 24 windows; a forecast of 30 C in every one, and KMA's of 29 C."""
    hot = pl.when(pl.col(TIME) == FIRST + 60 * HOUR).then(31.0).otherwise(AIR_TEMPERATURE)
    hours = observed().with_columns(hot.alias(AIR_TEMPERATURE))
    rows = bench.with_truth(forecasts(3.0), hours, every_hour(2.0))
    line = line_of(bench.report(rows, hours), "heat, 24 of 144 windows")
    own = "CSI 0.167 (POD 1.00, FAR 0.83)"
    assert f"by its chance {own}; on 144 with KMA's: points {own}, raw CSI 0.000" in line


def test_chances_follow_from_three_quantiles() -> None:
    """A half at p50, a tenth at p90, and a normal distribution between them."""
    row = {"value": [30.0], "p10": [29.0], "p50": [30.0], "p90": [34.0]}
    for threshold, chance in ((29.0, 0.9), (30.0, 0.5), (34.0, 0.1), (32.0, 0.26)):
        rule = Rule(name="warm", quantity=AIR_TEMPERATURE, operator=">=", threshold=threshold)
        assert abs(guidance_events.chances(pl.DataFrame(row), rule)[0] - chance) < 0.01
