"""`edge-agent doctor` and `edge-agent support-bundle`."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_agent.commands.common import (
    config_option,
    read_config,
    standard_options,
    state_in_use,
)
from edge_agent.contract.errors import ConfigError
from edge_agent.system.console import print_json, verbosity_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_agent.messages.payloads import SensorReport
    from edge_agent.ops.findings import Finding, Subject
    from edge_agent.settings import Config

EXIT_FOUND_ERRORS = 1


@click.command()
@click.option("--offline", is_flag=True, help="Leave broker and depot alone.")
@standard_options
def doctor(offline: bool, config_path: Path | None, as_json: bool) -> None:
    """Look at everything this device needs, and say what to do about what is wrong.

    Configuration, secrets, clock, disk, database, model, age of the data, certificates, what the
    running service reports of itself and its sensors, then the depot and the broker: reach, TLS,
    login with the last will, a message to oneself, a retained one, the longest one, and each kind
    of topic that the service writes or reads. Changes nothing; works beside a running service.
    Exit 1 where a line says FAIL.

    Example: edge-agent doctor --config /etc/edge-agent/config.toml
    """
    from edge_agent.ops.findings import Outcome

    findings: list[Finding] = []
    sensors: list[SensorReport] = []
    for finding in _examined(config_path, sensors, offline=offline):
        findings.append(finding)
        if not as_json:
            _say(finding)
    failed = any(finding.outcome is Outcome.FAIL for finding in findings)
    if as_json:
        problems = [f"{f.check}: {f.seen}" for f in findings if f.outcome is not Outcome.OK]
        print_json(
            {"ok": not failed, "problems": problems, "sensors": sensors, "findings": findings}
        )
    if failed:
        raise click.exceptions.Exit(EXIT_FOUND_ERRORS)


@click.command("support-bundle")
@click.argument("target", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@config_option
@verbosity_options
def support_bundle(target: Path, config_path: Path | None) -> None:
    """Pack what helpers ask for into FILE (.tar.gz): no secret, no message's content.

    Configuration with secrets removed, versions, the doctor's findings, release and trial, queue
    by message id, the last alerts, and the service's log where journald has it.

    Example: edge-agent support-bundle farm-support.tar.gz
    """
    from edge_agent.ops import support_bundle as bundle_module

    subject = _subject(config_path)
    names = bundle_module.write(target, subject, list(_findings(subject, [], offline=False)))
    click.echo(f"{target}: {', '.join(names)}")


def _examined(
    config_path: Path | None, sensors: list[SensorReport], *, offline: bool
) -> Iterator[Finding]:
    from edge_agent.ops.findings import Finding, Outcome

    try:
        subject = _subject(config_path)
    except ConfigError as fault:
        advice = "edge-agent check-config lists every fault with its line"
        yield Finding("configuration", Outcome.FAIL, str(fault), advice)
        return
    yield from _findings(subject, sensors, offline=offline)


def _subject(config_path: Path | None) -> Subject:
    from edge_agent.ops.findings import Subject
    from edge_agent.system.clock import SystemClock

    settings = read_config(config_path)
    return Subject(settings, state_in_use(settings, config_path), SystemClock(), os.environ)


def _findings(subject: Subject, sensors: list[SensorReport], *, offline: bool) -> Iterator[Finding]:
    """Each finding once; `sensors` is filled with what is known of every sensor."""
    from edge_agent.ops import doctor as device
    from edge_agent.ops import doctor_connectivity as links
    from edge_agent.ops import doctor_service as service
    from edge_agent.ops.findings import guarded

    def of_service() -> Iterator[Finding]:
        view = service.look(subject)
        sensors.extend(view.sensors)
        yield from service.examine(view)

    seen: set[str] = set()
    of_device = chain(_of_settings(subject.config, offline=offline), device.examine(subject))
    for finding in chain(of_device, guarded("service", of_service)):
        # The service reports some of what was found on the device just before.
        if finding.check != "service" or finding.seen not in seen:
            yield _with_action(finding)
        seen.add(finding.seen)
    if not offline:
        yield from map(_with_action, links.examine(subject))


def _with_action(finding: Finding) -> Finding:
    """The same with what to do, where something is wrong and neither text nor advice says it."""
    from edge_agent.core.problem_advice import action
    from edge_agent.ops.findings import Outcome

    if finding.outcome is Outcome.OK or finding.advice:
        return finding
    problem = finding.seen if finding.check == "service" else f"{finding.check}: {finding.seen}"
    return replace(finding, advice=action(problem))


def _of_settings(settings: Config, *, offline: bool) -> Iterator[Finding]:
    from edge_agent.core import config_warnings
    from edge_agent.ops.findings import Finding, Outcome

    found = False
    for warning in config_warnings.warnings(settings):
        # Certificates have a check of their own, and so has the depot, unless it is left alone.
        elsewhere = ("mqtt.tls",) if offline else ("mqtt.tls", "depot")
        if not warning.path.startswith(elsewhere):
            found = True
            yield Finding("configuration", Outcome.WARN, warning.text)
    if not found:
        yield Finding("configuration", Outcome.OK, "good")


def _say(finding: Finding) -> None:
    advice = f"\n      -> {finding.advice}" if finding.advice else ""
    click.echo(f"{finding.outcome.value:<4}  {finding.check}: {finding.seen}{advice}")
