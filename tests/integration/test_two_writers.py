"""Two machines on one bucket: one goes on, the other waits; and no release line is ever forked."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from demo.kma import KmaStandIn
from edge_agent.contract import features
from edge_agent.contract.errors import StorageError, TryLater
from edge_agent.system.clock import SystemClock
from tests.fakes.bucket import bucket
from tests.fakes.depot import Device, Yard, release, set_clock
from tests.fakes.runs import lower_floor
from tests.fakes.small_trainer import KEY, PROGRAM, settings
from tests.fakes.trained import shrink
from tests.fakes.weather import kma_record
from trainer import cli
from trainer.depot.keyring import KeyRing
from trainer.depot.publisher import Depot
from trainer.depot.release_log import ReleaseLog
from trainer.workspace.jsonl import JsonLines
from trainer.workspace.lease import Lease
from trainer.workspace.runs import BucketRuns

pytest.importorskip("moto.server", reason="moto is not installed")
boto3 = pytest.importorskip("boto3", reason="boto3 is not installed")
s3_store = pytest.importorskip("trainer.workspace.s3", reason="obstore is not installed")

if TYPE_CHECKING:
    from collections.abc import Iterator

    from demo.kma_answer import Answer
    from trainer.workspace.store import Store

ROOT = Path(__file__).parents[2]
DAY, NEXT = "2022-01-06", "2022-01-07"
PATIENCE_S = 120
HOLDER = """
import os, time
from trainer.workspace.lease import Lease, held
from trainer.workspace.s3 import open_bucket
store = open_bucket("s3://farm/kill")
with held(Lease(store, ".lock", "s3://farm/kill", time.monotonic, term_s=2.0)):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def s3() -> Iterator[dict[str, str]]:
    """Environment of a bucket."""
    with bucket() as env:
        yield env


class Patient(KmaStandIn):
    """KMA that lets its first caller wait until it is told to go on."""

    asked = threading.Event()
    go = threading.Event()

    def _respond(self, path: str, query: dict[str, str]) -> Answer | None:
        self.asked.set()
        self.go.wait(PATIENCE_S)
        return super()._respond(path, query)


def _daily(folder: Path, env: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "daily", "--date", DAY, "--config", str(folder)],
        cwd=ROOT,
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@dataclass(frozen=True)
class Machine:
    """A folder with settings and keys, on which commands are run."""

    folder: Path
    place: str
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def run(self, *words: str) -> tuple[int, str, str]:
        """Exit code and both outputs."""
        self.capsys.readouterr()
        self.monkeypatch.setattr(sys, "argv", ["trainer", *words, "--config", str(self.folder)])
        code = cli.entry()
        return (code, *self.capsys.readouterr())

    def copy(self, folder: Path) -> Machine:
        """Another machine, that is given settings and keys and nothing else."""
        folder.mkdir()
        shutil.copy(self.folder / "trainer.toml", folder)
        shutil.copytree(self.folder / "keys", folder / "keys")
        return replace(self, folder=folder)


@pytest.fixture
def machine(
    tmp_path: Path,
    s3: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Machine:
    """One with a workspace in the bucket, as `trainer init` makes it."""
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    shrink(monkeypatch)
    lower_floor(monkeypatch)
    made = Machine(tmp_path / "one", f"s3://farm/{tmp_path.name}", monkeypatch, capsys)
    monkeypatch.setattr(
        sys, "argv", ["trainer", "init", str(made.folder), "--single-key", "--bucket", made.place]
    )
    assert cli.entry() == 0
    return made


def test_of_two_daily_runs_one_goes_on(
    tmp_path: Path, s3: dict[str, str], machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All in a bucket: one publishes, the other exits 75, then 11; and goes on from there.

    A machine with nothing but settings and keys says of runs and releases what the first one says,
    works the next date, and the first one finds that done.
    """
    one, two = machine, machine.copy(tmp_path / "two")
    store = s3_store.S3Store(f"{machine.place}/depot", s3)
    with Patient(kma_record(), key=KEY) as server:
        for name, value in settings(server).items():
            monkeypatch.setenv(name, value)
        first = _daily(one.folder, {})
        try:
            assert server.asked.wait(PATIENCE_S)
            second = _daily(two.folder, {})
            _, told = second.communicate(timeout=PATIENCE_S)
            assert second.returncode == 75, told
            assert f"{machine.place}/depot: another process is at work here" in told
            assert first.poll() is None
        finally:
            server.go.set()
            _, said = first.communicate(timeout=PATIENCE_S)
        assert first.returncode == 0, said
        asked = len(server.requests)
        before = {name: store.read(name) for name in store.names("") if "lock" not in name}
        code, _, told = two.run("daily", "--date", DAY)
        assert (code, f"{DAY}: done already (release 1, run " in told) == (11, True), told
        after = {name: store.read(name) for name in store.names("") if "lock" not in name}
        assert {name for name in before | after if before.get(name) != after.get(name)} <= {
            ".daily"
        }
        assert len(server.requests) == asked
        for words in (
            ("runs", "--json"),
            ("evaluate", "--json"),
            ("canary",),
            ("status", "--json"),
        ):
            assert one.run(*words)[:2] == two.run(*words)[:2], words
        assert two.run("report")[0] == 0
        (run,) = json.loads(one.run("runs", "--json")[1])
        page = f"{machine.place}/runs/{run['run']}/report.html"
        assert json.loads(one.run("status", "--json")[1])["channels"]["stable"]["report"] == page
        code, _, told = two.run("daily", "--date", NEXT)
        assert code in {0, 10}, told
        assert one.run("daily", "--date", NEXT)[0] == 11
    assert two.run("rollback", "--to", "1", "--channel", "staging", "--reason", "trial")[0] == 0
    assert "staging" in json.loads(one.run("status", "--json")[1])["channels"]
    records = s3_store.S3Store(f"{machine.place}/runs", s3)
    assert json.loads(records.read(f"state/daily/{NEXT}.json") or b"")["drift"]
    logged = [entry.release for entry in ReleaseLog(records).entries()]
    assert logged == list(range(1, len(logged) + 1))
    assert not [path for path in one.folder.rglob("*.parquet") if "runs" not in path.parts]
    assert {path.name for path in two.folder.iterdir()} == {
        "trainer.toml",
        "keys",
        "runs",
        "state",
    }
    clock = set_clock()
    clock.jump((SystemClock().now() - clock.now()).total_seconds())
    pinned = (one.folder / "root.json").read_bytes()
    device = Device(tmp_path / "device", pinned, clock, digest=features.digest())
    assert device.sync(_copy(store, tmp_path / "published")) in {1, 2}


@pytest.mark.parametrize(
    ("place", "endpoint", "code", "told"),
    [
        ("", None, 0, ": signed by another machine; copy its keys/ to"),
        ("s3://absent/work", None, 78, "there is no such bucket"),
        ("s3://farm/new", "http://127.0.0.1:9", 75, "no answer: try again later"),
        ("farm", None, 64, "not an address like s3://bucket/prefix"),
    ],
)
def test_another_init(
    tmp_path: Path, machine: Machine, place: str, endpoint: str | None, code: int, told: str
) -> None:
    """On a bucket that has its depot no keys are made; a bucket that fails is named, once."""
    if endpoint:
        machine.monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    folder = tmp_path / "other"
    machine.monkeypatch.setattr(
        sys, "argv", ["trainer", "init", str(folder), "--bucket", place or machine.place]
    )
    machine.capsys.readouterr()
    assert cli.entry() == code
    said = machine.capsys.readouterr()
    assert told in said.out + said.err
    assert (folder / "trainer.toml").exists() == (code == 0)
    if code == 0:
        assert not (folder / "keys").exists()
        assert (folder / "root.json").read_bytes() == (machine.folder / "root.json").read_bytes()


def test_a_killed_holder_is_passed_over(s3: dict[str, str]) -> None:
    """SIGKILL leaves the note behind; after its term, and not before, it is taken over."""
    store = s3_store.S3Store("s3://farm/kill", s3)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        env={**os.environ, **s3},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    heir = Lease(store, ".lock", "s3://farm/kill", SystemClock().monotonic)
    with pytest.raises(TryLater, match=f"process {holder.pid}"):
        heir.acquire()
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    until = SystemClock().monotonic() + PATIENCE_S
    while SystemClock().monotonic() < until:
        with suppress(TryLater):
            heir.acquire()
            break
    heir.check()
    heir.release()


def test_a_writer_whose_lock_is_lost_writes_nothing(
    s3: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a suspension longer than the term every write is refused, and the note is another's."""
    store = s3_store.S3Store("s3://farm/lost", s3)
    jump = 0.0
    real = SystemClock().monotonic
    monkeypatch.setattr(SystemClock, "monotonic", lambda _: real() + jump)
    with store.lock():
        store.write("a", b"1")
        jump = 121.0
        with pytest.raises(TryLater, match="nothing more is written"):
            store.write("a", b"2")
        with pytest.raises(TryLater, match="nothing more is written"):
            store.swap("a", b"1", b"2")
        with pytest.raises(TryLater, match="nothing more is written"):
            store.remove("a")
    assert store.read("a") == b"1"


def test_swap_replaces_only_what_was_seen(s3: dict[str, str]) -> None:
    """A file that changed, or came into being, meanwhile stays as it is."""
    store = s3_store.S3Store("s3://farm/swap", s3)
    store.swap("a", None, b"1")
    store.swap("a", b"1", b"2")
    for before in (None, b"1"):
        with pytest.raises(TryLater, match="written it meanwhile"):
            store.swap("a", before, b"3")
    with pytest.raises(TryLater, match="written it meanwhile"):
        store.swap("absent", b"1", b"3")
    assert store.read("a") == b"2"
    assert store.read("absent") is None


class Line(msgspec.Struct, frozen=True):
    """Of a log."""

    word: str


def test_a_log_loses_no_line_of_two_writers(s3: dict[str, str]) -> None:
    """Two machines append at once: each line stands there once, and the same one is not doubled."""

    def write(writer: str) -> None:
        log = JsonLines(s3_store.S3Store("s3://farm/log", s3), "log.jsonl", Line)
        for number in range(10):
            for word in (f"{writer}{number}", f"both{number}"):
                log.add(Line(word), lambda one, word=word: one.word == word)  # type: ignore[misc]

    threads = [threading.Thread(target=write, args=(writer,)) for writer in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = JsonLines(s3_store.S3Store("s3://farm/log", s3), "log.jsonl", Line).entries()
    wanted = [f"{writer}{number}" for writer in ("a", "b", "both") for number in range(10)]
    assert sorted(one.word for one in entries) == sorted(wanted)


def test_an_object_whose_name_climbs_out_writes_no_file(tmp_path: Path, s3: dict[str, str]) -> None:
    """Whoever may write to the bucket decides on its names, and on nothing outside the cache."""
    client = boto3.client(
        "s3",
        endpoint_url=s3["AWS_ENDPOINT_URL"],
        aws_access_key_id="tester",
        aws_secret_access_key="x",
        region_name="us-east-1",
    )
    for name in ("manifest.json", "../../climbed"):
        client.put_object(Bucket="farm", Key=f"climb/r1/{name}", Body=b"x")
    client.close()
    store = s3_store.S3Store("s3://farm/climb", s3)
    with pytest.raises(StorageError, match="cannot be listed"):
        BucketRuns(store, "s3://farm/climb", tmp_path / "a" / "b").folder("r1")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


class Intruded:
    """A store without a lock, in which another publisher works before the n-th write."""

    def __init__(self, store: Store, before: int, intrude: object) -> None:
        self._store, self._left, self._intrude = store, before, intrude

    def __getattr__(self, name: str) -> object:
        """Everything else as it is."""
        if name in {"write", "swap"}:
            if self._left == 0:
                self._intrude()  # type: ignore[operator]
            self._left -= 1
        return getattr(self._store, name)


@pytest.mark.parametrize("before", range(7))
def test_the_release_line_cannot_fork(
    tmp_path: Path, s3: dict[str, str], before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever a second publisher comes between, one release wins and the depot stays whole."""
    yard = Yard.make(tmp_path / "yard", single_key=True)
    store = s3_store.S3Store(f"s3://farm/fork-{before}", s3)
    monkeypatch.setattr(store, "lock", nullcontext)
    for name in yard.depot_store.names(""):
        store.write(name, yard.depot_store.read(name) or b"")
    keys = KeyRing(yard.keys)
    assert Depot(store, keys, yard.clock).publish("stable", *release("one")) == 1

    def intrude() -> None:
        yard.clock.advance(1)
        assert Depot(store, keys, yard.clock).publish("stable", *release("two")) == 2

    late = Depot(Intruded(store, before, intrude), keys, yard.clock)  # type: ignore[arg-type]
    with pytest.raises(TryLater, match="run the same command again"):
        late.publish("stable", *release("three"))
    device = Device(tmp_path / "device", yard.pinned, yard.clock)
    assert device.sync(_copy(store, tmp_path / "mirror")) == 2
    installed = device.slots.load()
    assert installed is not None
    assert installed.manifest.models["air_temperature_c"].version == "two"
    assert Depot(store, keys, yard.clock).publish("stable", *release("three")) == 3
    assert device.sync(_copy(store, tmp_path / "mirror")) == 3


def _copy(store: Store, folder: Path) -> Path:
    for name in store.names(""):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(store.read(name) or b"")
    return folder
