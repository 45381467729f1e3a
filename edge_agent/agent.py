"""The service's work on real parts: hours, sensors, updates, and a configuration taken anew."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from edge_agent import cycle
from edge_agent.contract.forecast import Forecast
from edge_agent.mail import open_courier
from edge_agent.messaging.link import Event, Received, Subscription

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from edge_agent.messaging.courier import Courier
    from edge_agent.runtime import Runtime

_log = logging.getLogger(__name__)


class Agent:
    """`service.Work` over a `Runtime`, which it replaces as a whole at each reload.

    Args:
        open_runtime: Reads the configuration and builds the parts; called again at a reload.
        report: Where events of the network thread go.

    Raises:
        FarmError: As `open_runtime`.
    """

    def __init__(
        self, open_runtime: Callable[[], Runtime], report: Callable[[Event], None]
    ) -> None:
        self._open = open_runtime
        self._report = report
        self._runtime = open_runtime()
        self._before: Runtime | None = None
        self._retained = 0

    @property
    def poll_interval_s(self) -> float:
        """Mean time between two updates."""
        return float(self._runtime.config.depot.poll_interval_s)

    def mail(self) -> Courier:
        """A courier for the runtime's outbox; nothing is connected yet."""
        runtime = self._runtime
        sensors = [Subscription(topic) for topic in runtime.intake.topics]
        return open_courier(
            runtime.config,
            runtime.outbox,
            runtime.topics,
            self._report,
            runtime.clock,
            subscriptions=sensors,
        )

    def ready(self) -> bool:
        """See `service.Work`."""
        return self._runtime.ready()

    def known_time(self) -> datetime | None:
        """See `service.Work`."""
        return self._runtime.known_time()

    def cycle(self, now: datetime) -> str:
        """See `service.Work`."""
        decision, new = self._runtime.run_cycle(now)
        forecast = decision.forecast
        what = (
            f"forecast from {forecast.source.value}"
            if isinstance(forecast, Forecast)
            else f"no forecast: {forecast.reason}"
        )
        raised = ", ".join(cycle.raised(decision)) or "none"
        return f"{now:%H:%M} UTC {what}; alerts: {raised}; {new} new messages"

    def watch(self, now: datetime) -> None:
        """See `service.Work`."""
        self._runtime.run_watch(now)

    def take(self, message: Received) -> None:
        """See `service.Work`."""
        if message.retain:
            # Kept by the broker since nobody knows when: never as fresh.
            self._retained += 1
            return
        self._runtime.intake.take(message.topic, message.payload, message.at)

    def fetch(self) -> Callable[[], bool]:
        """See `service.Work`."""
        runtime = self._runtime
        if not (runtime.config.depot.url or runtime.config.depot.path):
            return lambda: False
        finish = runtime.fetch()
        # After a reload the store is another one; the update that follows brings the hours again.
        return lambda: bool(finish()) if runtime is self._runtime else False

    def reload(self) -> Courier:
        """See `service.Work`."""
        fresh = self._open()
        self._before, self._runtime = self._runtime, fresh
        return self.mail()

    def settle(self) -> None:
        """See `service.Work`."""
        before, self._before = self._before, None
        if before is not None:
            before.close()

    def close(self) -> None:
        """Write what waits and close the database."""
        self.settle()
        self._runtime.close()
