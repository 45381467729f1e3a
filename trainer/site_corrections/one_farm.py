"""One farm's correction: its history, what the shared models lack there, and the gate's word on it.

Judged as any model is, by the rules of `trainer.gate.decision`: the challenger is what corrections
of former days would have said, the champion the shared models as they are, on the same hours. A
target is corrected where the challenger is better, not where it is as good: then the shared model
does.
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
from trainer.site_corrections.farm_history import History, too_few
from trainer.workspace.farms import farm
from trainer.workspace.s3_errors import BucketFault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trainer.site_corrections.farm_history import Case, Shared
    from trainer.workspace.farms import Farm
    from trainer.workspace.places import FarmId

_HEADLINE: Final = lead_slice(HEADLINE_LEAD)


class Tried(msgspec.Struct, frozen=True):
    """What became of one farm.

    Attributes:
        farm: "site/device".
        until: Newest hour that counts, UTC.
        tuning: What goes into the release, or None.
        decision: The gate's, or None where it could not be asked.
        fault: Why it could not be asked, or empty.
    """

    farm: str
    until: str
    tuning: Tuning | None = None
    decision: Decision | None = None
    fault: str = ""


def attempt(shared: Shared, farm_id: FarmId) -> Tried:
    """Fit, judge and, where it is better, make the farm's corrections.

    A history that is damaged or too short is told in `fault`: it keeps no other farm.

    Raises:
        FarmError: What concerns every farm, like a bucket that does not answer.
    """
    try:
        return _attempt(shared, farm(shared.workspace.lake, farm_id))
    except BucketFault:
        raise
    except (BadData, InputMissing, StorageError) as fault:
        return Tried(str(farm_id), _text(shared.until), fault=str(fault))


def _attempt(shared: Shared, known: Farm) -> Tried:
    history = History.of(shared, known)
    cases = history.cases(shared)
    evidence, first, last = _evidence(history, cases, shared)
    terms = msgspec.structs.replace(
        shared.terms, farm=str(known.id), holdout_from=_text(first), holdout_to=_text(last)
    )
    decision = conclude(terms, to_bytes(evidence))
    better = [t for t in decision.winners if decision.routes[t] is Route.BETTER]
    if not better:
        return Tried(str(known.id), _text(shared.until), decision=decision)
    made = Tuning(
        corrections={t: cases[t].correction(shared.manifest.models[t].file.sha256) for t in better},
        scores={t: _scores(evidence, t) for t in better},
        trained_to=_text(history.last),
    )
    # What no agent would take must not be published.
    shard = Shard(site_correction.FORMAT, {str(known.id): made})
    site_correction.decode(site_correction.encode(shard), shared.manifest)
    return Tried(str(known.id), _text(shared.until), made, decision)


def _evidence(
    history: History, cases: Mapping[str, Case], shared: Shared
) -> tuple[DailySums, datetime, datetime]:
    """Evidence, with the first and the last hour of it.

    Raises:
        BadData: There are too few days to judge by.
    """
    judged = np.isin(history.pairs.leads, SCORED_LEADS)
    for case in cases.values():
        judged &= np.isfinite(case.chain.change)
    hours = history.times.filter(judged)
    if hours.is_empty():
        raise too_few(0)
    first, last = hours.min(), hours.max()
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    evidence = DailySums.spanning(first, last)
    said = {
        target: {
            CHALLENGER: case.corrected().take(np.flatnonzero(judged)),
            CHAMPION: case.shared.take(np.flatnonzero(judged)),
        }
        for target, case in cases.items()
    }
    PairedScores(
        history.one,
        history.pairs.take(judged),
        history.matrix[judged],
        shared.damped,
        past=first,
        slices=(),
    ).add_to(evidence, said)
    days = min(_days(evidence, target) for target in TARGETS)
    if days < LEAST_DAYS:
        raise too_few(days)
    return evidence, first, last


def _days(evidence: DailySums, target: str) -> int:
    """Days with a judged hour a day ahead."""
    sums = evidence.losses.get((target, _HEADLINE, CHALLENGER))
    return 0 if sums is None else int(np.sum(sums[:, 0] > 0))


def _scores(evidence: DailySums, target: str) -> dict[str, float]:
    """Figures a day ahead that stand in the release."""
    sums = {
        name: dict(zip(LOSSES, evidence.losses[target, _HEADLINE, name].sum(axis=0), strict=True))
        for name in (CHALLENGER, CHAMPION)
    }
    own, before = sums[CHALLENGER], sums[CHAMPION]
    return {
        "days": float(_days(evidence, target)),
        "rmse_24h": round(float(np.sqrt(own["squared"] / own["rows"])), 4),
        "rmse_24h_shared": round(float(np.sqrt(before["squared"] / before["rows"])), 4),
        "coverage_80_24h": round(float(own["inside_80"] / own["rows"]), 4),
    }


def _text(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M}Z"
