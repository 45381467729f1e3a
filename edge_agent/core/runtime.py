"""The agent's real parts, built from its configuration. For the thread that built them only."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from edge_agent import __version__, config
from edge_agent.alerts.latches import Latches
from edge_agent.alerts.log import AlertLog
from edge_agent.contract.forecast import Forecast, NoForecast
from edge_agent.core import cycle
from edge_agent.core.agent_facts import health_facts, release_facts
from edge_agent.core.auto_rollback import AutoRollback
from edge_agent.core.live_readings import LiveReadings
from edge_agent.core.loaded_release import DeviceRelease, load_release
from edge_agent.core.stored_weather import StoredWeather
from edge_agent.forecasting import online_correction
from edge_agent.forecasting.online_correction import OnlineCorrection
from edge_agent.forecasting.verification_store import VerificationStore
from edge_agent.messages import backfill, status
from edge_agent.messages.envelope import MessageContext
from edge_agent.messages.locale import Locale
from edge_agent.messages.topics import Topics
from edge_agent.mqtt.outbox import Caps, Outbox
from edge_agent.observations import export, source_choice
from edge_agent.observations.intake import Intake
from edge_agent.observations.store import Store
from edge_agent.system import locations
from edge_agent.system.clock import SystemClock
from edge_agent.system.clock_trust import Timekeeper
from edge_agent.system.database import closed_on_error, connect
from edge_agent.system.files import free_bytes
from edge_agent.system.privileges import work_as_owner
from edge_agent.updates.slots import Slots

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from edge_agent.contract.clock_state import ClockState
    from edge_agent.core.cycle import Decision
    from edge_agent.core.pull import PullResult
    from edge_agent.forecasting.forecaster import LoadedRelease
    from edge_agent.messages.message import Message
    from edge_agent.messages.payloads import Input
    from edge_agent.settings import Config
    from edge_agent.system.ports import Clock
    from edge_agent.updates.slots import InstalledRelease

DATABASE: Final = "agent.db"
_LIVE: Final = timedelta(hours=2)
"""A cycle asked for an hour longer ago speaks of history, and says so."""
WRITE_S: Final = 1800.0
"""Sensor samples are written this often between cycles: a power cut costs no more of them."""
_LATE: Final = timedelta(hours=6)
"""Hours that are worked out again each cycle, for readings that came late."""
_SHARED: Final = timedelta(days=7)
"""Hours in the message of the farm's history: a trainer that asks once a week misses none."""
_SAMPLES_LIVE: Final = timedelta(days=3)
"""Nothing older is worked out: a board that wakes up in 1970 would have 56 years to do."""


class Runtime:
    """The agent without its network: what one hour needs.

    Args:
        settings: The configuration.
        state: State folder.
        clock: Time.
        synchronised: Whether a time service vouches for the clock; the system says by default.
        db: A database in memory instead of the one in the state folder; see `shelter`. It
            is closed with the runtime, or where none comes to be.

    Attributes:
        on_disk: Whether the database is the one in the state folder.
        config: The configuration.
        time: Judges the clock.
        state: State folder.
        db: The database.
        store: Observations and kept forecasts.
        outbox: Messages that wait.
        latches: What rules remember.
        log: Every alert edge that was said.
        verification: What was foreseen and how it came out.
        intake: Sensor messages.
        topics: Topics of this device.
        slots: Installed releases.
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
        self.state = state
        self.clock = clock
        self.time = Timekeeper(state, clock, synchronised)
        self.on_disk = db is None
        self.db: sqlite3.Connection = connect(state / DATABASE) if db is None else db
        kept = settings.storage
        caps = Caps(kept.outbox_alerts_bytes, kept.outbox_states_bytes, kept.outbox_telemetry_bytes)
        # Each of these brings its own tables up to date, which a disk may refuse.
        with closed_on_error(self.db):
            self.store = Store(self.db)
            self.latches = Latches(self.db)
            self.log = AlertLog(self.db)
            self.verification = VerificationStore(self.db)
            self.outbox = Outbox(self.db, caps)
        self._correction = OnlineCorrection(self.verification, self.store, settings.learning)
        self.intake = Intake(settings.sensors)
        self._live = LiveReadings(settings.sensors, self.intake, self.store)
        device = settings.device
        self.topics = Topics.of(device.site, device.id, settings.mqtt.base_topic)
        self.slots = Slots(state)
        # Looked up at each call, so that a runtime whose release is stood in for keeps its trial.
        self._probation = AutoRollback(self.slots, lambda: self.release(), self._load)  # noqa: PLW0108 - see above
        self._locale = Locale(device.language, ZoneInfo(device.timezone))
        self._loaded: tuple[str, DeviceRelease] | None = None
        self._written_at = clock.monotonic()
        self._oldest: datetime | None = None

    def take_over(self, before: Runtime) -> None:
        """From the runtime that this one replaces: models in memory, samples not yet written."""
        # Under another name another farm's corrections would come along.
        if self.config.device.full_id == before.config.device.full_id:
            self._loaded = self._loaded or before._loaded
        self._oldest = before.intake.flush(self.store)

    def close(self) -> None:
        """Write what waits, close the database and let go of the models."""
        try:
            self.intake.flush(self.store)
        finally:
            self.db.close()
            # The probation knows this object, which without this would keep its models, megabytes
            # that the collector does not see, until a full collection.
            self._loaded = None

    def release(self) -> DeviceRelease | None:
        """The live release with its models, loaded anew when another went live."""
        installed = self.slots.load() if self._stale() else None
        if installed is not None:
            self._loaded = (installed.sha256, self._load(installed))
        return self._loaded[1] if self._loaded else None

    def parts(self) -> cycle.CycleContext:
        """What a cycle works with now."""
        return self._parts(self.release())

    def _parts(self, release: LoadedRelease | None) -> cycle.CycleContext:
        return cycle.CycleContext(
            config=self.config,
            db=self.db,
            store=self.store,
            weather=StoredWeather(self.store, self.config.device),
            latches=self.latches,
            log=self.log,
            queue=self.outbox,
            verification=self.verification,
            correction=self._correction,
            release=release,
            readings=self._live.readings,
            soil_moisture=self._live.soil_moisture,
            voice=self._voice,
        )

    def decide(self, now: datetime | None = None) -> Decision:
        """Work out the hour of `now` (the clock's by default) without saying anything.

        Raises:
            StorageError: The disk refused.
        """
        return self._decide(now or self.clock.now(), self.release())

    def _decide(self, moment: datetime, release: LoadedRelease | None) -> Decision:
        self._write_samples()
        since = max(min(moment - _LATE, self._oldest or moment), moment - _SAMPLES_LIVE)
        source_choice.aggregate(self.store, self.config.sensors, since, moment)
        self._oldest = None
        return cycle.decide(self._parts(release), moment, self.time.judge()[1])

    def run_cycle(
        self, now: datetime | None = None, problems: Sequence[str] = ()
    ) -> tuple[Decision, int]:
        """One hour, written down; the decision and the number of new messages.

        Args:
            now: The clock's time by default.
            problems: More for `/health` to tell.

        Raises:
            StorageError: The disk refused.
        """
        moment = now or self.clock.now()
        if self.on_disk:
            decision = self._probation.decide(lambda release: self._decide(moment, release))
        else:  # A trial is written down before each of its cycles, which this disk refuses.
            decision = self._decide(moment, self.release())
        new = cycle.commit(self.parts(), decision, *self._about(decision, problems))
        self.store.prune(
            decision.at,
            observations_days=self.config.storage.observations_days,
            forecasts_days=self.config.storage.forecasts_days,
        )
        self.verification.prune(decision.at)
        return decision, new

    def run_watch(self, now: datetime | None = None) -> int:
        """Live rules between two hours; number of new messages.

        Raises:
            StorageError: The disk refused.
        """
        if self.clock.monotonic() - self._written_at >= WRITE_S:
            self._write_samples()
        if not any(rule.now for rule in cycle.rules_of(self.config)):
            return 0
        moment = now or self.clock.now()
        parts = self.parts()
        decision = cycle.watch(parts, moment, self.time.judge()[1])
        return cycle.commit(parts, decision) if decision.latches else 0

    def fetch(self, place: str | None = None) -> Callable[[], PullResult]:
        """Pull release and relayed bundles, from `place` or the configured depot: see `pull`."""
        from edge_agent.core.pull import pull

        return pull(self.config, self.state, self.clock, self.store, place=place)

    def ready(self) -> bool:
        """Whether a good release is installed."""
        return self.release() is not None

    def known_time(self) -> datetime | None:
        """UTC, or None while the clock cannot be trusted."""
        now, state = self.time.judge()
        return None if state == "untrusted" else now

    def _write_samples(self) -> None:
        self._written_at = self.clock.monotonic()
        earliest = self.intake.flush(self.store)
        if earliest is not None:
            self._oldest = min(earliest, self._oldest or earliest)

    def _voice(
        self,
        now: datetime,
        clock: ClockState,
        forecast: Forecast | NoForecast,
        inputs: tuple[Input, ...],
    ) -> MessageContext:
        known = forecast if isinstance(forecast, Forecast) else None
        return MessageContext(
            topics=self.topics,
            locale=self._locale,
            now=now,
            clock=clock,
            source=known.source.value if known else "agent",
            release=known.release if known else None,
            inputs=inputs,
            state_valid=timedelta(hours=self.config.limits.forecast_valid_h),
            historical=now < self.clock.now() - _LIVE,
        )

    def _about(self, decision: Decision, more: Sequence[str]) -> Sequence[Message]:
        """Messages about the agent itself: model and health."""
        forecast = decision.forecast
        known = forecast if isinstance(forecast, Forecast) else None
        clock = self.time.judge()[1]
        voice = self._voice(decision.at, clock, forecast, ())
        left = self.slots.pointer().left
        facts = health_facts(decision, clock, left, self.outbox.counts())
        facts["problems"] += tuple(more)
        health = status.health_message(
            voice,
            facts,
            data_age_s=int((decision.at - known.origin).total_seconds()) if known else None,
            disk_free_bytes=free_bytes(self.state),
            skill=online_correction.skill(self.verification, decision.at),
            chances=online_correction.chance_scores(self.verification, decision.at),
        )
        loaded = self._loaded[1] if self._loaded else None
        manifest = loaded.manifest if loaded else None
        agents = replace(voice, source="agent", release=manifest.release if manifest else None)
        release = release_facts(manifest, loaded.tuned if loaded else None, left)
        about = (status.model_message(agents, release, __version__), health)
        if voice.historical:
            return about
        oldest = timedelta(hours=self.config.limits.advice_max_age_h)
        fresh = status.fresh_message(agents, known.origin if known else None, oldest)
        if voice.clock == "untrusted":
            # Hours of a clock that nobody vouches for are nobody's history.
            return (*about, fresh)
        return (*about, fresh, *self._history(voice), *self._untold(voice))

    def _history(self, voice: MessageContext) -> tuple[Message, ...]:
        """The newest hours of the farm's own sensors, where they are to be shared."""
        if not self.config.mqtt.share_history:
            return ()
        frame = export.hours(self.store, voice.now - _SHARED, voice.now)
        if frame.is_empty():
            return ()
        return (status.history_message(voice, export.identity(self.config.device), frame),)

    def _untold(self, voice: MessageContext) -> list[Message]:
        """Hours of forecasts that passed while the broker was away, see `backfill`."""
        begins = {}
        for name, topic in status.TARGET_TOPICS.items():
            begin = backfill.since(
                self.outbox.waiting(self.topics.forecast(topic)),
                self.outbox.waiting(self.topics.backfill(topic)),
            )
            if begin is not None:
                begins[name] = max(begin, voice.now - backfill.REACH)
        if not begins:
            return []
        kept = self.store.forecasts(min(begins.values()), voice.now)
        made = (backfill.message_of(voice, name, at, kept) for name, at in begins.items())
        return [told for told in made if told is not None]

    def _load(self, installed: InstalledRelease) -> DeviceRelease:
        return load_release(installed, self.config.device.full_id)

    def _stale(self) -> bool:
        current = self.slots.pointer().current
        return self._loaded is None or current is None or current.sha256 != self._loaded[0]


def open_runtime(
    config_path: Path | None,
    clock: Clock,
    env: Mapping[str, str] = os.environ,
    state: Path | None = None,
) -> Runtime:
    """Runtime from the configuration file and on its state folder, found as `locations` says.

    Args:
        config_path: The configuration file, where it is known.
        clock: Time.
        env: Environment.
        state: A state folder instead of the configuration's.

    Raises:
        InputMissing: There is no configuration.
        ConfigError: It is wrong.
        StorageError: The state folder cannot be used.
    """
    settings = config.load(config_path, env)
    if state is None:
        state = locations.state_folder(settings.storage.path, env, root=os.geteuid() == 0)
    work_as_owner(state)
    return Runtime(settings, state, clock)


@contextlib.contextmanager
def opened(config_path: Path | None, state: Path | None = None) -> Iterator[Runtime]:
    """Runtime on the system's clock, closed at the end; for commands. Raises as `open_runtime`."""
    runtime = open_runtime(config_path, SystemClock(), state=state)
    try:
        yield runtime
    finally:
        runtime.close()
