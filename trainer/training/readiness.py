"""What can be known of a training before it begins: hours, days to be judged on, room on the disk.

A training takes up to hours. What would end it, or would let the gate refuse whatever comes of it,
is looked for in the lake first, one station in memory at a time.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Final

import polars as pl

from edge_agent.contract.errors import BadData
from edge_agent.contract.hours import korean_clock
from edge_agent.contract.quality import clean
from edge_agent.contract.schema import AIR_TEMPERATURE, TARGETS, TIME
from trainer.evaluation.dataset import HOURS_OF_YEAR

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import date

    from trainer.evaluation.dataset import Split
    from trainer.training.lake_source import LakeSource, TrainingData
    from trainer.workspace.parallel import Each

LEAST_VALUES: Final = HOURS_OF_YEAR // 2
"""Hours with a value that each target must have before the training ends, of all stations."""


def check(
    data: TrainingData, each: Each, *, judge: Callable[[Collection[date]], None] = lambda _: None
) -> None:
    """Refuse data that no training could be finished on.

    Args:
        data: Stations and borders.
        each: Where stations are read.
        judge: Called with the Korean days of the holdout on which any station has temperature;
            raises where a later step would refuse so few.

    Raises:
        BadData: A target has too few values before the training ends, or none in the holdout; the
            text says what to do.
    """
    before: Counter[str] = Counter()
    days: dict[str, set[date]] = {target: set() for target in TARGETS}
    for values, judged in each(partial(_station, data.borders), data.stations):
        before.update(values)
        for target in TARGETS:
            days[target] |= judged[target]
    borders = data.borders
    for target in TARGETS:
        if before[target] < LEAST_VALUES:
            raise BadData(
                f"{target}: {before[target]} hours have a value from {borders.first:%Y-%m-%d} to "
                f"{borders.train_end:%Y-%m-%d}, {LEAST_VALUES} are needed to train on; ingest or "
                "import more"
            )
        if not days[target]:
            raise BadData(
                f"{target}: no station observed it from {borders.holdout:%Y-%m-%d} to "
                f"{borders.last:%Y-%m-%d}, the hours that candidates are judged on; ingest or "
                "import more, or train with --as-of a day on which it was still observed"
            )
    judge(days[AIR_TEMPERATURE])


def _station(borders: Split, source: LakeSource) -> tuple[dict[str, int], dict[str, set[date]]]:
    """By target: number of values before the training ends, days of the holdout with one."""
    rows = clean(source.record.observations())
    before = rows.filter(pl.col(TIME) < borders.train_end)
    held = rows.filter(pl.col(TIME) > borders.holdout)
    day = korean_clock(held[TIME]).dt.date()
    return (
        {target: before[target].count() for target in TARGETS},
        {target: set(day.filter(held[target].is_not_null())) for target in TARGETS},
    )
