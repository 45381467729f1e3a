"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="trainer.toml (default: TRAINER_CONFIG, then ./trainer.toml).",
)
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
