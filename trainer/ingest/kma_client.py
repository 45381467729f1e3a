"""A KMA service as the settings say: its key, manners, pace and the day's budget."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from trainer.ingest.quota import Budget
from trainer.ingest.sources.http import Pace, Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from edge_agent.system.ports import Clock
    from trainer.workspace.workspace import Workspace


@contextmanager
def open_service(
    workspace: Workspace,
    clock: Clock,
    *,
    name: str,
    url: str,
    key_field: str,
    key: str,
    budget: Budget | None = None,
    sleep: Callable[[float], None] = time.sleep,
    transport: httpx.BaseTransport | None = None,
) -> Iterator[Service]:
    """Connection to one service; its requests are counted on disk when it closes.

    Args:
        workspace: Settings, and where requests are counted.
        clock: Tells the day and paces.
        name: What the service is counted as.
        url: Address without a query.
        key_field: Name of the key's query field.
        key: The key, in either form.
        budget: The day's count, where the caller reads it too.
        sleep: Waits for so many seconds.
        transport: Stand-in for the network (tests).
    """
    kma = workspace.config.kma
    counts = workspace.state / "requests.json"
    budget = budget or Budget(counts, name, key, kma.requests_per_day, clock)
    service = Service(
        url=url,
        key_field=key_field,
        key=key,
        manners=kma,
        pace=Pace(kma.requests_per_second, clock.monotonic, sleep).wait,
        spend=budget.spend,
        sleep=sleep,
        transport=transport,
    )
    try:
        yield service
    finally:
        service.close()
        budget.close()
