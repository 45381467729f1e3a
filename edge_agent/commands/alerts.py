"""`edge-agent drill`, and what `edge-agent replay --explain` prints."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click
import msgspec

from edge_agent.commands.config import config_option
from edge_agent.contract.errors import TryLater, UsageError
from edge_agent.contract.hours import start_of_hour
from edge_agent.system.console import verbosity_options

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge_agent.core.runtime import Runtime
    from edge_agent.replay.explain import ExplainedStep, Explanation


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
    changes. Exit 75: it could not be delivered; it runs out after a quarter of an hour.

    Example: edge-agent drill frost
    """
    from edge_agent.commands.cycle import publish
    from edge_agent.core.runtime import opened

    with opened(config_path) as runtime:
        _queue(runtime, rule)
        problem = publish(runtime, None, wait_s)
        if problem and runtime.outbox.counts().waiting.get("alert", 0):
            raise TryLater(f"drill of {rule}: it waits in the queue: {problem}")
    click.echo(f"drill of {rule}: sent")


def _queue(runtime: Runtime, name: str) -> None:
    from edge_agent.alerts.evaluation import RuleDecision
    from edge_agent.alerts.evidence import Evidence
    from edge_agent.alerts.messages import event_message
    from edge_agent.alerts.state_machine import Edge, Latch
    from edge_agent.contract.forecast import NoForecast
    from edge_agent.core import cycle

    rules = {rule.name: rule for rule in cycle.rules_of(runtime.config)}
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
        hour=now if rule.now else hour,
    )
    verdict = RuleDecision(evidence, Latch(rule=name), Edge.RAISED, timedelta(0))
    voice = runtime.parts().voice(now, clock, NoForecast(now, "drill"), ())
    runtime.outbox.put(event_message(voice, rule, verdict, drill=True))


def document(found: Explanation) -> dict[str, Any]:
    """Everything a program may want of an explanation."""
    return {
        "id": found.event.id,
        "same": not found.differences,
        "differences": found.differences,
        "event": msgspec.to_builtins(found.event),
        "rule": msgspec.to_builtins(found.case.rule),
        "latch_before": msgspec.to_builtins(found.case.latch),
        "latch_after": msgspec.to_builtins(found.verdict.latch),
        "steps": [msgspec.to_builtins(step) for step in found.steps],
    }


def lines(found: Explanation) -> Iterator[str]:
    """An explanation for people."""
    event, case = found.event, found.case
    release = "" if event.model_release is None else f", release {event.model_release}"
    yield f"{event.id}"
    yield f"said {event.issued_at:%Y-%m-%d %H:%M} UTC from {event.source}{release}: {event.text}"
    for one in event.inputs:
        yield f"rested on {one.name} of {one.at:%Y-%m-%d %H:%M} UTC, {one.age_s // 60} min old"
    yield f"rule: {event.reason}"
    since = f" since {case.latch.since:%Y-%m-%d %H:%M} UTC" if case.latch.since else ""
    yield f"before: {case.latch.level.value}{since}; after: {found.verdict.latch.level.value}"
    yield "hour (UTC)          value      p10      p90   chance"
    for step in found.steps:
        yield f"{step.at:%Y-%m-%d %H:%M}" + "".join(f"{cell:>9}" for cell in _cells(step))
    yield from found.differences
    if not found.differences:
        yield "worked out again: the same"


def _cells(step: ExplainedStep) -> Iterator[str]:
    for number, digits in ((step.value, 1), (step.p10, 1), (step.p90, 1), (step.probability, 2)):
        yield "-" if number is None else f"{number:.{digits}f}"
