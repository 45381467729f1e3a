"""Golden windows: a few stretches of real weather with the expected features and predictions.

The trainer writes them into every release; the agent replays them on its own processor before it
switches to the release. Features are compared with a tolerance, since the last bit of a logarithm
may differ between mathematics libraries. Predictions are made from the *expected* features, so
that a small difference in a feature neither excuses nor hides a model that computes wrongly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
import polars as pl

from edge_agent.contract import features
from edge_agent.contract.decoder_words import in_words
from edge_agent.contract.errors import BadData
from edge_agent.contract.features import Place
from edge_agent.contract.golden_values import Comparison, Rows, matrix_of, rows_of
from edge_agent.contract.quality import clean
from edge_agent.contract.schema import OBSERVED, TIME, TIME_DTYPE, Site

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FORMAT: Final = "farm-edge/golden/1"


def features_matrix(place: Place, frame: pl.DataFrame, leads: tuple[int, ...]) -> np.ndarray:
    """Matrix of `contract.features` at the end of a window."""
    cleaned = clean(frame)
    table = features.compute(cleaned, place)
    origins = np.full(len(leads), cleaned.height - 1)
    return features.matrix(table, origins, np.array(leads))


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the models of a golden file read.

    Attributes:
        names: Columns.
        matrix: Gives them for a place, raw hours that end at the origin, and hours ahead.
    """

    names: tuple[str, ...] = features.FEATURES
    matrix: Callable[[Place, pl.DataFrame, tuple[int, ...]], np.ndarray] = features_matrix


FEATURES: Final = Inputs()
"""Of `contract.features`."""


class GoldenWindow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One stretch of weather with the expected results.

    Attributes:
        latitude: Degrees north.
        longitude: Degrees east.
        elevation_m: Metres.
        normals: Per target, harmonic coefficients.
        first: First hour, UTC, ISO 8601.
        observations: Per quantity one value an hour, null = missing.
        features: Expected matrix, one row a lead; null = missing.
        predictions: Per target, expected forecast for each lead.
    """

    latitude: float
    longitude: float
    elevation_m: float
    normals: dict[str, tuple[float, ...]]
    first: str
    observations: dict[str, tuple[float | None, ...]]
    features: Rows
    predictions: dict[str, tuple[float, ...]]


class GoldenFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All windows of a release."""

    schema: str
    leads: tuple[int, ...]
    windows: tuple[GoldenWindow, ...]


def build(
    frames: tuple[tuple[features.Place, pl.DataFrame], ...],
    leads: tuple[int, ...],
    predictors: Mapping[str, Callable[[np.ndarray], np.ndarray]],
    inputs: Inputs = FEATURES,
) -> bytes:
    """Golden file from observation windows.

    Args:
        frames: Place and raw hourly observations that end at the origin.
        leads: Hours ahead to tabulate.
        predictors: Per target, float32 matrix -> vector.
        inputs: What these read.

    Returns:
        JSON; equal input gives equal bytes.
    """
    windows = []
    for place, frame in frames:
        matrix = inputs.matrix(place, frame, leads)
        windows.append(
            GoldenWindow(
                latitude=place.site.latitude,
                longitude=place.site.longitude,
                elevation_m=place.site.elevation_m,
                normals=place.normals,
                first=frame[TIME][0].isoformat(),
                observations={
                    name: tuple(frame[name].to_list())
                    for name in OBSERVED
                    if name in frame.columns and frame[name].null_count() < frame.height
                },
                features=rows_of(matrix),
                predictions={
                    target: tuple(float(v) for v in predict(matrix))
                    for target, predict in predictors.items()
                },
            )
        )
    document = GoldenFile(schema=FORMAT, leads=leads, windows=tuple(windows))
    return msgspec.json.encode(document, order="deterministic")


def replay(
    content: bytes,
    predictors: Mapping[str, Callable[[np.ndarray], np.ndarray]],
    inputs: Inputs = FEATURES,
) -> None:
    """Recompute every window and compare.

    Args:
        content: Golden file of the release.
        predictors: Per target, float32 matrix -> vector; the models of the same release.
        inputs: What these read.

    Raises:
        BadData: Not a golden file, a window that cannot be computed, or something differs; the
            text names window, feature or target, and both numbers.
    """
    golden = _decode(content)
    if not golden.windows:
        raise BadData("golden windows: the file holds none")
    for number, window in enumerate(golden.windows, 1):
        where = f"golden window {number}"
        try:
            _replay_window(where, window, golden.leads, predictors, inputs)
        except (ValueError, KeyError, pl.exceptions.PolarsError) as fault:
            line = str(fault).partition("\n")[0]
            raise BadData(f"{where}: cannot be computed: {line}") from fault


def with_predictions(
    content: bytes, predictors: Mapping[str, Callable[[np.ndarray], np.ndarray]]
) -> bytes:
    """The same windows with the predictions of other models.

    Raises:
        BadData: Not a golden file.
    """
    golden = _decode(content)
    windows = tuple(
        msgspec.structs.replace(
            window,
            predictions={
                target: tuple(float(v) for v in predict(matrix_of(window.features)))
                for target, predict in predictors.items()
            },
        )
        for window in golden.windows
    )
    return msgspec.json.encode(
        msgspec.structs.replace(golden, windows=windows), order="deterministic"
    )


def _decode(content: bytes) -> GoldenFile:
    try:
        golden = msgspec.json.decode(content, type=GoldenFile)
    except (msgspec.DecodeError, msgspec.ValidationError) as fault:
        raise BadData(f"golden windows: {in_words(fault)}") from fault
    if golden.schema != FORMAT:
        raise BadData(f"golden windows: format {golden.schema!r}, expected {FORMAT!r}")
    return golden


def _replay_window(
    where: str,
    window: GoldenWindow,
    leads: tuple[int, ...],
    predictors: Mapping[str, Callable[[np.ndarray], np.ndarray]],
    inputs: Inputs,
) -> None:
    hours = max((len(values) for values in window.observations.values()), default=0)
    if hours == 0:
        raise BadData(f"{where}: holds no observations")
    first = pl.Series([window.first]).str.to_datetime(time_unit="us", time_zone="UTC")[0]
    frame = pl.DataFrame(
        {
            TIME: pl.datetime_range(
                first, pl.lit(first).dt.offset_by(f"{hours - 1}h"), "1h", eager=True
            ).cast(TIME_DTYPE),
            **{name: list(values) for name, values in window.observations.items()},
        }
    )
    site = Site(window.latitude, window.longitude, window.elevation_m)
    computed = inputs.matrix(Place(site, window.normals), frame, leads)
    expected = matrix_of(window.features)
    comparison = Comparison(where, leads, "feature", inputs.names)
    comparison.inputs(computed, expected)
    if window.predictions.keys() != predictors.keys():
        raise BadData(
            f"{where}: predictions of {sorted(window.predictions)}, "
            f"but the release has models of {sorted(predictors)}"
        )
    for target, values in window.predictions.items():
        comparison.predictions(target, predictors[target](expected), values)
