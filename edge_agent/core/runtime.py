"""The agent's real parts, built from its configuration. For the thread that built them only."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from edge_agent.alerts.latches import Latches
from edge_agent.alerts.log import AlertLog
from edge_agent.alerts.official_store import OfficialStore
from edge_agent.core import (
    certificates,
    config_warnings,
    cycle,
    official_alerts,
    page_token,
    restart_keys,
    sensor_reports,
    withdrawals,
)
from edge_agent.core.auto_rollback import AutoRollback
from edge_agent.core.cycle_context import CycleContext
from edge_agent.core.deadlines import Deadlines
from edge_agent.core.live_readings import LiveReadings
from edge_agent.core.loaded_release import DeviceRelease, load_release
from edge_agent.core.message_contexts import MessageContextFactory
from edge_agent.core.rules import rules_of
from edge_agent.core.sample_writer import SampleWriter
from edge_agent.core.soil_water_store import SoilWaterStore
from edge_agent.core.status_messages import StatusMessages
from edge_agent.core.stored_weather import StoredWeather, site_of
from edge_agent.forecasting.guided import Guidance
from edge_agent.forecasting.online_correction import OnlineCorrection
from edge_agent.forecasting.verification_store import VerificationStore
from edge_agent.messages.topics import Topics
from edge_agent.mqtt.outbox import Caps, Outbox
from edge_agent.mqtt.outbox_deadlines import OutboxDeadlines
from edge_agent.mqtt.own_name import OwnName
from edge_agent.mqtt.webhook import WebhookQueue
from edge_agent.observations import retention
from edge_agent.observations.intake import Intake
from edge_agent.observations.sensors import AHEAD
from edge_agent.observations.store import Store
from edge_agent.system.clock_trust import Timekeeper
from edge_agent.system.database import closed_on_error, connect
from edge_agent.updates.slots import Slots

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from edge_agent.core.cycle import Decision
    from edge_agent.core.pull import PullResult
    from edge_agent.forecasting.forecaster import LoadedRelease
    from edge_agent.messages.payloads import SensorReport
    from edge_agent.settings import Config
    from edge_agent.system.ports import Clock
    from edge_agent.updates.installed_release import InstalledRelease

_log = logging.getLogger(__name__)
DATABASE: Final = "agent.db"


class Runtime:
    """The agent without its network: what one hour needs.

    Args:
        settings: The configuration.
        state: State folder.
        clock: Time.
        synchronised: Whether a time service vouches for the clock; the system says by default.
        db: A database in memory instead of the one in the state folder; see `memory_fallback`. It
            is closed with the runtime, or when the runtime cannot be built.

    Attributes:
        on_disk: Whether the database is the one in the state folder.
        config: The configuration.
        time: Judges the clock.
        state: State folder.
        db: The database.
        store: Observations and recent forecasts.
        outbox: Messages that wait.
        pushes: Alerts that wait for the webhook.
        own_name: The name under which the device publishes.
        latches: State of each rule.
        log: Every alert edge that was sent.
        verification: Past forecasts and their errors.
        soil_water: State of the soil water, and the water reported as given.
        intake: Sensor messages.
        topics: Topics of this device.
        slots: Installed releases.
        started_with: The configuration of the service's start, over reloads.
        listening_since: On the monotonic clock, when it began to take sensors' messages; None where
            it takes none.
    """

    def __init__(
        self,
        settings: Config,
        state: Path,
        clock: Clock,
        synchronised: Callable[[], bool] | None = None,
        db: sqlite3.Connection | None = None,
    ) -> None:
        self.config = settings
        self.started_with = settings
        self.state = state
        self.clock = clock
        self.time = Timekeeper(state, clock, synchronised)
        self.on_disk = db is None
        self.db: sqlite3.Connection = connect(state / DATABASE) if db is None else db
        # Each of these brings its own tables up to date, which a disk may refuse.
        with closed_on_error(self.db):
            self.store = Store(self.db)
            self.latches = Latches(self.db)
            self.log = AlertLog(self.db)
            self.official = OfficialStore(self.db)
            self.verification = VerificationStore(self.db)
            self.soil_water = SoilWaterStore(self.db)
            self.outbox = Outbox(self.db, outbox_caps(settings))
            refusals = self.store.refusals()
            push = settings.push
            self.pushes = WebhookQueue(self.db, push.severities, push.template)
            self.own_name = OwnName(self.db)
        self._correction = OnlineCorrection(self.verification, settings.learning)
        self._guidance = Guidance(self.store, site_of(settings.device), settings.learning.guidance)
        zone = ZoneInfo(settings.device.timezone)
        self.intake = Intake(settings.sensors, zone, refusals, clock, self.time.vouched)
        self._live = LiveReadings(settings.sensors, self.intake, self.store)
        self._samples = SampleWriter(self.intake, self.store, settings.sensors, clock, self.time)
        device = settings.device
        self.topics = Topics.of(device.site, device.id, settings.mqtt.base_topic)
        self.slots = Slots(state)
        # `release` is looked up at each call, so that a test may replace it on the runtime.
        self._deadlines = Deadlines(self.time, (OutboxDeadlines(self.db), self.pushes))
        self._auto_rollback = AutoRollback(self.slots, lambda: self.release(), self._load)  # noqa: PLW0108 - see above
        self._message_context = MessageContextFactory(settings, clock.now)
        self._loaded: tuple[str, DeviceRelease] | None = None
        self._decision: Decision | None = None
        self._health_id = ""
        self._waited: dict[str, int] = {}
        self._confirmed = False
        self.listening_since: float | None = None

    def take_over(self, before: Runtime) -> None:
        """Take models in memory and readings from the runtime that this one replaces."""
        # Under another name the corrections of another farm would come along.
        if self.config.device.full_id == before.config.device.full_id:
            self._loaded = self._loaded or before._loaded
        self.take_over_readings(before)

    def take_over_readings(self, before: Runtime) -> None:
        """Take readings and the trust in the clock from the runtime that this one replaces."""
        self.started_with = before.started_with
        self.time.take_over(before.time)
        self._samples.take_over(before.intake)
        self.listening_since = before.listening_since

    def close(self) -> None:
        """Write what waits, close the database and let go of the models."""
        try:
            self._samples.write()
        finally:
            self.db.close()
            # The rollback guard refers to this object, which without this would hold its models,
            # megabytes that the collector does not see, until a full collection.
            self._loaded = None

    def release(self) -> DeviceRelease | None:
        """The live release with its models, loaded anew when another went live."""
        installed = self.slots.load() if self._stale() else None
        if installed is not None:
            self._loaded = (installed.sha256, self._load(installed))
        return self._in_memory()

    def context(self) -> CycleContext:
        """What a cycle works with now."""
        return self._context(self.release())

    def _context(self, release: LoadedRelease | None) -> CycleContext:
        return CycleContext(
            config=self.config,
            db=self.db,
            store=self.store,
            weather=StoredWeather(self.store, self.config.device),
            latches=self.latches,
            log=self.log,
            queue=self.outbox,
            verification=self.verification,
            correction=self._correction,
            guidance=self._guidance,
            release=release,
            readings=self._live.readings,
            soil_water=self.soil_water,
            soil_moisture=self._live.soil_moisture,
            message_context=self._message_context,
            push=self.pushes.put if self.config.push.url else None,
            official=self.official,
        )

    def settle(self) -> None:
        """Take back what is gone since the last start; see `withdrawals`.

        Raises:
            StorageError: The disk refused.
        """
        context, moment = self._context(None), self.clock.now()
        withdrawals.settle(context, self.outbox, self.own_name, moment, self.time.judge()[1])

    def decide(self, now: datetime | None = None, *, alone: bool = True) -> Decision:
        """Work out the hour of `now` (the clock's by default); nothing is written or sent.

        Args:
            now: UTC.
            alone: As for `run_cycle`.

        Raises:
            StorageError: The disk refused.
        """
        return self._decide(now or self.clock.now(), self.release(), alone=alone)

    def _decide(self, now: datetime, release: LoadedRelease | None, *, alone: bool) -> Decision:
        return cycle.decide(self._context(release), now, self.time.judge()[1], live=alone)

    def run_cycle(
        self, now: datetime | None = None, problems: Sequence[str] = (), *, alone: bool = True
    ) -> tuple[Decision, int]:
        """Work one hour and write it; the decision and the number of new messages.

        Args:
            now: The clock's time by default.
            problems: More problems for `/health`.
            alone: Whether no service runs for this state folder. Beside one, which hears the
                sensors, it keeps no forecast, score or soil water of its own, and leaves live
                rules, advice and messages about the agent to it.

        Raises:
            StorageError: The disk refused.
        """
        if now is None and alone:
            self.settle()
        moment = now or self.clock.now()
        self.known_time()
        self._samples.aggregate(moment)
        if self.on_disk:
            decision = self._auto_rollback.decide(
                lambda release: self._decide(moment, release, alone=alone)
            )
        else:  # A trial is written before each of its cycles, which this disk refuses.
            decision = self._decide(moment, self.release(), alone=alone)
        context = self.context()
        messages, trust = self._status_messages(context, moment), self.time.judge()[1]
        extra = (
            messages.make(decision, trust, problems)
            if alone
            else messages.of_hours(decision, trust)
        )
        new = cycle.commit(context, decision, *extra, remember=alone and self.time.dates())
        self._decision = decision
        self._clean(min(decision.at, self.time.surely_passed()))
        self.time.see()
        return decision, new

    def _clean(self, passed: datetime) -> None:
        """Delete what is older than its time."""
        days = self.config.storage
        observations, forecasts = days.observations_days, days.forecasts_days
        retention.prune(self.db, passed, observations_days=observations, forecasts_days=forecasts)
        self.verification.prune(passed)

    def put_health(self, now: datetime, problems: Sequence[str]) -> None:
        """Queue `/health` between two cycles, where it is news; see `status.health_message`.

        Args:
            now: UTC.
            problems: More problems.

        Raises:
            StorageError: The disk refused.
        """
        if self._decision is None:
            return
        # The order of the cycle: another one would look like news.
        order = {latch.rule: number for number, latch in enumerate(self._decision.latches)}
        latches = self.latches.all().values()
        ordered = tuple(sorted(latches, key=lambda latch: order.get(latch.rule, len(order))))
        unknown = tuple(latch.rule for latch in ordered if not latch.known)
        decision = replace(self._decision, latches=ordered, unknown=unknown)
        messages = self._status_messages(self.context(), now)
        health = messages.health(decision, now, self.time.judge()[1], problems)
        self._waited = self.outbox.counts().waiting
        if health.id != self._health_id:
            self._health_id = health.id
            self.outbox.put(health)

    def sensor_reports(self, now: datetime) -> tuple[SensorReport, ...]:
        """What is to be told of each sensor.

        Raises:
            StorageError: The disk refused.
        """
        since = self.listening_since
        listening_s = None if since is None else self.clock.monotonic() - since
        return sensor_reports.reports(self.intake, self.store, now, listening_s)

    def settings_problems(self, now: datetime) -> tuple[str, ...]:
        """What the configuration asks for and is not done; StorageError where the disk refused."""
        return (
            *certificates.warnings(self.config.mqtt.tls, now),
            *config_warnings.problems(self.config),
            *page_token.problems(self.config.web),
            *restart_keys.changes(self.started_with, self.config),
            *official_alerts.problems(self.config, self.official, now),
        )

    def run_watch(self, now: datetime | None = None) -> int:
        """Evaluate the rules between two hours; number of new messages.

        Forecast rules look at the forecast of the last cycle; before the first one they wait.

        Raises:
            StorageError: The disk refused.
        """
        self.known_time()
        self._samples.write_when_due()
        context = self.context()
        moment = now or self.clock.now()
        decision = cycle.watch(context, self._decision, moment, self.time.judge()[1])
        return cycle.commit(context, decision) if decision.news else 0

    def lacks_readings(self) -> bool:
        """Whether a live rule is unknown, so that a reading may be news.

        Raises:
            StorageError: The disk refused.
        """
        latches = self.latches.all()
        live = (latches.get(rule.name) for rule in rules_of(self.config) if rule.now)
        return any(latch is None or not latch.known for latch in live)

    def fetch(self, place: str | None = None) -> Callable[[], PullResult]:
        """Pull release and relayed bundles, from `place` or the configured depot: see `pull`."""
        from edge_agent.core.pull import pull

        return pull(self.config, self.state, self.clock, (self.store, self.official), place=place)

    def ready(self) -> bool:
        """Whether a good release is installed."""
        return self.release() is not None

    def known_time(self) -> datetime | None:
        """UTC, or None while nobody vouches for the clock: then nothing expires or is late."""
        vouched = self._deadlines.follow()
        before, self._confirmed = self._confirmed, vouched and self.time.confirmed()
        if self._confirmed and not before:
            self._drop_the_future()
        return self.clock.now() if vouched else None

    def _drop_the_future(self) -> None:
        end = self.clock.now() + AHEAD
        dropped = retention.drop_after(self.db, end)
        if dropped:
            _log.warning("%d rows of the future are deleted: the clock was wrong", dropped)
        self.verification.drop_after(end)

    def _status_messages(self, context: CycleContext, now: datetime) -> StatusMessages:
        return StatusMessages(
            context,
            self.outbox,
            self.slots,
            self._in_memory(),
            self.state,
            self.sensor_reports(now),
            self._waited,
        )

    def _in_memory(self) -> DeviceRelease | None:
        return self._loaded[1] if self._loaded else None

    def _load(self, installed: InstalledRelease) -> DeviceRelease:
        return load_release(installed, self.config.device.full_id)

    def _stale(self) -> bool:
        current = self.slots.pointer().current
        return self._loaded is None or current is None or current.sha256 != self._loaded[0]


def outbox_caps(config: Config) -> Caps:
    """Room for each class of messages."""
    storage = config.storage
    return Caps(
        storage.outbox_alerts_bytes, storage.outbox_states_bytes, storage.outbox_telemetry_bytes
    )
