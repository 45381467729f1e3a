"""Where, when and how surely a candidate errs: scores by season, block of the day, station, event.

Pure. Seasons and blocks of three hours are those of the target hour in Korean time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from edge_agent.contract import residuals
from edge_agent.contract.stations import by_terrain
from trainer.evaluation.daily_sums import SEASONS
from trainer.evaluation.event_scores import brier, contingency, reliability, slope
from trainer.evaluation.events import EVENTS, normal_probability
from trainer.evaluation.point_scores import common
from trainer.evaluation.quantile_scores import crps_quantiles, interval_score, pit_histogram

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import polars as pl

    from edge_agent.contract.forecast import TargetForecast


class Part(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Scores of a slice, in the target's unit; a JSON array [rows, rmse, mae, bias]."""

    rows: int
    rmse: float
    mae: float
    bias: float


class Spread(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How well a distribution holds, over the hours of a lead or of one season of it.

    Attributes:
        rows: Hours.
        crps: Mean CRPS, in the target's unit.
        crps_climatology: The same of the normals with their own spread.
        coverage_80: Share of observations in the 80 % interval.
        coverage_90: Share in the 90 % interval.
        interval_80: Mean interval score of the 80 % interval.
        pit: Shares of observations by tenth of the distribution, 10 numbers; flat = 0.1.
    """

    rows: int
    crps: float
    crps_climatology: float
    coverage_80: float
    coverage_90: float
    interval_80: float
    pit: tuple[float, ...]


class Warned(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Warnings of one event at one lead; a score that cannot be formed is null.

    Attributes:
        base_rate: Share of hours with the event.
        brier: Mean of (p - o)^2.
        brier_skill: Against the normal rate by month and hour.
        reliability: Part of the Brier score; 0 is perfect.
        resolution: Part of it; more is better.
        uncertainty: Part of it, the weather's own.
        slope: Of happened on said; 1 is reliable.
        points: [mean probability, seen frequency, hours] by tenth of probability.
        at: Probability from which a warning is served.
        pod: Share of events that were warned of.
        far: Share of warnings that were false.
        csi: Hits among warnings and misses.
        ets: The same without the hits of chance.
        sedi: Symmetric extremal dependence index.
        bias: Warnings per event.
    """

    base_rate: float
    brier: float
    brier_skill: float | None
    reliability: float
    resolution: float
    uncertainty: float
    slope: float | None
    points: tuple[tuple[float, float, int], ...]
    at: float
    pod: float | None
    far: float | None
    csi: float | None
    ets: float | None
    sedi: float | None
    bias: float | None


class Detail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything about one target beyond its scores by lead.

    Attributes:
        parts: Forecast -> lead -> slice -> scores. Slices: `DJF` .. `SON`, `00` .. `21` (first
            hour of a block), `DJF 00` .. (the model's only), `station 108` .., with several
            stations `coast`, `inland`, `mountain`.
        spread: Lead -> slice (`all`, `DJF` .. `SON`) -> how the model's distribution holds.
        events: Event -> lead -> warnings.
    """

    parts: dict[str, dict[int, dict[str, Part]]]
    spread: dict[int, dict[str, Spread]]
    events: dict[str, dict[int, Warned]]


def parts(
    forecasts: Mapping[str, np.ndarray],
    truth: np.ndarray,
    leads: np.ndarray,
    times: pl.Series,
    stations: np.ndarray,
    *,
    crossed: str,
) -> dict[str, dict[int, dict[str, Part]]]:
    """Scores by lead and slice, at each lead on the hours that all its forecasts know.

    Args:
        forecasts: By name, shape (N,); NaN where a forecast has none.
        truth: Shape (N,), NaN = none.
        leads: Shape (N,).
        times: Target hours, UTC, length N.
        stations: KMA number of each hour, shape (N,).
        crossed: The forecast that is also told by season and block together.
    """
    season, block = residuals.cells(times)
    by_name: dict[str, dict[int, dict[str, Part]]] = {name: {} for name in forecasts}
    for lead in np.unique(leads):
        rows = np.flatnonzero(leads == lead)
        present = {n: v[rows] for n, v in forecasts.items() if np.isfinite(v[rows]).any()}
        known = rows[common(truth[rows], present)]
        for name in present:
            error = (forecasts[name] - truth)[known]
            slices = _slices(season[known], block[known], stations[known], both=name == crossed)
            by_name[name][int(lead)] = {
                label: _part(error[mask]) for label, mask in slices if mask.any()
            }
    return by_name


def spread(
    model: TargetForecast, normal: TargetForecast, truth: np.ndarray, times: pl.Series
) -> dict[str, Spread]:
    """How the distributions of one lead hold, overall and by season.

    Args:
        model: Shape (N,) and (N, Q).
        normal: Of the normals, the same hours.
        truth: Shape (N,), NaN = none.
        times: Target hours, UTC.
    """
    season, _ = residuals.cells(times)
    known = np.isfinite(truth)
    masks = {"all": known} | {name: known & (season == s) for s, name in enumerate(SEASONS)}
    return {name: _spread(model, normal, truth, mask) for name, mask in masks.items() if mask.any()}


def events(
    target: str,
    model: TargetForecast,
    truth: np.ndarray,
    times: pl.Series,
    rates: Mapping[str, np.ndarray],
) -> dict[str, Warned]:
    """Warnings of every event of a target at one lead.

    Args:
        target: Quantity.
        model: Distributions, N hours.
        truth: Shape (N,), NaN = none.
        times: Target hours, UTC.
        rates: Event -> its normal rates, shape (12, 24).
    """
    known = np.isfinite(truth)
    warnings = {}
    for event in EVENTS:
        if event.target != target or not known.any():
            continue
        said = model.probability(event.operator, event.threshold)[known]
        seen = event.happened(truth[known])
        normal = normal_probability(rates[event.name], times.filter(known))
        warnings[event.name] = _warned(event.served, said, seen, normal)
    return warnings


def _slices(
    season: np.ndarray, block: np.ndarray, stations: np.ndarray, *, both: bool
) -> Iterator[tuple[str, np.ndarray]]:
    for s, name in enumerate(SEASONS):
        yield name, season == s
    for b in range(residuals.BLOCKS):
        yield f"{3 * b:02d}", block == b
    if both:
        for s, name in enumerate(SEASONS):
            for b in range(residuals.BLOCKS):
                yield f"{name} {3 * b:02d}", (season == s) & (block == b)
    numbers = [int(number) for number in np.unique(stations)]
    for number in numbers:
        yield f"station {number}", stations == number
    for terrain, here in by_terrain(numbers).items():
        yield terrain, np.isin(stations, here)


def _part(error: np.ndarray) -> Part:
    return Part(
        rows=len(error),
        rmse=_round(np.sqrt(np.mean(error**2))),
        mae=_round(np.mean(np.abs(error))),
        bias=_round(np.mean(error)),
    )


def _spread(
    model: TargetForecast, normal: TargetForecast, truth: np.ndarray, mask: np.ndarray
) -> Spread:
    observed, quantiles, levels = truth[mask], model.quantiles[mask], model.levels
    low, high, lowest, highest = (
        quantiles[:, int(np.argmin(np.abs(levels - level)))] for level in (0.1, 0.9, 0.05, 0.95)
    )
    return Spread(
        rows=int(mask.sum()),
        crps=_round(crps_quantiles(observed, quantiles, levels).mean()),
        crps_climatology=_round(
            crps_quantiles(observed, normal.quantiles[mask], normal.levels).mean()
        ),
        coverage_80=_round(np.mean((observed >= low) & (observed <= high))),
        coverage_90=_round(np.mean((observed >= lowest) & (observed <= highest))),
        interval_80=_round(interval_score(observed, low, high, 0.8).mean()),
        pit=tuple(_round(share) for share in pit_histogram(observed, quantiles, levels)),
    )


def _warned(at: float, said: np.ndarray, seen: np.ndarray, normal: np.ndarray) -> Warned:
    score, against = brier(said, seen), brier(normal, seen)
    split = reliability(said, seen.astype(np.float64))
    table = contingency(said >= at, seen)
    happened = seen.astype(np.float64)
    return Warned(
        base_rate=_round(seen.mean()),
        brier=_round(score),
        brier_skill=_known(1.0 - score / against) if against > 0.0 else None,
        reliability=_round(split.reliability),
        resolution=_round(split.resolution),
        uncertainty=_round(split.uncertainty),
        slope=_known(
            slope(
                float(len(said)),
                float(said.sum()),
                float(happened.sum()),
                float((said**2).sum()),
                float((said * happened).sum()),
            )
        ),
        points=tuple((_round(p), _round(o), n) for p, o, n in split.points),
        at=at,
        pod=_known(table.pod),
        far=_known(table.far),
        csi=_known(table.csi),
        ets=_known(table.ets),
        sedi=_known(table.sedi),
        bias=_known(table.bias),
    )


def _known(value: float) -> float | None:
    return _round(value) if np.isfinite(value) else None


def _round(value: float | np.floating) -> float:
    return round(float(value), 5)
