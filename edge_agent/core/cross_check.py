"""Own outdoor sensors against station, cell and KMA's forecast, for critical rules and problems.

Nothing here changes a forecast.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import polars as pl

from edge_agent.agronomy.derived import inputs_of, needed_for, values_of
from edge_agent.alerts.evaluation import Relayed
from edge_agent.alerts.evidence import Measured
from edge_agent.contract.bundles import ISSUED, VALID
from edge_agent.contract.forecast import Forecast, Source
from edge_agent.contract.schema import AIR_TEMPERATURE, TARGETS, TIME
from edge_agent.core.stored_weather import StoredWeather
from edge_agent.forecasting import joining
from edge_agent.observations import source_choice, source_gap

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from edge_agent.contract.manifest import SiteNormals
    from edge_agent.core.cycle_context import CycleContext, Weather
    from edge_agent.observations.source_gap import Gap
    from edge_agent.observations.store import Store
    from edge_agent.settings import Device, Rule
    from edge_agent.updates.slots import Slots

_HOUR: Final = timedelta(hours=1)
NEWEST: Final = timedelta(minutes=90)
"""A live rule looks at no older hour of a relayed source."""
REACH_H: Final = 30 * 24
"""Hours in which the beginning of a gap is looked for."""


@dataclass(frozen=True, slots=True)
class CrossCheck:
    """What other sources say.

    Attributes:
        gaps: Lasting gaps between own sensors and the others.
        forecast: From a relayed source, where own sensors and it do not agree; else None.
        source: That source.
    """

    gaps: tuple[Gap, ...] = ()
    forecast: Forecast | None = None
    source: str = ""


def of_cycle(
    context: CycleContext, rules: Sequence[Rule], source: str, now: datetime
) -> CrossCheck:
    """Check for a cycle whose forecast rests on `source`.

    Raises:
        StorageError: The disk refused.
    """
    found = gaps(context.weather, context.store, context.config.device, _sites(context), now)
    forecast, other = _relayed(context, rules, source, now)
    return CrossCheck(found, forecast, other)


def of_watch(context: CycleContext, rules: Sequence[Rule], now: datetime) -> CrossCheck:
    """Check for live rules alone; nothing where none of them needs it.

    Raises:
        StorageError: The disk refused.
    """
    if not any(_looks_besides(rule) for rule in rules):
        return CrossCheck()
    found = gaps(context.weather, context.store, context.config.device, _sites(context), now)
    return CrossCheck(found)


def gaps(
    weather: Weather,
    store: Store,
    device: Device,
    sites: Mapping[str, SiteNormals],
    now: datetime,
) -> tuple[Gap, ...]:
    """Lasting gaps between own sensors and others, see `source_gap.find`.

    Args:
        weather: Hours by source.
        store: Has KMA's forecasts.
        device: Where the farm is.
        sites: Stations of the release.
        now: UTC.

    Raises:
        StorageError: The disk refused.
    """
    lasting: tuple[Gap, ...] = ()
    for hours in (source_gap.RECENT_H, REACH_H):
        own, *relayed = weather.raw(now, hours).items()
        if not own[1].height:
            return ()
        others = {**dict(relayed), **_guided(store, now, hours)}
        lasting = source_gap.find(own[1], others, source_gap.heights(device, sites), now)
        # The beginning is looked for only where there is a gap.
        if not lasting:
            return ()
    return lasting


def stored_gaps(store: Store, device: Device, slots: Slots, now: datetime) -> tuple[Gap, ...]:
    """Lasting gaps on a device whose service need not run.

    Raises:
        StorageError: The disk refused.
    """
    installed = slots.load()
    sites = {} if installed is None else installed.manifest.sites
    return gaps(StoredWeather(store, device), store, device, sites, now)


def relayed_of(
    context: CycleContext, rule: Rule, check: CrossCheck, now: datetime
) -> Relayed | None:
    """What a critical rule looks at besides: a forecast, or the newest hours of a relayed source.

    Hours where a gap is told, not older than `NEWEST`.

    Raises:
        StorageError: The disk refused.
    """
    if not rule.now:
        if rule.severity != "critical" or check.forecast is None:
            return None
        return Relayed(check.source, forecast=check.forecast)
    needed = needed_for(rule.quantity)
    if not _looks_besides(rule) or not any(gap.quantity in needed for gap in check.gaps):
        return None
    warmer = source_gap.heights(context.config.device, _sites(context))
    _, *relayed = context.weather.raw(now, rule.for_h + 2).items()
    for source, frame in relayed:
        rows = frame.with_columns(pl.col(AIR_TEMPERATURE) + warmer.get(source, 0.0))
        known = {row[TIME]: row for row in rows.drop_nulls(needed).iter_rows(named=True)}
        if known and max(known) >= now - NEWEST:
            hours = [max(known) - back * _HOUR for back in range(rule.for_h - 1, -1, -1)]
            readings = tuple(_measured(rule.quantity, at, known.get(at)) for at in hours)
            return Relayed(source, readings=readings)
    return None


def _measured(quantity: str, at: datetime, row: Mapping[str, float] | None) -> Measured:
    return Measured(at, None if row is None else float(values_of(quantity, row)))


def _looks_besides(rule: Rule) -> bool:
    targets = set(needed_for(rule.quantity)) <= set(TARGETS)
    return rule.now and rule.severity == "critical" and rule.role == "outdoor" and targets


def _relayed(
    context: CycleContext, rules: Sequence[Rule], source: str, now: datetime
) -> tuple[Forecast | None, str]:
    own, release = source_choice.names(context.config.device)[0], context.release
    critical = [rule for rule in rules if rule.severity == "critical" and not rule.now]
    if source != own or release is None or not critical:
        return None, ""
    raw = context.weather.raw(now, source_gap.RECENT_H)
    warmer = source_gap.heights(context.config.device, release.manifest.sites)
    other = source_choice.choose_relayed(raw, now, warmer).source
    compared = {
        name
        for rule in critical
        for condition in rule.conditions
        for name in inputs_of(condition.quantity) or (condition.quantity,)
    }
    needed = sorted(compared.intersection(TARGETS))
    height = warmer.get(other, 0.0)
    if all(source_gap.agree(name, raw[own], raw[other], height) for name in needed):
        return None, ""
    forecast, other = context.weather.relayed(release, now)
    if not isinstance(forecast, Forecast) or forecast.source is not Source.MODEL_RELAYED:
        return None, ""
    # Without what the farm saw: whoever misleads its sensors moves nothing here.
    guided = context.guidance.make(None, release, now)
    joined = None if guided is None else joining.join(guided, forecast, now)
    return (forecast if joined is None else joined.forecast), other


def _sites(context: CycleContext) -> Mapping[str, SiteNormals]:
    return {} if context.release is None else context.release.manifest.sites


def _guided(store: Store, now: datetime, hours: int) -> dict[str, pl.DataFrame]:
    """KMA's newest forecast of each past hour, as hours of a source; empty without one."""
    rows = store.guidance(now - hours * _HOUR)
    if not rows.height:
        return {}
    past = rows.filter((pl.col(ISSUED) <= now) & (pl.col(VALID) <= now))
    return {source_choice.GUIDANCE: source_choice.guided_hours(past)}
