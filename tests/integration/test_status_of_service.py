"""`status` and `history` beside a running service: what it knows, not what the disk has."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from tests.fakes.farm import (
    HOT_HOUSE,
    OWN_RULES_ALONE,
    ROOT,
    ServiceProcess,
    fill_weather,
    install_release,
    write_config,
)
from tests.fakes.full_disk import fill
from tests.fakes.subscriber import Subscriber

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.mosquitto import Mosquitto

LIVE = f'{OWN_RULES_ALONE}{HOT_HOUSE}severity = "critical"\n'
CONFIG_ERROR = 78


def device(place: Path, port: int) -> Path:
    """A configuration without a reserve on the disk."""
    install_release(place / "state")
    fill_weather(place / "state")
    path = write_config(place, port, LIVE)
    text = path.read_text("utf-8")
    path.write_text(text.replace("[storage]", "[storage]\nreserve_bytes = 0"), "utf-8")
    return path


def ask(path: Path, *command: str) -> tuple[int, str, str]:
    """Exit code, output and errors of a command."""
    done = subprocess.run(
        [sys.executable, "-m", "edge_agent", *command, "--config", str(path)],
        capture_output=True,
        check=False,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


def test_an_alert_that_is_in_memory_alone_is_shown(
    tmp_path: Path, small_disk: Path, broker: Mosquitto
) -> None:
    """By `status`, its JSON and `history`, while the disk has the state of before."""
    path = device(small_disk, broker.port)
    with (
        Subscriber(broker.port, f"{ROOT}/#", "watcher") as watcher,
        ServiceProcess(path, tmp_path) as service,
    ):
        watcher.publish("house", b"20.0")
        service.wait_for_line("mqtt 5")
        watcher.publish("house", b"20.0")
        watcher.wait(lambda heard: any(h.topic.endswith("hot-house/state") for h in heard))
        fill(small_disk)
        watcher.publish(f"{ROOT}/cmd/predict", b"")
        service.wait_for(lambda _: "kept in memory" in service.log)
        watcher.publish("house", b"41.5")
        watcher.publish(f"{ROOT}/cmd/predict", b"")
        watcher.wait(lambda heard: any(h.topic.endswith("hot-house/event") for h in heard))
        _, output, _ = ask(path, "status", "--json")
        document: dict[str, Any] = json.loads(output)
        assert document["alerts"]["hot-house"]["level"] == "raised"
        assert document["service"] == "runs"
        assert "alerts.hot-house.level: raised" in ask(path, "status")[1]
        _, output, _ = ask(path, "history", "--json")
        assert [(edge["rule"], edge["edge"]) for edge in json.loads(output)] == [
            ("hot-house", "raised")
        ]
        assert "in memory" in ask(path, "queue", "ls")[2]
        assert service.stop()[0] == 0
    # What was in memory is lost, and how old the rest is stands above it.
    code, output, _ = ask(path, "status")
    assert code == 0
    assert "state: as it was 0 min ago: the service does not answer" in output
    assert "the service does not answer" in ask(path, "history")[2]


def test_the_service_is_found_after_its_folder_was_changed_in_the_file(
    tmp_path: Path, broker: Mosquitto
) -> None:
    """Release and state are its own; the changed key and a broken file are named beside them."""
    path = device(tmp_path, broker.port)
    good = path.read_text("utf-8")
    with ServiceProcess(path, tmp_path) as service:
        service.wait_for_line("alerts: ")
        moved = good.replace('path = "state"', 'path = "elsewhere"')
        path.write_text(moved, "utf-8")
        for signalled in (False, True):
            if signalled:
                service.forget()
                os.kill(service.pid, signal.SIGHUP)
                service.wait_for_line("READY=1")
            document = json.loads(ask(path, "status", "--json")[1])
            assert document["service"] == "runs"
            assert document["release"] == 3
            assert document["state_folder"] == str(tmp_path / "state")
            named = [text for text in document["problems"] if text.startswith("storage.path")]
            assert named == ["storage.path changed: it is taken at the next restart"]
        assert "does not run" not in ask(path, "doctor", "--offline")[1]
        assert not (tmp_path / "elsewhere").exists()
        path.write_text(good + "[depot]\nurl = 7\n", "utf-8")
        code, output, error = ask(path, "status", "--json")
        document = json.loads(output)
        assert code == CONFIG_ERROR
        assert "depot" in error
        assert document["service"] == "runs"
        assert document["release"] == 3
        assert any(text.startswith("configuration: ") for text in document["problems"])
        path.write_text(good, "utf-8")
        assert service.stop()[0] == 0
    assert json.loads(ask(path, "status", "--json")[1])["service"] == "does not answer"
