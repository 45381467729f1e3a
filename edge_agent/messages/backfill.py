"""Forecasts of hours that passed while the broker was away. Pure.

Forecasts that wait replace each other, so after an outage only the newest is sent. The hours that
passed meanwhile follow on a topic of their own, with their own times, marked as historical.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from edge_agent.messages import envelope
from edge_agent.messages.payloads import BackfillPayload
from edge_agent.messages.status import TARGET_TOPICS, hours_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_agent.contract.forecast import Forecast
    from edge_agent.messages.envelope import MessageContext
    from edge_agent.messages.message import Message
    from edge_agent.messages.payloads import ForecastHour

REACH: Final = timedelta(days=7)
"""Nothing older is sent, and a message that waits so long is dropped."""


class _Waiting(msgspec.Struct):
    valid_from: datetime


def since(forecast: bytes, backfill: bytes) -> datetime | None:
    """Time since which forecasts of a target were not delivered; None where the last one was.

    Args:
        forecast: Payload of the forecast that waits; empty where none does.
        backfill: The same of the hours before it.
    """
    waiting = backfill or forecast
    return msgspec.json.decode(waiting, type=_Waiting).valid_from if waiting else None


def message_of(
    context: MessageContext, name: str, begin: datetime, forecasts: Sequence[Forecast]
) -> Message | None:
    """The hours after `begin` that have passed, each by the newest forecast made before it.

    Args:
        context: Sender and time.
        name: The target.
        begin: UTC.
        forecasts: Issued since then, oldest first.

    Returns:
        A message that replaces one that waits; None where no hour has passed, or none was
        forecast.
    """
    hours: dict[datetime, ForecastHour] = {}
    unit = ""
    for forecast in forecasts:
        target = forecast.targets.get(name)
        if target is None:
            continue
        unit = target.unit
        hours |= {
            hour.valid_at: hour
            for hour in hours_of(forecast, target)
            if max(begin, forecast.issued_at) < hour.valid_at <= context.now
        }
    if not hours:
        return None
    sender = replace(context, source="agent", release=None, historical=True)
    topic = TARGET_TOPICS[name]
    payload = BackfillPayload(
        **envelope.base(sender, "backfill", f"history/{topic}", valid=REACH)
        | {"valid_from": begin},
        quantity=name,
        unit=unit,
        hours=tuple(hours[at] for at in sorted(hours)),
    )
    return envelope.late(context.topics.backfill(topic), payload)
