"""The service's work on real parts: hours, sensors, updates, and a configuration taken anew."""

from __future__ import annotations

import logging
import os
import random
from hashlib import sha256
from typing import TYPE_CHECKING

from edge_agent import __version__
from edge_agent.contract.errors import StorageError, TryLater, Unavailable
from edge_agent.contract.forecast import Forecast
from edge_agent.core import certificates, cycle
from edge_agent.core.delivery_setup import open_delivery
from edge_agent.core.events import Item, LoopCall, Signal
from edge_agent.core.interfaces import Schedule
from edge_agent.core.masking import PUSH_CREDENTIAL
from edge_agent.core.runtime import DATABASE, Runtime
from edge_agent.messages import envelope
from edge_agent.mqtt import discovery
from edge_agent.mqtt.commands import NAMES, CommandHandler, Request
from edge_agent.mqtt.connection import Received, Subscription
from edge_agent.mqtt.outbox import Caps
from edge_agent.mqtt.snooze import SnoozingOutbox
from edge_agent.mqtt.webhook import WebhookQueue, WebhookSender, sender
from edge_agent.system import locations, memory_fallback
from edge_agent.system.database import closed_on_error
from edge_agent.system.disk_reserve import DiskReserve

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from edge_agent.core.cycle import Decision
    from edge_agent.mqtt.delivery import Delivery

_log = logging.getLogger(__name__)


class Worker:
    """`service_seams.Work` over a `Runtime`, which it replaces as a whole at each reload.

    Args:
        open_runtime: Reads the configuration and builds the parts; called again at a reload.
        report: Where events of the network thread, and wishes of commands, go.
        update: Pulls from the depot into a state folder and says what is new; see
            `update_process`.
        show: Looks at what there is, after each cycle and watch.
        alone: Whether no other process speaks for the device; see `InstanceLock`.

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
    ) -> None:
        self._open = open_runtime
        self._report = report
        self._update = update
        self._show = show
        self._alone = alone
        self._decision: Decision | None = None
        self._runtime = self._opened()
        self._before: Runtime | None = None
        self._retained = 0
        self._desk = self._make_desk()
        self._pusher = self._make_pusher()
        self._say_again = False

    @property
    def pace(self) -> Schedule:
        """As the configuration has it now."""
        settings = self._runtime.config
        return Schedule(settings.depot.poll_interval_s, settings.mqtt.spread_s)

    def mail(self) -> Delivery:
        """A delivery for the runtime's outbox; nothing is connected yet."""
        runtime = self._runtime
        self._describe()
        self._withdraw()
        wanted = [Subscription(topic) for topic in runtime.intake.topics]
        mqtt = runtime.config.mqtt
        if mqtt.discovery:
            wanted.append(Subscription(discovery.birth_topic(runtime.config)))
        if mqtt.commands:
            names = (runtime.topics.command(name) for name in NAMES)
            wanted.extend(Subscription(topic, commands=True) for topic in names)
        return open_delivery(
            runtime.config,
            runtime.outbox,
            runtime.topics,
            self._report,
            runtime.clock,
            subscriptions=wanted,
            ping=runtime.topics.ping,
        )

    def ready(self) -> bool:
        """See `service_seams.Work`."""
        return self._runtime.ready()

    def known_time(self) -> datetime | None:
        """See `service_seams.Work`."""
        return self._runtime.known_time()

    def cycle(self, now: datetime, problems: Sequence[str] = ()) -> str:
        """See `service_seams.Work`."""
        self._check_the_file()
        runtime = self._runtime
        ending = certificates.warnings(runtime.config.mqtt.tls, now)
        for warning in ending:
            _log.warning("%s", warning)
        decision, new = runtime.run_cycle(now, (*problems, *ending))
        if runtime.on_disk:
            self._reserve().hold()
        self._decision = decision
        self._push()
        self._show(self._runtime, decision)
        forecast = decision.forecast
        what = (
            f"forecast from {forecast.source.value}"
            if isinstance(forecast, Forecast)
            else f"no forecast: {forecast.reason}"
        )
        raised = ", ".join(cycle.raised(decision)) or "none"
        return f"{now:%H:%M} UTC {what}; alerts: {raised}; {new} new messages"

    def watch(self, now: datetime) -> None:
        """See `service_seams.Work`."""
        self._check_the_file()
        self._runtime.run_watch(now)
        if self._say_again:
            self._runtime.outbox.say_again(self._runtime.known_time())
            self._say_again = False
        self._push()
        self._show(self._runtime, self._decision)

    def take(self, message: Received) -> None:
        """See `service_seams.Work`."""
        if message.retain:
            # Kept by the broker since nobody knows when: never as fresh.
            self._retained += 1
            return
        if self._desk.take(message):
            return
        if message.topic == discovery.birth_topic(self._runtime.config):
            # With the next watch: every device of the house answers, so not all at once.
            self._say_again = self._say_again or message.payload == b"online"
            return
        self._runtime.intake.take(message.topic, message.payload, message.at)

    def fetch(self) -> bool:
        """See `service_seams.Work`."""
        runtime = self._runtime
        if not (runtime.config.depot.url or runtime.config.depot.path):
            return False
        if not runtime.on_disk:
            raise TryLater("the disk refuses; releases and observations come once it takes writes")
        _log.info("update: %s", self._update(runtime.state))
        return True

    def reload(self) -> Delivery:
        """See `service_seams.Work`."""
        if self.sheltered:
            raise TryLater("the disk refuses; the configuration is read anew once it takes writes")
        return self._replace_by(self._opened())

    @property
    def sheltered(self) -> bool:
        """See `service_seams.Work`."""
        return not self._runtime.on_disk

    def shelter(self) -> Delivery | None:
        """See `service_seams.Work`."""
        before = self._runtime
        if self._reserve().give():
            return None
        memory = memory_fallback.into_memory(before.db)
        fresh = self._furnished(Runtime(before.config, before.state, before.clock, db=memory))
        fresh.take_over(before)
        return self._replace_by(fresh)

    def go_home(self) -> Delivery | None:
        """See `service_seams.Work`."""
        before = self._runtime
        before.intake.flush(before.store)
        if not self._alone():
            raise Unavailable(_another(before.state))
        try:
            memory_fallback.back_to_disk(before.db, before.state / DATABASE)
        except StorageError as fault:
            _log.debug("%s", fault)
            return None
        fresh = self._opened()
        fresh.take_over(before)
        return self._replace_by(fresh)

    def _replace_by(self, fresh: Runtime) -> Delivery:
        self.settle()
        self._before, self._runtime = self._runtime, fresh
        self._desk = self._make_desk()
        if self._pusher is not None:
            self._pusher.close()
        self._pusher = self._make_pusher()
        return self.mail()

    def _check_the_file(self) -> None:
        runtime = self._runtime
        if not runtime.on_disk:
            return
        place = runtime.state / DATABASE
        if memory_fallback.identity(place) != self._file:
            raise StorageError(f"{place}: was deleted or replaced while it was in use")
        if not self._alone():
            raise StorageError(_another(runtime.state))

    def ask(self, name: str, payload: bytes) -> tuple[bool, str] | None:
        """Work a request of the local API; see `CommandHandler.ask`."""
        answer = self._desk.ask(name, payload)
        self._show(self._runtime, self._decision)
        return answer

    def settle(self) -> None:
        """See `service_seams.Work`."""
        before, self._before = self._before, None
        if before is not None:
            before.close()

    def _reserve(self) -> DiskReserve:
        return DiskReserve(self._runtime.state, self._runtime.config.storage.reserve_bytes)

    def _opened(self) -> Runtime:
        runtime = self._open()
        with closed_on_error(runtime.db):
            return self._furnished(runtime)

    def _furnished(self, runtime: Runtime) -> Runtime:
        if runtime.on_disk:
            DiskReserve(runtime.state, runtime.config.storage.reserve_bytes).hold()
            self._file = memory_fallback.identity(runtime.state / DATABASE)
        stored = runtime.config.storage
        runtime.outbox = SnoozingOutbox(
            runtime.db,
            Caps(
                stored.outbox_alerts_bytes,
                stored.outbox_states_bytes,
                stored.outbox_telemetry_bytes,
            ),
            runtime.topics,
            [rule.name for rule in cycle.rules_of(runtime.config)],
            runtime.clock,
            also=_push_queue(runtime).put if runtime.config.push.url else None,
        )
        return runtime

    def _push(self) -> None:
        if self._pusher is not None:
            self._pusher.tick(self._runtime.known_time())

    def _make_pusher(self) -> WebhookSender | None:
        runtime, settings = self._runtime, self._runtime.config.push
        if not settings.url:
            return None
        return WebhookSender(
            _push_queue(runtime),
            sender(
                settings.url,
                lambda: locations.secret(settings.token_file, PUSH_CREDENTIAL, os.environ),
                json=not settings.template,
            ),
            lambda call: self._report(LoopCall(call)),
            clock=runtime.clock,
            random=random.random,
        )

    def _withdraw(self) -> None:
        """Take the farm's history back from the broker, where it is shared no more."""
        runtime = self._runtime
        if runtime.config.mqtt.share_history:
            return
        topic = runtime.topics.history
        told = runtime.outbox.withdraw(topic) or runtime.outbox.last_said(topic)
        if told:
            name = f"{topic}/forget/{sha256(told).hexdigest()[:12]}"
            runtime.outbox.put(envelope.forget(topic, name))

    def _describe(self) -> None:
        """Tell Home Assistant what this device is, where that has changed."""
        runtime = self._runtime
        told = runtime.outbox.last_said(discovery.topic_of(runtime.config))
        rules = cycle.rules_of(runtime.config)
        made = discovery.message(runtime.config, runtime.topics, rules, __version__, told)
        if made is not None:
            runtime.outbox.put(made)

    def _make_desk(self) -> CommandHandler:
        runtime = self._runtime
        outbox = runtime.outbox
        assert isinstance(outbox, SnoozingOutbox)

        def later(wish: Signal, text: str) -> Callable[[Request], str]:
            def ask(_: Request) -> str:
                self._report(wish)
                return text

            return ask

        def rollback(_: Request) -> str:
            release = runtime.slots.go_back("asked for over the local API").manifest.release
            self._report(Signal.CYCLE)
            return f"release {release}, the one before, is live again"

        def republish(_: Request) -> str:
            return f"{outbox.say_again(runtime.known_time())} messages are said again"

        return CommandHandler(
            runtime.topics,
            {
                "predict": later(Signal.CYCLE, "a cycle is worked now"),
                "sync": later(Signal.FETCH, "an update is fetched now"),
                "reload": later(Signal.RELOAD, "the configuration is read anew"),
                "ack": lambda request: outbox.ack(request.rule),
                "snooze": lambda request: outbox.snooze(request.rule, request.minutes),
                "republish": republish,
                # Named by no topic: over the local API only.
                "rollback": rollback,
            },
            runtime.config.mqtt.commands,
            outbox.put,
            runtime.clock,
        )

    def close(self) -> None:
        """Write what waits and close the database."""
        self.settle()
        self._runtime.close()


def _another(state: Path) -> str:
    return f"{state}: another edge-agent runs on this folder: stop one of them"


def _push_queue(runtime: Runtime) -> WebhookQueue:
    settings = runtime.config.push
    return WebhookQueue(runtime.db, settings.severities, settings.template)
