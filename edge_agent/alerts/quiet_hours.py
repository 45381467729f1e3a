"""Hours in which a farmer sleeps: what is decided then is told at their end, if still true. Pure.

H1  Quiet hours run from `start` to `end` by the clock on the farm's wall, over midnight where the
    end is the earlier; on a day the clocks change they are as long as that night is.
H2  A rule whose severity breaks through is told at any time. So is a rule with an action: a
    controller does not sleep. So is everything while the clock cannot be trusted.
H3  Levels and latches move as ever; only the telling waits. At the end of the quiet hours people
    are told where the level differs from what they were last told, and not on missing data: an
    alert that came and went in the night is never told.
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
    """Whether telling people of this rule must wait (H1, H2).

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


def tell(
    before: Latch, after: Latch, edge: Edge | None, evidence: Evidence, *, wait: bool
) -> tuple[Latch, Edge | None]:
    """What people are told of a step, and the latch that remembers it (H3).

    Args:
        before: Latch before `rules.step`.
        after: Latch after it.
        edge: What it said.
        evidence: What it rested on.
        wait: The outcome of `quiet`.
    """
    turned = edge in {Edge.RAISED, Edge.CLEARED}
    untold = before.untold is not turned
    if wait or evidence.met is None:
        # An update that waits is made again after the night, if it still holds.
        kept = before if edge is Edge.UPDATED else after
        return msgspec.structs.replace(kept, untold=untold), None
    told = msgspec.structs.replace(after, untold=False)
    if not untold:
        return told, edge if edge is Edge.UPDATED else None
    if told.level is Level.CLEAR:
        return told, Edge.CLEARED
    told = msgspec.structs.replace(told, probability=evidence.probability, hour=evidence.hour)
    return told, Edge.RAISED
