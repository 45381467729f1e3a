"""The service's work on real parts: cycles, sensors, updates, and a configuration read anew."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from edge_agent.contract.errors import StorageError, TryLater, Unavailable
from edge_agent.contract.forecast import Forecast
from edge_agent.core import announcements, service_answer
from edge_agent.core.agent_facts import guidance_at, health_facts, service_problems
from edge_agent.core.command_handlers import command_handler
from edge_agent.core.delivery_setup import open_delivery
from edge_agent.core.events import Signal
from edge_agent.core.interfaces import Schedule
from edge_agent.core.runtime import DATABASE, Runtime
from edge_agent.core.webhook_setup import open_webhook
from edge_agent.mqtt import discovery
from edge_agent.system import memory_fallback
from edge_agent.system.database import closed_on_error, slow_disk
from edge_agent.system.disk_reserve import DiskReserve

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from edge_agent.core.cycle import Decision
    from edge_agent.core.events import Item
    from edge_agent.core.interfaces import ServiceStatus
    from edge_agent.mqtt.connection import Received
    from edge_agent.mqtt.delivery import Delivery
    from edge_agent.settings import Config

_log = logging.getLogger(__name__)


class Worker:
    """`interfaces.Work` over a `Runtime`, which it replaces as a whole at each reload.

    Args:
        open_runtime: Reads the configuration and builds the parts; called again at a reload.
        report: Takes events of other threads, and requests of commands.
        update: Pulls from the depot into a state folder and returns what is new; see
            `pull_process`.
        show: Takes the state after each cycle and watch.
        alone: Whether no other process runs for this device; see `InstanceLock`.
        check: Reads the configuration; raises `ConfigError` where it is wrong.

    Raises:
        FarmError: As `open_runtime`.
    """

    def __init__(
        self,
        open_runtime: Callable[[], Runtime],
        report: Callable[[Item], None],
        update: Callable[[Path], str],
        show: Callable[[Runtime, Decision | None], None] = lambda _, __: None,
        alone: Callable[[], bool] = lambda: True,
        *,
        check: Callable[[], Config | None] = lambda: None,
    ) -> None:
        self._open = open_runtime
        self._check = check
        self._report = report
        self._update = update
        self._show = show
        self._alone = alone
        self._decision: Decision | None = None
        self._runtime = self._opened()
        self._replaced: Runtime | None = None
        self._commands = command_handler(self._runtime, report, check)
        self._webhook = open_webhook(self._runtime, report)
        self._republish = False
        self._lacks_readings = True

    @property
    def schedule(self) -> Schedule:
        """See `interfaces.Work`."""
        settings = self._runtime.config
        return Schedule(settings.depot.poll_interval_s, settings.mqtt.spread_s)

    def delivery(self) -> Delivery:
        """A delivery for the runtime's outbox; nothing is connected yet."""
        runtime = self._runtime
        announcements.describe(runtime)
        return open_delivery(
            runtime,
            self._report,
            subscriptions=announcements.subscriptions(runtime),
            ping=runtime.topics.ping,
        )

    def ready(self) -> bool:
        """See `interfaces.Work`."""
        return self._runtime.ready()

    def known_time(self) -> datetime | None:
        """See `interfaces.Work`."""
        return self._runtime.known_time()

    def cycle(self, now: datetime, problems: Sequence[str] = ()) -> str:
        """See `interfaces.Work`."""
        self._check_database()
        runtime = self._runtime
        of_settings = runtime.settings_problems(now)
        for problem in of_settings:
            _log.warning("%s", problem)
        decision, new = runtime.run_cycle(now, (*problems, *of_settings))
        if runtime.on_disk:
            self._reserve().hold()
        self._decision = decision
        self._after_work()
        forecast = decision.forecast
        outcome = (
            f"forecast from {forecast.source.value}"
            if isinstance(forecast, Forecast)
            else f"no forecast: {forecast.reason}"
        )
        raised = ", ".join(decision.raised) or "none"
        return f"{now:%H:%M} UTC {outcome}; alerts: {raised}; {new} new messages"

    def watch(self, now: datetime, problems: Sequence[str] = ()) -> None:
        """See `interfaces.Work`."""
        self._check_database()
        runtime = self._runtime
        runtime.run_watch(now)
        runtime.put_health(now, (*problems, *runtime.settings_problems(now)))
        if self._republish:
            self._runtime.outbox.republish_retained(self._runtime.known_time())
            self._republish = False
        self._after_work()

    def take(self, message: Received) -> None:
        """See `interfaces.Work`."""
        if announcements.is_late_will(self._runtime, message):
            self._runtime.outbox.take_back(message.topic)
            return
        if self._commands.take(message):
            return
        if message.topic == discovery.birth_topic(self._runtime.config):
            # Done with the next watch: every device of the house answers, so not all at once.
            born = message.payload == b"online" and not message.retain
            self._republish = self._republish or born
            return
        taken = self._runtime.intake.take(
            message.topic, message.payload, message.at, live=not message.retain
        )
        if taken and self._lacks_readings:
            self._lacks_readings = False
            self._report(Signal.WATCH)

    def fetch(self) -> bool:
        """See `interfaces.Work`."""
        runtime = self._runtime
        if not (runtime.config.depot.url or runtime.config.depot.path):
            return False
        if not runtime.on_disk:
            raise TryLater("the disk refuses; releases and observations come once it takes writes")
        _log.info("update: %s", self._update(runtime.state))
        return True

    def reload(self) -> Delivery:
        """See `interfaces.Work`."""
        if self.in_memory:
            raise TryLater("the disk refuses; the configuration is read anew once it takes writes")
        fresh = self._opened()
        fresh.take_over_readings(self._runtime)
        return self._replace_by(fresh)

    def check_disk(self) -> None:
        """See `interfaces.Work`."""
        problem = slow_disk(self._runtime.db, self._runtime.clock.monotonic())
        if problem:
            raise StorageError(problem)

    @property
    def in_memory(self) -> bool:
        """See `interfaces.Work`."""
        return not self._runtime.on_disk

    def move_to_memory(self) -> Delivery | None:
        """See `interfaces.Work`."""
        before = self._runtime
        if self._reserve().release():
            return None
        memory = memory_fallback.into_memory(before.db)
        fresh = self._prepared(Runtime(before.config, before.state, before.clock, db=memory))
        fresh.take_over(before)
        return self._replace_by(fresh)

    def move_to_disk(self) -> Delivery | None:
        """See `interfaces.Work`."""
        before = self._runtime
        before.intake.flush(before.store)
        if not self._alone():
            raise Unavailable(_not_alone(before.state))
        try:
            memory_fallback.back_to_disk(before.db, before.state / DATABASE)
        except StorageError as fault:
            _log.debug("%s", fault)
            return None
        fresh = self._opened()
        fresh.take_over(before)
        return self._replace_by(fresh)

    def ask(self, name: str, payload: bytes) -> tuple[bool, str] | None:
        """Work a request of the local API; see `CommandHandler.ask`."""
        answer = self._commands.ask(name, payload)
        self.show()
        return answer

    def show(self) -> None:
        """Show the state now."""
        self._show(self._runtime, self._decision)

    def describe(self, service: ServiceStatus | None) -> bytes:
        """What other processes of this device are told; see `service_answer`.

        Args:
            service: State of the loop; None before its first turn.
        """
        runtime = self._runtime
        now, clock = runtime.time.judge()
        sensors = runtime.sensor_reports(now)
        left, counts = runtime.slots.pointer().left, runtime.outbox.counts()
        problems = [
            *health_facts(self._decision, clock, left, counts, sensors)["problems"],
            *(service_problems(service) if service else ()),
            *runtime.settings_problems(now),
        ]
        broker = service_answer.broker_report(service.link, counts.refusals) if service else None
        guidance = guidance_at(self._decision, now)
        return service_answer.encoded(runtime, problems, sensors, broker, guidance)

    def close_replaced(self) -> None:
        """See `interfaces.Work`."""
        replaced, self._replaced = self._replaced, None
        if replaced is not None:
            replaced.close()

    def close(self) -> None:
        """Write what waits and close the database."""
        self.close_replaced()
        self._runtime.close()

    def _after_work(self) -> None:
        if self._webhook is not None:
            self._webhook.tick(self._runtime.known_time())
        self._lacks_readings = self._runtime.lacks_readings()
        self._show(self._runtime, self._decision)

    def _replace_by(self, fresh: Runtime) -> Delivery:
        self.close_replaced()
        self._replaced, self._runtime = self._runtime, fresh
        self._commands = command_handler(fresh, self._report, self._check)
        if self._webhook is not None:
            self._webhook.close()
        self._webhook = open_webhook(fresh, self._report)
        return self.delivery()

    def _check_database(self) -> None:
        runtime = self._runtime
        if not runtime.on_disk:
            return
        path = runtime.state / DATABASE
        if memory_fallback.identity(path) != self._file:
            raise StorageError(f"{path}: was deleted or replaced while it was in use")
        if not self._alone():
            raise StorageError(_not_alone(runtime.state))

    def _reserve(self) -> DiskReserve:
        return DiskReserve(self._runtime.state, self._runtime.config.storage.reserve_bytes)

    def _opened(self) -> Runtime:
        runtime = self._open()
        with closed_on_error(runtime.db):
            return self._prepared(runtime)

    def _prepared(self, runtime: Runtime) -> Runtime:
        if runtime.on_disk:
            DiskReserve(runtime.state, runtime.config.storage.reserve_bytes).hold()
            self._file = memory_fallback.identity(runtime.state / DATABASE)
        runtime.settle()
        runtime.listening_since = runtime.clock.monotonic()
        return runtime


def _not_alone(state: Path) -> str:
    return f"{state}: another edge-agent runs on this folder: stop one of them"
