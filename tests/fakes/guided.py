"""KMA's forecasts of the generated weather: truth with errors, in the archive of a workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from edge_agent.contract.bundles import GUIDANCE, ISSUED, VALID
from edge_agent.contract.dfs_grid import cell_of
from edge_agent.contract.schema import (
    AIR_TEMPERATURE,
    RELATIVE_HUMIDITY,
    SKY,
    TARGETS,
    TIME,
    WIND_FROM_DIRECTION,
    WIND_SPEED,
)
from tests.fakes.weather import SITE, record
from trainer.ingest.guidance import Archive
from trainer.ingest.sources import village_table
from trainer.training import guided_fit, guided_sample

if TYPE_CHECKING:
    import pytest

    from trainer.workspace.workspace import Workspace

LEADS = np.arange(4, 68, 3)
_US_PER_H = 3_600_000_000
_ERRORS = {AIR_TEMPERATURE: (0.7, 0.9), RELATIVE_HUMIDITY: (5.0, 6.0)}
"""Per target: error of the place that changes over days, and of each issue that grows."""


def shrink(patch: pytest.MonkeyPatch, rounds: int = 12) -> None:
    """Few pairs and few trees."""
    patch.setattr(guided_sample, "PAIRS", 12_000)
    patch.setattr(guided_sample, "SHARED_PAIRS", 6_000)
    patch.setattr(guided_fit, "ROUNDS", rounds)


def guidance(
    truth: pl.DataFrame | None = None, seed: int = 5, *, worth: float = 1.0
) -> pl.DataFrame:
    """An issue every three hours with values every three hours, as KMA had them until 2021.

    Args:
        truth: Hourly weather; the generated record without it.
        seed: Of the errors.
        worth: 0 = nothing of what is forecast has to do with the truth's course.

    Returns:
        Columns of `bundles.GUIDANCE`.
    """
    truth = record() if truth is None else truth
    dice = np.random.default_rng(seed)
    hours = truth[TIME].to_physical().to_numpy() // _US_PER_H
    span = np.arange(hours[0], hours[-1] + 1)
    issued = np.repeat(span[(span % 3) == 2], len(LEADS))
    valid = issued + np.tile(LEADS, len(issued) // len(LEADS))
    inside = valid <= span[-1]
    issued, valid = issued[inside], valid[inside]
    columns = {ISSUED: _times(issued), VALID: _times(valid)}
    for target in TARGETS:
        values = np.interp(span, hours, truth[target].interpolate().to_numpy())
        slow, grows = _ERRORS[target]
        place = slow * np.sin(2.0 * np.pi * (span / (24.0 * 9.0) + dice.random()))
        own = grows * dice.normal(size=len(span))
        at = valid - span[0]
        error = place[at] + own[issued - span[0]] * np.sqrt((valid - issued) / 24.0)
        shown = worth * values[at] + (1.0 - worth) * values.mean() + error
        columns[target] = pl.Series(np.round(shown))
    columns[RELATIVE_HUMIDITY] = columns[RELATIVE_HUMIDITY].clip(0.0, 100.0)
    columns[WIND_SPEED] = pl.Series(np.abs(dice.normal(2.0, 1.0, len(valid))).round(1))
    columns[WIND_FROM_DIRECTION] = pl.Series(dice.integers(0, 360, len(valid)))
    columns[SKY] = pl.Series(dice.choice([1.0, 3.0, 4.0], len(valid)))
    given = [
        columns.get(name, pl.repeat(None, len(valid), eager=True)).cast(kind).alias(name)
        for name, kind in GUIDANCE.items()
    ]
    return pl.DataFrame(given)


def archive(made: Workspace, frame: pl.DataFrame | None = None) -> None:
    """Put forecasts into the archive of the generated station's cell."""
    frame = guidance() if frame is None else frame
    named = frame.rename({ISSUED: village_table.ISSUED, VALID: village_table.VALID})
    Archive(made.store).append(cell_of(SITE.latitude, SITE.longitude), named)


def _times(hours: np.ndarray) -> pl.Series:
    return pl.Series(hours * _US_PER_H).cast(pl.Datetime("us", "UTC"))
