"""`edge-agent` at another time, for a demonstration: `python demo/agent.py TIME once ...`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from edge_agent.cli import cli
from edge_agent.commands.common import OwnClock
from edge_agent.system.clock import SystemClock
from edge_agent.system.console import run


class ShiftedClock(SystemClock):
    """The system's clock, moved so that it starts at a time.

    Args:
        start: What it shows now, aware.
    """

    def __init__(self, start: datetime) -> None:
        self._by = start - super().now()

    def now(self) -> datetime:
        """Aware UTC time, as it would be."""
        return (super().now() + self._by).astimezone(UTC)


def main() -> int:
    """Run the command line that follows the time; its exit code."""
    start, *arguments = sys.argv[1:]
    clock = ShiftedClock(datetime.fromisoformat(start))
    return run(cli, "edge-agent", arguments, OwnClock(clock))


if __name__ == "__main__":
    sys.exit(main())
