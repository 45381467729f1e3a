"""`edge-agent install` and `edge-agent uninstall`."""

from __future__ import annotations

import contextlib
import os
import platform
import struct
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from edge_agent.contract.errors import CannotCreate, Refused, StorageError, UsageError
from edge_agent.ops.installation.child_env import outer_environment
from edge_agent.ops.installation.installer import Installer
from edge_agent.ops.installation.layout import Layout
from edge_agent.ops.installation.processor import missing_features
from edge_agent.ops.installation.program_tree import own_tree
from edge_agent.ops.installation.units import OfflineSystemctl, Systemctl
from edge_agent.system import fault_words
from edge_agent.system.console import verbosity_options
from edge_agent.system.file_lock import locked
from edge_agent.system.locations import NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

_SELF_TEST_S: Final = 300.0
_BOOTED: Final = Path("/run/systemd/system")
_root_option = click.option(
    "--root",
    default=Path("/"),
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder that stands for /, such as a mounted image; nothing is started there.",
)
_dry_option = click.option("--dry-run", is_flag=True, help="Say what would be done.")


@click.command()
@_dry_option
@_root_option
@click.option("--no-start", is_flag=True, help="Enable the service, but leave it stopped.")
@verbosity_options
def install(dry_run: bool, root: Path, no_start: bool) -> None:
    """Install this program as a service, or upgrade the one that is installed.

    Copies itself to /opt/edge-agent, creates /etc/edge-agent/config.toml where there is none,
    writes and starts a hardened systemd unit. An upgrade keeps the version before it and goes back
    to that by itself when the new one fails its self-test or does not become ready.

    Example: sudo ./edge-agent install
    """
    layout = _layout(root, dry_run=dry_run)
    installer = _installer(layout)
    tree = own_tree()
    if dry_run:
        for line in installer.plan(tree):
            click.echo(f"would {line}")
        return
    with _alone(layout), _explained(layout):
        installer.install(tree, start=not no_start)


@click.command()
@_dry_option
@_root_option
@click.option("--purge", is_flag=True, help="Remove configuration, state and account as well.")
@verbosity_options
def uninstall(dry_run: bool, root: Path, purge: bool) -> None:
    """Stop the service and remove the program; configuration and state stay.

    Example: sudo edge-agent uninstall --purge
    """
    layout = _layout(root, dry_run=dry_run)
    if dry_run:
        data = " ".join(map(str, layout.data)) if purge else "no configuration and no state"
        click.echo(f"would stop the service, remove {layout.versions}, its units, {data}")
        return
    with _explained(layout):
        _installer(layout).uninstall(purge=purge)


def _layout(root: Path, *, dry_run: bool) -> Layout:
    if struct.calcsize("P") * 8 != 64:  # 32-bit Python on a 64-bit kernel counts as well
        raise UsageError(f"{platform.machine()}: only 64-bit Linux is served (x86-64, aarch64)")
    lacking = missing_features(platform.machine(), Path("/proc/cpuinfo").read_text("utf-8"))
    if lacking:
        raise CannotCreate(
            f"this processor lacks {', '.join(lacking)}: the program needs an x86-64 of 2013 "
            "(Haswell) or later, or an aarch64"
        )
    layout = Layout(root.absolute())
    if layout.package.exists():
        raise CannotCreate(
            f"{layout.package}: installed as a Debian package: upgrade or remove it with apt"
        )
    if not dry_run and root == Path("/") and os.geteuid() != 0:
        raise Refused("this needs root: run it with sudo, or look first with --dry-run")
    return layout


def _installer(layout: Layout) -> Installer:
    runs = layout.root == Path("/") and _BOOTED.is_dir()
    return Installer(
        layout=layout,
        manager=Systemctl() if runs else OfflineSystemctl(layout.root),
        self_test=_self_test,
        say=click.echo,
        sleep=time.sleep,
    )


def _self_test(place: Path) -> str | None:
    try:
        result = subprocess.run(  # noqa: S603 - the program that was just copied
            [str(place / NAME), "self-test"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SELF_TEST_S,
            check=False,
            env=outer_environment(os.environ),
        )
    except (OSError, subprocess.TimeoutExpired) as fault:
        return fault_words.of_file(fault)
    if result.returncode == 0:
        return None
    failed = [line for line in result.stdout.splitlines() if line.startswith("failed")]
    return (
        "; ".join(failed) or " ".join(result.stderr.split())[-300:] or f"exit {result.returncode}"
    )


@contextlib.contextmanager
def _alone(layout: Layout) -> Iterator[None]:
    try:
        layout.versions.mkdir(parents=True, exist_ok=True)
        handle = (layout.versions / ".lock").open("wb")
    except OSError as fault:
        raise CannotCreate(f"{layout.versions}: {fault.strerror}") from fault
    with locked(handle, f"{layout.versions}: another install is at work"):
        yield


@contextlib.contextmanager
def _explained(layout: Layout) -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        where = fault.filename or layout.versions
        raise StorageError(f"{where}: {fault.strerror}: free space or check the disk") from fault
