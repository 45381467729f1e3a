"""Limits of sensors as docs/sensors.md lists them."""

from __future__ import annotations

import re
from pathlib import Path

from edge_agent.contract import schema

PAGE = Path(__file__).parents[3] / "docs" / "sensors.md"


def test_the_page_lists_the_limits_of_every_quantity() -> None:
    """Limits by role are those of the rows, and so is what counts as a limit."""
    rows = re.findall(
        r"^\| `(\w+)`[^|]*\|([^|]*)\|([^|]*)\|([^|]*)\|$", PAGE.read_text("utf-8"), re.MULTILINE
    )
    assert [name for name, *_ in rows] == list(schema.SENSED)
    for name, outdoor, indoor, beyond in rows:
        row = schema.MEASURED[name]
        for text, role in ((outdoor, "outdoor"), (indoor, "indoor"), (indoor, "soil")):
            low, _, high, unit = text.split()
            assert (float(low), float(high)) == row.limits(role), (name, role)
            assert unit == row.unit
        low, high = row.limits("outdoor")
        below, above = row.overshoot
        wanted = {low - below} if below else set()
        wanted |= {high + above} if above else set()
        numbers = set(map(float, re.findall(r"-?\d+(?:\.\d+)?", beyond.partition(":")[0])))
        assert numbers == wanted, name
