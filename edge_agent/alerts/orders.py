"""Whether an action is ordered anew, since nobody has heard its order. Pure.

The event that starts an alert carries the action, with a time at which it expires.

A1  While the alert stands, an order that nobody heard is replaced by a new one as soon as it has
    expired. Each order lives for `expires_s`, so there is one in that time at most.
A2  An order was heard where the broker took its event for at least one subscriber. It is not
    repeated.
A3  Unknown evidence orders nothing.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from edge_agent.alerts.state_machine import Level

if TYPE_CHECKING:
    from datetime import datetime

    from edge_agent.alerts.evidence import Evidence
    from edge_agent.alerts.state_machine import Latch
    from edge_agent.settings import Rule

EARLY: Final = timedelta(seconds=10)
"""An order that expires so soon would be late when it arrives."""


def is_due(rule: Rule, latch: Latch, evidence: Evidence, now: datetime) -> bool:
    """Whether an order that nobody heard is to be replaced (A1, A3).

    Args:
        rule: The rule.
        latch: Its latch now, with the order.
        evidence: Evidence now.
        now: UTC.
    """
    if rule.action is None or latch.ordered_at is None or evidence.met is None:
        return False
    stands = latch.level is Level.RAISED and not latch.untold
    return stands and now >= latch.ordered_at + timedelta(seconds=rule.action.expires_s) - EARLY
