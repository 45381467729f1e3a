"""Whether the live model has become worse than it was when the gate let it in.

The last 30 and 10 days of the lake are forecast again by the live release and verified. A month's
error says more about the month than about the model (one fixed model ran from 1.7 to 4.8 C). So
the error is taken as a share of the damped anomaly's on the same hours, and compared with that
share over the other days of the gate's daily sums. The geometric mean over the leads is taken:
over 30 days of Seoul its standard deviation is 4 % where a day ahead alone has 6 %.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from edge_agent.contract import features
from edge_agent.contract.errors import InputMissing
from edge_agent.contract.schema import LEADS, QUANTITIES, TARGETS
from trainer.depot.releases import open_depot
from trainer.evaluation import run_folder
from trainer.evaluation.daily_sums import (
    CHALLENGER,
    CHAMPION,
    DAMPED,
    LOSSES,
    from_bytes,
    lead_slice,
)
from trainer.evaluation.hindcast import ReleaseModels
from trainer.evaluation.holdout_scores import HEADLINE_LEAD, SCORED_LEADS
from trainer.evaluation.period_sums import Period, collect
from trainer.gate import gate
from trainer.workspace.journal import Drift

if TYPE_CHECKING:
    from edge_agent.system.ports import Clock
    from trainer.evaluation.daily_sums import DailySums
    from trainer.workspace.workspace import Workspace

LIMITS: Final = {30: 0.10, 10: 0.18}
"""By number of days, the increase from which there is an alarm: fewer days see less. On Seoul
2017-2018 a sound model has an alarm on 1 of 100 days (`bench.skill.drift`)."""

_HEADLINE: Final = lead_slice(HEADLINE_LEAD)
_SQUARED: Final = LOSSES.index("squared")


def verify(workspace: Workspace, channel: str, until: datetime, clock: Clock) -> tuple[Drift, ...]:
    """Drift of a channel's live release over the newest days before `until`.

    Args:
        workspace: Lake, depot and runs.
        channel: Whose release.
        until: Hours after it do not count, UTC.
        clock: For the depot.

    Returns:
        One entry per target and length for which there are enough days.

    Raises:
        InputMissing: Nothing is live, or the gate's daily sums are not in this workspace.
        BadData: A file is damaged.
    """
    live = gate.champion_of(workspace, channel, clock)
    if live is None or gate.TRAINED_TO not in live.lineage:
        raise InputMissing(f"no release of this gate is live on {channel}")
    if live.features.digest != features.digest():
        raise InputMissing(f"release {live.release} was trained by other feature code")
    folder = gate.run_of(workspace, live)
    recorded = gate.daily_sums_of(folder, channel)
    metrics = run_folder.load(folder)[2]
    longest = timedelta(days=max(LIMITS) + 1, hours=max(LEADS))
    models = ReleaseModels.tried(live, open_depot(workspace, clock).content(live))
    period = Period(
        stations=tuple(map(int, live.lineage["stations"].split(","))),
        start=until - longest,
        end=until,
        trained_to=datetime.fromisoformat(live.lineage[gate.TRAINED_TO]),
        damped=metrics.damped,
    )
    now = collect(workspace.lake, period, {CHALLENGER: models})
    kept = {target for target in TARGETS if f"kept_{target}" in live.lineage}
    return changes(now, from_bytes(recorded), kept)


def changes(now: DailySums, recorded: DailySums, kept: set[str]) -> tuple[Drift, ...]:
    """Drift from the sums of the newest days and those of the gate. Pure.

    Args:
        now: Sums of the live release, as the challenger.
        recorded: Sums on which the gate let it in.
        kept: Targets whose model was the champion's in `recorded`.
    """
    drifts = []
    for target in TARGETS:
        used = np.flatnonzero(now.losses[target, _HEADLINE, CHALLENGER][:, 0] > 0)
        then = CHAMPION if target in kept else CHALLENGER
        for days, limit in LIMITS.items():
            if len(used) < days:
                continue
            newest = used[-days:]
            first = now.first + timedelta(days=int(newest[0]))
            # The days in question must not be among those that they are compared with.
            before = np.arange(min(max(0, (first - recorded.first).days), recorded.days))
            if not recorded.losses[target, _HEADLINE, then][before, 0].any():
                continue
            ratios = [
                _share(now, target, lead, CHALLENGER, newest)
                / _share(recorded, target, lead, then, before)
                for lead in SCORED_LEADS
            ]
            change = float(np.exp(np.mean(np.log(ratios)))) - 1.0
            drifts.append(
                Drift(
                    target=target,
                    days=days,
                    rmse=round(_rmse(now, (target, _HEADLINE, CHALLENGER), newest), 4),
                    reference=round(_rmse(now, (target, _HEADLINE, DAMPED), newest), 4),
                    change=round(change, 4),
                    alarm=change > limit,
                )
            )
    return tuple(drifts)


def _share(sums: DailySums, target: str, lead: int, name: str, days: np.ndarray) -> float:
    """Error of a forecast as a share of the damped anomaly's."""
    part = lead_slice(lead)
    return _rmse(sums, (target, part, name), days) / _rmse(sums, (target, part, DAMPED), days)


def _rmse(sums: DailySums, key: tuple[str, str, str], days: np.ndarray) -> float:
    rows, squared = sums.losses[key][days][:, [0, _SQUARED]].sum(axis=0)
    return float(np.sqrt(squared / rows))


def text(drift: Drift) -> str:
    """One line for people."""
    unit = QUANTITIES[drift.target].unit
    return (
        f"{drift.target}: over the last {drift.days} days the errors of all leads, beside the "
        f"damped anomaly's, are {drift.change:+.1%} against the gate's, limit "
        f"{LIMITS[drift.days]:+.0%} (a day ahead RMSE {drift.rmse:.2f} {unit} beside "
        f"{drift.reference:.2f})"
    )
