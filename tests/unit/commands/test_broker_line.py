"""The line of `edge-agent status` on the broker."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from edge_agent.commands.status import broker_line
from edge_agent.core.service_answer import BrokerReport

SINCE = datetime(2026, 11, 30, 4, 5, tzinfo=UTC)
CONNECTED = "connected since 2026-11-30 04:05 UTC, MQTT 5"


@pytest.mark.parametrize(
    ("report", "waiting", "line"),
    [
        (None, 2, "broker: not known, since the service does not answer; 2 messages wait"),
        (
            BrokerReport(True, SINCE, "5", "", "", (), ()),  # noqa: FBT003 - as it stands in the struct
            0,
            f"broker: {CONNECTED}; 0 messages wait; refuses nothing",
        ),
        (
            BrokerReport(True, SINCE, "5", "", "connection lost", ("d/x: Not authorized",), ("c",)),  # noqa: FBT003 - as it stands in the struct
            1,
            (
                f"broker: {CONNECTED}; 1 message waits; refuses d/x: Not authorized; c; "
                "last error: connection lost"
            ),
        ),
        (
            BrokerReport(False, None, "", "no answer from b:1883", "no answer", (), ()),  # noqa: FBT003 - as it stands in the struct
            3,
            "broker: not connected: no answer from b:1883; 3 messages wait; refuses nothing",
        ),
    ],
)
def test_it_says_how_the_broker_stands(
    report: BrokerReport | None, waiting: int, line: str
) -> None:
    """Connection, queue, what is refused, the last error."""
    assert broker_line(report, waiting) == line
