"""The agent's own cycle over recorded hours, with a database in memory and no network."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from edge_agent.alerts.evidence import Measured
from edge_agent.alerts.latches import Latches
from edge_agent.alerts.log import AlertLog
from edge_agent.contract import schema
from edge_agent.contract.bundles import GUIDANCE, ISSUED
from edge_agent.core import cycle
from edge_agent.core.cycle_context import CycleContext
from edge_agent.core.message_contexts import MessageContextFactory
from edge_agent.core.soil_water_store import SoilWaterStore
from edge_agent.core.stored_weather import site_of
from edge_agent.forecasting.guided import Guidance
from edge_agent.forecasting.online_correction import OnlineCorrection
from edge_agent.forecasting.verification_store import VerificationStore
from edge_agent.observations import retention, source_choice
from edge_agent.observations.store import Store
from edge_agent.replay.recorded_weather import RecordedWeather
from edge_agent.system.database import connect

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping, Sequence

    from edge_agent.core.cycle import Decision
    from edge_agent.forecasting.forecaster import LoadedRelease
    from edge_agent.messages.message import Message
    from edge_agent.settings import Config, Rule

_HOUR: Final = timedelta(hours=1)
MINUTE: Final = timedelta(minutes=2)
"""After the full hour, as on a device: the hour's observation is there by then."""
READABLE_AFTER: Final = timedelta(minutes=10)
"""From the base time of KMA's forecasts until they are published."""
_PRUNE_EACH: Final = 24 * 7


class _NoQueue:
    """Takes every message and holds none, as if the broker had it at once."""

    def put(self, message: Message) -> bool:
        """Every id is new."""
        del message
        return True

    def heard(self, name: str) -> bool:
        """Whoever listens hears all."""
        del name
        return True

    def withdraw(self, name: str) -> None:
        """Nothing waits."""


class _PublishedGuidance:
    """Puts issues of KMA's forecasts into the store when they can be read."""

    def __init__(self, guidance: pl.DataFrame | None) -> None:
        self._guidance = GUIDANCE.to_frame() if guidance is None else guidance
        self._issued = self._guidance[ISSUED].to_numpy()
        self._put = 0

    def put_until(self, time: datetime, store: Store) -> None:
        """Put the issues up to a base time that are not in the store yet."""
        known = np.datetime64(time.replace(tzinfo=None), "us")
        end = int(self._issued.searchsorted(known, "right"))
        if end > self._put:
            store.put_guidance(self._guidance[self._put : end])
            self._put = end


def run(
    config: Config,
    release: LoadedRelease,
    observations: Mapping[str, pl.DataFrame],
    start: datetime,
    end: datetime,
    *,
    guidance: pl.DataFrame | None = None,
) -> Iterator[Decision]:
    """Decisions of every hour from `start` to `end`, each from what was known by then.

    Args:
        config: Rules, site and station as on the device.
        release: The release that forecasts.
        observations: Raw hours by source (see `source_choice.names`), with history before `start`.
        start: First hour, UTC.
        end: Last hour, UTC.
        guidance: KMA's forecasts, columns of `contract.bundles.GUIDANCE`, ascending by issue. The
            device gets each issue `READABLE_AFTER` its base time.
    """
    db = connect(Path(":memory:"))
    try:
        nothing = schema.empty_frame()
        frames = {
            name: pl.concat([nothing, observations.get(name, nothing)], how="diagonal")
            for name in source_choice.names(config.device)
        }
        weather = RecordedWeather(
            frames, config.device, GUIDANCE.to_frame() if guidance is None else guidance
        )
        context = _context(config, release, db, weather)
        issued = 0 if guidance is None else guidance.height
        hour, count = start, 0
        issues = _PublishedGuidance(guidance)
        while hour <= end:
            issues.put_until(hour + MINUTE - READABLE_AFTER, context.store)
            decision = cycle.decide(context, hour + MINUTE, "trusted")
            cycle.commit(context, decision)
            yield decision
            hour, count = hour + _HOUR, count + 1
            if count % _PRUNE_EACH == 0:
                retention.prune(
                    db, hour, observations_days=36_500, forecasts_days=3, guidance_rows=issued
                )
                context.verification.prune(hour)
    finally:
        db.close()


def _context(
    config: Config,
    release: LoadedRelease,
    db: sqlite3.Connection,
    weather: RecordedWeather,
) -> CycleContext:
    store, verification = Store(db), VerificationStore(db)
    return CycleContext(
        config=config,
        db=db,
        store=store,
        weather=weather,
        latches=Latches(db),
        log=AlertLog(db),
        queue=_NoQueue(),
        verification=verification,
        correction=OnlineCorrection(verification, config.learning),
        guidance=Guidance(store, site_of(config.device), config.learning.guidance),
        release=release,
        readings=_no_readings,
        soil_water=SoilWaterStore(db),
        soil_moisture=lambda _now: None,
        message_context=MessageContextFactory(config),
    )


def _no_readings(rule: Rule, now: datetime) -> Sequence[Measured]:
    return [Measured(now, None)] * rule.for_h
