"""`edge-agent status` and `release`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from edge_agent.commands.common import (
    folder_of_service,
    opened,
    read_config,
    standard_options,
    state_in_use,
)
from edge_agent.commands.seen_problems import seen_problems
from edge_agent.contract.errors import ConfigError, InputMissing
from edge_agent.system.console import print_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from edge_agent.contract.manifest import Manifest
    from edge_agent.core.runtime import Runtime
    from edge_agent.core.service_answer import BrokerReport
    from edge_agent.messages.payloads import GuidanceReport, SensorReport


@click.command()
@standard_options
def status(config_path: Path | None, as_json: bool) -> None:
    """What runs: problems, sensors, release, age of the data, last forecast, alerts, queue, clock.

    The running service says it; without one, it is what the service has written, with its age. A
    service goes on with what it has read where the configuration file is wrong now: the file's
    error comes with it, and is the exit code.

    Example: edge-agent status --json
    """
    document, fault = _asked(config_path)
    if document is None:
        with opened(config_path) as runtime:
            document = _written(runtime)
    if not as_json:
        for text in document.pop("problems") or ["none"]:
            click.echo(f"problem: {text}{_action_line(text)}")
        for report in document.pop("sensors"):
            click.echo(_sensor_line(report))
        if document["service"] != "runs":
            click.echo(_age_line(document["age_s"]))
        click.echo(broker_line(document.pop("broker"), sum(document["outbox"]["waiting"].values())))
    _print(document, as_json=as_json)
    if fault is not None:
        raise fault


@click.command()
@standard_options
def release(config_path: Path | None, as_json: bool) -> None:
    """Which release runs and why: versions, scores, corrections for this farm, lineage.

    Example: edge-agent release --json
    """
    from edge_agent.messages.status import tuned_of

    with opened(config_path) as runtime:
        installed = runtime.slots.load()
        pointer = runtime.slots.pointer()
        device = runtime.config.device.full_id
    if installed is None:
        raise InputMissing("no release is installed: run `edge-agent sync`")
    tuned = tuned_of(installed.tuning(device))
    document = _release(installed.manifest)
    document["manifest_sha256"] = installed.sha256
    before = pointer.previous
    document["previous"] = before.release if before else None
    document["left"] = msgspec.to_builtins(pointer.left)
    document["tuned"] = msgspec.to_builtins(tuned)
    _print(document, as_json=as_json)


def _asked(config_path: Path | None) -> tuple[dict[str, Any] | None, ConfigError | None]:
    """The service's own document, and the error of its configuration file; None where none is.

    Raises:
        ConfigError: The file is wrong, and no service runs with it.
    """
    from edge_agent.core import service_answer
    from edge_agent.core.restart_keys import changed

    settings, fault = None, None
    try:
        settings = read_config(config_path)
        folder: Path | None = state_in_use(settings, config_path)
    except ConfigError as error:
        folder, fault = folder_of_service(config_path), error
    answer = None if folder is None else service_answer.ask(folder)
    if answer is None:
        if fault is not None:
            raise fault
        return None, None
    problems = list(answer.problems)
    if fault is not None:
        problems.append(f"configuration: {fault}")
    elif settings and settings.storage.path and Path(settings.storage.path) != folder:
        problems.append(changed("storage.path"))
    return answer.document | {
        "service": "runs",
        "written_at": None,
        "age_s": 0,
        "problems": list(dict.fromkeys(problems)),
        "sensors": answer.sensors,
        "broker": answer.broker,
        "guidance": msgspec.to_builtins(answer.guidance),
    }, fault


def _written(runtime: Runtime) -> dict[str, Any]:
    """The document of what is on the disk, with its age."""
    from edge_agent.core import status_document

    now = runtime.clock.now()
    sensors, written = runtime.sensor_reports(now), status_document.written_at(runtime)
    age_s = None if written is None else int(max(now - written, timedelta(0)).total_seconds())
    document: dict[str, Any] = msgspec.to_builtins(status_document.document(runtime))
    return document | {
        "service": "does not answer",
        "written_at": written,
        "age_s": age_s,
        "problems": list(seen_problems(runtime, sensors)),
        "sensors": sensors,
        "broker": None,
        "guidance": msgspec.to_builtins(_guidance(runtime, now)),
    }


def _guidance(runtime: Runtime, now: datetime) -> GuidanceReport | None:
    """KMA's forecast in the forecast of now; None where it takes no part."""
    from edge_agent.core.publishing import publish

    context = runtime.context()
    return publish(context, now).report(context, now)


def _action_line(problem: str) -> str:
    from edge_agent.core.problem_advice import action

    told = "" if problem == "none" else action(problem)
    return f"\n      -> {told}" if told else ""


def _age_line(age_s: int | None) -> str:
    """How old everything else is, where the service does not answer."""
    from edge_agent.core.sensor_reports import span

    if age_s is None:
        return "state: the service does not answer, and has written nothing"
    age = span(timedelta(seconds=age_s))
    return f"state: as it was {age} ago: the service does not answer"


def _sensor_line(report: SensorReport) -> str:
    name = f"{report.topic} {report.field}".strip()
    value = "no reading"
    if report.value is not None:
        value = f"{report.value:g} {report.unit} {report.age_s} s ago"
    last = report.last_refused
    refused = f", {report.refused} refused" + (
        f", last {last.value}: {last.reason}" if last else ""
    )
    return f"sensor {name} ({report.role} {report.quantity}): {value}{refused}"


def broker_line(broker: BrokerReport | None, waiting: int) -> str:
    """One line for people.

    Args:
        broker: What the service reports; None where it does not answer.
        waiting: Number of messages that wait.
    """
    if broker is None:
        how = "not known, since the service does not answer"
    elif broker.connected:
        since = "" if broker.since is None else f" since {broker.since:%Y-%m-%d %H:%M} UTC"
        how = f"connected{since}, MQTT {broker.version}"
    else:
        how = f"not connected: {broker.problem}"
    parts = [how, "1 message waits" if waiting == 1 else f"{waiting} messages wait"]
    if broker is not None:
        refused = [text.removeprefix("broker ") for text in broker.refused]
        parts.extend(refused or ["refuses nothing"])
        parts.extend(broker.concerns)
        if broker.connected and broker.last_problem:
            parts.append(f"last error: {broker.last_problem}")
    return f"broker: {'; '.join(parts)}"


def _release(manifest: Manifest) -> dict[str, Any]:
    return {
        "release": manifest.release,
        "channel": manifest.channel,
        "created_at": manifest.created_at,
        "reason": manifest.reason,
        "models": {name: model.version for name, model in manifest.models.items()},
        "features": {"digest": manifest.features.digest, "count": len(manifest.features.names)},
        "scores": manifest.scores,
        "lineage": manifest.lineage,
        "stations": list(manifest.sites),
    }


def _print(document: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(document)
        return
    for line in _flat(document, ""):
        click.echo(line)


def _flat(value: Any, at: str) -> Iterator[str]:  # noqa: ANN401 - plain values of any shape
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(item, f"{at}.{key}" if at else key)
    elif isinstance(value, (list, tuple)):
        yield f"{at}: {', '.join(map(str, value))}"
    else:
        yield f"{at}: {'-' if value is None else value}"
