"""Quiet hours: edges that are decided then are sent at their end, if they still hold. Pure.

H1  Quiet hours run from `start` to `end` in the farm's local time, over midnight where the end is
    the earlier. On a day the clocks change they are longer or shorter by that hour.
H2  An edge is sent at any time where the rule is critical or has an action (a controller does not
    sleep), where its severity breaks through, and while the clock cannot be trusted.
H3  Levels change as always; only the message waits, see `hold_backs`.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from edge_agent.alerts.hold_backs import never_waits

if TYPE_CHECKING:
    from datetime import tzinfo

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
    if never_waits(rule) or rule.severity in hours.break_through:
        return False
    start, end = time.fromisoformat(hours.start), time.fromisoformat(hours.end)
    local = now.astimezone(zone).time()
    return start <= local < end if start < end else local >= start or local < end


def quiet_until(
    hours: QuietHours, rule: Rule, now: datetime, zone: tzinfo, clock: ClockState
) -> datetime | None:
    """End of the quiet hours in UTC where messages of this rule must wait; else None."""
    if not quiet(hours, rule, now, zone, clock):
        return None
    local, end = now.astimezone(zone), time.fromisoformat(hours.end)
    day = local.date() + timedelta(days=local.time() >= end)
    first = datetime.combine(day, end, tzinfo=zone).astimezone(UTC)
    # Where the clocks are set back the end comes twice.
    return first if first > now else first.astimezone(zone).replace(fold=1).astimezone(UTC)
