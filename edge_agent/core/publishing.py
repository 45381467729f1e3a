"""The forecast that goes out: observation models, KMA's forecast, what the device has learned."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from edge_agent.contract.forecast import Forecast
from edge_agent.contract.guidance_features import HISTORY_H
from edge_agent.contract.schema import TARGETS
from edge_agent.core import rules
from edge_agent.core.stored_weather import site_of
from edge_agent.forecasting import completion, fallback, joining, verification
from edge_agent.forecasting.trusted_issues import set_aside_text
from edge_agent.messages.payloads import GuidanceReport
from edge_agent.observations import bundles, source_choice

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import polars as pl

    from edge_agent.contract.forecast import NoForecast
    from edge_agent.core.cycle_context import CycleContext
    from edge_agent.forecasting.guided import GuidedForecast
    from edge_agent.forecasting.verification import PastForecast
    from edge_agent.messages.payloads import Input


@dataclass(frozen=True, slots=True)
class Publication:
    """A forecast and how it came about.

    Attributes:
        forecast: As it goes out.
        source: Name of its observations.
        truth: What the farm saw, `HISTORY_H` checked hours.
        before: Before the device took off what it has learned; None: it is not scored.
        record: Name that its errors are stored under.
        guided: KMA's part, where it takes part.
        weights: By target, its mean weight.
        set_aside: Base times of KMA's newer issues that do not count, also where no hour is left.
    """

    forecast: Forecast | NoForecast
    source: str
    truth: pl.DataFrame
    before: Forecast | None = None
    record: str = ""
    guided: GuidedForecast | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    set_aside: Sequence[datetime] = ()

    def inputs(self, now: datetime) -> tuple[Input, ...]:
        """What it rests on."""
        found: tuple[Input, ...] = ()
        observed_at = self.forecast.observed_at
        if observed_at is not None:
            found += (rules.input_of(self.source, observed_at, now),)
        if self.guided is not None:
            found += (rules.input_of(source_choice.GUIDANCE, self.guided.issued, now),)
        return found

    def past_forecast(self, chances: Mapping[str, float]) -> PastForecast | None:
        """The forecast as it is kept for scoring; None where it is not."""
        if self.before is None:
            return None
        assert isinstance(self.forecast, Forecast)
        hours, guided = list(self.before.valid_at), self.guided
        none = np.full(len(hours), np.nan)
        raw = {name: guided.raw_at(name, hours) if guided else none for name in TARGETS}
        return verification.past_forecast_of(self.before, self.forecast, raw, self.record, chances)

    def report(self, context: CycleContext, now: datetime) -> GuidanceReport | None:
        """What is told of KMA's part; None without it."""
        guided = self.guided
        if guided is None:
            return None
        return GuidanceReport(
            cell=str(bundles.cell(context.config.device)),
            issued_at=guided.issued,
            age_s=int((now - guided.issued).total_seconds()),
            until=guided.until,
            corrected_by="bias" if guided.release is None else "models",
            weight=dict(self.weights),
            rmse={
                name: None if error is None else round(error, 2)
                for name, error in guided.rmse.items()
            },
        )


def publish(context: CycleContext, now: datetime) -> Publication:
    """The forecast of one hour, all its hours, with what KMA's forecast has besides the targets.

    Raises:
        StorageError: The disk refused.
    """
    publication = _of_targets(context, now)
    forecast = publication.forecast
    if not isinstance(forecast, Forecast):
        return publication
    if context.release is not None:
        site = site_of(context.config.device)
        forecast = completion.completed(forecast, context.release, site)
    if context.guidance.allowed:
        points = context.guidance.newest.points(now, forecast.valid_at, publication.set_aside)
        forecast = replace(forecast, points=points)
    return replace(publication, forecast=forecast)


def _of_targets(context: CycleContext, now: datetime) -> Publication:
    model, source = context.weather.forecast(context.release, now)
    truth = context.weather.truth(now, HISTORY_H)
    guided = context.guidance.make(truth, context.release, now)
    by_models = isinstance(model, Forecast) and model.source in fallback.MODELS
    other = model
    if not by_models:
        earlier = context.store.forecasts(now - fallback.CACHED_MAX_AGE, now)
        other = fallback.choose(model, earlier, now)
    aside = () if guided is None else guided.set_aside
    joined = None if guided is None else joining.join(guided, other, now)
    if joined is None:
        if aside and isinstance(other, Forecast):
            other = replace(other, notes=[*other.notes, set_aside_text(aside)])
        if not by_models:
            return Publication(other, source, truth, set_aside=aside)
        assert isinstance(other, Forecast)
        record = verification.record_of(other, source)
        adjusted = context.correction.adjust(other, record, now)
        return Publication(adjusted, source, truth, other, record, set_aside=aside)
    assert guided is not None
    before, record = joined.forecast, guided.source.value
    adjusted = context.correction.adjust(before, record, now)
    return Publication(
        adjusted, source, truth, before, record, guided, joined.weights, set_aside=aside
    )
