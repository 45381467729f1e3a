"""Delivers the messages of a command, unless the service runs and does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_agent.core.runtime import Runtime


def service_runs(runtime: Runtime) -> bool:
    """Whether another process publishes for the state folder."""
    from edge_agent.system.instance_lock import InstanceLock

    with InstanceLock(runtime.state) as lock:
        return not lock.held()


def publish(runtime: Runtime, wait_s: float) -> str:
    """Deliver what waits, unless the service does it; why something still waits.

    Args:
        runtime: The agent's parts.
        wait_s: Longest time to try the broker.
    """
    from edge_agent.core import delivery_setup
    from edge_agent.system.instance_lock import InstanceLock

    with InstanceLock(runtime.state) as lock:
        if not lock.held():
            return "`edge-agent run` delivers them"
        return delivery_setup.deliver(runtime, runtime.known_time, wait_s)
