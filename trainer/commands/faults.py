"""Runs every item, reports each error, and exits with the first one's code."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from edge_agent.contract.errors import FarmError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Faults:
    """Prints each fault; the first one decides the exit code.

    Attributes:
        first: The first fault, or None.
    """

    def __init__(self) -> None:
        self.first: FarmError | None = None

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Around the work on one item."""
        try:
            yield
        except FarmError as fault:
            click.echo(f"trainer: {fault}", err=True)
            self.first = self.first or fault

    def end(self) -> None:
        """End the command with the first fault's exit code; go on where there was none."""
        if self.first is not None:
            click.get_current_context().exit(self.first.exit_code)
