"""Whether the live model has become worse than it was when the gate let it in.

The last 30 and 10 days of the lake are forecast again by the live release and verified. A month's
error says more about the month than about the model (one fixed model ran from 1.7 to 4.8 C), so
what is compared is the error as a share of the damped anomaly's on the same hours: now, against the
same share over the other days of the gate's evidence.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from edge_agent.contract import features
from edge_agent.contract.schema import LEADS, QUANTITIES, TARGETS
from edge_agent.errors import InputMissing
from trainer import candidate, gate
from trainer.evidence import CHALLENGER, CHAMPION, DAMPED, LOSSES, from_bytes, lead_slice
from trainer.release import open_depot
from trainer.witness import Candidate, Period, collect

if TYPE_CHECKING:
    from edge_agent.ports import Clock
    from trainer.evidence import Evidence
    from trainer.workspace import Workspace

LIMITS: Final = {30: 0.08, 10: 0.15}
"""By number of days, the increase from which there is an alarm: fewer days see less."""

_PART: Final = lead_slice(24)
_SQUARED: Final = LOSSES.index("squared")


class Drift(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Verified error of one target over the newest days.

    Attributes:
        target: Quantity.
        days: Days with verified hours, 30 or 10.
        rmse: Of the live model a day ahead, in the target's unit.
        reference: Of the damped anomaly on the same hours.
        change: Relative change of their ratio since the gate; 0.1 = 10 % worse.
        alarm: Whether it is above its limit.
    """

    target: str
    days: int
    rmse: float
    reference: float
    change: float
    alarm: bool

    def text(self) -> str:
        """One line."""
        unit = QUANTITIES[self.target].unit
        return (
            f"{self.target}: RMSE {self.rmse:.2f} {unit} over the last {self.days} days, beside "
            f"the damped anomaly's {self.reference:.2f} that is {self.change:+.1%} against the "
            f"gate's, limit {LIMITS[self.days]:+.0%}"
        )


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
        InputMissing: Nothing is live, or the evidence that let it in is not in this workspace.
        BadData: A file is damaged.
    """
    live = gate.champion_of(workspace, channel, clock)
    if live is None or gate.TRAINED_TO not in live.lineage:
        raise InputMissing(f"no release of this gate is live on {channel}")
    if live.features.digest != features.digest():
        raise InputMissing(f"release {live.release} was trained by other feature code")
    folder = gate.run_of(workspace, live)
    recorded = gate.evidence_of(folder, channel)
    metrics = candidate.load(folder)[2]
    longest = timedelta(days=max(LIMITS) + 1, hours=max(LEADS))
    models = Candidate.of(live, open_depot(workspace, clock).content(live))
    period = Period(
        stations=tuple(int(one) for one in live.lineage["stations"].split(",")),
        start=until - longest,
        end=until,
        trained_to=datetime.fromisoformat(live.lineage[gate.TRAINED_TO]),
        damped=metrics.damped,
    )
    now = collect(workspace.lake, period, {CHALLENGER: models})
    kept = {target for target in TARGETS if f"kept_{target}" in live.lineage}
    return changes(now, from_bytes(recorded), kept)


def changes(now: Evidence, recorded: Evidence, kept: set[str]) -> tuple[Drift, ...]:
    """Drift from the sums of the newest days and those of the gate. Pure.

    Args:
        now: Sums of the live release, as the challenger.
        recorded: Sums on which the gate let it in.
        kept: Targets whose model was the champion's in `recorded`.
    """
    found = []
    for target in TARGETS:
        own = now.losses[target, _PART, CHALLENGER]
        damped = now.losses[target, _PART, DAMPED]
        used = np.flatnonzero(own[:, 0] > 0)
        for days, limit in LIMITS.items():
            if len(used) < days:
                continue
            newest = used[-days:]
            first = now.first + timedelta(days=int(newest[0]))
            # Days that are judged are no measure of themselves.
            before = slice(0, max(0, (first - recorded.first).days))
            then = recorded.losses[target, _PART, CHAMPION if target in kept else CHALLENGER]
            beside = recorded.losses[target, _PART, DAMPED]
            if not then[before, 0].sum() > 0:
                continue
            usual = then[before, _SQUARED].sum() / beside[before, _SQUARED].sum()
            squared, reference = own[newest, _SQUARED].sum(), damped[newest, _SQUARED].sum()
            change = float(np.sqrt(squared / reference / usual)) - 1.0
            rows = own[newest, 0].sum()
            found.append(
                Drift(
                    target=target,
                    days=days,
                    rmse=round(float(np.sqrt(squared / rows)), 4),
                    reference=round(float(np.sqrt(reference / rows)), 4),
                    change=round(change, 4),
                    alarm=change > limit,
                )
            )
    return tuple(found)
