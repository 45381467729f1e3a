"""Quiet hours: edges that are decided then are sent at their end, if they still hold. Pure.

H1  Quiet hours run from `start` to `end` in the farm's local time, over midnight where the end is
    the earlier. On a day the clocks change they are longer or shorter by that hour.
H2  An edge is sent at any time where the rule's severity breaks through, where the rule has an
    action (a controller does not sleep), and while the clock cannot be trusted.
H3  Levels and latches change as always; only the message waits. At the end of the quiet hours an
    edge is sent where the level differs from the one last sent, and not on missing data. An alert
    that began and ended in the night is never sent.
"""

from __future__ import annotations

from datetime import time
from typing import TYPE_CHECKING

import msgspec

from edge_agent.alerts.state_machine import Edge, Latch, Level

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

    from edge_agent.alerts.evidence import Evidence
    from edge_agent.contract.clock_state import ClockState
    from edge_agent.settings import QuietHours, Rule


def quiet(hours: QuietHours, rule: Rule, now: datetime, zone: tzinfo, clock: ClockState) -> bool:
    """Whether messages of this rule must wait (H1, H2).

    Args:
        hours: From the configuration.
        rule: The rule.
        now: Aware time.
        zone: The farm's.
        clock: How far `now` can be trusted.
    """
    if not hours.start or clock == "untrusted":
        return False
    if rule.severity in hours.break_through or rule.action is not None:
        return False
    start, end = time.fromisoformat(hours.start), time.fromisoformat(hours.end)
    local = now.astimezone(zone).time()
    return start <= local < end if start < end else local >= start or local < end


def edge_to_send(
    before: Latch, after: Latch, edge: Edge | None, evidence: Evidence, *, wait: bool
) -> tuple[Latch, Edge | None]:
    """The edge to send after a step, and the latch to store (H3).

    Args:
        before: Latch before `state_machine.step`.
        after: Latch after it.
        edge: Edge of the step.
        evidence: Evidence of the step.
        wait: The result of `quiet`.
    """
    turned = edge in {Edge.RAISED, Edge.CLEARED}
    untold = before.untold is not turned
    if wait or evidence.met is None:
        # An update that waits is found again after the night, if it still holds.
        latch = before if edge is Edge.UPDATED else after
        return msgspec.structs.replace(latch, untold=untold), None
    latch = msgspec.structs.replace(after, untold=False)
    if not untold:
        return latch, edge if edge is Edge.UPDATED else None
    if latch.level is Level.CLEAR:
        return latch, Edge.CLEARED
    latch = msgspec.structs.replace(latch, probability=evidence.probability, hour=evidence.hour)
    return latch, Edge.RAISED
