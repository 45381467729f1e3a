"""What a device takes back before it publishes anything else: of rules and of a name that are gone.

Rules (tests name the numbers):

1. It is done at each start and reload, before the description for Home Assistant and before the
   first cycle. So whoever listens hears the end of the old before the start of the new.
2. The alert of a rule that is gone ends, where people were told of it.
3. A device with another name (site, id or base topic) ends its alerts under the former name, takes
   every retained topic of that name back, and starts with no alert under the new one.
4. Every retained topic that this configuration publishes nothing on goes: the state of a rule that
   is gone, advice without a crop, a history that is shared no longer.
5. All of it is one transaction: a power cut leaves it undone, and the next start does it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edge_agent.alerts import messages as alert_messages
from edge_agent.alerts import official
from edge_agent.alerts.state_machine import retire
from edge_agent.contract.forecast import NoForecast
from edge_agent.contract.official_warnings import KINDS
from edge_agent.core import official_alerts
from edge_agent.core.rules import rules_of
from edge_agent.messages.status import forecast_topics
from edge_agent.messages.topics import Topics
from edge_agent.mqtt import discovery
from edge_agent.system.database import transaction

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from edge_agent.alerts.state_machine import Latch
    from edge_agent.contract.clock_state import ClockState
    from edge_agent.core.cycle_context import CycleContext
    from edge_agent.messages.envelope import MessageContext
    from edge_agent.messages.message import Message
    from edge_agent.mqtt.outbox import Outbox
    from edge_agent.mqtt.own_name import OwnName

    _Ending = Callable[[MessageContext, Latch], Message]


def settle(
    context: CycleContext, outbox: Outbox, own_name: OwnName, now: datetime, clock: ClockState
) -> None:
    """Take back what is gone since the last start (rules 1 to 5).

    Args:
        context: Its configuration says what there is now.
        outbox: Its queue.
        own_name: The name under which the device has published last.
        now: UTC.
        clock: How far that time can be trusted.

    Raises:
        StorageError: The disk refused; nothing was changed.
    """
    sender = context.message_context(now, clock, NoForecast(now, "nothing is forecast"), ())
    former, root = own_name.root(), sender.topics.root
    renamed = former not in {"", root}
    with transaction(context.db):
        if renamed:
            old = replace(sender, topics=Topics(former))
            for latch in context.latches.all().values():
                _end(context, old, latch, alert_messages.renamed_message)
                context.latches.save([retire(latch, now)[0]])
            official_alerts.retire(context, old, "renamed")
        description = discovery.topic_of(context.config)
        gone = _gone(own_name, (f"{root}/", description), f"{former}/" if renamed else "")
        for topic in gone:
            outbox.take_back(topic)
        if gone:
            # Back under a name that was given up before, these stay.
            outbox.keep(sender.topics.availability)
            outbox.keep(description)
        if former != root:
            own_name.change(root, now)
        names = {rule.name for rule in rules_of(context.config)}
        for name, latch in context.latches.all().items():
            if name not in names:
                _end(context, sender, latch, alert_messages.retired_message)
                context.latches.forget(name)
        official_alerts.retire_without_zone(context, sender)
        published = _published(context, sender.topics, names)
        for topic in own_name.retained_topics():
            if topic.startswith(f"{root}/") and topic not in published:
                outbox.take_back(topic)


def _published(context: CycleContext, topics: Topics, rules: set[str]) -> set[str]:
    """Retained topics of this configuration, below the root of the device."""
    own = {topics.model, topics.health, topics.fresh}
    named = forecast_topics(context.config.mqtt.forecasts)
    own |= {topics.forecast(quantity) for quantity in named.values()}
    own |= {topics.alert_state(rule) for rule in rules}
    if context.config.device.zone_code is not None:
        own |= {topics.alert_state(rule) for rule in official.RULES}
        own |= {topics.official(kind) for kind in KINDS}
    if context.config.irrigation.crop:
        own.add(topics.irrigation)
    if context.config.mqtt.share_history:
        own.add(topics.history)
    return own


def _gone(own_name: OwnName, present: tuple[str, ...], former: str) -> list[str]:
    """Retained topics that begin otherwise than the present ones, or as those of the former name.

    Under a new name nothing was published yet, so all that begins as the former did is gone, even
    where one name begins with the other.
    """
    retained = own_name.retained_topics()
    if not former:
        return [topic for topic in retained if not topic.startswith(present)]
    gone = [t for t in retained if t.startswith(former) or not t.startswith(present)]
    return [*gone, Topics(former.rstrip("/")).availability]


def _end(context: CycleContext, sender: MessageContext, latch: Latch, ending: _Ending) -> None:
    if retire(latch, sender.now)[1] is not None:
        context.send_event(ending(sender, latch))
