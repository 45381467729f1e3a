"""One farm's correction: its history, what the shared models lack there, and the gate's word on it.

Judged as any model is, by the rules of `trainer.verdict`: the challenger is what corrections of
former days would have said, the champion the shared models as they are, on the same hours. A target
is corrected where the challenger is better, not where it is as good: then the shared model does.

Only hours that begin an embargo after the shared models' training count, for fitting and for
judging: before, the models knew the weather of the region, and their errors there are no others'.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from edge_agent.contract import inputs, residuals, tuning
from edge_agent.contract.feature_table import NAMES
from edge_agent.contract.schema import TARGETS, TIME
from edge_agent.contract.tuning import KNOTS, Correction, Shard, Tuning
from edge_agent.errors import BadData, InputMissing, StorageError
from edge_agent.forecast import place_of
from edge_agent.inference import load_predictors
from trainer import tuning_fit
from trainer.dataset import WARM_UP_HOURS, gather, prepare, scoring_pairs, times, truth
from trainer.evidence import CHALLENGER, CHAMPION, LOSSES, Evidence, lead_slice, to_bytes
from trainer.farms import farm
from trainer.judged import Judged, Said
from trainer.rules_champion import Route
from trainer.rules_floor import LEAST_DAYS
from trainer.scoring import HEADLINE_LEAD, SCORED_LEADS
from trainer.tuning_fit import Chained, Lack
from trainer.verdict import Decision, Terms, conclude

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from edge_agent.contract.manifest import Manifest
    from edge_agent.ports import Predictor
    from trainer.dataset import Pairs, StationSeries
    from trainer.farms import Farm
    from trainer.places import FarmId
    from trainer.workspace import Workspace

EVERY: Final = 5
"""Each how many-th hour is an origin: five a day, each hour of the day in turn. All hours give the
same corrections and scores within what days differ by, for five times the work."""

_HEADLINE: Final = lead_slice(HEADLINE_LEAD)
_DIGITS: Final = 6
"""Significant digits of what is published: the third is noise already."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What the corrections of all farms have in common; small enough to be sent to a worker.

    Attributes:
        workspace: Its lake has the farms' hours.
        manifest: The release to be corrected.
        models: ONNX bytes by target.
        damped: Per target, lead -> the two shares of the damped anomaly.
        terms: Of the gate; where the holdout lies is each farm's own.
        until: Newest hour that counts, UTC.
    """

    workspace: Workspace
    manifest: Manifest
    models: Mapping[str, bytes]
    damped: Mapping[str, Mapping[int, tuple[float, float]]]
    terms: Terms
    until: datetime


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
    except (BadData, InputMissing, StorageError) as fault:
        return Tried(str(farm_id), _text(shared.until), fault=str(fault))


def _attempt(shared: Shared, known: Farm) -> Tried:
    history = _history(shared, known)
    predictors = load_predictors(shared.models, len(NAMES))
    cases = {
        target: _case(history, target, predictors[target], shared.manifest) for target in TARGETS
    }
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
    shard = Shard(tuning.FORMAT, {str(known.id): made})
    tuning.decode(tuning.encode(shard), shared.manifest)
    return Tried(str(known.id), _text(shared.until), made, decision)


@dataclass(frozen=True, slots=True)
class _History:
    """A farm's hours that count, as N pairs of origin and lead."""

    one: StationSeries
    pairs: Pairs
    matrix: np.ndarray
    times: pl.Series

    @property
    def last(self) -> datetime:
        """Newest hour, UTC."""
        found: datetime = self.one.frame[TIME][-1]
        return found


@dataclass(frozen=True, slots=True)
class _Case:
    """One target at the pairs of a history: what the shared model says, and its corrections."""

    shared: Said
    lack: Lack
    chain: Chained

    def corrected(self) -> Said:
        """What corrections of former days would have said."""
        widened = self.shared.widened * self.chain.spread
        return Said(self.shared.values + self.chain.change, self.shared.table, widened)

    def correction(self, model: str) -> Correction:
        """What the whole history says, for a model by its SHA-256 (hex)."""
        everything = np.ones(len(self.lack.errors), bool)
        return Correction(
            model,
            tuple(tuple(map(_rounded, row)) for row in tuning_fit.weights(self.lack)),
            tuple(map(_rounded, tuning_fit.spread(self.lack, self.chain.change, everything))),
        )


def _history(shared: Shared, known: Farm) -> _History:
    """The hours that count.

    Raises:
        BadData: There are none.
        StorageError: The lake cannot be read.
    """
    begin = datetime.fromisoformat(shared.terms.trained_to) + timedelta(
        hours=shared.terms.embargo_hours
    )
    frame = shared.workspace.lake.observations(
        known.id, begin - timedelta(hours=WARM_UP_HOURS), shared.until
    )
    if frame.is_empty():
        raise BadData(_too_few(0))
    place = place_of(known.site, shared.manifest.sites)
    one = prepare(0, frame, known.site, place.normals)
    pairs = scoring_pairs([one], begin, shared.until, KNOTS, EVERY)
    if len(pairs) == 0:
        raise BadData(_too_few(0))
    return _History(one, pairs, gather([one], pairs), times([one], pairs))


def _case(history: _History, target: str, predictor: Predictor, manifest: Manifest) -> _Case:
    table = manifest.residuals[target]
    leads = history.pairs.leads
    # As the agent widens them, for instruments that the farm never had.
    widened = inputs.widening(
        manifest.widening.get(target, {}), inputs.missing(history.matrix), table.leads, leads
    )
    values = predictor.predict(history.matrix).astype(np.float64)
    lack = Lack(
        terms=tuning.terms(history.matrix),
        leads=leads,
        days=(history.times - history.times.min()).dt.total_hours().to_numpy() / 24.0,
        errors=truth([history.one], history.pairs, target) - values,
        around=residuals.spread(table, history.times, leads) * widened[:, None],
    )
    return _Case(Said(values, table, widened), lack, tuning_fit.chained(lack))


def _evidence(
    history: _History, cases: Mapping[str, _Case], shared: Shared
) -> tuple[Evidence, datetime, datetime]:
    """Evidence, with the first and the last hour of it.

    Raises:
        BadData: There are too few days to judge by.
    """
    judged = np.isin(history.pairs.leads, SCORED_LEADS)
    for case in cases.values():
        judged &= np.isfinite(case.chain.change)
    hours = history.times.filter(judged)
    if hours.is_empty():
        raise BadData(_too_few(0))
    first, last = hours.min(), hours.max()
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    evidence = Evidence.spanning(first, last)
    said = {
        target: {
            CHALLENGER: case.corrected().take(np.flatnonzero(judged)),
            CHAMPION: case.shared.take(np.flatnonzero(judged)),
        }
        for target, case in cases.items()
    }
    Judged(
        history.one,
        history.pairs.take(judged),
        history.matrix[judged],
        shared.damped,
        past=first,
        places=(),
    ).add(evidence, said)
    days = min(_days(evidence, target) for target in TARGETS)
    if days < LEAST_DAYS:
        raise BadData(_too_few(days))
    return evidence, first, last


def _days(evidence: Evidence, target: str) -> int:
    """Days with a judged hour a day ahead."""
    sums = evidence.losses.get((target, _HEADLINE, CHALLENGER))
    return 0 if sums is None else int(np.sum(sums[:, 0] > 0))


def _too_few(days: int) -> str:
    return (
        f"{days} days with temperature and humidity can be judged, {LEAST_DAYS} are needed and "
        f"{tuning_fit.FIRST_DAYS} before them, all after the shared models' training"
    )


def _scores(evidence: Evidence, target: str) -> dict[str, float]:
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


def _rounded(number: float) -> float:
    return float(f"{number:.{_DIGITS}g}")


def _text(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M}Z"
