"""The farm of the alerts' promises as its configuration says, and what the model holds of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from edge_agent.settings import Rule

START: Final = datetime(2026, 7, 1, 3, 10, tzinfo=UTC)
"""Noon in Korea: no quiet hours for ten hours."""
ZONE: Final = ZoneInfo("Asia/Seoul")
TOPIC: Final = "yard/temperature"


@dataclass(frozen=True)
class Farm:
    """What the configuration says: each field is changed by a step."""

    warm: float = 30.0
    warm_name: str = "warm"
    warm_severity: str = "warning"
    cold: bool = True
    vent_command: str = "open"
    quiet: bool = False
    cap: int = 24

    def text(self) -> str:
        """The file."""
        own = [
            _rule(
                self.warm_name,
                ">=",
                self.warm,
                self.warm - 2,
                "now = true\ncooldown_s = 3600",
                self.warm_severity,
            ),
            _rule(
                "vent",
                ">=",
                35,
                33,
                "now = true\ncooldown_s = 1800\naction = "
                f'{{ command = "{self.vent_command}", expires_s = 600, max_run_s = 300 }}',
            ),
            _rule("tomorrow", ">=", 34, 32, "cooldown_s = 7200"),
        ]
        if self.cold:
            own.append(_rule("cold", "<=", 0, 1, "now = true", "critical"))
        quiet = '[quiet_hours]\nstart = "22:00"\nend = "06:00"\n' if self.quiet else ""
        return (
            '[storage]\npath = "state"\nreserve_bytes = 0\n[web]\nport = 0\n'
            f"[limits]\nalerts_per_day = {self.cap}\n{quiet}"
            f'[[sensors]]\ntopic = "{TOPIC}"\nquantity = "air_temperature_c"\nunit = "C"\n'
            + "".join(own)
        )


def _rule(
    name: str, sign: str, threshold: float, clear: float, more: str, severity: str = "warning"
) -> str:
    return (
        f'[[rules]]\nname = "{name}"\nquantity = "air_temperature_c"\noperator = "{sign}"\n'
        f'threshold = {threshold}\nclear = {clear}\nseverity = "{severity}"\n{more}\n'
    )


@dataclass
class RuleNotes:
    """What the model holds of one rule.

    Attributes:
        holds: The condition, with hysteresis and hold.
        since: When it last changed.
        known: Whether there was evidence at the last look.
        ends: Whether the clear level was no longer met.
        events: Kind and time of every event that was queued.
        event_id: Of the newest of them.
        snoozed_until: As far as a person asked for it.
        seen: A person acknowledged the alert that stands.
        state: The last state message; None after it was deleted.
    """

    holds: bool = False
    since: datetime | None = None
    known: bool = False
    ends: bool = False
    events: list[tuple[str, datetime]] = field(default_factory=list)
    event_id: str = ""
    snoozed_until: datetime = START
    seen: bool = False
    state: dict[str, Any] | None = None

    @property
    def told(self) -> bool:
        """Whether people believe that it holds."""
        return bool(self.events) and self.events[-1][0] != "cleared"


def meets(r: Rule, value: float, limit: float) -> bool:
    """Whether a value meets a rule at a limit."""
    return value >= limit if r.operator == ">=" else value <= limit


def means_another(before: Rule, after: Rule) -> bool:
    """Whether the meaning changed."""
    return any(
        getattr(before, name) != getattr(after, name)
        for name in ("operator", "threshold", "severity", "action")
    )


def is_quiet(farm: Farm, now: datetime) -> bool:
    """Whether the quiet hours are on."""
    local = now.astimezone(ZONE).time()
    return farm.quiet and (local >= time(22) or local < time(6))
