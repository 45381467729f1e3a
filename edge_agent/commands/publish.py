"""Delivers the messages of a command, unless the service runs and does it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_agent.core.runtime import Runtime


def publish(runtime: Runtime, at: datetime | None, wait_s: float) -> str:
    """Deliver what waits, unless the service does it; why something still waits.

    Args:
        runtime: The agent's parts.
        at: Hour that was worked, None for that of the clock.
        wait_s: Longest time to try the broker.
    """
    from edge_agent.core import delivery_setup
    from edge_agent.system.instance_lock import InstanceLock

    # An hour of another day is delivered by the clock of that day, else its messages expire.
    shift = at - runtime.clock.now() if at else timedelta(0)

    def now() -> datetime | None:
        time = runtime.known_time()
        return time + shift if time else None

    with InstanceLock(runtime.state) as lock:
        if not lock.held():
            return "`edge-agent run` delivers them"
        return delivery_setup.deliver(runtime, now, wait_s)
