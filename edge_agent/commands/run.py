"""`edge-agent run`."""

from __future__ import annotations

import logging
import os
import random
import secrets
import signal
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING

import click

from edge_agent.commands.common import config_option, open_state_folder, read_config
from edge_agent.contract.errors import FarmError, StorageError, Unavailable
from edge_agent.system.console import set_up_logging, verbosity_options

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edge_agent.core.cycle import Decision
    from edge_agent.core.events import EventQueue, Item
    from edge_agent.core.runtime import Runtime
    from edge_agent.core.worker import Worker
    from edge_agent.settings import Web
    from edge_agent.system.ports import Clock
    from edge_agent.web.snapshot import SnapshotCache

_log = logging.getLogger(__name__)
_ANSWER_S = 5.0


@click.command("run")
@click.option(
    "--log-format",
    type=click.Choice(["text", "logfmt"]),
    default="text",
    show_default=True,
    help="Lines for people, or key=value pairs with an id of this run.",
)
@config_option
@verbosity_options
def run_service(log_format: str, config_path: Path | None) -> None:
    """Work as a service: hourly forecasts and alerts, sensors, updates, the queue to the broker.

    Runs until SIGTERM or Ctrl-C; SIGHUP reads the configuration anew. Needs neither broker nor
    depot to start. Under systemd use deploy/systemd/edge-agent.service.

    Example: edge-agent run --config /etc/edge-agent/config.toml
    """
    from edge_agent.core.events import EventQueue
    from edge_agent.system.instance_lock import InstanceLock
    from edge_agent.system.logfmt import use_logfmt

    set_up_logging(0)
    if log_format == "logfmt":
        use_logfmt(secrets.token_hex(4))
    events = EventQueue()
    _pass_signals_to(events)
    settings = read_config(config_path)
    state = open_state_folder(settings)
    with InstanceLock(state) as lock:
        if not lock.held():
            raise Unavailable(f"{state}: another edge-agent runs on this folder: stop it first")
        _run(config_path, state, settings.web, events, lock.held)


def _pass_signals_to(events: EventQueue) -> None:
    from edge_agent.core.events import Signal

    signals = {
        signal.SIGTERM: Signal.STOP,
        signal.SIGINT: Signal.STOP,
        signal.SIGHUP: Signal.RELOAD,
    }
    for number in signals:
        signal.signal(number, lambda n, _frame: events.put(signals[signal.Signals(n)]))


def _run(
    config_path: Path | None, state: Path, web: Web, events: EventQueue, alone: Callable[[], bool]
) -> None:
    from edge_agent.core.events import LoopBusy, on_loop
    from edge_agent.core.interfaces import Host
    from edge_agent.core.loop import ServiceLoop
    from edge_agent.core.pull_process import update
    from edge_agent.core.worker import Worker
    from edge_agent.system import local_answers, locations
    from edge_agent.system.clock import SystemClock
    from edge_agent.system.sd_notify import Notifier
    from edge_agent.web.snapshot import SnapshotCache

    clock, snapshots = SystemClock(), SnapshotCache()

    def answer() -> bytes:
        # One that hangs is not waited for; the other process then reads the disk.
        with suppress(LoopBusy, FarmError):
            told: bytes = on_loop(events.put, lambda: worker.describe(snapshots.service), _ANSWER_S)
            return told
        return b""

    with (
        closing(
            Worker(
                partial(_open_runtime, config_path, state, clock),
                events.put,
                partial(update, config_path),
                snapshots.update if web.port else _unseen,
                alone=alone,
                check=partial(read_config, config_path),
            )
        ) as worker,
        _web(web, state, snapshots=snapshots, clock=clock, put=events.put, worker=worker),
        local_answers.answering(state, answer),
        local_answers.naming(locations.config_file(config_path, os.environ), state),
    ):
        host = Host(Notifier(os.environ), clock, random.random)
        ServiceLoop(worker, worker.delivery(), events, host, snapshots.set_service).run()


def _open_runtime(config_path: Path | None, state: Path, clock: Clock) -> Runtime:
    from edge_agent.core.runtime import DATABASE, Runtime
    from edge_agent.system.memory_fallback import read_into_memory

    # The state folder is locked until the end, so another one takes a restart.
    settings = read_config(config_path)
    try:
        return Runtime(settings, state, clock)
    except StorageError as fault:
        _log.warning("%s; going on in memory", fault)
        return Runtime(settings, state, clock, db=read_into_memory(state / DATABASE))


def _unseen(_runtime: Runtime, _decision: Decision | None) -> None:
    """Without a page there is no snapshot."""


def _web(
    settings: Web,
    state: Path,
    *,
    snapshots: SnapshotCache,
    clock: Clock,
    put: Callable[[Item], None],
    worker: Worker,
) -> AbstractContextManager[int | None]:
    if not settings.port:
        return nullcontext()
    # Imported only where it is switched on.
    from edge_agent.core import page_token
    from edge_agent.core.runtime import DATABASE
    from edge_agent.web.app import Application
    from edge_agent.web.forwarding import TrustedProxies
    from edge_agent.web.renewal import Renewal
    from edge_agent.web.server import asker, serving

    return serving(
        settings,
        Application(
            snapshots=snapshots,
            clock=clock,
            database=state / DATABASE,
            token=lambda: page_token.read(settings, os.environ),
            ask=asker(put, worker.ask),
            renew=Renewal(put, worker.show, clock),
            proxies=TrustedProxies(settings.trusted_proxies),
        ),
    )
