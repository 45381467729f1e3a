"""What a cycle works with: its stores, its weather and where its messages go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    import polars as pl

    from edge_agent.alerts.evidence import Measured
    from edge_agent.alerts.latches import Latches
    from edge_agent.alerts.log import AlertLog
    from edge_agent.alerts.official_store import OfficialStore
    from edge_agent.contract.clock_state import ClockState
    from edge_agent.contract.forecast import Forecast, NoForecast
    from edge_agent.core.soil_water_store import SoilWaterStore
    from edge_agent.forecasting.forecaster import LoadedRelease
    from edge_agent.forecasting.guided import Guidance
    from edge_agent.forecasting.online_correction import OnlineCorrection
    from edge_agent.forecasting.verification_store import VerificationStore
    from edge_agent.messages.envelope import MessageContext
    from edge_agent.messages.message import Message
    from edge_agent.messages.payloads import Input
    from edge_agent.observations.store import Store
    from edge_agent.settings import Config, Rule


class MessageSink(Protocol):
    """Takes the messages of a cycle."""

    def put(self, message: Message) -> bool:
        """Add a message; False when its id is known."""

    def heard(self, name: str) -> bool:
        """Whether the broker has taken a message, for a subscriber at least."""

    def withdraw(self, name: str) -> None:
        """Remove a message that still waits."""


class Weather(Protocol):
    """Observed hours and the forecast from them. Raises `StorageError` when the disk refuses."""

    def forecast(
        self, release: LoadedRelease | None, now: datetime
    ) -> tuple[Forecast | NoForecast, str]:
        """Forecast from the hours up to `now`, and the name of their source."""

    def relayed(self, release: LoadedRelease, now: datetime) -> tuple[Forecast | NoForecast, str]:
        """The same without the farm's own sensors, at the farm's height."""

    def raw(self, now: datetime, hours: int) -> Mapping[str, pl.DataFrame]:
        """Raw hours up to `now` by source, in the order of `source_choice.names`."""

    def checked(self, now: datetime, hours: int) -> pl.DataFrame:
        """The `hours` newest hours up to `now` of the same source, output of `quality.clean`."""

    def truth(self, now: datetime, hours: int) -> pl.DataFrame:
        """The same of the farm's own outdoor sensors, where they know any of these hours."""


@dataclass(frozen=True, slots=True)
class CycleContext:
    """What a cycle works with.

    Attributes:
        config: The configuration.
        db: The database that holds store, latches and queue.
        store: Observations and recent forecasts.
        weather: Observed hours, and the forecast from them.
        latches: State of each rule.
        log: Every alert edge that was sent.
        queue: The outbox.
        verification: Past forecasts and their errors.
        correction: Scores past forecasts and corrects the new one.
        guidance: KMA's forecasts, corrected for the farm.
        release: The loaded release, or None.
        readings: The `for_h` newest values for a live rule, see `alerts.evidence`.
        soil_water: What is missing in the field's soil, and the water reported as given.
        soil_moisture: Soil moisture in percent now, or None where it is not measured.
        message_context: Makes the context of its messages from time, clock state, forecast, inputs.
        push: Queues an alert for the webhook; None where there is none.
        official: KMA's warnings and what was told of them; None in a replay.
    """

    config: Config
    db: sqlite3.Connection
    store: Store
    weather: Weather
    latches: Latches
    log: AlertLog
    queue: MessageSink
    verification: VerificationStore
    correction: OnlineCorrection
    guidance: Guidance
    release: LoadedRelease | None
    readings: Callable[[Rule, datetime], Sequence[Measured]]
    soil_water: SoilWaterStore
    soil_moisture: Callable[[datetime], float | None]
    message_context: Callable[
        [datetime, ClockState, Forecast | NoForecast, tuple[Input, ...]], MessageContext
    ]
    push: Callable[[Message], None] | None = None
    official: OfficialStore | None = None

    def send_event(self, event: Message) -> None:
        """Log, queue and push one edge of an alert; part of the caller's transaction."""
        self.log.add(event)
        if self.queue.put(event) and self.push is not None:
            self.push(event)
