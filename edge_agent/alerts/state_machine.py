"""The state machine of one rule: evidence + latch -> latch + edge. Pure.

R1  Two levels: CLEAR and RAISED. The only ways: CLEAR -> RAISED (edge raised), RAISED ->
    RAISED (edge updated, or none), RAISED -> CLEAR (edge cleared).
R2  Raised when the evidence is met, the cool-down since the last end is over and the cap of the
    day, the farm's own, is not reached.
R3  Cleared when the clear level is no longer met and the alert was raised for `hold_s`. Between
    threshold and clear level nothing happens (hysteresis).
R4  Unknown evidence changes nothing: no alert starts, ends or is updated on missing data.
R5  Updated when the chance moved by 0.2 or more, or the first hour by three hours or more,
    since the last edge. Live rules have no updates.
R6  Hold and cool-down count the distance to the stored time in either direction. A clock set
    back a little repeats no alert, and one set back by days suppresses none.
R7  A rule that is taken out of the configuration while raised is cleared.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec

from edge_agent.settings import Rule

if TYPE_CHECKING:
    from datetime import tzinfo

    from edge_agent.alerts.evidence import Evidence

CHANCE_STEP: Final = 0.2
HOUR_STEP: Final = timedelta(hours=3)


class Level(StrEnum):
    """Level of a rule."""

    CLEAR = "clear"
    RAISED = "raised"


class Edge(StrEnum):
    """Change of a rule's level, or an update."""

    RAISED = "raised"
    UPDATED = "updated"
    CLEARED = "cleared"


class Latch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """State of one rule, kept over restarts.

    Attributes:
        rule: Its name.
        level: Its level.
        since: When the level last changed; None before the first change.
        probability: Chance at the last edge.
        hour: First hour of crossing at the last edge.
        raised_at: When the newest alert was raised.
        untold: The edge to this level was not sent yet, see `quiet_hours`.
        day: Day of the farm that `raises` counts, as an ISO date.
        raises: Alerts raised on that day.
        last_rule: The rule as it was at the last edge, for its end after it is gone.
    """

    rule: str
    level: Level = Level.CLEAR
    since: datetime | None = None
    probability: float | None = None
    hour: datetime | None = None
    raised_at: datetime | None = None
    untold: bool = False
    day: str = ""
    raises: int = 0
    last_rule: Rule | None = None


def step(
    rule: Rule, latch: Latch, evidence: Evidence, now: datetime, *, daily_cap: int, zone: tzinfo
) -> tuple[Latch, Edge | None]:
    """One decision about one rule (R1 to R6).

    Args:
        rule: The rule.
        latch: Its state before.
        evidence: Evidence now.
        now: Aware UTC time of the decision.
        daily_cap: Most alerts of this rule in a day.
        zone: The farm's: where a day begins.
    """
    if latch.level is Level.RAISED:
        return _while_raised(rule, latch, evidence, now)
    today = now.astimezone(zone).date().isoformat()
    raises = latch.raises if latch.day == today else 0
    cooling = latch.since is not None and _within(rule.cooldown_s, latch.since, now)
    if not evidence.met or cooling or raises >= daily_cap:
        return latch, None
    raised = Latch(
        rule=rule.name,
        level=Level.RAISED,
        since=now,
        probability=evidence.probability,
        hour=evidence.hour,
        raised_at=now,
        untold=latch.untold,
        day=today,
        raises=raises + 1,
        last_rule=rule,
    )
    return raised, Edge.RAISED


def retire(latch: Latch, now: datetime) -> tuple[Latch, Edge | None]:
    """End the alert of a rule that is no longer configured (R7)."""
    if latch.level is Level.CLEAR:
        return latch, None
    return _cleared(latch, now), Edge.CLEARED


def _while_raised(
    rule: Rule, latch: Latch, evidence: Evidence, now: datetime
) -> tuple[Latch, Edge | None]:
    assert latch.since is not None
    if evidence.over and not _within(rule.hold_s, latch.since, now):
        return _cleared(latch, now), Edge.CLEARED
    if rule.now or not evidence.met or not _moved(latch, evidence, now):
        return latch, None
    updated = msgspec.structs.replace(latch, probability=evidence.probability, hour=evidence.hour)
    return updated, Edge.UPDATED


def _within(seconds: int, since: datetime, now: datetime) -> bool:
    return abs(now - since) < timedelta(seconds=seconds)


def _moved(latch: Latch, evidence: Evidence, now: datetime) -> bool:
    if latch.probability is None or latch.hour is None:
        return True
    assert evidence.probability is not None
    assert evidence.hour is not None
    rise = evidence.probability - latch.probability
    later = evidence.hour - latch.hour
    if rise >= CHANCE_STEP or later <= -HOUR_STEP:
        return True
    away = evidence.hour - now > HOUR_STEP
    return away and (rise <= -CHANCE_STEP or later >= HOUR_STEP)


def _cleared(latch: Latch, now: datetime) -> Latch:
    return msgspec.structs.replace(latch, level=Level.CLEAR, since=now, probability=None, hour=None)
