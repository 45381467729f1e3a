"""One hour of learning: score what was foreseen, and move the new forecast by what that teaches.

Nothing is written here; `Lesson` holds what the cycle commits with its messages. Nothing of the
future is read: truth ends at the hour of the decision, and guidance is of issues before it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import polars as pl

from edge_agent.contract.bundles import ISSUED, VALID
from edge_agent.contract.schema import TARGETS, TIME
from edge_agent.forecasting import bias_correction, verification
from edge_agent.forecasting.verification_store import TALLIES_DAYS
from edge_agent.messages.payloads import ChanceScore

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_agent.contract.forecast import Forecast
    from edge_agent.forecasting.bias_correction import Learned
    from edge_agent.forecasting.verification import Foreseen, Truth
    from edge_agent.forecasting.verification_store import Track
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
GUIDANCE_MAX_AGE: Final = timedelta(hours=24)
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Lesson:
    """What an hour has taught, to be written down.

    Attributes:
        tallies: Sums by block and source.
        rule_scores: Squared error of a chance and whether the event came, by decision and meaning.
    """

    tallies: Mapping[tuple[int, str], np.ndarray]
    rule_scores: Mapping[tuple[datetime, str], tuple[float, bool]]


@dataclass(frozen=True, slots=True)
class Guidance:
    """KMA's values at the hours of a forecast, by target; NaN = none. `issued` is the newest."""

    values: Mapping[str, np.ndarray]
    issued: datetime | None


class GuidanceStore(Protocol):
    """Where KMA's guidance is kept."""

    def guidance(self, since: datetime) -> pl.DataFrame:
        """Rows issued at or after `since`, see `contract.bundles`."""


@dataclass
class Teacher:
    """Scores and adjusts; remembers what the finished blocks of the record taught.

    Args:
        track: The record.
        store: Guidance.
        settings: What may be done to a forecast.
    """

    track: Track
    store: GuidanceStore
    settings: Learning
    _known: tuple[int, str, Learned] | None = field(init=False, default=None)

    def score(self, truth: pl.DataFrame, rules: Sequence[Rule], now: datetime) -> Lesson:
        """Score what was foreseen for the last hours.

        Args:
            truth: Checked hours up to `now`, output of `quality.clean`, `TRUTH_H` of them.
            rules: Forecast rules.
            now: Time of the decision, UTC.
        """
        if truth.height == 0:
            return Lesson({}, {})
        known = verification.Truth(truth[TIME][0], truth.select(TARGETS).to_numpy())
        newest, hour = divmod(verification.hour_of(now), verification.BLOCK_H)
        blocks = range(newest if hour else newest - LATE_H // verification.BLOCK_H, newest + 1)
        reach = now - (LATE_H + verification.BLOCK_H + verification.REACH_H + 1) * _HOUR
        foreseen = self.track.foreseen(reach)
        by_source: dict[str, list[Foreseen]] = {}
        for one in foreseen:
            by_source.setdefault(one.source, []).append(one)
        tallies = {
            (block, source): verification.tally(block, kept, known)
            for source, kept in by_source.items()
            for block in blocks
        }
        return Lesson(
            {place: sums for place, sums in tallies.items() if sums.any()},
            _rule_scores(foreseen, rules, known, now),
        )

    def adjust(
        self, forecast: Forecast, guidance: Guidance, source: str, now: datetime
    ) -> Forecast:
        """The models' forecast moved by what the record teaches.

        Args:
            forecast: By the models.
            guidance: See `guidance`.
            source: Name of the observations behind it; forecasts on others teach nothing of it.
            now: Time of the decision, UTC.
        """
        learned = self._learned(verification.record_of(forecast, source), now)
        return bias_correction.adjust(forecast, learned, guidance.values)

    def guidance(self, forecast: Forecast, now: datetime) -> Guidance:
        """KMA's newest values for the hours of a forecast, from issues of the last day."""
        frame = self.store.guidance(now - GUIDANCE_MAX_AGE)
        frame = frame.filter(pl.col(ISSUED) <= now).unique(VALID, keep="last", maintain_order=True)
        if frame.height == 0:
            return Guidance(
                {name: np.full(len(forecast.valid_at), np.nan) for name in TARGETS}, None
            )
        hours = pl.DataFrame({VALID: list(forecast.valid_at)}, schema={VALID: frame.schema[VALID]})
        found = hours.join(frame, on=VALID, how="left", maintain_order="left")
        values = {name: found[name].to_numpy().astype(np.float64) for name in TARGETS}
        newest = found[ISSUED].max()
        return Guidance(values, newest if isinstance(newest, datetime) else None)

    def _learned(self, source: str, now: datetime) -> Learned:
        """Taught by finished blocks alone, so that one look serves a quarter of a day."""
        block = verification.hour_of(now) // verification.BLOCK_H
        if self._known is None or self._known[:2] != (block, source):
            tallies = self.track.tallies(now - timedelta(days=TALLIES_DAYS))
            finished = {b: sums for (b, s), sums in tallies.items() if s == source and b < block}
            may = self.settings
            learned = bias_correction.learn(finished, now, bias=may.bias, blend=may.guidance)
            self._known = (block, source, learned)
        return self._known[2]


def skill(track: Track, now: datetime) -> tuple[Skill, ...]:
    """How forecasts of the last `REPORT` came out, all sources together."""
    tallies = track.tallies(now - REPORT).values()
    return tuple(
        verification.skill(sum(tallies, np.zeros(verification.TALLY_SHAPE)), REPORTED_LEADS)
    )


def chance_scores(track: Track, now: datetime) -> tuple[ChanceScore, ...]:
    """How the chances of rules told in the last `REPORT` came out."""
    return tuple(
        ChanceScore(event=event, decisions=count, brier=round(brier, 3), came=round(share, 3))
        for event, (count, brier, share) in track.rule_scores(now - REPORT).items()
    )


def _rule_scores(
    foreseen: Sequence[Foreseen], rules: Sequence[Rule], truth: Truth, now: datetime
) -> dict[tuple[datetime, str], tuple[float, bool]]:
    found = {}
    for rule in rules:
        what = verification.meaning(rule)
        due = verification.hour_of(now) - SETTLED_H - rule.within_h
        for one in foreseen:
            chance = one.chances.get(what)
            if chance is None or verification.hour_of(one.issued_at) != due:
                continue
            came = verification.happened(rule, one.issued_at, truth)
            if came is not None:
                found[one.issued_at, what] = ((chance - came) ** 2, came)
    return found
