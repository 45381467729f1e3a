"""What systemd is told, and what it wants to hear."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from edge_agent.system.sd_notify import Notifier

if TYPE_CHECKING:
    from pathlib import Path


def test_systemd_hears_what_is_said(tmp_path: Path) -> None:
    """Lines arrive as one datagram; a socket that is gone is no fault."""
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(address)
        Notifier({"NOTIFY_SOCKET": address}).send("READY=1", "STATUS=좋음")
        assert ear.recv(1000).decode() == "READY=1\nSTATUS=좋음"
    Notifier({"NOTIFY_SOCKET": address}).send("READY=1")
    Notifier({}).send("READY=1")


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "7"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "x"}, None),
        ({}, None),
    ],
)
def test_watchdog_time_is_systemds(env: dict[str, str], expected: float | None) -> None:
    """Only a watchdog that is meant for this process counts."""
    assert Notifier(env, pid=7).watchdog_s == expected
