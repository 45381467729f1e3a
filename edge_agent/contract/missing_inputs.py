"""Inputs that a farm does not measure, and how much wider forecasts without them are. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edge_agent.contract.feature_table import (
    MEASURED,
    NAMES,
    ORIGIN_WINDOWS,
    SAME_HOUR,
    SAME_HOUR_DAYS,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

GROUPS: Final = ("humidity", "wind", "pressure", "rain", "cloud", "solar")
"""Inputs that come and go together; temperature is the least that a farm must measure."""

ALL_BUT_HUMIDITY: Final = tuple(group for group in GROUPS if group != "humidity")
"""What a farm with a thermometer and a hygrometer lacks."""

MEASURED_COLUMNS: Final = tuple(
    sorted(
        NAMES.index(name)
        for name in (
            *MEASURED,
            *(window.name for window in ORIGIN_WINDOWS),
            *(f"same_hour_{name}_{day}d" for name in SAME_HOUR for day in range(SAME_HOUR_DAYS)),
        )
    )
)
"""Columns of the matrix that come from instruments; the others are never missing."""

_NAME_PARTS: Final = {"humidity": ("humidity", "dew_point"), "pressure": ("pressure", "sea_level")}


def columns_of(group: str) -> list[int]:
    """Columns of the matrix that cannot be computed without the group."""
    parts = _NAME_PARTS.get(group, (group,))
    return [c for c in MEASURED_COLUMNS if any(part in NAMES[c] for part in parts)]


def blanked(matrix: np.ndarray, groups: Iterable[str]) -> np.ndarray:
    """Copy of the matrix (float32 (N, F)) as a farm without these groups would have it."""
    out = matrix.copy()
    for group in groups:
        out[:, columns_of(group)] = np.nan
    return out


def missing(matrix: np.ndarray) -> tuple[str, ...]:
    """Groups of which no column holds a value in any row."""
    return tuple(group for group in GROUPS if np.isnan(matrix[:, columns_of(group)]).all())


def widening(
    factors: Mapping[str, Sequence[float]],
    groups: Iterable[str],
    knots: Sequence[int],
    leads: np.ndarray,
) -> np.ndarray:
    """Factor of the spread at each lead, shape of `leads`, at least 1.

    What each missing group adds to the mean squared error adds up: f^2 = 1 + sum (f_g^2 - 1).

    Args:
        factors: Per group, root mean squared error without it over that with it, at each knot.
        groups: What is missing; a group without factors adds nothing.
        knots: Leads at which `factors` stand, ascending; linear between them, held beyond.
        leads: Hours ahead.
    """
    known = [np.square(factors[group]) - 1.0 for group in groups if group in factors]
    added = np.sum([np.interp(leads, knots, more) for more in known], axis=0)
    widened: np.ndarray = np.sqrt(1.0 + np.maximum(added, 0.0)) * np.ones(len(leads))
    return widened
