"""`trainer keys`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from edge_agent.system.clock import SystemClock
from edge_agent.system.console import print_json, verbosity_options
from trainer.commands.options import json_option, workspace_option
from trainer.depot import roles

if TYPE_CHECKING:
    from trainer.depot.key_rotation import Rotation
    from trainer.workspace.workspace import Workspace


@click.group()
def keys() -> None:
    """Signing keys of this workspace.

    Example: trainer keys show
    """


@keys.command()
@workspace_option
@json_option
@verbosity_options
def show(workspace: Workspace, as_json: bool) -> None:
    """Roles, the keys they trust, which of them are here, and when signatures end.

    Example: trainer keys show --json
    """
    from trainer.depot.key_report import report
    from trainer.depot.keyring import KeyRing

    reports = report(workspace.depot_store, KeyRing(workspace.keys), SystemClock().now())
    if as_json:
        print_json([msgspec.to_builtins(role) for role in reports])
        return
    click.echo(f"{'role':13} {'needs':>5} {'keys':>4} {'here':>4} {'version':>7}  ends")
    for role in reports:
        click.echo(
            f"{role.role:13} {role.threshold:5} {len(role.keyids):4} {len(role.here):4} "
            f"{role.version:7}  {role.expires:%Y-%m-%d}"
        )
    for role in reports:
        if role.warning:
            click.echo(f"warning: {role.warning}", err=True)


@keys.command()
@click.argument("role", type=click.Choice(list(roles.LIFETIME)))
@workspace_option
@verbosity_options
def rotate(role: str, workspace: Workspace) -> None:
    """Replace the key of a ROLE by a new one; devices follow by themselves.

    Needs the root keys (for models and observations: the targets key). The old key file is kept
    as *.retired and signs nothing any more.

    Example: trainer keys rotate models
    """
    _done(_rotation(workspace).rotate(role))


@keys.command()
@click.argument("keyid")
@workspace_option
@verbosity_options
def revoke(keyid: str, workspace: Workspace) -> None:
    """Take the trust from a key that was lost or copied; KEYID as `trainer keys show --json` says.

    Example: trainer keys revoke 3f9a12
    """
    _done(_rotation(workspace).revoke(keyid))


@keys.command()
@workspace_option
@verbosity_options
def renew(workspace: Workspace) -> None:
    """Sign root and targets again with the keys they have, before their signatures end.

    Example: trainer keys renew
    """
    signed = _rotation(workspace).renew()
    click.echo(f"signed again: {', '.join(signed)}")


def _rotation(workspace: Workspace) -> Rotation:
    from trainer.depot.key_rotation import Rotation
    from trainer.depot.keyring import ask_passphrase

    return Rotation(workspace, SystemClock(), ask_passphrase)


def _done(keyid: str) -> None:
    click.echo(f"new key {keyid}")
    click.echo("copy the keys folder to its safe place again; devices follow at their next poll")
