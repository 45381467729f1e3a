"""Faults of the disk under a running service: it goes on, says so, and finds back by itself."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edge_agent.core.runtime import DATABASE
from edge_agent.messages.message import Kind, Message
from edge_agent.mqtt import outbox_inspection
from edge_agent.mqtt.outbox import Outbox
from edge_agent.mqtt.outbox_table import counters
from edge_agent.system.database import connect, set_aside_files
from edge_agent.system.instance_lock import InstanceLock
from edge_agent.system.memory_fallback import back_to_disk, into_memory, read_into_memory
from tests.fakes.farm import (
    HOT_HOUSE,
    ROOT,
    ServiceProcess,
    fill_weather,
    install_release,
    write_config,
)
from tests.fakes.full_disk import fill
from tests.fakes.slow_fsync import SlowFsync
from tests.fakes.subscriber import Subscriber

if TYPE_CHECKING:
    from tests.fakes.mosquitto import Mosquitto

RULE = '[[rules]]\nname = "{}"\nquantity = "air_temperature_c"\noperator = ">="\nthreshold = 20.0\n'
_Fault = Callable[[Path], Callable[[], None]]


class _Ext4:
    """A file system in a file, which can be broken while files on it are open."""

    def __init__(self, folder: Path) -> None:
        self.place = folder / "disk"
        self.place.mkdir()
        self._image = folder / "image"
        with self._image.open("wb") as handle:
            handle.truncate(16_000_000)
        subprocess.run(["mkfs.ext4", "-q", str(self._image)], check=True, capture_output=True)

    def mount(self) -> bool:
        return _quietly("mount", "-o", "loop", str(self._image), str(self.place)) == 0

    def abort(self, _: Path) -> Callable[[], None]:
        """Read-only at once, as the kernel makes it after a fault of the disk."""
        assert _quietly("mount", "-o", "remount,abort", str(self.place)) == 0
        return self._repair

    def remount(self, how: str) -> None:
        assert _quietly("mount", "-o", f"remount,{how}", str(self.place)) == 0

    def unmount(self) -> None:
        _quietly("umount", "-l", str(self.place))

    def _repair(self) -> None:
        self.unmount()
        # The broken one lives on for whoever has files of it open.
        repaired = self._image.with_name("repaired")
        shutil.copy(self._image, repaired)
        self._image = repaired
        assert _quietly("e2fsck", "-fy", str(repaired)) < 4
        assert self.mount()


def _quietly(*command: str) -> int:
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    return subprocess.run(
        command, capture_output=True, check=False, env=os.environ | {"PATH": path}
    ).returncode


def _fill(place: Path) -> Callable[[], None]:
    return fill(place).unlink


def _garble(place: Path) -> Callable[[], None]:
    database = place / "state" / DATABASE
    with closing(sqlite3.connect(database)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with database.open("r+b") as handle:
        size = handle.seek(0, os.SEEK_END)
        handle.seek(4096)
        handle.write(b"\xa5" * (size - 4096))
    return lambda: None


def _delete(place: Path) -> Callable[[], None]:
    shutil.rmtree(place / "state")
    return lambda: None


@pytest.mark.parametrize("fault", [_fill, _garble, _delete])
def test_alerts_go_on_and_the_disk_is_found_again(
    tmp_path: Path, small_disk: Path, broker: Mosquitto, fault: _Fault
) -> None:
    """Full, damaged, deleted: the next hour is worked and told, with the fault; it heals."""
    _ordeal(tmp_path, small_disk, broker, fault)
    assert bool(set_aside_files(small_disk / "state" / DATABASE)) == (fault is _garble)


def test_a_disk_that_turns_read_only(tmp_path: Path, broker: Mosquitto) -> None:
    """The same, with a file system that fails under open files and is repaired later."""
    disk = _Ext4(tmp_path)
    if not disk.mount():
        pytest.skip("a file system in a file can be mounted by root with loop devices only")
    try:
        _ordeal(tmp_path, disk.place, broker, disk.abort)
    finally:
        disk.unmount()


def test_a_disk_that_was_mounted_read_only_and_is_writable_again(
    tmp_path: Path, broker: Mosquitto
) -> None:
    """A start on it: what is there is used, alerts go out, it is told.

    Once the disk is mounted for writing, it holds everything.
    """
    disk = _Ext4(tmp_path)
    if not disk.mount():
        pytest.skip("a file system in a file can be mounted by root with loop devices only")
    try:
        path = _device(disk.place, broker.port)
        disk.remount("ro")
        with (
            Subscriber(broker.port, f"{ROOT}/#", "watcher") as watcher,
            ServiceProcess(path, tmp_path) as service,
        ):
            watcher.wait(lambda heard: any(h.topic.endswith("first/event") for h in heard))
            watcher.wait(lambda heard: any(_tells(h.payload, "kept in memory") for h in heard))
            service.wait_for_line("READY=1")
            assert "going on in memory" in service.log
            disk.remount("rw")
            watcher.publish(f"{ROOT}/cmd/predict", b"")
            service.wait_for(lambda _: "storage: the disk takes writes again" in service.log)
            assert service.stop()[0] == 0
        with closing(outbox_inspection.open_existing(disk.place / "state" / DATABASE)) as db:
            assert outbox_inspection.problems(db) == []
            assert counters(db)["delivered"]
    finally:
        disk.unmount()


def test_a_slow_disk_delays_alerts_and_loses_none(
    tmp_path: Path, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each flush takes over a second: the alert comes all the same, and the disk is named."""
    path = _device(tmp_path, broker.port)
    path.write_text(path.read_text("utf-8") + HOT_HOUSE, "utf-8")
    slow = SlowFsync(tmp_path, monkeypatch)
    with (
        Subscriber(broker.port, f"{ROOT}/#", "watcher") as watcher,
        ServiceProcess(path, tmp_path) as service,
    ):
        watcher.wait(lambda heard: any(h.topic.endswith("first/event") for h in heard))
        service.wait_for_line("mqtt 5")
        slow.wait(1100)
        watcher.publish("house", b"41.5")
        watcher.publish(f"{ROOT}/cmd/predict", b"")
        watcher.wait(lambda heard: any(h.topic.endswith("hot-house/event") for h in heard))
        service.wait_for(lambda _: "disk: the disk is slow: 3 writes" in service.log)
        slow.wait(0)
        watcher.publish(f"{ROOT}/cmd/predict", b"")
        watcher.wait(lambda heard: any(_tells(h.payload, "disk is slow") for h in heard))
        assert "kept in memory" not in service.log
        assert service.stop()[0] == 0
    with closing(outbox_inspection.open_existing(tmp_path / "state" / DATABASE)) as db:
        assert outbox_inspection.problems(db) == []


def _device(place: Path, port: int) -> Path:
    install_release(place / "state")
    fill_weather(place / "state")
    path = write_config(place, port, RULE.format("first"))
    text = path.read_text("utf-8")
    path.write_text(text.replace("[storage]", "[storage]\nreserve_bytes = 0"), "utf-8")
    return path


def _ordeal(folder: Path, place: Path, broker: Mosquitto, fault: _Fault) -> None:
    path = _device(place, broker.port)
    with (
        Subscriber(broker.port, f"{ROOT}/#", "watcher") as watcher,
        ServiceProcess(path, folder) as service,
    ):
        watcher.wait(lambda heard: any(h.topic.endswith("first/event") for h in heard))
        service.wait_for_line("mqtt 5")
        heal = fault(place)
        watcher.heard.clear()
        watcher.publish(f"{ROOT}/cmd/predict", b"")
        watcher.wait(lambda heard: any(_tells(h.payload) for h in heard))
        assert "Traceback" not in service.log
        heal()
        # Each cycle tries the way back.
        watcher.publish(f"{ROOT}/cmd/predict", b"")
        service.wait_for(lambda _: "storage: the disk takes writes again" in service.log)
        with InstanceLock(place / "state") as second:
            assert not second.held(), "a second service could start"
        assert service.stop()[0] == 0
    with closing(outbox_inspection.open_existing(place / "state" / DATABASE)) as db:
        assert outbox_inspection.problems(db) == []
        assert counters(db)["delivered"]


def _tells(payload: bytes, words: str = "everything is kept in memory") -> bool:
    try:
        document = json.loads(payload)
    except ValueError:
        return False
    problems = document.get("problems", ()) if isinstance(document, dict) else ()
    return any(words in problem for problem in problems)


def _filled(path: Path, count: int = 400) -> None:
    with closing(connect(path)) as db:
        box = Outbox(db)
        for number in range(count):
            box.put(Message(f"a{number:04}", "t/a", b"x" * 300, Kind.ALERT))


def test_memory_takes_everything_and_gives_it_back(tmp_path: Path) -> None:
    """Rules 1 and 3: the copy works on, and what it became replaces what the disk had."""
    path = tmp_path / "a.db"
    _filled(path)
    with closing(connect(path)) as disk:
        memory = into_memory(disk)
    box = Outbox(memory)
    box.delivered(["a0000"])
    box.put(Message("new", "t/a", b"{}", Kind.ALERT))
    path.unlink()
    back_to_disk(memory, path)
    memory.close()
    with closing(connect(path)) as disk:
        assert disk.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        names = [entry.message.id for entry in Outbox(disk).due(None, limit=1000)]
    assert names == [*(f"a{n:04}" for n in range(1, 400)), "new"]


def test_pages_of_another_size_find_their_way_back(tmp_path: Path) -> None:
    """Rule 3: a file of an older agent has larger pages than the new one that replaces it."""
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as old:
        old.execute("PRAGMA page_size = 4096")
        old.execute("CREATE TABLE t (x)")
    _filled(path)
    memory = read_into_memory(path)
    path.unlink()
    back_to_disk(memory, path)
    memory.close()
    with closing(connect(path)) as disk:
        assert len(Outbox(disk).due(None, limit=1000)) == 400


def test_of_a_damaged_file_all_before_the_damage_comes_along(tmp_path: Path) -> None:
    """Rule 2: the copy is sound, and holds the oldest messages."""
    path = tmp_path / "a.db"
    _filled(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(path.read_bytes())
    middle = len(content) * 3 // 4 // 4096 * 4096
    content[middle : middle + 8192] = b"\xa5" * 8192
    path.write_bytes(content)
    memory = read_into_memory(path)
    assert memory.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    found = [entry.message.id for entry in Outbox(memory).due(None, limit=1000)]
    memory.close()
    assert len(found) >= 50
    assert found == [f"a{n:04}" for n in range(len(found))]


def test_what_is_no_database_gives_an_empty_one(tmp_path: Path) -> None:
    """Rule 2: garbage, and nothing at all, are a fresh start."""
    (tmp_path / "garbage.db").write_bytes(b"\xa5" * 10_000)
    for name in ("garbage.db", "absent.db"):
        memory = read_into_memory(tmp_path / name)
        assert Outbox(memory).counts().waiting == {}
        memory.close()
