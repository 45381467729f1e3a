"""TLS to a real Mosquitto: the broker is checked, the agent shows its certificate, files renew."""

from __future__ import annotations

import queue
import shutil
from typing import TYPE_CHECKING

import pytest

from edge_agent.mqtt.client import MqttConnection
from edge_agent.mqtt.connection import Broker, Down, Event, Outgoing, Up
from edge_agent.mqtt.tls import TlsFiles
from edge_agent.system.clock import SystemClock
from tests.fakes.certificates import Authority
from tests.fakes.mosquitto import Mosquitto

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LAST = Outgoing("a", b"offline", json=False)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Signs broker and agent."""
    return Authority(tmp_path / "ca")


@pytest.fixture
def broker(tmp_path: Path, authority: Authority) -> Iterator[Mosquitto]:
    """A broker that speaks TLS only and wants a certificate."""
    cert, key = authority.issue("broker")
    options = [
        f"cafile {authority.file}",
        f"certfile {cert}",
        f"keyfile {key}",
        "require_certificate true",
    ]
    # Its own readiness probe is a plain TCP connection, which a TLS listener accepts too.
    with Mosquitto(tmp_path / "broker", options) as running:
        yield running


def _dial(broker: Mosquitto, files: TlsFiles) -> Up | Down:
    events: queue.Queue[Event] = queue.Queue()
    settings = Broker("127.0.0.1", broker.port, "agent", LAST, tls=files)
    link = MqttConnection(settings, events.put, SystemClock())
    link.connect("5")
    event = events.get(timeout=20)
    link.disconnect(LAST if isinstance(event, Up) else None, 4.0)
    assert isinstance(event, Up | Down)
    return event


def test_both_sides_prove_themselves(broker: Mosquitto, authority: Authority) -> None:
    """With the right authority and a certificate of its own the agent is let in."""
    cert, key = authority.issue("agent")
    assert isinstance(_dial(broker, TlsFiles(authority.file, cert, key)), Up)


def test_a_broker_of_another_authority_is_refused(
    broker: Mosquitto, authority: Authority, tmp_path: Path
) -> None:
    """The agent does not speak to a broker it cannot verify."""
    cert, key = authority.issue("agent")
    other = Authority(tmp_path / "other", "stranger")
    end = _dial(broker, TlsFiles(other.file, cert, key))
    assert isinstance(end, Down)
    assert "certificate verify failed" in end.reason


def test_without_the_systems_trust_nothing_is_believed(
    broker: Mosquitto, authority: Authority
) -> None:
    """No `ca` means the system's authorities, which do not know this broker."""
    cert, key = authority.issue("agent")
    end = _dial(broker, TlsFiles(None, cert, key))
    assert isinstance(end, Down)
    assert "certificate verify failed" in end.reason


def test_files_are_read_again_at_every_attempt(
    broker: Mosquitto, authority: Authority, tmp_path: Path
) -> None:
    """A missing file is told; once it is there the same settings work, without a restart."""
    cert, key = authority.issue("agent")
    place = tmp_path / "live.pem"
    files = TlsFiles(authority.file, place, key)
    end = _dial(broker, files)
    assert isinstance(end, Down)
    assert "No such file" in end.reason
    shutil.copy(cert, place)
    assert isinstance(_dial(broker, files), Up)
