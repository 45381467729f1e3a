"""Groups of inputs that a farm may lack, and what their lack does to the spread."""

from __future__ import annotations

import numpy as np
import pytest

from edge_agent.contract import missing_inputs
from edge_agent.contract.feature_table import NAMES

CALENDAR = {
    name
    for name in NAMES
    if name.startswith(("hour", "weekday", "target_", "normal_change", "reference", "lead"))
    or name in {"latitude", "longitude", "elevation"}
}


@pytest.mark.parametrize(
    ("group", "words"),
    [
        ("humidity", ("humidity", "dew_point")),
        ("wind", ("wind",)),
        ("pressure", ("pressure", "sea_level")),
        ("rain", ("rain",)),
        ("cloud", ("cloud",)),
        ("solar", ("solar",)),
    ],
)
def test_columns_of_a_group(group: str, words: tuple[str, ...]) -> None:
    """A group holds what cannot be computed without it, never calendar, site or reference."""
    found = {NAMES[column] for column in missing_inputs.columns_of(group)}
    assert found == {n for n in NAMES if any(w in n for w in words)} - CALENDAR


def test_what_is_blanked_is_missing() -> None:
    """Blanking touches the group's columns of a copy; a group with one value left is there."""
    matrix = np.ones((3, len(NAMES)), np.float32)
    out = missing_inputs.blanked(matrix, ["wind", "cloud"])
    assert np.isfinite(matrix).all()
    gone = set(missing_inputs.columns_of("wind")) | set(missing_inputs.columns_of("cloud"))
    assert set(np.flatnonzero(np.isnan(out).all(axis=0))) == gone
    assert np.isnan(out).sum() == 3 * len(gone)
    assert missing_inputs.missing(out) == ("wind", "cloud")
    out[1, missing_inputs.columns_of("wind")[-1]] = 2.0
    assert missing_inputs.missing(out) == ("cloud",)


def test_widening_adds_what_each_group_adds_to_the_squared_error() -> None:
    """Factors 1.2 and 1.1 together give sqrt(1.44 + 1.21 - 1); between knots it is linear."""
    factors = {"wind": (1.0, 1.2), "cloud": (1.0, 1.1)}
    leads = np.array([1, 24, 48, 60])
    found = missing_inputs.widening(factors, ["wind", "cloud", "solar"], (1, 48), leads)
    middle = 1.0 + (23 / 47) * (0.44 + 0.21)
    assert found == pytest.approx([1.0, middle**0.5, 1.65**0.5, 1.65**0.5])


def test_nothing_missing_widens_nothing() -> None:
    """Without a missing group, or without factors, the spread is the table's own."""
    leads = np.array([1, 24])
    assert missing_inputs.widening({"wind": (1.5,)}, [], (1,), leads).tolist() == [1.0, 1.0]
    assert missing_inputs.widening({}, ["wind"], (1,), leads).tolist() == [1.0, 1.0]
