"""Models of optional targets, such as wind speed: from a release to a forecast."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from edge_agent.contract import (
    features,
    golden_windows,
    missing_inputs,
    optional_targets,
    residuals,
)
from edge_agent.contract.hours import hour_of
from edge_agent.contract.nearest import nearest_station
from edge_agent.contract.schema import LEADS, QUANTITIES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    import polars as pl

    from edge_agent.contract.features import Place
    from edge_agent.contract.forecast import Forecast, TargetForecast
    from edge_agent.contract.manifest import FileRef, Manifest, OptionalTarget, SiteNormals
    from edge_agent.contract.optional_targets import Tables
    from edge_agent.system.ports import Predictor


@dataclass(frozen=True, slots=True)
class OptionalModel:
    """A release's model of one target, with its normals and intervals."""

    predictor: Predictor
    tables: Tables


def computable(manifest: Manifest) -> Mapping[str, OptionalTarget]:
    """Optional targets whose inputs this program computes; the others are left alone."""
    return {
        target: part
        for target, part in manifest.optional.items()
        if target in optional_targets.ADDED and part.digest == optional_targets.digest(target)
    }


def load(manifest: Manifest, read: Callable[[FileRef], bytes]) -> dict[str, OptionalModel]:
    """Models of a release that this program can run, by target.

    Args:
        manifest: Names the files.
        read: Content of a file of the release.

    Raises:
        BadData: A model or its tables cannot be loaded.
    """
    from edge_agent.forecasting.inference import OnnxPredictor

    return {
        target: OptionalModel(
            OnnxPredictor(read(part.model.file), len(optional_targets.names(target)), target),
            optional_targets.decode_tables(read(part.tables)),
        )
        for target, part in computable(manifest).items()
    }


def replay(
    manifest: Manifest, models: Mapping[str, OptionalModel], read: Callable[[FileRef], bytes]
) -> None:
    """Recompute the golden windows of each model.

    Raises:
        BadData: See `golden_windows.replay`.
    """
    for target, model in models.items():
        golden_windows.replay(
            read(manifest.optional[target].golden),
            {target: model.predictor.predict},
            optional_targets.window_inputs(target),
        )


def targets_of(
    models: Mapping[str, OptionalModel],
    place: Place,
    stations: Mapping[str, SiteNormals],
    ahead: Ahead,
) -> dict[str, TargetForecast]:
    """Forecast of each optional target whose value is known in one of the newest hours.

    A relayed station, whose wind a farm without an anemometer takes, is an hour behind or two.

    Args:
        models: Of the release.
        place: Where.
        stations: Of the release; normals are those of the nearest that measures the target.
        ahead: Hours that are forecast; those beyond a model's longest lead are NaN.
    """
    found = {}
    for target, model in models.items():
        known = np.isfinite(ahead.table[QUANTITIES[target].short_name].to_numpy()[: ahead.row + 1])
        newest = np.flatnonzero(known)
        if len(newest) == 0 or ahead.row - newest[-1] > ahead.oldest_h:
            continue
        measured = {n: stations[n] for n in model.tables.normals if n in stations}
        normals = model.tables.normals[nearest_station(place.site, measured)]
        forecast = _forecast(target, model, normals, (int(newest[-1]), ahead))
        if forecast is not None:
            found[target] = forecast
    return found


def _forecast(
    target: str, model: OptionalModel, normals: Sequence[float], origin: tuple[int, Ahead]
) -> TargetForecast | None:
    row, ahead = origin
    tables = model.tables
    leads = ahead.leads + ahead.row - row
    inside = leads <= max(LEADS)
    leads = leads[inside]
    times = [at for at, there in zip(ahead.times, inside, strict=True) if there]
    matrix = features.matrix(ahead.table, np.full(len(leads), row), leads)
    recent = np.full(len(leads), optional_targets.recent(target, ahead.table)[row])
    pairs = optional_targets.Pairs(matrix, recent, np.array([hour_of(at) for at in times]))
    points = model.predictor.predict(optional_targets.extended(target, pairs, normals))
    if not np.isfinite(points).all():
        return None
    missing = missing_inputs.missing(matrix)
    widened = missing_inputs.widening(tables.widening, missing, tables.residuals.leads, leads)
    widened *= optional_targets.spread(points)
    forecast = residuals.apply(tables.residuals, target, points, times, leads, widened=widened)
    rows = np.where(inside, np.cumsum(inside) - 1, -1)
    return forecast if inside.all() else forecast.at_rows(rows)


@dataclass(frozen=True, slots=True)
class Ahead:
    """Hours of one forecast.

    Attributes:
        table: Output of `features.compute`.
        row: Of the origin in it.
        leads: Hours after the origin, shape (N,).
        times: The same as times, UTC, length N.
        oldest_h: Age at the origin beyond which no value is used.
    """

    table: pl.DataFrame
    row: int
    leads: np.ndarray
    times: Sequence[datetime]
    oldest_h: int


def with_others(forecast: Forecast, other: Forecast | None) -> Forecast:
    """The forecast with targets that only another one has, at its own hours.

    Args:
        forecast: What is added to.
        other: What is taken from; hours that it lacks are NaN.
    """
    names = [] if other is None else [n for n in other.targets if n not in forecast.targets]
    if other is None or not names:
        return forecast
    row_of = {at: row for row, at in enumerate(other.valid_at)}
    rows = np.array([row_of.get(at, -1) for at in forecast.valid_at], np.intp)
    made = {name: other.sources_of(name) for name in names}
    return replace(
        forecast,
        targets={**forecast.targets, **{n: other.targets[n].at_rows(rows) for n in names}},
        sources={
            **forecast.sources,
            **{n: tuple(made[n][row] for row in rows) for n in names},
        },
    )
