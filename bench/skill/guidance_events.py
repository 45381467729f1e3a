"""Whether forecasts say what the built-in rules warn of, beside KMA's own forecast.

Each decision looks at the 24 hours after it, as the rules do. An event happened where an observed
hour meets the rule. It is forecast by points where a forecast hour meets it, and by its chance
where the highest chance of an hour reaches that of the rule.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from edge_agent.alerts import default_rules
from edge_agent.contract import residuals
from edge_agent.contract.events import meets
from edge_agent.contract.forecast import TargetForecast
from edge_agent.contract.schema import QUANTITIES, TARGETS
from edge_agent.settings import Config
from trainer.evaluation.event_scores import contingency, reliability

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_agent.settings import Rule
    from trainer.evaluation.event_scores import Contingency, Reliability

WINDOW_H = 24
"""Hours ahead in which a rule looks for its event."""
FEWEST_HOURS = 20
"""Observed hours below which a window without an event is not known to have none."""
FEWEST_OF_BIN = 100
"""Hours below which the frequency of a bin is not printed."""
LEVELS = {"p10": 0.1, "p50": 0.5, "p90": 0.9}


def rules() -> list[Rule]:
    """The built-in rules about a forecast quantity of the weather."""
    return [r for r in default_rules.rules(Config()) if r.quantity in TARGETS and not r.now]


def chances(rows: pl.DataFrame, rule: Rule) -> np.ndarray:
    """Chance that each hour meets a rule, shape (N,).

    The table of forecasts has three quantiles of the seventeen that a device has. The others are
    those of two halves of normal distributions that meet at p50 and go through p10 and p90.

    Args:
        rows: Of the rule's quantity, with `p10`, `p50`, `p90`.
        rule: Its operator and threshold count.
    """
    middle = rows["p50"].to_numpy()
    below, above = (np.abs(rows[name].to_numpy() - middle) for name in ("p10", "p90"))
    scores = np.array([NormalDist().inv_cdf(level) for level in residuals.LEVELS])
    width = np.where(scores < 0, below[:, None], above[:, None]) / NormalDist().inv_cdf(0.9)
    quantity = QUANTITIES[rule.quantity]
    target = TargetForecast(
        unit=quantity.unit,
        values=rows["value"].to_numpy(),
        levels=np.array(residuals.LEVELS),
        quantiles=np.clip(middle[:, None] + scores * width, *quantity.bounds),
    )
    return target.probability(rule.operator, rule.threshold)


def windows(rows: pl.DataFrame, rule: Rule) -> pl.DataFrame:
    """A row for each decision whose window is known.

    Args:
        rows: Output of `guidance.with_truth`.
        rule: A rule about a target.

    Returns:
        Columns `happened`, `points`, `chance` (the highest of an hour) and `raw`; the last is null
        where KMA's forecast does not reach over the window.
    """
    rows = rows.filter(pl.col("quantity") == rule.quantity, pl.col("lead_h") <= WINDOW_H)
    hours = rows.select(
        "issued_at",
        observed=pl.col("truth").is_not_null(),
        guided=pl.col("line").is_not_null(),
        chance=chances(rows, rule),
        **{name: _met(rows[name], rule) for name in ("truth", "value", "line")},
    )
    decisions = hours.group_by("issued_at", maintain_order=True).agg(
        pl.col("observed").sum(),
        happened=pl.col("truth").any(),
        points=pl.col("value").any(),
        chance=pl.col("chance").max(),
        raw=pl.when(pl.col("guided").sum() >= FEWEST_HOURS).then(pl.col("line").any()),
    )
    known = pl.col("happened") | (pl.col("observed") >= FEWEST_HOURS)
    return decisions.filter(known).drop("observed")


def _met(values: pl.Series, rule: Rule) -> pl.Series:
    """False where there is no value."""
    return pl.Series(meets(values.cast(float).to_numpy(), rule.operator, rule.threshold))


def hourly_reliability(rows: pl.DataFrame, rule: Rule) -> Reliability | None:
    """Chances of the hours of a window against what came; None without such hours."""
    rows = rows.filter(
        pl.col("quantity") == rule.quantity,
        pl.col("lead_h") <= WINDOW_H,
        pl.col("truth").is_not_null(),
    )
    if rows.is_empty():
        return None
    return reliability(chances(rows, rule), _met(rows["truth"], rule).to_numpy())


def report(rows: pl.DataFrame) -> Iterator[str]:
    """Lines about each rule whose event happened.

    Args:
        rows: Output of `guidance.with_truth`.
    """
    for rule in rules():
        decisions = windows(rows, rule)
        if not decisions["happened"].any():
            continue
        happened = decisions["happened"].to_numpy()
        warned = (decisions["chance"] >= rule.probability).to_numpy()
        line = (
            f"{rule.name}, {happened.sum()} of {decisions.height} windows: by its chance "
            f"{_scores(contingency(warned, happened))}"
        )
        guided = decisions.drop_nulls("raw")
        happened = guided["happened"].to_numpy()
        if happened.any():
            own = contingency(guided["points"].to_numpy(), happened)
            raw = contingency(guided["raw"].to_numpy(), happened)
            line += f"; on {guided.height} with KMA's: points {_scores(own)}, raw {_scores(raw)}"
        yield line
        if table := hourly_reliability(rows, rule):
            yield f"{rule.name}, hours by chance: {_bins(table)}"


def _scores(table: Contingency) -> str:
    return f"CSI {table.csi:.3f} (POD {table.pod:.2f}, FAR {table.far:.2f})"


def _bins(table: Reliability) -> str:
    shown = [
        f"{chance:.2f} came {frequency:.2f} ({hours})"
        for chance, frequency, hours in table.points
        if hours >= FEWEST_OF_BIN
    ]
    return ", ".join(shown) or f"no bin has {FEWEST_OF_BIN}"
