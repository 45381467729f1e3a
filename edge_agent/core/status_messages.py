"""Messages about the agent itself: release, health, age of the data, history, missed hours."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from edge_agent import __version__
from edge_agent.contract.forecast import GUIDED_SOURCES, Forecast
from edge_agent.core.agent_facts import guidance_at, health_facts, release_facts
from edge_agent.forecasting import online_correction
from edge_agent.messages import backfill, status
from edge_agent.observations import export
from edge_agent.system.files import free_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from edge_agent.contract.clock_state import ClockState
    from edge_agent.core.cycle import Decision
    from edge_agent.core.cycle_context import CycleContext
    from edge_agent.core.loaded_release import DeviceRelease
    from edge_agent.messages.envelope import MessageContext
    from edge_agent.messages.message import Message
    from edge_agent.messages.payloads import SensorReport
    from edge_agent.mqtt.outbox import Outbox
    from edge_agent.updates.slots import Slots

_SHARED: Final = timedelta(days=7)
"""Hours in the message of the farm's history: a trainer that asks once a week misses none."""


@dataclass(frozen=True, slots=True)
class StatusMessages:
    """Makes the messages that follow those of a cycle.

    Attributes:
        context: What the cycle worked with.
        outbox: The queue.
        slots: Installed releases.
        release: The release in memory.
        state: The state folder.
        sensors: Every sensor.
        waited: Messages by class that waited in the last minute already. What this minute queued
            goes out before `/health` and is no backlog.
    """

    context: CycleContext
    outbox: Outbox
    slots: Slots
    release: DeviceRelease | None
    state: Path
    sensors: tuple[SensorReport, ...]
    waited: Mapping[str, int]

    def make(
        self, decision: Decision, clock: ClockState, problems: Sequence[str]
    ) -> tuple[Message, ...]:
        """Messages after a cycle. One of a past hour tells nothing of the present.

        Args:
            decision: Result of the cycle.
            clock: How far the time can be trusted.
            problems: More problems for `/health`.
        """
        message_context = self.context.message_context(decision.at, clock, decision.forecast, ())
        left = self.slots.pointer().left
        health = self.health(decision, decision.at, clock, problems)
        manifest = self.release.manifest if self.release else None
        agent_context = replace(
            message_context, source="agent", release=manifest.release if manifest else None
        )
        release = release_facts(manifest, self.release.tuned if self.release else None, left)
        model = status.model_message(agent_context, release, __version__)
        if message_context.historical:
            return (model, health)
        oldest = timedelta(hours=self.context.config.limits.advice_max_age_h)
        forecast = decision.forecast
        guided = isinstance(forecast, Forecast) and forecast.source in GUIDED_SOURCES
        fresh = status.fresh_message(agent_context, forecast.observed_at, oldest, guided=guided)
        return (model, health, fresh, *self.of_hours(decision, clock))

    def of_hours(self, decision: Decision, clock: ClockState) -> tuple[Message, ...]:
        """The farm's history and the missed hours: none after a past hour or by a wrong clock."""
        message_context = self.context.message_context(decision.at, clock, decision.forecast, ())
        if message_context.historical or clock == "untrusted":
            return ()
        return (*self._history(message_context), *self._missed_hours(message_context))

    def health(
        self,
        decision: Decision,
        now: datetime,
        clock: ClockState,
        problems: Sequence[str],
    ) -> Message:
        """The message `/health`.

        Args:
            decision: Result of the last cycle.
            now: Time of the message, UTC.
            clock: How far the time can be trusted.
            problems: More problems.
        """
        observed_at = decision.forecast.observed_at
        left, counts = self.slots.pointer().left, self.outbox.counts()
        waiting = {kind: min(n, self.waited.get(kind, 0)) for kind, n in counts.waiting.items()}
        counts = replace(counts, waiting=waiting)
        facts = health_facts(decision, clock, left, counts, self.sensors)
        facts["problems"] = tuple(dict.fromkeys((*facts["problems"], *problems)))
        verification = self.context.verification
        return status.health_message(
            self.context.message_context(now, clock, decision.forecast, ()),
            facts,
            decision.at,
            data_age_s=int((now - observed_at).total_seconds()) if observed_at else None,
            disk_free_bytes=free_bytes(self.state),
            guidance=guidance_at(decision, now),
            skill=online_correction.skill(verification, now),
            chances=online_correction.chance_scores(verification, now),
        )

    def _history(self, message_context: MessageContext) -> tuple[Message, ...]:
        """The newest hours of the farm's own sensors, where they are to be shared."""
        config = self.context.config
        if not config.mqtt.share_history:
            return ()
        frame = export.hours(self.context.store, message_context.now - _SHARED, message_context.now)
        if frame.is_empty():
            return ()
        return (status.history_message(message_context, export.identity(config.device), frame),)

    def _missed_hours(self, message_context: MessageContext) -> list[Message]:
        """Hours of forecasts that passed while the broker was away, see `backfill`."""
        begins = {}
        for name, topic in status.TARGET_TOPICS.items():
            begin = backfill.since(
                self.outbox.waiting(message_context.topics.forecast(topic)),
                self.outbox.waiting(message_context.topics.backfill(topic)),
            )
            if begin is not None:
                begins[name] = max(begin, message_context.now - backfill.REACH)
        if not begins:
            return []
        forecasts = self.context.store.forecasts(min(begins.values()), message_context.now)
        messages = (
            backfill.message_of(message_context, name, at, forecasts) for name, at in begins.items()
        )
        return [message for message in messages if message is not None]
