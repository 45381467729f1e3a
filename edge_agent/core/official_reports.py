"""KMA's official warnings of a runtime: what is shown of them, and what a person asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from edge_agent.alerts import official, official_messages
from edge_agent.alerts.state_machine import Edge
from edge_agent.contract.errors import BadData
from edge_agent.contract.forecast import NoForecast
from edge_agent.contract.official_warnings import ALERT_PREFIX
from edge_agent.contract.warning_zones import name_of
from edge_agent.core import official_alerts
from edge_agent.system.database import transaction

if TYPE_CHECKING:
    from datetime import datetime

    from edge_agent.alerts.official import OfficialLatch
    from edge_agent.core.runtime import Runtime
    from edge_agent.messages.envelope import MessageContext


def acknowledge(runtime: Runtime, rule: str) -> str:
    """Tell no more of the alert that stands but its end and a higher level; a text for people.

    Raises:
        BadData: There is no such kind.
    """
    with transaction(runtime.db):
        latch = runtime.official.all().get(rule.removeprefix(ALERT_PREFIX))
        if latch is None:
            raise BadData(f"{rule!r} is not known; there are {', '.join(official.RULES)}")
        if not latch.raised:
            return f"{rule}: no warning stands, so there is nothing to acknowledge"
        seen = official.acknowledged(latch)
        runtime.official.save([seen])
        bundle = runtime.official.bundle()
        sender = _sender(runtime)
        for state in official_messages.state_messages(
            sender,
            seen,
            bundle.as_of if bundle else None,
            official_alerts.max_age_of(runtime.config),
        ):
            runtime.outbox.put(state)
    return f"{rule}: acknowledged; a higher level and the end are told still"


def latches_of(runtime: Runtime) -> tuple[OfficialLatch, ...]:
    """State of every kind; empty where no file ever came or the farm has no zone.

    Raises:
        StorageError: The disk refused.
    """
    if runtime.config.device.zone_code is None or runtime.official.bundle() is None:
        return ()
    return tuple(runtime.official.all().values())


def report(runtime: Runtime, now: datetime) -> dict[str, Any]:
    """For `edge-agent status`: the farm's zone, the age of the file, and what stands.

    Raises:
        StorageError: The disk refused.
    """
    zone, bundle = runtime.config.device.zone_code, runtime.official.bundle()
    age = None if bundle is None else int((now - bundle.as_of).total_seconds())
    standing = [latch for latch in runtime.official.all().values() if latch.raised]
    return {
        "zone": zone,
        "region": None if zone is None else name_of(zone),
        "as_of": None if bundle is None else bundle.as_of,
        "age_s": age,
        "standing": {
            latch.rule: {
                "level": latch.level.value,
                "since": latch.since,
                "acknowledged": latch.acknowledged,
                "text": official_messages.text_of(
                    runtime.config.device.language,
                    ZoneInfo(runtime.config.device.timezone),
                    latch,
                    official_alerts.max_age_of(runtime.config),
                    Edge.RAISED,
                ),
            }
            for latch in standing
        },
    }


def _sender(runtime: Runtime) -> MessageContext:
    now, clock = runtime.time.judge()
    forecast = NoForecast(now, "official warnings need none")
    return runtime.context().message_context(now, clock, forecast, ())
