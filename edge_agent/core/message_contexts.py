"""Makes the context of each cycle's messages from the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from edge_agent.contract.forecast import Forecast, NoForecast
from edge_agent.messages.envelope import MessageContext
from edge_agent.messages.locale import Locale
from edge_agent.messages.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from edge_agent.contract.clock_state import ClockState
    from edge_agent.messages.payloads import Input
    from edge_agent.settings import Config

_HISTORICAL: Final = timedelta(hours=2)
"""Messages about an hour longer ago are marked as historical."""


@dataclass(frozen=True, slots=True)
class MessageContextFactory:
    """Makes message contexts; see `CycleContext.message_context`.

    Attributes:
        config: `[device]`, `[mqtt]` and `[limits]` are read.
        present: The present time, UTC; None where every cycle is historical, as in a replay.
    """

    config: Config
    present: Callable[[], datetime] | None = None

    def __call__(
        self,
        now: datetime,
        clock: ClockState,
        forecast: Forecast | NoForecast,
        inputs: tuple[Input, ...],
    ) -> MessageContext:
        """MessageContext of the cycle at `now`."""
        device = self.config.device
        source, release = (
            (forecast.source.value, forecast.release)
            if isinstance(forecast, Forecast)
            else ("agent", None)
        )
        return MessageContext(
            topics=Topics.of(device.site, device.id, self.config.mqtt.base_topic),
            locale=Locale(device.language, ZoneInfo(device.timezone)),
            now=now,
            clock=clock,
            source=source,
            release=release,
            inputs=inputs,
            state_valid=timedelta(hours=self.config.limits.forecast_valid_h),
            historical=self.present is None or now < self.present() - _HISTORICAL,
        )
