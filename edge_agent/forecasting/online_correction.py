"""Scores past forecasts each hour and corrects the new one by what the scores show.

Nothing is written here: the cycle writes `ScoredHours` together with its messages. Nothing of the
future is read: observations end at the hour of the decision.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from edge_agent.contract.forecast import GUIDED_SOURCES
from edge_agent.contract.hours import hour_of
from edge_agent.contract.schema import TARGETS, TIME
from edge_agent.forecasting import bias_correction, verification
from edge_agent.forecasting.verification_store import TALLIES_DAYS
from edge_agent.messages.payloads import ChanceScore

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from edge_agent.contract.forecast import Forecast
    from edge_agent.forecasting.verification import PastForecast, Truth
    from edge_agent.forecasting.verification_store import VerificationStore
    from edge_agent.messages.payloads import Skill
    from edge_agent.settings import Learning, Rule

LATE_H: Final = 24
"""Hours that are scored anew when a block begins, for observations that came late."""
SETTLED_H: Final = 6
"""Hours after the window of a rule's chance until it is scored, once."""
TRUTH_H: Final = LATE_H + verification.REACH_H + verification.BLOCK_H
"""Checked hours that scoring looks at."""
REPORT: Final = timedelta(days=30)
REPORTED_LEADS: Final = (1, 3, 6, 12, 24, 48)
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ScoredHours:
    """Errors of past forecasts, found in one cycle and to be written with it.

    Attributes:
        tallies: Sums by block and source.
        rule_scores: Squared error of a chance and whether the event came, by decision and meaning.
    """

    tallies: Mapping[tuple[int, str], np.ndarray]
    rule_scores: Mapping[tuple[datetime, str], tuple[float, bool]]


@dataclass
class OnlineCorrection:
    """Scores past forecasts and corrects new ones; caches the estimate of the finished blocks.

    Args:
        verification: Past forecasts and their errors.
        settings: Which corrections are allowed.
    """

    verification: VerificationStore
    settings: Learning
    _estimate: tuple[int, str, np.ndarray] | None = field(init=False, default=None)

    def score(self, truth: pl.DataFrame, rules: Sequence[Rule], now: datetime) -> ScoredHours:
        """Score the past forecasts of the last hours.

        Args:
            truth: Checked hours up to `now`, output of `quality.clean`, `TRUTH_H` of them.
            rules: Forecast rules.
            now: Time of the decision, UTC.
        """
        if truth.height == 0:
            return ScoredHours({}, {})
        observed = verification.Truth(truth[TIME][0], truth.select(TARGETS).to_numpy())
        newest, hour = divmod(hour_of(now), verification.BLOCK_H)
        blocks = range(newest if hour else newest - LATE_H // verification.BLOCK_H, newest + 1)
        reach = now - (LATE_H + verification.BLOCK_H + verification.REACH_H + 1) * _HOUR
        past = self.verification.past_forecasts(reach)
        by_source: dict[str, list[PastForecast]] = {}
        for forecast in past:
            by_source.setdefault(forecast.source, []).append(forecast)
        tallies = {
            (block, source): verification.tally(block, forecasts, observed)
            for source, forecasts in by_source.items()
            for block in blocks
        }
        return ScoredHours(
            {key: sums for key, sums in tallies.items() if sums.any()},
            _rule_scores(past, rules, observed, now),
        )

    def adjust(self, forecast: Forecast, record: str, now: datetime) -> Forecast:
        """Take the bias off that the forecast's own record shows.

        Args:
            forecast: By the models, or joined with KMA's.
            record: Name of its errors; only forecasts of the same record are used.
            now: Time of the decision, UTC.
        """
        if not self.settings.bias:
            return forecast
        return bias_correction.adjust(forecast, self._bias(record, now))

    def _bias(self, record: str, now: datetime) -> np.ndarray:
        """Estimate from finished blocks alone, so it holds for a quarter of a day."""
        block = verification.block_of(now)
        if self._estimate is None or self._estimate[:2] != (block, record):
            tallies = self.verification.tallies(now - timedelta(days=TALLIES_DAYS))
            finished = {b: sums for (b, s), sums in tallies.items() if s == record and b < block}
            estimate = bias_correction.estimate(finished, now, guided=record in GUIDED_SOURCES)
            self._estimate = (block, record, estimate)
        return self._estimate[2]


def skill(store: VerificationStore, now: datetime) -> tuple[Skill, ...]:
    """Scores of the forecasts of the last `REPORT`, all sources together."""
    tallies = store.tallies(now - REPORT).values()
    return tuple(
        verification.skill(sum(tallies, np.zeros(verification.TALLY_SHAPE)), REPORTED_LEADS)
    )


def chance_scores(store: VerificationStore, now: datetime) -> tuple[ChanceScore, ...]:
    """Scores of the event probabilities of the last `REPORT`, by event."""
    return tuple(
        ChanceScore(event=event, decisions=count, brier=round(brier, 3), came=round(share, 3))
        for event, (count, brier, share) in store.rule_scores(now - REPORT).items()
    )


def _rule_scores(
    past: Sequence[PastForecast], rules: Sequence[Rule], truth: Truth, now: datetime
) -> dict[tuple[datetime, str], tuple[float, bool]]:
    scores = {}
    for rule in rules:
        event = verification.meaning(rule)
        due = hour_of(now) - SETTLED_H - rule.within_h
        for forecast in past:
            chance = forecast.chances.get(event)
            if chance is None or hour_of(forecast.issued_at) != due:
                continue
            happened = verification.happened(rule, forecast.issued_at, truth)
            if happened is not None:
                scores[forecast.issued_at, event] = ((chance - happened) ** 2, happened)
    return scores
