"""What a person asks of a rule: to acknowledge its alert, or to snooze it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from edge_agent.alerts.hold_backs import never_waits
from edge_agent.alerts.state_machine import Latch, Level
from edge_agent.contract.errors import BadData
from edge_agent.contract.official_warnings import ALERT_PREFIX
from edge_agent.core import official_reports
from edge_agent.core.rules import rules_of
from edge_agent.system.database import transaction

if TYPE_CHECKING:
    from edge_agent.core.runtime import Runtime
    from edge_agent.settings import Rule


def acknowledge(runtime: Runtime, name: str) -> str:
    """Send no more updates of the alert that stands; a text for people.

    Raises:
        BadData: There is no such rule.
    """
    if name.startswith(ALERT_PREFIX):
        return official_reports.acknowledge(runtime, name)
    rule = _rule(runtime, name)
    with transaction(runtime.db):
        latch = _latch(runtime, rule)
        if latch.level is Level.CLEAR:
            return f"{name}: no alert stands, so there is nothing to acknowledge"
        runtime.latches.save([replace(latch, acknowledged=True)])
    runtime.run_watch()
    return f"{name}: acknowledged; no more updates of this alert are sent, its end is"


def snooze(runtime: Runtime, name: str, minutes: int) -> str:
    """Hold back starts and updates of a rule for a time; a text for people.

    Raises:
        BadData: There is no such rule.
    """
    if name.startswith(ALERT_PREFIX):
        raise BadData(f"{name}: an official warning is not snoozed; acknowledge it")
    rule, now = _rule(runtime, name), runtime.clock.now()
    with transaction(runtime.db):
        latch = _latch(runtime, rule)
        runtime.latches.save([replace(latch, snoozed_at=now, snooze_s=60 * minutes)])
    runtime.run_watch()
    local = (now + timedelta(minutes=minutes)).astimezone(ZoneInfo(runtime.config.device.timezone))
    end = f"{local:%Y-%m-%d %H:%M %Z} (UTC{local.isoformat()[-6:]})"
    if never_waits(rule):
        why = "is critical" if rule.severity == "critical" else "has an action"
        return (
            f"{name}: only updates are held back until {end}: the rule {why}, "
            "so its start and its end are sent at once"
        )
    return f"{name}: quiet until {end}; what stands then is told"


def _rule(runtime: Runtime, name: str) -> Rule:
    rules = {rule.name: rule for rule in rules_of(runtime.config)}
    if name not in rules:
        raise BadData(f"rule {name!r} is not known; there are {', '.join(sorted(rules))}")
    return rules[name]


def _latch(runtime: Runtime, rule: Rule) -> Latch:
    return runtime.latches.all().get(rule.name, Latch(rule=rule.name))
