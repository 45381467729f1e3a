"""Builds the webhook for alerts from the configuration."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

from edge_agent.core.events import LoopCall
from edge_agent.core.masking import PUSH_CREDENTIAL
from edge_agent.mqtt.webhook import WebhookSender, sender
from edge_agent.system import locations

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_agent.core.events import Item
    from edge_agent.core.runtime import Runtime


def open_webhook(runtime: Runtime, report: Callable[[Item], None]) -> WebhookSender | None:
    """WebhookSender to the configured address; None where there is none.

    Args:
        runtime: Its configuration, database and clock are used.
        report: Takes the results of the sender's thread.
    """
    settings = runtime.config.push
    if not settings.url:
        return None
    return WebhookSender(
        runtime.pushes,
        sender(
            settings.url,
            lambda: locations.secret(settings.token_file, PUSH_CREDENTIAL, os.environ),
            json=not settings.template,
        ),
        lambda call: report(LoopCall(call)),
        clock=runtime.clock,
        random=random.random,
    )
