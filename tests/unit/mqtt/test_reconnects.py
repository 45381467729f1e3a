"""The drawing of a fleet's return in the documentation."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec

from bench.load.reconnects import FACTS, Measured, draw

DRAWN = Path(__file__).parents[3] / "docs" / "reconnects.svg"


def _measured() -> Measured:
    return msgspec.json.decode(FACTS.read_bytes(), type=Measured)


def test_the_drawing_is_what_pauses_and_measurement_give() -> None:
    """Draw it anew after a change: `python -m bench.load.fleet --plot docs/reconnects.svg`."""
    made = draw(_measured())
    assert DRAWN.read_text("utf-8") == made
    assert len(made.encode()) < 60_000
    assert ET.fromstring(made).tag.endswith("svg")


def test_all_of_the_fleet_came_back_as_foretold() -> None:
    """What was measured is complete, and no second saw three times the even rate."""
    seen = _measured()
    assert sum(seen.returned) == seen.devices
    assert max(seen.returned) <= 3 * seen.devices / seen.window_s
