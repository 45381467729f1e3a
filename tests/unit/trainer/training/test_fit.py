"""What the models of a left-out block may see: nothing of it, not even through the normals."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from edge_agent.contract.feature_table import NAMES
from edge_agent.contract.schema import AIR_TEMPERATURE, TIME
from tests.fakes.weather import SITE, STATION, record
from trainer.evaluation import dataset
from trainer.training import fit

FRAME = record()
SPLIT = dataset.split(FRAME[TIME][0], FRAME[TIME][-1], 0.2, 168)
NORMAL = NAMES.index("target_normal_temperature")


def _series(warmer_in: int | None = None) -> dataset.StationSeries:
    """The record; one of its parts may be 9 degrees warmer."""
    frame = FRAME
    if warmer_in is not None:
        first, last = fit._borders(SPLIT)[warmer_in : warmer_in + 2]
        here = frame[TIME].is_between(first, last)
        frame = frame.with_columns(frame[AIR_TEMPERATURE] + 9.0 * here.cast(float))
    normals = dataset.fit_normals(frame, SPLIT.train_end)
    return dataset.prepare(STATION, frame, SITE, normals)


def _record(series: dataset.StationSeries, monkeypatch: pytest.MonkeyPatch) -> fit._Record:
    monkeypatch.setattr(fit, "PAIRS", 4000)
    return fit._Record.of([series], SPLIT, seed=1)[1]


@pytest.mark.parametrize("part", range(fit.PARTS))
def test_normals_of_a_block_do_not_know_the_block(
    part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block far warmer than it was has the same normals as before, where it was never seen."""
    before, after = (_record(_series(one), monkeypatch) for one in (None, part))
    rows = before.block == part
    assert rows.sum() > 1000
    unseen = after.unseen[rows, NORMAL] - before.unseen[rows, NORMAL]
    whole = after.whole[rows, NORMAL] - before.whole[rows, NORMAL]
    # At its borders the jump itself is judged as a step.
    assert np.abs(unseen).max() < 0.02
    assert np.abs(whole).max() > 1.0


def test_models_of_a_block_are_kept_a_week_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pairs that are near a block are those whose target lies within it or a week of it."""
    made = _record(_series(), monkeypatch)
    borders = fit._borders(SPLIT)
    week = timedelta(days=7)
    for part, near in enumerate(made.near):
        inside = made.times.is_between(borders[part] - week, borders[part + 1] + week)
        assert (near == inside.to_numpy()).all()
        assert near[made.block == part].all()
        assert near.sum() > (made.block == part).sum()
