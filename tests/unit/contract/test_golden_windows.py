"""Golden windows: built, replayed, and every kind of tampering named."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edge_agent.contract import features, golden_values, golden_windows
from edge_agent.contract.errors import BadData
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, STATION_PRESSURE
from tests.fakes.weather import Damage, place, record, spoil, values_only

if TYPE_CHECKING:
    from collections.abc import Callable

    Change = Callable[[dict[str, Any]], None]

LEADS = (1, 24, 48)
HOURS = 60


def _first_column(matrix: np.ndarray) -> np.ndarray:
    column: np.ndarray = np.nan_to_num(matrix[:, 0]) + 0.5
    return column


def _sum(matrix: np.ndarray) -> np.ndarray:
    column: np.ndarray = np.nansum(matrix[:, :9], axis=1) / 100.0
    return column


MODELS = {AIR_TEMPERATURE: _first_column, RELATIVE_HUMIDITY: _sum}


def build() -> bytes:
    """Two windows, the second with gaps."""
    whole = values_only(record()[700 : 700 + HOURS])
    gaps = values_only(
        spoil(record()[5000 : 5000 + HOURS], [Damage("gap", STATION_PRESSURE, 30, 9, 0)])
    )
    return golden_windows.build(((place(), whole), (place(), gaps)), LEADS, MODELS)


CONTENT = build()


def test_build_is_deterministic_and_replays() -> None:
    """Equal input gives equal bytes, and those pass on the models they were made with."""
    assert build() == CONTENT
    golden_windows.replay(CONTENT, MODELS)


def test_features_survive_the_file_to_the_last_bit() -> None:
    """Expected features come back as the very float32 numbers, null as NaN."""
    document = json.loads(CONTENT)
    window = golden_windows._decode(CONTENT).windows[1]
    matrix = golden_values.matrix_of(window.features)
    assert matrix.dtype == np.float32
    assert matrix.shape == (len(LEADS), len(features.FEATURES))
    nulls = [value is None for row in document["windows"][1]["features"] for value in row]
    assert nulls == np.isnan(matrix).ravel().tolist()
    assert any(nulls)


def _tampered(change: Change) -> bytes:
    document = json.loads(CONTENT)
    change(document["windows"][1])
    return json.dumps(document).encode()


def _set(*path: str | int, value: object) -> Change:
    def change(window: dict[str, Any]) -> None:
        part: Any = window
        for key in path[:-1]:
            part = part[key]
        part[path[-1]] = value

    return change


def _pop(*path: str | int) -> Change:
    def change(window: dict[str, Any]) -> None:
        part: Any = window
        for key in path[:-1]:
            part = part[key]
        part.pop(path[-1])

    return change


HUMIDITY = features.FEATURES.index("humidity")
PRESSURE = features.FEATURES.index("pressure")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            _set("features", 1, HUMIDITY, value=12.0),
            "feature humidity at lead 24 h is .*expected 12",
        ),
        (
            _set("features", 0, PRESSURE, value=None),
            "feature pressure at lead 1 h is .*expected nan",
        ),
        (_set("observations", AIR_TEMPERATURE, HOURS - 1, value=-9.0), "feature temperature at"),
        (_set("observations", AIR_TEMPERATURE, HOURS - 1, value=None), "feature temperature at"),
        (_set("predictions", AIR_TEMPERATURE, 2, value=99.0), "air_temperature_c at lead 48 h is"),
        (_set("latitude", value=10.0), "feature latitude at lead 1 h"),
        (_set("normals", RELATIVE_HUMIDITY, 0, value=1.0), "feature humidity_anomaly at lead 1 h"),
        (_set("normals", RELATIVE_HUMIDITY, value=[1.0]), "cannot be computed.* 1 coefficients"),
        (_pop("normals", RELATIVE_HUMIDITY), "cannot be computed: 'relative_humidity_pct'"),
        (_set("first", value="yesterday"), "cannot be computed"),
        (_set("first", value="2021-01-01T00:00:00+00:00"), "feature .* at lead 1 h is"),
        (_pop("observations", AIR_TEMPERATURE, 3), "cannot be computed"),
        (_set("observations", value={}), "holds no observations"),
        (_pop("features", 2), "features, expected"),
        (_pop("features", 2, 5), "cannot be computed"),
        (_pop("predictions", AIR_TEMPERATURE, 0), "2 predictions of air_temperature_c at 3 leads"),
        (_set("predictions", AIR_TEMPERATURE, value=[]), "0 predictions of air_temperature_c"),
        (_pop("predictions", RELATIVE_HUMIDITY), r"predictions of \['air_temperature_c'\], but"),
        (_set("predictions", "rain_mm", value=[1, 2, 3]), "but the release has models of"),
    ],
)
def test_tampering_is_named(change: Change, text: str) -> None:
    """Whatever was changed, the replay refuses in one line that names window and place."""
    with pytest.raises(BadData, match=rf"^golden window 2: .*({text})") as refusal:
        golden_windows.replay(_tampered(change), MODELS)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "golden windows: "),
        (b"{}", "is missing"),
        (CONTENT.replace(b"golden/1", b"golden/2"), "format 'farm-edge/golden/2', expected"),
        (b'{"schema":"farm-edge/golden/1","leads":[1],"windows":[]}', "the file holds none"),
        (CONTENT.replace(b'"latitude"', b'"altitude"', 1), "altitude"),
    ],
)
def test_other_files_are_refused(content: bytes, text: str) -> None:
    """What is not golden windows of this format is bad data."""
    with pytest.raises(BadData, match=text):
        golden_windows.replay(content, MODELS)


@pytest.mark.parametrize("wrong", [1.1e-3, -1.1e-3, np.nan, np.inf])
def test_a_model_that_computes_wrongly_is_refused(wrong: float) -> None:
    """An error above the tolerance at any lead, or no number, is refused with both numbers."""

    def off(matrix: np.ndarray) -> np.ndarray:
        value = _first_column(matrix)
        value[1] += wrong
        return value

    with pytest.raises(BadData, match=r"window 1: air_temperature_c at lead 24 h is .*, expected"):
        golden_windows.replay(CONTENT, MODELS | {AIR_TEMPERATURE: off})


def test_a_hairs_difference_is_accepted() -> None:
    """Mathematics libraries differ in the last bits: that is no fault of the release."""
    golden_windows.replay(CONTENT, MODELS | {AIR_TEMPERATURE: lambda m: _first_column(m) + 0.9e-3})
    golden_windows.replay(_tampered(_nudge), MODELS)


def _nudge(window: dict[str, Any]) -> None:
    """Move a feature by less than the tolerance; its prediction comes from the moved value."""
    window["features"][0][HUMIDITY] *= 1.0 + 0.9e-4


def test_with_predictions_keeps_windows_and_fits_other_models() -> None:
    """A composed release keeps weather and features and takes its own models' numbers."""
    other = MODELS | {AIR_TEMPERATURE: lambda m: _first_column(m) + 7.0}
    composed = golden_windows.with_predictions(CONTENT, other)
    golden_windows.replay(composed, other)
    with pytest.raises(BadData, match="air_temperature_c"):
        golden_windows.replay(composed, MODELS)
    assert golden_windows.with_predictions(composed, MODELS) == CONTENT
