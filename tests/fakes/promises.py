"""A device whose forecast the test sets, for the machines of the promises, and their length."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from edge_agent import config
from edge_agent.contract.forecast import Forecast, NoForecast
from edge_agent.core.runtime import Runtime
from edge_agent.core.stored_weather import StoredWeather

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from edge_agent.core.cycle_context import CycleContext
    from edge_agent.forecasting.forecaster import LoadedRelease
    from edge_agent.system.ports import Clock

EXAMPLES: Final = int(os.environ.get("PROMISE_EXAMPLES", "12"))
"""Some seconds for each machine; `make torture` takes some thousands."""
STEPS: Final = 30
TIMEOUT_S: Final = 15 * EXAMPLES
"""Of one machine, beside other tests."""


class _Weather(StoredWeather):
    """The store's weather, but for the forecast, which the test sets."""

    def __init__(self, device: PromisedDevice) -> None:
        super().__init__(device.store, device.config.device)
        self._forecast = device.test_forecast

    def forecast(
        self, release: LoadedRelease | None, now: datetime
    ) -> tuple[Forecast | NoForecast, str]:
        """The test's forecast."""
        del release
        return self._forecast() or NoForecast(now, "the test has none"), "station:108"


class PromisedDevice(Runtime):
    """A runtime on the configuration in a folder, whose forecast the test sets.

    Args:
        folder: With config.toml.
        clock: Time.
        synchronised: Whether a time service vouches for it.
        forecast: The forecast of now; None: there is none.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        synchronised: Callable[[], bool],
        forecast: Callable[[], Forecast | None],
    ) -> None:
        settings = config.load(folder / "config.toml", {})
        super().__init__(settings, folder / "state", clock, synchronised)
        # A kill loses what was not committed; what a power cut loses is tried elsewhere.
        self.db.execute("PRAGMA synchronous = OFF")
        self.test_forecast = forecast

    def _context(self, release: LoadedRelease | None) -> CycleContext:
        return replace(super()._context(release), weather=_Weather(self))
