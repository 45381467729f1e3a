"""KMA's forecast, corrected for this farm: by the release's models (MOS), or by its bias.

M1  The origin of a target is the newest hour whose error of KMA's forecast is known, not older than
    `MAX_AGE_HOURS`; else the hour of the decision, with no error. The newest issue that can be read
    is taken in both cases, however old it is.
M2  Errors are those of the farm's own outdoor sensors where these know any hour of the last 31
    days, else of the relayed source. Without new ones nothing more is learned, and what was learned
    stays.
M3  The spread is that of the residual table at the lead. Without an error at the origin it is at
    least that of `UNKNOWN_LEAD`; without any error here, of `COLD_LEAD`. An issue that is older
    than usual widens it as its errors grow with age.
M4  Issues that `odd_issues` sets aside count as if they had not come, in the errors of past hours
    as well. They are told, and count again as soon as these rules let them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from edge_agent.contract import guidance_defaults, residuals
from edge_agent.contract.forecast import Source, TargetForecast
from edge_agent.contract.guidance_features import GuidanceInputs
from edge_agent.contract.hours import hour_of, start_of_hour, time_of
from edge_agent.contract.schema import LEADS, TARGETS, TIME, TIME_DTYPE
from edge_agent.forecasting import guidance_bias
from edge_agent.forecasting.forecaster import MAX_AGE_HOURS
from edge_agent.forecasting.points import NewestGuidance
from edge_agent.forecasting.trusted_issues import TrustedIssues

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from edge_agent.contract.schema import Site
    from edge_agent.forecasting.forecaster import LoadedRelease
    from edge_agent.forecasting.trusted_issues import GuidanceStore

REACH_H: Final = max(LEADS)
"""Hours after the decision that are forecast."""
UNKNOWN_LEAD: Final = 12
COLD_LEAD: Final = 24
_USUAL_AGE_H: Final = 3
"""Age of the newest issue at a decision while the link is up."""


@dataclass(frozen=True, slots=True)
class GuidedForecast:
    """KMA's forecast for this farm.

    Attributes:
        hour: Hour of the decision, since 1970; the first forecast is for the next one.
        issued: Base time of the newest issue, UTC.
        made: By target, what corrected it.
        release: Of the models; None without them.
        raw: By target, KMA's values for `REACH_H` hours; NaN = none.
        targets: By target, the forecast of the same hours; NaN where KMA has none.
        shares: By target, weight beside an observation model at each of `LEADS`.
        rmse: By target, error of KMA's newest issues here in the last 30 days; None = not known.
        set_aside: Base times of newer issues that are set aside (M4), UTC.
    """

    hour: int
    issued: datetime
    made: Mapping[str, Source]
    release: int | None
    raw: Mapping[str, np.ndarray]
    targets: Mapping[str, TargetForecast]
    shares: Mapping[str, np.ndarray]
    rmse: Mapping[str, float | None]
    set_aside: Sequence[datetime] = ()

    def raw_at(self, target: str, times: list[datetime]) -> np.ndarray:
        """KMA's values at some hours; NaN = none, or beyond `REACH_H`."""
        rows = np.array([hour_of(at) for at in times]) - self.hour - 1
        inside = (rows >= 0) & (rows < REACH_H)
        return np.where(inside, self.raw[target][np.clip(rows, 0, REACH_H - 1)], np.nan)

    @property
    def source(self) -> Source:
        """The better of what corrected its targets."""
        return Source.GUIDED if Source.GUIDED in self.made.values() else Source.GUIDANCE

    @property
    def until(self) -> datetime:
        """Last hour for which KMA has every target; the hour of the decision without one."""
        there = np.all([np.isfinite(self.raw[target]) for target in TARGETS], axis=0)
        return time_of(self.hour + (int(there.nonzero()[0][-1]) + 1 if there.any() else 0))


@dataclass
class Guidance:
    """KMA's forecasts of the farm's cell.

    Args:
        store: Where they are.
        site: The farm.
        allowed: Whether they may take part.

    Attributes:
        newest: What they have beside the targets.
    """

    store: GuidanceStore
    site: Site
    allowed: bool = True
    newest: NewestGuidance = field(init=False)
    _issues: TrustedIssues = field(init=False)

    def __post_init__(self) -> None:
        self.newest = NewestGuidance(self.store)
        self._issues = TrustedIssues(self.store)

    def came(self, now: datetime) -> bool:
        """Whether KMA's forecasts take part and have ever come, however old they are.

        Raises:
            StorageError: The disk refused.
        """
        return self.allowed and any(self.store.guidance_mark(now))

    def make(
        self, truth: pl.DataFrame | None, release: LoadedRelease | None, now: datetime
    ) -> GuidedForecast | None:
        """Forecast of the next `REACH_H` hours; None where KMA has none of them.

        Without an hour, but with `set_aside`, where every issue that reaches them is set aside.

        Args:
            truth: Checked hours up to `now`, `HISTORY_H` of them (M2); None: none are known.
            release: What is installed.
            now: Time of the decision, UTC.

        Raises:
            BadData: A model cannot compute.
            StorageError: The disk refused.
        """
        if not self.allowed:
            return None
        observed = _no_hour(now) if truth is None else truth
        course, aside = self._issues.course(observed, now)
        if truth is not None:
            self._issues.log(aside)
        hour = hour_of(now)
        row = int(course.newest(np.array([hour]))[0])
        hours = np.arange(hour + 1, hour + 1 + REACH_H)
        rows = np.full(REACH_H, row)
        raw = {target: course.at(target, rows, hours) for target in TARGETS}
        reached = any(np.isfinite(values).any() for values in raw.values())
        if row < 0 or not (reached or aside):
            return None
        inputs = GuidanceInputs.of(observed, course, self.site)
        maker = _Maker(inputs, hour, row)
        models = None if release is None or not release.guided else release
        targets, shares, made = {}, {}, {}
        for target in TARGETS:
            if models is not None and target in models.guided:
                targets[target] = maker.by_models(target, models)
                shares[target], made[target] = _shares(models, target), Source.GUIDED
            else:
                made[target] = Source.GUIDANCE
                targets[target] = maker.by_bias(target, raw[target])
                shares[target] = guidance_defaults.shares(target, np.array(LEADS))
        return GuidedForecast(
            hour=hour,
            issued=time_of(int(course.issues[row])),
            made=made,
            release=None if models is None else models.manifest.release,
            raw=raw,
            targets=targets,
            shares=shares,
            rmse={target: _rmse(inputs.errors[target]) for target in TARGETS},
            set_aside=aside,
        )


@dataclass(frozen=True, slots=True)
class _Maker:
    """Forecasts of one decision: inputs, its hour, and the row of the issue."""

    inputs: GuidanceInputs
    hour: int
    row: int

    def by_models(self, target: str, release: LoadedRelease) -> TargetForecast:
        guided = release.manifest.guidance
        assert guided is not None, "a release with these models says so"
        age, error = self._origin(target)
        leads = np.arange(1, REACH_H + 1) + age
        origins = np.full(REACH_H, self.hour - age)
        matrix = self.inputs.matrix(target, origins, leads, np.full(REACH_H, self.row))
        base = matrix[:, guided.names.index("base")]
        points = release.guided[target].predict(matrix).astype(np.float64)
        points = np.where(np.isfinite(base), points, np.nan)
        times = [time_of(int(hour)) for hour in origins + leads]
        spread_leads = leads
        if np.isnan(error):
            known = np.isfinite(self.inputs.errors[target]).any()
            spread_leads = np.maximum(leads, UNKNOWN_LEAD if known else COLD_LEAD)
        return residuals.apply(
            guided.residuals[target],
            target,
            points,
            times,
            spread_leads,
            widened=self._older(target),
        )

    def by_bias(self, target: str, raw: np.ndarray) -> TargetForecast:
        age, error = self._origin(target)
        leads = np.arange(1, REACH_H + 1) + age
        until = self.hour - age - self.inputs.first + 1
        errors = self.inputs.errors[target][: max(until, 0)]
        ages = self.hour + np.arange(1, REACH_H + 1) - self.inputs.course.issues[self.row]
        return guidance_bias.forecast(
            target, raw, ages=ages, leads=leads, errors=errors, newest=error
        )

    def _origin(self, target: str) -> tuple[int, float]:
        """Hours since the newest error, and the error (M1)."""
        errors = self.inputs.errors[target]
        for age in range(MAX_AGE_HOURS + 1):
            position = self.hour - age - self.inputs.first
            if 0 <= position < len(errors) and np.isfinite(errors[position]):
                return age, float(errors[position])
        return 0, np.nan

    def _older(self, target: str) -> np.ndarray:
        """Factor by which errors grow with an issue that is older than usual (M3)."""
        ahead = np.arange(1, REACH_H + 1)
        age = self.hour - self.inputs.course.issues[self.row]
        usual = guidance_defaults.error(target, ahead + _USUAL_AGE_H)
        grown: np.ndarray = guidance_defaults.error(target, ahead + max(age, _USUAL_AGE_H)) / usual
        return grown


def _shares(release: LoadedRelease, target: str) -> np.ndarray:
    guided = release.manifest.guidance
    assert guided is not None, "as above"
    return np.interp(LEADS, release.manifest.leads, guided.shares[target])


def _rmse(errors: np.ndarray) -> float | None:
    known = errors[-24 * guidance_bias.DAYS :]
    known = known[np.isfinite(known)]
    return float(np.sqrt((known**2).mean())) if len(known) else None


def _no_hour(now: datetime) -> pl.DataFrame:
    """Checked hours without an observation."""
    return pl.DataFrame(
        {TIME: [start_of_hour(now)], **{name: [None] for name in TARGETS}},
        schema={TIME: TIME_DTYPE} | dict.fromkeys(TARGETS, pl.Float64),
    )
