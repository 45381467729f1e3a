"""Structured log lines."""

from __future__ import annotations

import logging
import sys

from edge_agent.system.logfmt import Logfmt


def _line(text: str, *values: object, fault: bool = False) -> str:
    info = sys.exc_info() if fault else None
    record = logging.LogRecord("edge_agent.x", logging.WARNING, "x.py", 1, text, values, info)
    record.created = 1_767_225_600.25
    return Logfmt("ab12").format(record)


def test_a_line_has_time_level_run_logger_and_text() -> None:
    """Keys in order, UTC, quotes only where they are needed."""
    assert _line("ready") == (
        "ts=2026-01-01T00:00:00.250000Z level=warning run=ab12 logger=edge_agent.x msg=ready"
    )
    assert _line("%s: gone", "depot").endswith('msg="depot: gone"')


def test_text_cannot_forge_a_line() -> None:
    """Line ends and quotes of a text stay inside its quotes."""
    line = _line('a\nlevel=error msg="b" \\ c=d')
    assert "\n" not in line
    assert line.endswith('msg="a\\nlevel=error msg=\\"b\\" \\\\ c=d"')


def test_a_fault_is_on_the_same_line() -> None:
    """A traceback becomes one value."""
    line = ""
    try:
        int("no")
    except ValueError:
        line = _line("bug", fault=True)
    assert "\n" not in line
    assert "ValueError: invalid literal" in line
