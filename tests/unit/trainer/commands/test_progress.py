"""Progress where there is no terminal, and where there is one."""

from __future__ import annotations

import io
import logging
import sys

import pytest

from trainer.commands.progress import progress


@pytest.mark.parametrize(("total", "lines"), [(3, 3), (20, 20), (1000, 20), (1001, 20)])
def test_log_lines_are_few_and_the_last_step_is_told(
    caplog: pytest.LogCaptureFixture, total: int, lines: int
) -> None:
    """At most twenty lines, however long the work is."""
    caplog.set_level(logging.INFO)
    with progress("work", total) as steps:
        for step in range(total):
            steps.advance(f"note {step}")
    assert len(caplog.messages) == lines
    assert caplog.messages[-1] == f"work: {total} of {total} note {total - 1}"


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count, rate and note on one line."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    with progress("work", 2) as steps:
        steps.advance("first")
        steps.advance("7 requests left today")
    assert "2/2" in shown.getvalue()
    assert "7 requests left today" in shown.getvalue()
