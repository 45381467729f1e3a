"""Targets that not every release forecasts: wind speed, where stations measure it.

Its model reads the matrix of `contract.features`, which stays as it is, and the columns of `ADDED`:
the normal of the target hour, the newest anomalies, the level, and the base, from which the model
predicts the change. The level is the mean of the last week minus its normal: anemometers move, and
trees and houses grow around them (Seoul: 2.8 m/s in 2013, 1.7 m/s in 2018). The base is persistence
blended with climatology around the normal plus `LEVEL_SHARE` of the level.

Errors of wind grow with the wind: intervals are those of errors divided by `spread`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from edge_agent.contract import climatology, damped_persistence, features, rolling
from edge_agent.contract.decoder_words import in_words
from edge_agent.contract.errors import BadData
from edge_agent.contract.feature_table import Window
from edge_agent.contract.golden_windows import Inputs
from edge_agent.contract.hours import hour_of
from edge_agent.contract.manifest import ResidualTable
from edge_agent.contract.quality import clean
from edge_agent.contract.schema import LEADS, QUANTITIES, TIME, WIND_SPEED

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from edge_agent.contract.features import Place

ADDED: Final = {
    WIND_SPEED: (
        "target_normal_wind_speed",
        "wind_speed_anomaly",
        "same_hour_wind_speed_anomaly_0d",
        "wind_speed_level",
        "base",
    ),
}
"""Columns behind those of `features.FEATURES`, by target."""

WEEK_H: Final = 7 * 24
LEVEL_SHARE: Final = 0.5
"""Share of the level that the base takes; the trees correct it."""
CALM: Final = 0.3
"""In m/s: errors of Seoul, divided by the forecast plus this much, have about the same size at
light and at strong wind."""

REVISION: Final = 1
"""Raise whenever the numbers change though the names do not."""

_LEAD: Final = features.FEATURES.index("lead")
_SHARES_DIGITS: Final = 6


class Tables(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a release holds of one target beside its model.

    Attributes:
        normals: By station id, `climatology.COEFFICIENTS` numbers; stations without it lack.
        residuals: Errors of the model divided by `spread`.
        widening: By group of `missing_inputs`, factor of the spread at each lead of `residuals`.
    """

    normals: dict[str, tuple[float, ...]]
    residuals: ResidualTable
    widening: dict[str, tuple[float, ...]]


def names(target: str) -> tuple[str, ...]:
    """Ordered columns of a target's matrix."""
    return (*features.FEATURES, *ADDED[target])


def digest(target: str) -> str:
    """SHA-256 of the meaning of a target's matrix."""
    leads = np.array(LEADS)
    shares = [
        np.round(row, _SHARES_DIGITS).tolist() for row in damped_persistence.shares(target, leads)
    ]
    meaning = [REVISION, features.digest(), names(target), shares[:2], WEEK_H, LEVEL_SHARE, CALM]
    return hashlib.sha256(json.dumps(meaning).encode()).hexdigest()


def decode_tables(content: bytes) -> Tables:
    """Tables from their bytes.

    Raises:
        BadData: Not JSON, a field missing, unknown or of the wrong type.
    """
    try:
        return msgspec.json.decode(content, type=Tables)
    except (msgspec.DecodeError, msgspec.ValidationError) as fault:
        raise BadData(f"optional target: {in_words(fault)}") from fault


def recent(target: str, table: pl.DataFrame) -> np.ndarray:
    """Mean of the last week at each hour of a feature table, float64; NaN = too few hours."""
    name = QUANTITIES[target].short_name
    (means,) = rolling.statistics(
        table[name].to_numpy().astype(np.float64), [Window(name, "mean", WEEK_H)]
    )
    return np.asarray(means, np.float64)


@dataclass(frozen=True, slots=True)
class Pairs:
    """N pairs of origin and lead at one place.

    Attributes:
        matrix: Output of `features.matrix`, float32 (N, F).
        recent: Output of `recent` at the origins, shape (N,).
        hours: Target hours since 1970, integers, shape (N,).
    """

    matrix: np.ndarray
    recent: np.ndarray
    hours: np.ndarray


def extended(target: str, pairs: Pairs, normals: Sequence[float]) -> np.ndarray:
    """Inputs of a target's model.

    Args:
        target: One of `schema.OPTIONAL_TARGETS`.
        pairs: What is forecast.
        normals: Of the place.

    Returns:
        Float32, shape (N, len(names(target))); NaN = missing. The base is NaN where the newest
        value is.
    """
    return np.hstack([pairs.matrix, added(target, pairs, normals)])


def added(target: str, pairs: Pairs, normals: Sequence[float]) -> np.ndarray:
    """Columns of `ADDED`, float32 (N, A); arguments as for `extended`."""
    name = QUANTITIES[target].short_name
    table = climatology.table(normals)
    leads = pairs.matrix[:, _LEAD].astype(np.int64)
    hours = pairs.hours
    origins, same_hours = hours - leads, hours - 24 * ((leads + 23) // 24)
    ahead, now, same = (table[_day_of_year(at), at % 24] for at in (hours, origins, same_hours))
    level = pairs.recent - table.mean(axis=1)[_day_of_year(origins - WEEK_H // 2)]
    newest = _column(pairs.matrix, name) - now
    before = _column(pairs.matrix, f"same_hour_{name}_0d") - same
    moved = LEVEL_SHARE * np.where(np.isfinite(level), level, 0.0)
    of_now, of_same, _ = damped_persistence.shares(target, leads)
    base = ahead + moved + of_now * (newest - moved)
    base += of_same * (np.where(np.isfinite(before), before, newest) - moved)
    base = np.clip(base, *QUANTITIES[target].bounds)
    return np.stack([ahead, newest, before, level, base], axis=1).astype(np.float32)


def spread(points: np.ndarray) -> np.ndarray:
    """What errors of forecasts (shape (N,)) are divided by: they grow with the wind, float64."""
    grown: np.ndarray = np.asarray(points, np.float64) + CALM
    return grown


def window_inputs(target: str) -> Inputs:
    """What golden windows hold; their places have normals of the target too."""

    def matrix(place: Place, frame: pl.DataFrame, leads: tuple[int, ...]) -> np.ndarray:
        cleaned = clean(frame)
        origins, ahead = np.full(len(leads), cleaned.height - 1), np.array(leads)
        table = features.compute(cleaned, place)
        pairs = Pairs(
            features.matrix(table, origins, ahead),
            recent(target, table)[origins],
            hour_of(cleaned[TIME][-1]) + ahead,
        )
        return extended(target, pairs, place.normals[target])

    return Inputs(names(target), matrix)


def _day_of_year(hours: np.ndarray) -> np.ndarray:
    """Row of `climatology.table` at hours since 1970."""
    days = (hours // 24).astype("datetime64[D]")
    of_year: np.ndarray = (days - days.astype("datetime64[Y]")).astype(np.intp)
    return of_year


def _column(matrix: np.ndarray, name: str) -> np.ndarray:
    column: np.ndarray = matrix[:, features.FEATURES.index(name)].astype(np.float64)
    return column
