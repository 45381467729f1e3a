"""One farm's corrections: fitted on its history and judged by the gate.

The rules are those of `trainer.gate.decision`. The challenger is the forecast with corrections that
were fitted on former days, the champion the shared models as they are, on the same hours. A target
is corrected where the challenger is better. Where it is only as good, the shared model serves.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from edge_agent.contract import site_correction
from edge_agent.contract.errors import BadData, InputMissing, StorageError
from edge_agent.contract.schema import TARGETS
from edge_agent.contract.site_correction import Shard, Tuning
from trainer.evaluation.daily_sums import (
    CHALLENGER,
    CHAMPION,
    LOSSES,
    DailySums,
    lead_slice,
    to_bytes,
)
from trainer.evaluation.holdout_scores import HEADLINE_LEAD, SCORED_LEADS
from trainer.evaluation.paired_scores import PairedScores
from trainer.gate.decision import Decision, conclude
from trainer.gate.rules_champion import Route
from trainer.gate.rules_floor import LEAST_DAYS
from trainer.site_corrections.farm_history import FarmHistory, too_few
from trainer.workspace.farms import farm
from trainer.workspace.s3_errors import BucketFault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trainer.site_corrections.farm_history import SharedModels, TargetHistory
    from trainer.workspace.farms import Farm
    from trainer.workspace.places import FarmId

_HEADLINE: Final = lead_slice(HEADLINE_LEAD)


class FarmResult(msgspec.Struct, frozen=True):
    """Result of one farm.

    Attributes:
        farm: "site/device".
        until: Newest hour that counts, UTC.
        tuning: What goes into the release, or None.
        decision: The gate's, or None where the farm could not be judged.
        fault: Why the farm could not be judged, or empty.
    """

    farm: str
    until: str
    tuning: Tuning | None = None
    decision: Decision | None = None
    fault: str = ""


def correct_farm(shared: SharedModels, farm_id: FarmId) -> FarmResult:
    """Fit a farm's corrections and let the gate decide on them.

    A history that is damaged or too short is reported in `fault`, so that other farms go on.

    Raises:
        FarmError: What concerns every farm, like a bucket that does not answer.
    """
    try:
        return _correct(shared, farm(shared.workspace.lake, farm_id))
    except BucketFault:
        raise
    except (BadData, InputMissing, StorageError) as fault:
        return FarmResult(str(farm_id), _text(shared.until), fault=str(fault))


def _correct(shared: SharedModels, place: Farm) -> FarmResult:
    history = FarmHistory.of(shared, place)
    targets = history.targets(shared)
    sums, first, last = _daily_sums(history, targets, shared)
    terms = msgspec.structs.replace(
        shared.terms, farm=str(place.id), holdout_from=_text(first), holdout_to=_text(last)
    )
    decision = conclude(terms, to_bytes(sums))
    better = [t for t in decision.winners if decision.routes[t] is Route.BETTER]
    if not better:
        return FarmResult(str(place.id), _text(shared.until), decision=decision)
    models = shared.manifest.models
    tuning = Tuning(
        corrections={t: targets[t].correction(models[t].file.sha256) for t in better},
        scores={t: _scores(sums, t) for t in better},
        trained_to=_text(history.last),
    )
    # A device would refuse a shard that does not decode, so it must not be published.
    shard = Shard(site_correction.FORMAT, {str(place.id): tuning})
    site_correction.decode(site_correction.encode(shard), shared.manifest)
    return FarmResult(str(place.id), _text(shared.until), tuning, decision)


def _daily_sums(
    history: FarmHistory, targets: Mapping[str, TargetHistory], shared: SharedModels
) -> tuple[DailySums, datetime, datetime]:
    """Daily sums of the corrected and the shared models, with their first and last hour.

    Raises:
        BadData: There are too few days to judge by.
    """
    scored = np.isin(history.pairs.leads, SCORED_LEADS)
    for target in targets.values():
        scored &= np.isfinite(target.chain.change)
    hours = history.times.filter(scored)
    if hours.is_empty():
        raise too_few(0)
    first, last = hours.min(), hours.max()
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    sums = DailySums.spanning(first, last)
    rows = np.flatnonzero(scored)
    PairedScores(
        history.series,
        history.pairs.take(scored),
        history.matrix[scored],
        shared.damped,
        past=first,
        slices=(),
    ).add_to(
        sums,
        {
            name: {
                CHALLENGER: target.corrected().take(rows),
                CHAMPION: target.shared.take(rows),
            }
            for name, target in targets.items()
        },
    )
    days = min(_days(sums, target) for target in TARGETS)
    if days < LEAST_DAYS:
        raise too_few(days)
    return sums, first, last


def _days(sums: DailySums, target: str) -> int:
    """Days with a scored hour a day ahead."""
    losses = sums.losses.get((target, _HEADLINE, CHALLENGER))
    return 0 if losses is None else int(np.sum(losses[:, 0] > 0))


def _scores(sums: DailySums, target: str) -> dict[str, float]:
    """Figures a day ahead that stand in the release."""
    own, shared = (
        dict(zip(LOSSES, sums.losses[target, _HEADLINE, name].sum(axis=0), strict=True))
        for name in (CHALLENGER, CHAMPION)
    )
    return {
        "days": float(_days(sums, target)),
        "rmse_24h": round(float(np.sqrt(own["squared"] / own["rows"])), 4),
        "rmse_24h_shared": round(float(np.sqrt(shared["squared"] / shared["rows"])), 4),
        "coverage_80_24h": round(float(own["inside_80"] / own["rows"]), 4),
    }


def _text(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M}Z"
