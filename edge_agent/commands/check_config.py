"""`edge-agent check-config`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click
import msgspec

from edge_agent import config
from edge_agent.alerts import conditions, default_rules
from edge_agent.commands.common import standard_options
from edge_agent.contract import schema
from edge_agent.core import config_warnings, page_token
from edge_agent.core.config_warnings import ConfigWarning
from edge_agent.core.masking import PASSWORD_CREDENTIAL, masked
from edge_agent.system import locations
from edge_agent.system.console import is_quiet, print_json
from edge_agent.system.struct_decoder import Problem, line_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge_agent.settings import Config, Rule


@click.command()
@standard_options
def check_config(config_path: Path | None, as_json: bool) -> None:
    """Check the configuration; print it as it takes effect, secrets masked.

    The rules in force come first: the built-in ones and the farm's own, then those that are off.
    Every error is listed with its line, its key and what is allowed; exit 78 when there is any.
    Warned of is what is right by itself and most likely not meant: values of the example file, a
    place outside Korea, no depot or trust root, a rule that can never be raised. So is, with
    --quiet, a token of the page that cannot be used: the unit calls it so before each start, and
    alerts need no page.

    Example: edge-agent check-config --config /etc/edge-agent/config.toml
    """
    path = locations.config_file(config_path, os.environ)
    try:
        settings = config.load(path, os.environ)
        # Read here, so that an error shows now and not at the first connection.
        password = locations.secret(settings.mqtt.password_file, PASSWORD_CREDENTIAL, os.environ)
    except config.InvalidConfig as invalid:
        raise _refused(path, invalid, as_json=as_json) from invalid
    warnings = list(config_warnings.warnings(settings))
    if token := page_token.problem(settings.web, os.environ):
        key = "web.token_file"
        if not is_quiet():
            problem = Problem(key, token, line_of(path.read_text("utf-8-sig"), key))
            raise _refused(path, config.InvalidConfig(str(path), (problem,)), as_json=as_json)
        warnings = [warning for warning in warnings if warning.path != key]
        warnings.append(ConfigWarning(key, f"{key}: {token}"))
    effective = masked(settings)
    effective["mqtt"]["password"] = "***" if password else ""
    in_force = default_rules.in_force(settings)
    effective["rules"] = msgspec.to_builtins(in_force)
    rules = [_facts(rule, settings) for rule in in_force]
    names = {rule.name for rule in in_force}
    off = [name for name in settings.builtin.off if name not in names]
    if as_json:
        document = {
            "file": str(path),
            "ok": True,
            "errors": [],
            "warnings": [w.text for w in warnings],
        }
        print_json(document | {"rules": rules, "rules_off": off, "config": effective})
        return
    content = path.read_text("utf-8-sig") if warnings else ""
    for warning in warnings:
        number = line_of(content, warning.path)
        line = f":{number}" if number else ""
        click.echo(f"{path}{line}: warning: {warning.text}", err=True)
    if is_quiet():
        return
    click.echo(f"{path}: good. Rules in force:\n")
    for facts in rules:
        click.echo("{name} ({origin}, {severity}): {condition}".format_map(facts))
    click.echo(f"\nOff: {', '.join(off) or 'none'}. In effect:\n")
    for line in _lines(effective, ""):
        click.echo(line)


def _refused(path: Path, fault: config.InvalidConfig, *, as_json: bool) -> click.exceptions.Exit:
    """Prints the errors; the exit to be raised."""
    if as_json:
        errors = [{"path": p.path, "line": p.line, "error": p.text} for p in fault.problems]
        print_json({"file": str(path), "ok": False, "errors": errors})
    for problem in fault.problems:
        line = f":{problem.line}" if problem.line else ""
        click.echo(f"{path}{line}: {problem}", err=True)
    return click.exceptions.Exit(fault.exit_code)


def _facts(rule: Rule, settings: Config) -> dict[str, str]:
    own = {rule.name for rule in settings.rules}
    return {
        "name": rule.name,
        "origin": "own" if rule.name in own else "built-in",
        "condition": _condition(rule),
        "severity": rule.severity,
    }


def _condition(rule: Rule) -> str:
    quantity = conditions.compared_of("en", rule, rule.within_h)
    limit = f"{quantity} {conditions.limits_of('en', rule)}"
    hours = f"for {rule.for_h} h" if rule.for_h > 1 else ""
    if rule.now:
        place = "" if quantity.startswith(rule.role) else f"{rule.role} "
        return f"{place}{limit} now" + (f", {hours}" if hours else "")
    chance = f", at a chance of {100 * rule.probability:g}% or more"
    if all(each.quantity in schema.POINTS for each in rule.conditions):
        chance = ""  # It has no spread.
    return f"{limit}{hours and f' {hours}'} within {rule.within_h} h{chance}"


def _lines(value: Any, at: str) -> Iterator[str]:  # noqa: ANN401 - plain values of any shape
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _lines(item, f"{at}.{key}" if at else key)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _lines(item, f"{at}[{index}]")
    elif value is not None:
        yield f"{at} = {msgspec.json.encode(value).decode()}"
