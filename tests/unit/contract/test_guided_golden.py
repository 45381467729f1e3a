"""Golden windows with guidance: built, replayed, and every kind of tampering named."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from edge_agent.contract import guided_golden
from edge_agent.contract.bundles import ISSUED
from edge_agent.contract.errors import BadData
from edge_agent.contract.guidance_features import NAMES
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, TARGETS, TIME
from tests.fakes.guided import guidance
from tests.fakes.weather import FIRST, SITE, record, values_only

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    Change = Callable[[dict[str, Any]], None]

LEADS = (1, 24, 48)
END = FIRST + timedelta(days=6)


def _base(matrix: np.ndarray) -> np.ndarray:
    column: np.ndarray = matrix[:, NAMES.index("base")]
    return column


MODELS = {AIR_TEMPERATURE: _base, RELATIVE_HUMIDITY: _base}


def build() -> bytes:
    """A window of six days, and the same with gaps."""
    whole = values_only(record()).filter(pl.col(TIME).is_between(FIRST, END))
    issues = guidance().filter(pl.col(ISSUED) < END)
    gaps = whole.with_columns(
        pl.when(pl.int_range(pl.len()) % 5 != 2).then(pl.col(name)).alias(name) for name in TARGETS
    )
    return guided_golden.build([(SITE, whole, issues), (SITE, gaps, issues)], LEADS, MODELS)


CONTENT = build()


def test_build_is_deterministic_and_replays() -> None:
    """Equal input gives equal bytes, and those pass on the models they were made with."""
    assert build() == CONTENT
    guided_golden.replay(CONTENT, MODELS)


def test_a_window_holds_errors_and_gaps() -> None:
    """The first has a newest error and means; the second lacks values in places."""
    whole, gaps = json.loads(CONTENT)["windows"]
    row = dict(zip(NAMES, whole["inputs"][AIR_TEMPERATURE][0], strict=True))
    assert None not in {row["error"], row["error_mean_72h"], row["error_same_hour_5d"], row["base"]}
    assert None in gaps["observations"][AIR_TEMPERATURE]


def _set(path: str, value: object) -> Change:
    def change(document: dict[str, Any]) -> None:
        *steps, last = path.split("/")
        place: Any = document
        for step in steps:
            place = place[int(step) if isinstance(place, list) else step]
        place[int(last) if isinstance(place, list) else last] = value

    return change


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (_set("schema", "farm-edge/golden/9"), "format 'farm-edge/golden/9'"),
        (_set("windows", []), "holds none"),
        (_set("windows/1/observations/air_temperature_c/100", 31.0), "window 2: input "),
        (_set("windows/0/inputs/air_temperature_c/1/5", 99.0), "input guidance at lead 24"),
        (_set("windows/0/predictions/air_temperature_c/2", 99.0), "air_temperature_c at lead 48"),
        (_set("windows/0/predictions", {}), r"predictions of \[\]"),
        (_set("windows/0/first", -1), "first hour -1"),
        (_set("windows/0/guidance/issued", []), "window 1: cannot be computed"),
        (_set("windows/0/observations/air_temperature_c", []), "no observations"),
        (_set("windows/0/site", 1), "guided golden windows: .*is no known key"),
    ],
)  # fmt: skip
def test_tampering_is_named(change: Change, text: str) -> None:
    """Whatever differs is refused with its place and numbers."""
    document = json.loads(CONTENT)
    change(document)
    with pytest.raises(BadData, match=text):
        guided_golden.replay(json.dumps(document).encode(), MODELS)


def test_another_model_is_refused() -> None:
    """A model that gives other numbers than where it was trained."""
    with pytest.raises(BadData, match="air_temperature_c at lead 1 h"):
        guided_golden.replay(CONTENT, {**MODELS, AIR_TEMPERATURE: lambda m: _base(m) + 0.5})
