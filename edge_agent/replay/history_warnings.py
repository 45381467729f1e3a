"""What a file of the past has and a replay cannot use, told as warnings with the file's name."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import polars as pl

from edge_agent.contract import kma_fields
from edge_agent.contract.bundles import GUIDANCE_RANGES, ISSUED, VALID
from edge_agent.contract.schema import MEASURED, TARGETS, TIME

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edge_agent.contract.quantity import Limits

_log = logging.getLogger(__name__)

_TIMES: Final = {TIME, kma_fields.TIME_FIELD, ISSUED, VALID, "issued_at", "valid_at"}
_SENSIBLE: Final = {
    name: (quantity.low - quantity.overshoot[0], quantity.high + quantity.overshoot[1])
    for name, quantity in MEASURED.items()
}
"""Limits of observations; what working instruments overshoot is no fault."""


def of_observations(path: Path, rows: pl.DataFrame, hours: pl.DataFrame) -> None:
    """Warn of a file of observations.

    Args:
        path: The file.
        rows: Its rows of one station, as they stand there.
        hours: The same under our names, before the checks of values.
    """
    _warn(path, rows, hours, _SENSIBLE)


def of_guidance(path: Path, rows: pl.DataFrame, forecasts: pl.DataFrame) -> None:
    """Warn of a file of KMA's forecasts; arguments as `of_observations`."""
    _warn(path, rows, forecasts, GUIDANCE_RANGES)


def _warn(
    path: Path, rows: pl.DataFrame, frame: pl.DataFrame, limits: Mapping[str, Limits]
) -> None:
    for name, (low, high) in limits.items():
        column = frame[name] if name in frame.columns else pl.Series([])
        values = column.cast(pl.Float64).drop_nulls()
        wrong = values.filter(~(values.is_finite() & values.is_between(low, high)))
        if not values.len() and name in TARGETS:
            _log.warning("%s: has no value of %s", path, name)
        if wrong.len():
            _log.warning(
                "%s: %d of %d values of %s are not within %g to %g (the first: %g): left out",
                *(path, wrong.len(), values.len(), name, low, high, wrong[0]),
            )
    key = [name for name in rows.columns if name in _TIMES]
    doubled = rows.n_unique() - rows.n_unique(key)
    if doubled:
        _log.warning("%s: %d rows stand twice and differ: the last one counts", path, doubled)
