"""`edge-agent self-update`."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from edge_agent.commands.common import (
    config_option,
    read_config,
)
from edge_agent.contract.errors import Refused, TryLater
from edge_agent.system.console import verbosity_options

if TYPE_CHECKING:
    from collections.abc import Mapping

_STATE: Final = "/var/lib/edge-agent-update"


@click.command("self-update")
@config_option
@verbosity_options
def self_update(config_path: Path | None) -> None:
    """Install the program that the depot offers for this machine, if it offers a new one.

    Off by default: nothing calls this unless edge-agent-update.timer is enabled. The program must
    be signed by the depot's offline `targets` key. It installs itself as by hand: self-test first,
    and back to the version before it when it does not become ready. Exit 11: nothing new.

    Example: sudo systemctl enable --now edge-agent-update.timer
    """
    from edge_agent.core.update_setup import open_depot
    from edge_agent.system.clock import SystemClock
    from edge_agent.system.clock_trust import Timekeeper
    from edge_agent.updates.agent_program import update_program

    if os.geteuid() != 0:
        raise Refused("this needs root: run it with sudo")
    settings = read_config(config_path)
    folder = _folder(os.environ)
    clock = SystemClock()
    now, trust = Timekeeper(folder, clock).judge()
    if trust == "untrusted":
        raise TryLater("the clock cannot be right: set it first")
    with open_depot(settings, folder / "tuf", clock) as depot:
        code = update_program(depot, folder, platform.machine(), now, _install)
    raise click.exceptions.Exit(code)


def _folder(env: Mapping[str, str]) -> Path:
    # Not the service's folder: what it may write to must not decide what root runs.
    return Path(env.get("STATE_DIRECTORY", "").split(":")[0] or _STATE)


def _install(program: Path) -> int:
    from edge_agent.ops.installation.child_env import outer_environment

    return subprocess.run(  # noqa: S603 - verified bytes in root's own folder
        [str(program), "install"], env=outer_environment(os.environ), check=False
    ).returncode
