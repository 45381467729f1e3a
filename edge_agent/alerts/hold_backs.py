"""What holds an edge of a rule back, and until when. Pure.

B1  A start waits for the end of a snooze, of the quiet hours and of the cool-down since the end
    that was last sent. Where the cap of the day is reached, it waits for the farm's next day.
B2  An update waits while the alert is acknowledged, while the rule is snoozed, and for the end of
    the quiet hours. An end waits for the end of the quiet hours.
B3  Starts and ends of a critical rule, and of a rule with an action, never wait.
B4  The state names what holds back a start or an end, and what a person did to hold back updates.
    Of several the one that ends last is named.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from edge_agent.messages.payloads import HeldBack, HoldReason

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

    from edge_agent.messages.payloads import EdgeName
    from edge_agent.settings import Rule

Ends = dict[HoldReason, datetime | None]
"""End by reason; None: the end of the alert."""
_HOLDS: Final[Mapping[EdgeName, tuple[HoldReason, ...]]] = {
    "raised": ("snooze", "quiet_hours", "cool_down", "daily_cap"),
    "updated": ("acknowledged", "snooze", "quiet_hours"),
    "cleared": ("quiet_hours",),
}


def never_waits(rule: Rule) -> bool:
    """Whether starts and ends of a rule are sent at any time (B3)."""
    return rule.severity == "critical" or rule.action is not None


def next_day(now: datetime, zone: tzinfo) -> datetime:
    """Beginning of the farm's next day, UTC."""
    day = now.astimezone(zone).date() + timedelta(days=1)
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)


def that_hold(edge: EdgeName, rule: Rule, ends: Ends) -> Ends:
    """Those that hold back this edge (B1 to B3)."""
    if edge != "updated" and never_waits(rule):
        return {}
    return {why: ends[why] for why in _HOLDS[edge] if why in ends}


def shown(edge: EdgeName, rule: Rule, ends: Ends) -> HeldBack | None:
    """What the state says of the edge that comes next (B4)."""
    holding = that_hold(edge, rule, ends)
    if edge == "updated":
        holding.pop("quiet_hours", None)
    if not holding:
        return None
    why, until = max(holding.items(), key=lambda item: _later(item[1]))
    return HeldBack(why=why, until=until)


def _later(until: datetime | None) -> float:
    return math.inf if until is None else until.timestamp()
