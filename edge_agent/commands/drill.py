"""`edge-agent drill`."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from edge_agent.commands.common import (
    config_option,
    opened,
)
from edge_agent.commands.publish import publish, service_runs
from edge_agent.contract.errors import TryLater, UsageError
from edge_agent.contract.hours import start_of_hour
from edge_agent.system.console import verbosity_options

if TYPE_CHECKING:
    from pathlib import Path

    from edge_agent.core.runtime import Runtime


@click.command()
@click.argument("rule")
@click.option(
    "--wait",
    "wait_s",
    default=15.0,
    show_default=True,
    type=click.FloatRange(0, 600),
    help="Seconds to try the broker.",
)
@config_option
@verbosity_options
def drill(rule: str, wait_s: float, config_path: Path | None) -> None:
    """Send a test alert of RULE through the whole chain: queue, broker, whoever listens.

    It is an edge "raised" marked drill, with a text that says so, and without an action. No state
    changes. A running service delivers it. Exit 75: it could not be delivered; it runs out after a
    quarter of an hour.

    Example: edge-agent drill frost
    """
    with opened(config_path) as runtime:
        _queue(runtime, rule)
        if service_runs(runtime):
            click.echo(
                f"drill of {rule}: queued; the running service sends it within about a minute"
            )
            return
        problem = publish(runtime, wait_s)
        if problem and runtime.outbox.counts().waiting.get("alert", 0):
            raise TryLater(f"drill of {rule}: it waits in the queue: {problem}")
    click.echo(f"drill of {rule}: sent")


def _queue(runtime: Runtime, name: str) -> None:
    from edge_agent.alerts.evaluation import RuleDecision
    from edge_agent.alerts.evidence import Evidence
    from edge_agent.alerts.messages import event_message
    from edge_agent.alerts.state_machine import Edge, Latch
    from edge_agent.contract.forecast import NoForecast
    from edge_agent.core.rules import rules_of

    rules = {rule.name: rule for rule in rules_of(runtime.config)}
    if name not in rules:
        raise UsageError(f"no rule is called {name!r}; there are {', '.join(rules)}")
    rule = rules[name]
    now, clock = runtime.time.judge()
    hour = start_of_hour(now) + timedelta(hours=1)
    evidence = Evidence(
        met=True,
        over=False,
        probability=rule.probability,
        value=rule.threshold,
        value_at=now if rule.now else hour,
        hour=now if rule.now else hour,
    )
    verdict = RuleDecision(evidence, Latch(rule=name), Edge.RAISED, timedelta(0))
    context = runtime.context().message_context(now, clock, NoForecast(now, "drill"), ())
    runtime.outbox.put(event_message(context, rule, verdict, drill=True))
