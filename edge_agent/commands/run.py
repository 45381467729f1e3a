"""`edge-agent run`."""

from __future__ import annotations

import os
import random
import signal
from contextlib import closing
from typing import TYPE_CHECKING

import click

from edge_agent import config, locations
from edge_agent.commands.config import config_option
from edge_agent.console import set_up_logging, verbosity_options
from edge_agent.errors import Unavailable

if TYPE_CHECKING:
    from pathlib import Path


@click.command("run")
@config_option
@verbosity_options
def run_service(config_path: Path | None) -> None:
    """Work as a service: hourly forecasts and alerts, sensors, updates, the queue to the broker.

    Runs until SIGTERM or Ctrl-C; SIGHUP reads the configuration anew. Needs neither broker nor
    depot to start. Under systemd use deploy/systemd/edge-agent.service.

    Example: edge-agent run --config /etc/edge-agent/config.toml
    """
    from edge_agent import mail
    from edge_agent.agent import Agent
    from edge_agent.clock import SystemClock
    from edge_agent.inbox import Inbox, Signal
    from edge_agent.notify import Notifier
    from edge_agent.runtime import Runtime
    from edge_agent.service import Service

    set_up_logging(0)
    clock, inbox = SystemClock(), Inbox()
    wishes = {
        signal.SIGTERM: Signal.STOP,
        signal.SIGINT: Signal.STOP,
        signal.SIGHUP: Signal.RELOAD,
    }

    def on_signal(number: int, _frame: object) -> None:
        inbox.put(wishes[signal.Signals(number)])

    for number in wishes:
        signal.signal(number, on_signal)

    first = config.load(config_path, os.environ)
    state = locations.state_folder(first.storage.path, os.environ, root=os.geteuid() == 0)

    def open_runtime() -> Runtime:
        # The state folder is locked for good: another one takes a restart.
        return Runtime(config.load(config_path, os.environ), state, clock)

    with mail.sole(state) as alone:
        if not alone:
            raise Unavailable(f"{state}: another edge-agent runs on this folder: stop it first")
        with closing(Agent(open_runtime, inbox.put)) as agent:
            Service(
                agent,
                agent.mail(),
                inbox,
                words=Notifier(os.environ),
                clock=clock,
                random=random.random,
                poll_interval_s=agent.poll_interval_s,
            ).run()
