"""The real cycle over recorded hours: same code, memory instead of a disk, no network."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import polars as pl

from edge_agent.alerts.evidence import Measured
from edge_agent.alerts.latches import Latches
from edge_agent.alerts.log import AlertLog
from edge_agent.contract import schema
from edge_agent.contract.forecast import Forecast, NoForecast
from edge_agent.core import cycle
from edge_agent.forecasting.online_correction import OnlineCorrection
from edge_agent.forecasting.verification_store import VerificationStore
from edge_agent.messages.envelope import MessageContext
from edge_agent.messages.locale import Locale
from edge_agent.messages.topics import Topics
from edge_agent.observations import source_choice
from edge_agent.observations.store import Store
from edge_agent.replay.recorded_weather import RecordedWeather
from edge_agent.system.database import connect

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edge_agent.contract.clock_state import ClockState
    from edge_agent.core.cycle import Decision
    from edge_agent.forecasting.forecaster import LoadedRelease
    from edge_agent.messages.message import Message
    from edge_agent.messages.payloads import Input
    from edge_agent.settings import Config, Rule

_HOUR: Final = timedelta(hours=1)
MINUTE: Final = timedelta(minutes=2)
"""After the full hour, as on a device: the hour's observation is there by then."""
_PRUNE_EACH: Final = 24 * 7


class _Nowhere:
    """A queue whose messages reach the broker at once, as far as the cycle can tell."""

    def put(self, message: Message) -> bool:
        """Every id is new."""
        del message
        return True


@dataclass(frozen=True, slots=True)
class _Speaker:
    config: Config

    def __call__(
        self,
        now: datetime,
        clock: ClockState,
        forecast: Forecast | NoForecast,
        inputs: tuple[Input, ...],
    ) -> MessageContext:
        known = forecast if isinstance(forecast, Forecast) else None
        device = self.config.device
        return MessageContext(
            topics=Topics.of(device.site, device.id, self.config.mqtt.base_topic),
            locale=Locale(device.language, ZoneInfo(device.timezone)),
            now=now,
            clock=clock,
            source=known.source.value if known else "agent",
            release=known.release if known else None,
            inputs=inputs,
            state_valid=timedelta(hours=self.config.limits.forecast_valid_h),
            historical=True,
        )


def run(
    config: Config,
    release: LoadedRelease,
    observations: Mapping[str, pl.DataFrame],
    start: datetime,
    end: datetime,
    *,
    guidance: pl.DataFrame | None = None,
) -> Iterator[Decision]:
    """Decisions of every hour from `start` to `end`, each on what was known by then.

    Args:
        config: Rules, site and station as on the device.
        release: What forecasts.
        observations: Raw hours by source (see `local.names`), with history before `start`.
        start: First hour, UTC.
        end: Last hour, UTC.
        guidance: KMA's forecasts, columns of `contract.relayed.GUIDANCE`.
    """
    db = connect(Path(":memory:"))
    try:
        store = Store(db)
        nothing = schema.empty_frame()
        frames = {
            name: pl.concat([nothing, observations.get(name, nothing)], how="diagonal")
            for name in source_choice.names(config.device)
        }
        if guidance is not None:
            # All at once: a cycle reads no issue later than its own hour.
            store.put_guidance(guidance)
        verification = VerificationStore(db)
        parts = cycle.CycleContext(
            config=config,
            db=db,
            store=store,
            weather=RecordedWeather(frames, config.device),
            latches=Latches(db),
            log=AlertLog(db),
            queue=_Nowhere(),
            verification=verification,
            correction=OnlineCorrection(verification, store, config.learning),
            release=release,
            readings=_no_readings,
            soil_moisture=lambda _now: None,
            voice=_Speaker(config),
        )
        hour, count = start, 0
        while hour <= end:
            decision = cycle.decide(parts, hour + MINUTE, "trusted")
            cycle.commit(parts, decision)
            yield decision
            hour, count = hour + _HOUR, count + 1
            if count % _PRUNE_EACH == 0:
                store.prune(hour, observations_days=36_500, forecasts_days=3)
                verification.prune(hour)
    finally:
        db.close()


def _no_readings(rule: Rule, now: datetime) -> Sequence[Measured]:
    return [Measured(now, None)] * rule.for_h
