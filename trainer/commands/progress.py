"""Progress of long work: a bar on a terminal, one log line a step elsewhere."""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import ProgressColumn, Task

    from trainer.ingest.source import Progress

_log = logging.getLogger(__name__)
_LINES: Final = 20
"""At most so many log lines for one piece of work."""


@contextmanager
def progress(title: str, total: int) -> Iterator[Progress]:
    """Show `total` steps of `title`, on standard error."""
    if not sys.stderr.isatty():
        yield _Lines(title, total)
        return
    from rich import progress as rich_progress
    from rich.console import Console

    columns = (
        rich_progress.TextColumn("{task.description}"),
        rich_progress.BarColumn(),
        rich_progress.MofNCompleteColumn(),
        _rate_column(),
        rich_progress.TimeRemainingColumn(),
        rich_progress.TextColumn("{task.fields[note]}"),
    )
    with rich_progress.Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=total, note="")

        class _Bar:
            def advance(self, note: str = "") -> None:
                bar.update(task, advance=1, note=note)

        yield _Bar()


def _rate_column() -> ProgressColumn:
    from rich.progress import ProgressColumn
    from rich.text import Text

    class _Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:.1f}/s" if task.speed else "")

    return _Rate()


class _Lines:
    def __init__(self, title: str, total: int) -> None:
        self._title = title
        self._total = total
        self._done = 0

    def advance(self, note: str = "") -> None:
        self._done += 1
        every = -(-self._total // _LINES)
        if self._done % every == 0 or self._done == self._total:
            _log.info("%s: %d of %d %s", self._title, self._done, self._total, note)
