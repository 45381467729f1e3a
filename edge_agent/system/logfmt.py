"""Log lines as `key=value` pairs, for those who collect logs of many devices."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from typing import Final

_PLAIN: Final = re.compile(r"[^\s\"=]+")


class Logfmt(logging.Formatter):
    """`ts=… level=… run=… logger=… msg="…"`, one line a record whatever its text holds.

    Args:
        run: Id of this run of the program.
    """

    def __init__(self, run: str) -> None:
        super().__init__()
        self._run = run

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        pairs = {
            "ts": f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
            "level": record.levelname.lower(),
            "run": self._run,
            "logger": record.name,
            "msg": record.getMessage(),
        }
        if record.exc_info:
            pairs["error"] = self.formatException(record.exc_info)
        return " ".join(f"{key}={_quoted(value)}" for key, value in pairs.items())


def use_logfmt(run: str) -> None:
    """Have every handler of the root logger write `Logfmt`."""
    for handler in logging.getLogger().handlers:
        handler.setFormatter(Logfmt(run))


def _quoted(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    lines = escaped.replace("\r", "\\r").replace("\n", "\\n").replace("\t", "\\t")
    return f'"{lines}"'
