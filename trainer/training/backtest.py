"""Rolling-origin backtest: the recipe of today, trained as it would have been in former years.

One lucky holdout says little. Each fold is a training as of an earlier day, with its own normals,
weights, intervals and embargo, judged on the holdout that was newest then; nothing later is seen.
Its run stays in `runs/`, so `trainer report` and `trainer evaluate` can be asked about it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from msgspec import structs

from edge_agent.contract.errors import InputMissing
from edge_agent.contract.schema import TIME
from trainer.evaluation import run_folder
from trainer.evaluation.daily_sums import REFERENCES
from trainer.training import candidate
from trainer.workspace.config import Compute
from trainer.workspace.parallel import each_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime, timedelta

    from trainer.workspace.workspace import Workspace


class Fold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One training and what it was worth on the hours after it.

    Attributes:
        run: Its folder's name.
        trained_to: End of the training targets, UTC.
        holdout_from: First origin that was judged, UTC.
        holdout_to: Newest observation, UTC.
        scores: Target -> figures, as a release's manifest tells them.
    """

    run: str
    trained_to: str
    holdout_from: str
    holdout_to: str
    scores: dict[str, dict[str, float]]

    def skill(self, target: str) -> float:
        """1 - MSE / MSE of the best simple reference, 24 h ahead."""
        figures = self.scores[target]
        best = min(figures[f"rmse_24h_{name}"] for name in REFERENCES)
        return 1.0 - (figures["rmse_24h_model"] / best) ** 2


def backtest(
    workspace: Workspace,
    until: datetime,
    *,
    folds: int,
    step: timedelta,
    progress: Callable[[str], None],
) -> tuple[Fold, ...]:
    """Train and judge at `folds` days, each `step` before the next, the last at the newest hour.

    Args:
        workspace: Lake and parameters; runs are added to it.
        until: Hours after it are not looked at, UTC.
        folds: How many.
        step: Between them; from the length of a holdout on, no hour is judged twice.
        progress: Told each step before it begins.

    Raises:
        InputMissing: The lake is empty.
        BadData: The record is too short for so many folds.
    """
    newest = [
        frame[TIME][-1]
        for number in workspace.config.stations
        if (frame := workspace.lake.observations(number, end=until)).height
    ]
    if not newest:
        raise InputMissing("the lake holds no observations; run `trainer ingest`")
    days = [max(newest) - back * step for back in reversed(range(folds))]

    def told() -> Iterator[datetime]:
        for day in days:
            progress(f"fold of {day:%Y-%m-%d}")
            yield day

    # A fold is one piece of work: it takes its own stations one after the other.
    alone = replace(workspace, config=structs.replace(workspace.config, compute=Compute()))
    with each_of(workspace.config.compute) as each:
        return tuple(each(partial(_fold, alone), told()))


def _fold(workspace: Workspace, day: datetime) -> Fold:
    folder = candidate.train(workspace, day, champion=None, progress=lambda _: None)
    manifest, _, metrics = run_folder.load(folder)
    return Fold(
        folder.name,
        metrics.trained_to,
        metrics.holdout_from,
        metrics.holdout_to,
        manifest.scores,
    )
