"""Problems of the device that a command sees without the running service."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_agent.core.runtime import Runtime
    from edge_agent.messages.payloads import SensorReport


def seen_problems(runtime: Runtime, sensors: tuple[SensorReport, ...]) -> tuple[str, ...]:
    """What the state folder and the clock show; texts for people.

    Args:
        runtime: The agent's parts.
        sensors: Whose problems are to be named.

    Raises:
        StorageError: The disk refused.
    """
    from edge_agent.core import cross_check
    from edge_agent.core.agent_facts import device_problems
    from edge_agent.mqtt.refusal_texts import by_cause

    config, (now, clock) = runtime.config, runtime.time.judge()
    gaps = cross_check.stored_gaps(runtime.store, config.device, runtime.slots, now)
    newest = [at for name in runtime.store.sources() if (at := runtime.store.newest(name, now))]
    age_h = (now - max(newest)) / timedelta(hours=1) if newest else None
    aged = [] if newest else ["there is no observation"]
    if age_h is not None and age_h > config.limits.advice_max_age_h:
        aged = [f"newest observation is {age_h:.0f} h old"]
    return (
        *([] if runtime.slots.load() else ["no release is installed: run `edge-agent sync`"]),
        *aged,
        *(gap.text for gap in gaps),
        *device_problems(clock, runtime.slots.pointer().left, sensors),
        *runtime.settings_problems(now),
        *(f"mqtt: {text}" for text in by_cause(runtime.outbox.counts().refusals)),
    )
