"""The service pulls in a child: over HTTP, forged, killed, hung, and at the service's own end."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from edge_agent.contract import manifest as contract
from edge_agent.updates.slots import Slots
from tests.fakes.clock import FakeClock
from tests.fakes.depot import Yard
from tests.fakes.farm import ServiceProcess, fill_weather, whole_release, write_config
from tests.fakes.mosquitto import free_port
from tests.fakes.served import served
from trainer.depot import key_ceremony

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime.now(UTC).replace(microsecond=0)  # noqa: TID251 - the process under test reads the real clock
STOP_LIMIT_S = 5.0
PATIENCE_S = 40.0
TELLS_WHAT_IT_LOADED = """
import atexit, sys
atexit.register(lambda: print("loaded:", *sorted(sys.modules), file=sys.stderr))
from edge_agent.cli import main
main()
"""
PROGRAM = (sys.executable, "-c", TELLS_WHAT_IT_LOADED)
FOR_UPDATES_ONLY = {"tuf", "securesystemslib", "cryptography", "httpx", "edge_agent.core.pull"}


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    """A depot with release 1."""
    made = Yard(tmp_path / "yard", FakeClock(NOW))
    key_ceremony.create(made, made.clock)
    _publish(made, "first")
    return made


def _publish(yard: Yard, reason: str) -> None:
    content, files = whole_release(reason)
    manifest = msgspec.structs.replace(contract.decode(content), reason=reason)
    yard.open().publish("stable", manifest, files)


def _service(tmp_path: Path, yard: Yard, url: str) -> ServiceProcess:
    fill_weather(tmp_path / "state")
    depot = f'[depot]\nurl = "{url}"\nroot_file = "{yard.root / "root.json"}"\n'
    return ServiceProcess(write_config(tmp_path, free_port(), depot), tmp_path, PROGRAM)


def test_a_release_comes_in_and_a_forged_one_does_not(tmp_path: Path, yard: Yard) -> None:
    """First and next release without a restart; a forgery is told; nothing of it all is loaded."""
    with served(yard.depot) as url, _service(tmp_path, yard, url) as service:
        service.wait_for_line("READY=1")
        # READY may be said before the child has ended.
        service.wait_for(lambda _: "release 1 (stable) is live: first" in service.log, PATIENCE_S)
        _publish(yard, "second")
        service.forget()
        service.signal(signal.SIGHUP)
        service.wait_for(lambda _: "release 2 (stable) is live: second" in service.log, PATIENCE_S)
        service.wait_for(lambda _: _trial_began(tmp_path), PATIENCE_S)
        newest = max((yard.depot / "metadata").glob("*snapshot.json"), key=os.path.getmtime)
        _publish(yard, "third")
        forged = max((yard.depot / "metadata").glob("*snapshot.json"), key=os.path.getmtime)
        assert forged != newest
        forged.write_bytes(newest.read_bytes())
        service.forget()
        service.signal(signal.SIGHUP)
        service.wait_for_line("; update: ")
        assert "snapshot" in next(line for line in service.heard if "; update: " in line)
        assert service.stop()[0] == 0
    live = Slots(tmp_path / "state").load()
    assert live is not None
    assert live.manifest.release == 2
    (loaded,) = (line for line in service.log.splitlines() if line.startswith("loaded: "))
    assert "polars" in loaded.split()
    assert FOR_UPDATES_ONLY & set(loaded.split()) == set()


def _trial_began(tmp_path: Path) -> bool:
    """The loop has worked a cycle with the new release."""
    trial = Slots(tmp_path / "state").pointer().trial
    return trial is not None and trial.good > 0


@pytest.fixture
def silent() -> Iterator[str]:
    """Address of a server that takes connections and never answers."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"


def test_a_killed_update_and_a_stop_beside_a_hung_one(
    tmp_path: Path, yard: Yard, silent: str
) -> None:
    """The killed one is told and the service goes on; it ends in time, and its child with it."""
    with _service(tmp_path, yard, silent) as service:
        os.kill(_update_of(service), signal.SIGKILL)
        service.wait_for_line("update: was ended by SIGKILL: it is tried again")
        service.signal(signal.SIGHUP)
        hung = _update_of(service)
        code, seconds = service.stop()
        assert code == 0
        assert seconds < STOP_LIMIT_S
        _wait_for_the_end_of(hung)


def test_an_update_ends_with_a_service_that_was_killed(
    tmp_path: Path, yard: Yard, silent: str
) -> None:
    """Nobody is left who pulls for a service that is gone."""
    with _service(tmp_path, yard, silent) as service:
        hung = _update_of(service)
        service.kill()
        _wait_for_the_end_of(hung)


def _update_of(service: ServiceProcess) -> int:
    """The child of a service, once it waits for the depot's answer."""
    found: list[int] = []

    def hangs(_: object) -> bool:
        found[:] = [pid for pid in _children(service.pid) if _has_a_connection(pid)]
        return bool(found)

    service.wait_for(hangs, PATIENCE_S)
    return found[0]


def _children(parent: int) -> list[int]:
    return [
        int(place.parent.name)
        for place in Path("/proc").glob("[0-9]*/stat")
        if _fields(place)[1:2] == [str(parent)]
    ]


def _fields(stat: Path) -> list[str]:
    """State, parent and the rest; empty for a process that is gone."""
    try:
        return stat.read_text("utf-8").rpartition(")")[2].split()
    except OSError:
        return []


def _has_a_connection(pid: int) -> bool:
    try:
        return any(
            str(link.readlink()).startswith("socket:") for link in Path(f"/proc/{pid}/fd").iterdir()
        )
    except OSError:
        return False


def _wait_for_the_end_of(pid: int) -> None:
    end = time.monotonic() + 10.0
    while _fields(Path(f"/proc/{pid}/stat"))[:1] not in ([], ["Z"]):
        assert time.monotonic() < end, "the update outlives its service"
        time.sleep(0.02)
