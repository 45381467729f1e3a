"""How often the drift rule speaks up on real weather: without a fault, and with one.

    python -m bench.skill.drift FILE.parquet [--workspace DIR]

FILE: hourly observations of one station in KMA's names, six years or so. A model is trained on the
first three quarters as `trainer train` would on that day and judged by the gate's evidence of that
day; then `trainer.gate.drift` is asked on every day of the rest. Faults: every error of the model
10 % larger; a thermometer that reads 1 C more from some day on. With --workspace, a training that
is there is used again.
"""

from __future__ import annotations

import argparse
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from bench.speed.training import make_workspace
from edge_agent.contract.schema import AIR_TEMPERATURE, TIME
from edge_agent.system.console import limit_threads
from trainer.evaluation import daily_sums, run_folder
from trainer.evaluation.daily_sums import CHALLENGER, LOSSES, DailySums
from trainer.evaluation.hindcast import ReleaseModels
from trainer.evaluation.period_sums import Period, collect
from trainer.gate import drift, gate
from trainer.training import candidate
from trainer.workspace.lake import Lake

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trainer.workspace.journal import Drift
    from trainer.workspace.places import PlaceId
    from trainer.workspace.workspace import Workspace

WINDOW = max(drift.LIMITS) + 1
WORSE = 1.10
OFFSET_C = 1.0


class Warmed(Lake):
    """A lake whose thermometer reads more from a day on."""

    def __init__(self, lake: Lake, start: datetime) -> None:
        self._lake = lake
        self._start = start

    def observations(
        self, place: PlaceId, start: datetime | None = None, end: datetime | None = None
    ) -> pl.DataFrame:
        """As the lake's, with the offset."""
        frame = self._lake.observations(place, start, end)
        read = pl.col(AIR_TEMPERATURE)
        return frame.with_columns(
            pl.when(pl.col(TIME) >= self._start).then(read + OFFSET_C).otherwise(read)
        )


def main() -> None:
    """Train, replay, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--workspace", type=Path)
    chosen = parser.parse_args()
    limit_threads()
    with tempfile.TemporaryDirectory() as folder:
        root = chosen.workspace or Path(folder) / "central"
        _replay(make_workspace(root, chosen.data))


def _replay(workspace: Workspace) -> None:
    (number,) = workspace.config.stations
    frame = workspace.lake.observations(number)
    first, last = frame[TIME][0], frame[TIME][-1]
    today = first + 0.75 * (last - first)
    folder = candidate.train(workspace, today, champion=None, progress=lambda _: None)
    decision, content = gate.examine(workspace, folder)
    recorded = daily_sums.from_bytes(content)
    manifest, files, metrics = run_folder.load(folder)
    models = {CHALLENGER: ReleaseModels.of(manifest, files)}
    trained_to = datetime.fromisoformat(decision.terms.trained_to)
    period = Period((number,), today, last, trained_to, metrics.damped)
    print(
        f"trained to {trained_to:%Y-%m-%d}, evidence of {recorded.days} days to {today:%Y-%m-%d}; "
        f"then asked on each day to {last:%Y-%m-%d}"
    )
    sound = collect(workspace.lake, period, models)
    _told("no fault", sound, recorded)
    _told(f"errors {WORSE - 1.0:.0%} larger", _worse(sound, 0), recorded)
    warmed = collect(Warmed(workspace.lake, today), period, models)
    _told(f"thermometer {OFFSET_C:g} C too high", warmed, recorded)
    starts = range(WINDOW, sound.days - 2 * WINDOW, 7)
    delays = [_delay(_worse(sound, start), recorded, start) for start in starts]
    print(
        f"errors {WORSE - 1.0:.0%} larger from some day on, {len(delays)} such days: first alarm "
        f"after {np.median(delays):.0f} days in the median, {np.quantile(delays, 0.9):.0f} in nine "
        "of ten cases"
    )


def _told(fault: str, now: DailySums, recorded: DailySums) -> None:
    asked = [_ask(now, recorded, end) for end in range(WINDOW, now.days + 1)]
    keys = [(check.target, check.days) for check in asked[-1]]
    for key in keys:
        here = [check for checks in asked for check in checks if (check.target, check.days) == key]
        changes = np.array([check.change for check in here])
        alarms = np.array([check.alarm for check in here])
        print(
            f"{fault}; {key[0]}, {key[1]} days: alarm on {alarms.mean():.1%} of {len(here)} days "
            f"in {_runs(alarms)} runs; change {changes.mean():+.3f}, standard deviation "
            f"{changes.std():.3f}, 99 of 100 below {np.quantile(changes, 0.99):+.3f}"
        )
    alarmed = np.array([any(check.alarm for check in checks) for checks in asked])
    print(f"{fault}; any of them: {alarmed.mean():.1%} of days in {_runs(alarmed)} runs")


def _ask(now: DailySums, recorded: DailySums, end: int) -> tuple[Drift, ...]:
    """The rule on the day `end` of the replay, with what it would have had then."""
    rows = slice(end - WINDOW, end)
    newest = DailySums(now.first + timedelta(days=end - WINDOW), WINDOW, _cut(now.losses, rows))
    return drift.changes(newest, recorded, set())


def _cut(
    losses: Mapping[tuple[str, str, str], np.ndarray], rows: slice
) -> dict[tuple[str, str, str], np.ndarray]:
    return {key: sums[rows] for key, sums in losses.items()}


def _worse(sound: DailySums, start: int) -> DailySums:
    """The same weeks with the model's errors larger from day `start` on."""
    losses = {key: sums.copy() for key, sums in sound.losses.items()}
    for (_, _, name), sums in losses.items():
        if name == CHALLENGER:
            sums[start:, LOSSES.index("squared")] *= WORSE**2
    return DailySums(sound.first, sound.days, losses)


def _delay(now: DailySums, recorded: DailySums, start: int) -> float:
    """Days from the fault to the first alarm; infinite without one."""
    for end in range(start + 1, now.days + 1):
        if any(check.alarm for check in _ask(now, recorded, end)):
            return float(end - start)
    return float("inf")


def _runs(alarms: np.ndarray) -> int:
    """Number of unbroken runs of days with an alarm."""
    return int(alarms[0]) + int((np.diff(alarms.astype(int)) == 1).sum())


if __name__ == "__main__":
    main()
