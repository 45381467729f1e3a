"""What each command does, whether it comes over MQTT or over the local API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_agent.core import restart_keys, rule_requests, soil_water
from edge_agent.core.events import Signal
from edge_agent.mqtt.commands import CommandHandler

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_agent.core.events import Item
    from edge_agent.core.runtime import Runtime
    from edge_agent.mqtt.commands import Request
    from edge_agent.settings import Config


def command_handler(
    runtime: Runtime, report: Callable[[Item], None], check: Callable[[], Config | None]
) -> CommandHandler:
    """Handler of the commands of a runtime.

    Args:
        runtime: What the commands act on.
        report: Takes what the service's loop is to do.
        check: Reads the configuration; raises `ConfigError` where it is wrong.
    """
    outbox = runtime.outbox

    def later(signal: Signal, answer: str) -> Callable[[Request], str]:
        return lambda _: _after(answer, report, signal)

    def reload(_: Request) -> str:
        read = check()
        changed = restart_keys.changes(runtime.started_with, read) if read else ()
        answer = "; ".join(("the configuration is read anew", *changed))
        return _after(answer, report, Signal.RELOAD)

    return CommandHandler(
        runtime.topics,
        {
            "predict": later(Signal.CYCLE, "a cycle is worked now"),
            "sync": later(Signal.FETCH, "an update is fetched now"),
            "reload": reload,
            "ack": lambda request: rule_requests.acknowledge(runtime, request.rule),
            "snooze": lambda request: rule_requests.snooze(runtime, request.rule, request.minutes),
            "republish": lambda _: _after(
                f"{outbox.republish_retained(runtime.known_time())} messages are said again",
                report,
                Signal.RETRY,
            ),
            # The advice changes at once.
            "irrigated": lambda request: _after(_irrigated(runtime, request), report, Signal.CYCLE),
            # Has no topic, so it comes over the local API only.
            "rollback": lambda _: _after(_rollback(runtime), report, Signal.CYCLE),
        },
        runtime.config.mqtt.commands,
        outbox.put,
        runtime.clock,
    )


def _after(answer: str, report: Callable[[Item], None], signal: Signal) -> str:
    """The answer of what was done, once the loop is asked for what follows."""
    report(signal)
    return answer


def _irrigated(runtime: Runtime, request: Request) -> str:
    return soil_water.report(
        runtime.config.irrigation,
        runtime.soil_water,
        runtime.clock.now(),
        mm=request.mm,
        volume_l=request.volume_l,
        at=request.at,
        zone=request.zone,
        request=request.id,
    )


def _rollback(runtime: Runtime) -> str:
    release = runtime.slots.go_back("asked for over the local API").manifest.release
    return f"release {release}, the one before, is live again"
