"""Golden windows of the models that correct KMA's forecasts: see `contract.golden_windows`.

A window has observations up to its origin, the issues that could be read until then, and what
follows from both: inputs of each target's model, and its forecasts. Inputs are compared with a
tolerance, forecasts are made from the expected inputs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
import polars as pl

from edge_agent.contract.bundles import ISSUED, VALID
from edge_agent.contract.decoder_words import in_words
from edge_agent.contract.errors import BadData
from edge_agent.contract.golden_values import Comparison, Rows, matrix_of, rows_of
from edge_agent.contract.guidance_course import GuidanceCourse
from edge_agent.contract.guidance_features import NAMES, GuidanceInputs
from edge_agent.contract.hours import hour_of
from edge_agent.contract.quality import clean
from edge_agent.contract.schema import (
    AIR_TEMPERATURE,
    RAIN_CHANCE,
    RELATIVE_HUMIDITY,
    SKY,
    TARGETS,
    TIME,
    TIME_DTYPE,
    WIND_FROM_DIRECTION,
    WIND_SPEED,
    Site,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

FORMAT: Final = "farm-edge/guided-golden/1"
_TIMES: Final = (ISSUED, VALID)
_COLUMNS: Final = (
    *_TIMES,
    AIR_TEMPERATURE,
    RELATIVE_HUMIDITY,
    WIND_SPEED,
    WIND_FROM_DIRECTION,
    RAIN_CHANCE,
    SKY,
)
"""What inputs follow from."""
_US_PER_H: Final = 3_600_000_000
_HIGHEST_HOUR: Final = 2_000_000
"""Hours since 1970 that fit into a time: the year 2198."""


class GuidedWindow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One stretch of weather and forecasts, with the expected results.

    Attributes:
        latitude: Degrees north.
        longitude: Degrees east.
        elevation_m: Metres.
        first: First hour of the observations, hours since 1970; the last is the origin.
        observations: Per target one value an hour, null = missing.
        guidance: Columns of `bundles.GUIDANCE` that inputs follow from, times in hours since 1970,
            null = not given.
        inputs: Per target the expected matrix, one row a lead; null = missing.
        predictions: Per target, expected forecast for each lead.
    """

    latitude: float
    longitude: float
    elevation_m: float
    first: int
    observations: dict[str, tuple[float | None, ...]]
    guidance: dict[str, tuple[float | None, ...]]
    inputs: dict[str, Rows]
    predictions: dict[str, tuple[float, ...]]


class GuidedGoldenFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All windows of a release."""

    schema: str
    leads: tuple[int, ...]
    windows: tuple[GuidedWindow, ...]


def build(
    stretches: Sequence[tuple[Site, pl.DataFrame, pl.DataFrame]],
    leads: tuple[int, ...],
    predictors: Mapping[str, Callable[[np.ndarray], np.ndarray]],
) -> bytes:
    """Golden file from stretches of weather.

    Args:
        stretches: Place, raw hourly observations that end at the origin, guidance that reaches
            every lead.
        leads: Hours ahead to tabulate.
        predictors: Per target, float32 matrix -> vector.

    Returns:
        JSON; equal input gives equal bytes.
    """
    windows = []
    for site, observed, guidance in stretches:
        bare = GuidedWindow(
            latitude=site.latitude,
            longitude=site.longitude,
            elevation_m=site.elevation_m,
            first=hour_of(observed[TIME][0]),
            observations={target: tuple(observed[target].to_list()) for target in TARGETS},
            guidance={
                name: tuple(
                    (
                        guidance[name].to_physical() // _US_PER_H
                        if name in _TIMES
                        else guidance[name]
                    ).to_list()
                )
                for name in _COLUMNS
                if name in guidance.columns and guidance[name].null_count() < guidance.height
            },
            inputs={},
            predictions={},
        )
        matrices = _matrices(bare, leads)
        windows.append(
            msgspec.structs.replace(
                bare,
                inputs={target: rows_of(matrix) for target, matrix in matrices.items()},
                predictions={
                    target: tuple(float(v) for v in predict(matrices[target]))
                    for target, predict in predictors.items()
                },
            )
        )
    document = GuidedGoldenFile(schema=FORMAT, leads=leads, windows=tuple(windows))
    return msgspec.json.encode(document, order="deterministic")


def replay(content: bytes, predictors: Mapping[str, Callable[[np.ndarray], np.ndarray]]) -> None:
    """Recompute every window and compare.

    Args:
        content: Golden file of the release's guided models.
        predictors: Per target, float32 matrix -> vector; the guided models of the same release.

    Raises:
        BadData: Not a golden file, a window that cannot be computed, or something differs; the
            text names window, input or target, and both numbers.
    """
    try:
        golden = msgspec.json.decode(content, type=GuidedGoldenFile)
    except (msgspec.DecodeError, msgspec.ValidationError) as fault:
        raise BadData(f"guided golden windows: {in_words(fault)}") from fault
    if golden.schema != FORMAT:
        raise BadData(f"guided golden windows: format {golden.schema!r}, expected {FORMAT!r}")
    if not golden.windows:
        raise BadData("guided golden windows: the file holds none")
    for number, window in enumerate(golden.windows, 1):
        where = f"guided golden window {number}"
        try:
            _replay_window(where, window, golden.leads, predictors)
        except (ValueError, KeyError, IndexError, pl.exceptions.PolarsError) as fault:
            line = str(fault).partition("\n")[0]
            raise BadData(f"{where}: cannot be computed: {line}") from fault


def _replay_window(
    where: str,
    window: GuidedWindow,
    leads: tuple[int, ...],
    predictors: Mapping[str, Callable[[np.ndarray], np.ndarray]],
) -> None:
    if not predictors.keys() == window.predictions.keys() == window.inputs.keys():
        raise BadData(
            f"{where}: predictions of {sorted(window.predictions)}, "
            f"but the release has guided models of {sorted(predictors)}"
        )
    computed = _matrices(window, leads)
    comparison = Comparison(where, leads, "input", NAMES)
    for target, rows in window.inputs.items():
        expected = matrix_of(rows)
        comparison.inputs(computed[target], expected)
        comparison.predictions(target, predictors[target](expected), window.predictions[target])


def _matrices(window: GuidedWindow, leads: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Inputs of every target, as the device makes them from the window."""
    hours = len(window.observations[TARGETS[0]])
    if not hours:
        raise BadData("guided golden windows: no observations")
    if not 0 <= window.first <= _HIGHEST_HOUR:
        raise BadData(f"guided golden windows: first hour {window.first}")
    observed = pl.DataFrame(
        {
            TIME: _times(np.arange(window.first, window.first + hours)),
            **{
                target: pl.Series(window.observations[target], dtype=pl.Float64)
                for target in TARGETS
            },
        }
    )
    guidance = pl.DataFrame(
        {
            name: _times(np.clip(np.array(values, np.float64), 0, _HIGHEST_HOUR).astype(np.int64))
            if name in _TIMES
            else pl.Series(values, dtype=pl.Float64)
            for name, values in window.guidance.items()
        }
    )
    site = Site(window.latitude, window.longitude, window.elevation_m)
    inputs = GuidanceInputs.of(clean(observed), GuidanceCourse.of(guidance), site)
    origins = np.full(len(leads), window.first + hours - 1)
    return {target: inputs.matrix(target, origins, np.array(leads)) for target in TARGETS}


def _times(hours: np.ndarray) -> pl.Series:
    return (
        pl.Series(hours * _US_PER_H)
        .cast(pl.Datetime("us"))
        .dt.replace_time_zone("UTC")
        .cast(TIME_DTYPE)
    )
