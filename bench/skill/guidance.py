"""Forecasts of past hours against what came, and beside KMA's own forecasts.

    python -m bench.skill.guidance OUT.parquet --observations FILE... [--guidance FILE...]
        [--station N] [--from TIME] [--to TIME]

OUT.parquet is what `edge-agent replay --forecasts` or `trainer forecast` wrote (docs/replay.md);
--from and --to choose by the time of the decision. Printed for each quantity, lead and season:

    hours, RMSE, bias
    share of hours within p10 to p90
    loss: twice the mean pinball loss of p10, p50 and p90, which is near the CRPS
    raw: RMSE of KMA's newest readable forecast on the hours that KMA has a value for, and the ratio
        of the own RMSE to it on the same hours; the ratio of the losses, where the raw forecast has
        the quantiles of its errors at this lead in the year before the first decision; without
        observations of that year those of its errors on these hours (which is in its favour); the
        ratio of the RMSE on every hour, with straight lines between KMA's values

and for each quantity the steps from hour to hour within a forecast: the lead whose mean step is the
largest multiple of the usual one at these hours of the day, the same where the source changes, and
the largest single step beside the largest change from hour to hour that was observed. At last, for
each built-in rule (`bench.skill.guidance_events`): CSI, POD and FAR over the 24 hours after a
decision, and how often the hours of each tenth of the chance came true.
"""

from __future__ import annotations

import argparse
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from bench.skill import guidance_events
from bench.skill.guidance_events import LEVELS
from edge_agent.contract import schema
from edge_agent.contract.bundles import ISSUED, VALID
from edge_agent.contract.schema import QUANTITIES, TARGETS, TIME
from edge_agent.contract.stations import station
from edge_agent.replay import history_files
from edge_agent.replay.replay import READABLE_AFTER

if TYPE_CHECKING:
    from collections.abc import Sequence

LEADS = (1, 3, 6, 12, 24, 36, 48)
SEASONS = ("DJF", "MAM", "JJA", "SON")
_ALWAYS = (datetime(1900, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
AROUND = 6
"""Hours before and after those of a forecast, so that lines have both of their ends."""
FEWEST = 24
"""Hours below which nothing is printed."""
YEAR = timedelta(days=365)


def with_truth(
    forecasts: pl.DataFrame, hours: pl.DataFrame, guidance: pl.DataFrame | None
) -> pl.DataFrame:
    """Rows with what was observed (`truth`), KMA's forecast and the season's number.

    KMA's forecast is `raw` where it has the hour, and `line` on a straight line between such hours.
    `error_p10` and so on are quantiles of observed minus `raw` in the year before the first
    decision, by lead; null where that year has too few.

    Args:
        forecasts: `forecast_table.SCHEMA`.
        hours: `time` and quantities, in UTC.
        guidance: Columns of `bundles.GUIDANCE`, or None.
    """
    truth = hours.unpivot(TARGETS, index=TIME, variable_name="quantity", value_name="truth")
    rows = forecasts.join(truth, left_on=["valid_at", "quantity"], right_on=[TIME, "quantity"])
    rows = rows.with_columns(season=pl.col("valid_at").dt.month() % 12 // 3)
    if guidance is None:
        return rows.with_columns(
            pl.lit(None, pl.Float64).alias(name)
            for name in ("raw", "line", *(f"error_{name}" for name in LEVELS))
        )
    rows = rows.join(
        _readable(forecasts["issued_at"].unique(), guidance),
        on=["issued_at", "valid_at", "quantity"],
        how="left",
    )
    first = forecasts.sort("issued_at")["issued_at"][0]
    return rows.join(_past_errors(first, truth, guidance), on=["quantity", "lead_h"], how="left")


def _past_errors(first: datetime, truth: pl.DataFrame, guidance: pl.DataFrame) -> pl.DataFrame:
    """Quantiles of observed minus KMA's forecast in the year before a decision, by lead."""
    before = first - timedelta(hours=max(schema.LEADS) + 1)
    decisions = pl.datetime_range(first - YEAR, before, "1h", eager=True).alias("issued_at")
    raw = _readable(decisions.cast(schema.TIME_DTYPE), guidance).drop_nulls("raw")
    pairs = raw.join(truth, left_on=["valid_at", "quantity"], right_on=[TIME, "quantity"])
    lead = (pl.col("valid_at") - pl.col("issued_at").dt.truncate("1h")).dt.total_hours()
    return (
        pairs.drop_nulls("truth")
        .filter(pl.len().over("quantity", lead) >= FEWEST)
        .group_by("quantity", lead_h=lead.cast(pl.Int32))
        .agg(
            (pl.col("truth") - pl.col("raw")).quantile(level, "linear").alias(f"error_{name}")
            for name, level in LEVELS.items()
        )
    )


def _readable(decisions: pl.Series, guidance: pl.DataFrame) -> pl.DataFrame:
    """KMA's forecast as it could be read at each decision: `raw` and `line`, see `with_truth`."""
    around = pl.DataFrame({"hours": range(1 - AROUND, max(schema.LEADS) + AROUND)})
    hours = decisions.sort().to_frame().join(around, how="cross")
    full = pl.col("issued_at").dt.truncate("1h") + pl.duration(hours="hours")
    hours = hours.select("issued_at", valid_at=full).join(
        pl.DataFrame({"quantity": TARGETS}), how="cross", maintain_order="left"
    )
    issues = guidance.unpivot(
        TARGETS, index=[ISSUED, VALID], variable_name="quantity", value_name="raw"
    )
    issues = issues.drop_nulls("raw").with_columns(readable=pl.col(ISSUED) + READABLE_AFTER)
    # The newest issue that has the hour: an older one where the newest does not reach it.
    found = hours.join_asof(
        issues.sort("readable").drop(ISSUED),
        left_on="issued_at",
        right_on="readable",
        by_left=["valid_at", "quantity"],
        by_right=[VALID, "quantity"],
        check_sortedness=False,
    ).drop("readable")
    line = pl.col("raw").interpolate_by("valid_at").over("issued_at", "quantity")
    return found.with_columns(line=line)


def rmse(errors: np.ndarray) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(errors**2)))


def loss(truth: np.ndarray, quantiles: dict[str, np.ndarray]) -> float:
    """Twice the mean pinball loss of the quantiles."""
    parts = [
        np.maximum(level * (truth - quantiles[name]), (level - 1) * (truth - quantiles[name]))
        for name, level in LEVELS.items()
    ]
    return 2 * float(np.mean(parts))


def scores(rows: pl.DataFrame) -> str | None:
    """One line about the rows of one quantity, lead and season; None where they are too few."""
    known = rows.filter(pl.col("truth").is_not_null())
    if known.height < FEWEST:
        return None
    truth, value = known["truth"].to_numpy(), known["value"].to_numpy()
    quantiles = {name: known[name].to_numpy() for name in LEVELS}
    inside = np.mean((truth >= quantiles["p10"]) & (truth <= quantiles["p90"]))
    line = (
        f"{known.height:6} hours, RMSE {rmse(truth - value):6.3f}, bias "
        f"{np.mean(value - truth):+6.3f}, 80 % covers {inside:.3f}, loss "
        f"{loss(truth, quantiles):.3f}"
    )
    both = known["raw"].is_not_null().to_numpy()
    if both.sum() < FEWEST:
        return line
    truth, raw = truth[both], known["raw"].to_numpy()[both]
    errors = truth - raw
    own = {name: values[both] for name, values in quantiles.items()}
    year_before = {name: known[f"error_{name}"][0] for name in LEVELS}
    spread = {
        name: raw + (np.quantile(errors, level) if year_before[name] is None else year_before[name])
        for name, level in LEVELS.items()
    }
    return (
        f"{line}; raw {rmse(errors):.3f} on {both.sum()}, ratio "
        f"{_ratio(rmse(truth - value[both]), rmse(errors)):.3f}, of the losses "
        f"{_ratio(loss(truth, own), loss(truth, spread)):.3f}, with lines between "
        f"{_by_lines(known):.3f}"
    )


def _by_lines(rows: pl.DataFrame) -> float:
    rows = rows.filter(pl.col("line").is_not_null())
    truth = rows["truth"].to_numpy()
    return _ratio(rmse(truth - rows["value"].to_numpy()), rmse(truth - rows["line"].to_numpy()))


def _ratio(own: float, other: float) -> float:
    return own / other if other else math.inf


def steps(rows: pl.DataFrame, observed: pl.Series) -> str:
    """Lines about the steps from hour to hour in the forecasts of one quantity.

    Args:
        rows: Every lead.
        observed: Hourly observations of the quantity, ascending.
    """
    rows = rows.sort("issued_at", "valid_at").with_columns(
        step=pl.col("value").diff().over("issued_at").abs(),
        turn=(pl.col("source") != pl.col("source").shift()).over("issued_at"),
        after=(pl.col("valid_at").diff().over("issued_at")),
    )
    rows = rows.filter(pl.col("after") == pl.duration(hours=1)).with_columns(
        usual=pl.col("step").mean().over(pl.col("valid_at").dt.hour())
    )
    if rows.height == 0:
        return "steps: none"
    by_lead = rows.group_by("lead_h").agg(ratio=pl.col("step").mean() / pl.col("usual").mean())
    lead, ratio = by_lead.sort("ratio").row(-1)
    turns = rows.filter("turn").select("step", "usual").sum()
    at_turn, most = "none", rows.sort("step").row(-1, named=True)
    if number := rows["turn"].sum():
        at_turn = f"{_ratio(*turns.row(0)):.2f} ({number} times)"
    changes = observed.diff().abs().drop_nulls().to_numpy()
    return (
        f"steps: largest mean {ratio:.2f} of the usual one, to {lead} h; where the source changes "
        f"{at_turn}; largest {most['step']:.2f} (issued {most['issued_at']:%Y-%m-%d %H:%M}, to "
        f"{most['lead_h']} h), observed {changes.max(initial=0.0):.2f}"
    )


def report(rows: pl.DataFrame, hours: pl.DataFrame) -> list[str]:
    """Everything that is printed."""
    lines = []
    for name in TARGETS:
        of_target = rows.filter(pl.col("quantity") == name)
        for lead in LEADS:
            of_lead = of_target.filter(pl.col("lead_h") == lead)
            parts = {"all": of_lead}
            parts |= {s: of_lead.filter(pl.col("season") == i) for i, s in enumerate(SEASONS)}
            for season, part in parts.items():
                text = scores(part)
                if text:
                    lines.append(f"{QUANTITIES[name].short_name} {lead:2} h {season}: {text}")
        lines.append(f"{QUANTITIES[name].short_name} {steps(of_target, hours[name])}")
    return [*lines, *guidance_events.report(rows)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("forecasts", type=Path)
    parser.add_argument("--observations", type=Path, action="append", required=True)
    parser.add_argument("--guidance", type=Path, action="append", default=[])
    parser.add_argument("--station", type=int, default=108, help="of files with several")
    parser.add_argument("--from", dest="first", type=_time, default=_ALWAYS[0], metavar="TIME")
    parser.add_argument("--to", dest="last", type=_time, default=_ALWAYS[1], metavar="TIME")
    chosen = parser.parse_args(arguments)
    forecasts = pl.read_parquet(chosen.forecasts)
    forecasts = forecasts.filter(pl.col("issued_at").is_between(chosen.first, chosen.last))
    site = station(chosen.station).site
    hours = history_files.observations(chosen.observations, chosen.station, site)
    guidance = history_files.guidance(chosen.guidance) if chosen.guidance else None
    print("\n".join(report(with_truth(forecasts, hours, guidance), hours)))


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


if __name__ == "__main__":
    main()
