"""The state machine of one rule: evidence + latch -> latch + edge. Pure.

The level says whether the condition holds; nothing but the evidence moves it:

R1  Two levels: CLEAR and RAISED. CLEAR -> RAISED where the evidence is met. RAISED -> CLEAR where
    the clear level is no longer met and the level was raised for `hold_s`. Between threshold and
    clear level nothing happens (hysteresis).
R2  Unknown evidence changes no level and sends no edge.

An edge says what people are told:

R3  `raised` and `cleared` are sent where the level differs from the one last told (`untold`). An
    alert that began and ended untold is never sent.
R4  `updated` is sent where the evidence differs enough from that of the last edge (`updates`). Live
    rules have no updates.
R5  An edge that is held back (`hold_backs`) is sent at the first step at which nothing holds it
    back.

Times:

R6  A remembered time that lies in the future, or before this program was written, becomes the
    present, so each deadline ends after its own length whatever the clock was when it was made.
R7  The alert of a rule that is taken out, or whose meaning is changed, ends.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from edge_agent.alerts import hold_backs, updates
from edge_agent.alerts.evidence import Evidence
from edge_agent.messages.payloads import HeldBack
from edge_agent.settings import Rule
from edge_agent.system.clock_trust import EARLIEST

if TYPE_CHECKING:
    from datetime import tzinfo

_MEANING: Final = (
    "quantity",
    "operator",
    "threshold",
    "role",
    "now",
    "for_h",
    "within_h",
    "aggregate",
    "over_h",
    "all",
    "severity",
    "action",
)
_SHOWN: Final = ("level", "since", "known", "held_back")
_TIMES: Final = ("since", "raised_at", "ended_at", "snoozed_at", "ordered_at")


class Level(StrEnum):
    """Level of a rule."""

    CLEAR = "clear"
    RAISED = "raised"


class Edge(StrEnum):
    """Change of a rule's level, or an update."""

    RAISED = "raised"
    UPDATED = "updated"
    CLEARED = "cleared"


class Latch(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True
):
    """State of one rule, kept over restarts.

    Attributes:
        rule: Its name.
        level: Its level.
        since: When the level last changed; None before the first change.
        known: Whether the last evidence was known.
        untold: The edge to this level was not sent yet.
        held_back: What holds an edge back, as `AlertState` tells it; None: nothing.
        changed_at: When level, `known` or `held_back` last changed: what the state tells.
        probability: Chance at the last edge that was sent.
        hour: First hour of crossing at that edge.
        value: Value of the evidence at that edge; None: unknown, as where an earlier agent sent it.
        raised_at: When the newest alert was raised.
        ended_at: When the end of an alert was last sent.
        day: Day of the farm that `raises` counts, as an ISO date.
        raises: Starts sent on that day.
        acknowledged: A person has seen the alert that stands.
        snoozed_at: When a person last snoozed the rule; None once that is over.
        snooze_s: For how long.
        order_id: Event that carries the action and was not heard yet; empty: none. See `orders`.
        ordered_at: When that event was made.
        last_rule: The rule as it was at the last start, for its end after it is gone.
    """

    rule: str
    level: Level = Level.CLEAR
    since: datetime | None = None
    known: bool = False
    untold: bool = False
    held_back: HeldBack | None = None
    changed_at: datetime | None = None
    probability: float | None = None
    hour: datetime | None = None
    value: float | None = None
    raised_at: datetime | None = None
    ended_at: datetime | None = None
    day: str = ""
    raises: int = 0
    acknowledged: bool = False
    snoozed_at: datetime | None = None
    snooze_s: int = 0
    order_id: str = ""
    ordered_at: datetime | None = None
    last_rule: Rule | None = None

    @property
    def told(self) -> Level:
        """The level that people were last told."""
        if not self.untold:
            return self.level
        return Level.CLEAR if self.level is Level.RAISED else Level.RAISED

    @property
    def snoozed_until(self) -> datetime | None:
        """End of the snooze; None where there is none."""
        return self.snoozed_at and self.snoozed_at + timedelta(seconds=self.snooze_s)


def step(
    rule: Rule,
    latch: Latch,
    evidence: Evidence,
    now: datetime,
    *,
    daily_cap: int,
    zone: tzinfo,
    quiet_until: datetime | None = None,
) -> tuple[Latch, Edge | None]:
    """One decision about one rule (R1 to R6).

    Args:
        rule: The rule.
        latch: Its state before.
        evidence: Evidence now.
        now: Aware UTC time of the decision.
        daily_cap: Most starts of this rule in a day.
        zone: The farm's: where a day begins.
        quiet_until: End of the quiet hours, where the rule's edges wait for it.
    """
    before, latch = latch, bounded(latch, now)
    latch = _with_level(rule, latch, evidence, now)
    ends = _in_force(rule, latch, now, daily_cap, zone)
    if quiet_until is not None:
        ends["quiet_hours"] = quiet_until
    edge = _due(rule, latch, evidence, now)
    if edge is not None and hold_backs.that_hold(edge.value, rule, ends):
        edge = None
    if edge is not None:
        latch = _sent(rule, latch, edge, evidence, now.astimezone(zone))
    expected = _next_edge(latch)
    held = hold_backs.shown(expected.value, rule, ends) if expected else None
    latch = replace(latch, known=evidence.met is not None, held_back=held)
    if any(getattr(latch, key) != getattr(before, key) for key in _SHOWN):
        latch = replace(latch, changed_at=now)
    return latch, edge


def bounded(latch: Latch, now: datetime) -> Latch:
    """A latch without an impossible time, and without a snooze that is over (R6)."""
    times = {name: getattr(latch, name) for name in _TIMES}
    impossible = {
        name: now for name, at in times.items() if at and (at > now or at < EARLIEST <= now)
    }
    latch = replace(latch, **impossible)
    if latch.snoozed_until is not None and latch.snoozed_until <= now:
        return replace(latch, snoozed_at=None, snooze_s=0)
    return latch


def retire(latch: Latch, now: datetime) -> tuple[Latch, Edge | None]:
    """End the alert of a rule that is taken out or changed; an edge where people know of it (R7).

    What belongs to the name of the rule remains: snooze and starts of the day.
    """
    ended = Latch(
        rule=latch.rule,
        since=now,
        day=latch.day,
        raises=latch.raises,
        snoozed_at=latch.snoozed_at,
        snooze_s=latch.snooze_s,
    )
    return ended, Edge.CLEARED if latch.told is Level.RAISED else None


def meaning_changed(rule: Rule, latch: Latch) -> bool:
    """Whether an alert stands, or its end is untold, that was of a rule of another meaning."""
    if latch.last_rule is None or (latch.level is Level.CLEAR and not latch.untold):
        return False
    return any(getattr(rule, key) != getattr(latch.last_rule, key) for key in _MEANING)


def lasted(latch: Latch, now: datetime) -> timedelta:
    """How long the newest alert stood, or stands until now."""
    end = now if latch.level is Level.RAISED else latch.since
    if end is None or latch.raised_at is None:
        return timedelta(0)
    return max(end - latch.raised_at, timedelta(0))


def _with_level(rule: Rule, latch: Latch, evidence: Evidence, now: datetime) -> Latch:
    """The latch with the level that the evidence gives (R1, R2)."""
    if latch.level is Level.CLEAR:
        if not evidence.met:
            return latch
        return replace(
            latch,
            level=Level.RAISED,
            since=now,
            raised_at=now,
            untold=not latch.untold,
            last_rule=rule,
        )
    held = latch.since is not None and now - latch.since < timedelta(seconds=rule.hold_s)
    if not evidence.over or held:
        return latch
    return replace(latch, level=Level.CLEAR, since=now, untold=not latch.untold, acknowledged=False)


def _in_force(
    rule: Rule, latch: Latch, now: datetime, daily_cap: int, zone: tzinfo
) -> hold_backs.Ends:
    """What holds some edge of the rule back now, but for the quiet hours."""
    ends: hold_backs.Ends = {}
    if latch.acknowledged:
        ends["acknowledged"] = None
    if latch.snoozed_until is not None:
        ends["snooze"] = latch.snoozed_until
    cooled = latch.ended_at and latch.ended_at + timedelta(seconds=rule.cooldown_s)
    if cooled is not None and now < cooled:
        ends["cool_down"] = cooled
    today = now.astimezone(zone).date().isoformat()
    if latch.day == today and latch.raises >= daily_cap:
        ends["daily_cap"] = hold_backs.next_day(now, zone)
    return ends


def _next_edge(latch: Latch) -> Edge | None:
    """The edge that comes next as long as the level stays (R3, R4)."""
    if latch.level is Level.RAISED:
        return Edge.RAISED if latch.untold else Edge.UPDATED
    return Edge.CLEARED if latch.untold else None


def _due(rule: Rule, latch: Latch, evidence: Evidence, now: datetime) -> Edge | None:
    """The edge to send now where nothing holds it back (R2 to R4)."""
    edge = None if evidence.met is None else _next_edge(latch)
    if edge is not Edge.UPDATED:
        return edge
    told = Evidence(probability=latch.probability, hour=latch.hour, value=latch.value)
    news = not rule.now and evidence.met and updates.are_due(rule, told, evidence, now)
    return edge if news else None


def _sent(rule: Rule, latch: Latch, edge: Edge, evidence: Evidence, local: datetime) -> Latch:
    """The latch after an edge at a time in the farm's zone."""
    if edge is Edge.CLEARED:
        at = local.astimezone(UTC)
        return replace(latch, untold=False, ended_at=at, probability=None, hour=None, value=None)
    latch = replace(
        latch,
        untold=False,
        probability=evidence.probability,
        hour=evidence.hour,
        value=evidence.value,
    )
    if edge is Edge.UPDATED:
        return latch
    today = local.date().isoformat()
    return replace(
        latch,
        day=today,
        raises=latch.raises + 1 if latch.day == today else 1,
        last_rule=rule,
    )
