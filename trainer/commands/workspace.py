"""`trainer init`."""

from __future__ import annotations

from pathlib import Path

import click

from edge_agent.system.console import verbosity_options


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--single-key", is_flag=True, help="One root key instead of 2 of 3: trials only.")
@click.option("--encrypt", is_flag=True, help="Protect the root and targets keys by a passphrase.")
@click.option(
    "--bucket",
    default="",
    metavar="s3://BUCKET/PREFIX",
    help="Lake, runs and depot lie there: any machine with this folder's files goes on.",
)
@click.option(
    "--first-number",
    type=click.IntRange(min=1),
    default=1,
    metavar="N",
    help="Number of the first release; after lost root keys: above that of every device.",
)
@verbosity_options
def init(folder: Path, single_key: bool, encrypt: bool, bucket: str, first_number: int) -> None:
    """Make a workspace: settings, signing keys, empty lake and depot.

    Three root keys are made, of which any two can replace every other key: carry them to three
    places. With --encrypt the passphrase is typed, or read from TRAINER_KEY_PASSPHRASE_FILE.

    Example: trainer init farm && cd farm && trainer ingest --station 108
    """
    from trainer.depot.keyring import choose_passphrase
    from trainer.setup import create

    secret = choose_passphrase() if encrypt else None
    workspace = create(
        folder,
        bucket=bucket,
        single_key=single_key,
        passphrase=lambda: secret,
        first=first_number,
    )
    click.echo(f"{workspace.root}: workspace made")
    click.echo(f"  {workspace.root / 'trainer.toml'}: settings, every key explained")
    if not any(workspace.keys.glob("*.pem")):
        click.echo(f"  {bucket}: signed by another machine; copy its keys/ to {workspace.keys}")
        return
    click.echo(f"  {workspace.keys}: signing keys; keep a copy elsewhere, and away from the web")
    click.echo(f"  {workspace.root / 'root.json'}: give this file to every device")
    if single_key:
        click.echo(
            "WARNING: one single root key: whoever copies keys/root-1.pem owns every device, and "
            "whoever loses it must visit every device; for trials only",
            err=True,
        )
    else:
        click.echo("  root keys: any 2 of 3 decide; move root-1..3.pem to three safe places")
    click.echo("next: set KMA_SERVICE_KEY and run `trainer ingest` there")
