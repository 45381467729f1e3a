"""Releases: numbers, reasons, the log, and what a killed publisher leaves."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import pytest

from edge_agent.contract.bundles import station_path
from edge_agent.contract.errors import BadData, InputMissing, NothingNew, Refused, UsageError
from edge_agent.contract.manifest import Rollout
from tests.fakes.depot import Device, Yard, ref, release
from trainer.depot import roles
from trainer.depot.metadata import Current
from trainer.depot.release_log import ReleaseLog
from trainer.depot.releases import open_depot, publish_run, reconcile, restage, rollback

if TYPE_CHECKING:
    from pathlib import Path

    from edge_agent.contract.manifest import Manifest


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is about power cuts, and flushing is most of the time."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    """A workspace with its keys."""
    return Yard.make(tmp_path, single_key=True)


def test_numbers_grow_over_all_channels(yard: Yard) -> None:
    """A number is given once, whatever the channel."""
    numbers = [yard.publish("one", "canary"), yard.publish("one"), yard.publish("two", "staging")]
    assert numbers == [1, 2, 3]
    live = yard.open().live()
    assert {name: one.manifest.release for name, one in live.items()} == {
        "canary": 1,
        "stable": 2,
        "staging": 3,
    }


def test_the_same_models_are_nothing_new(yard: Yard) -> None:
    """Publishing again what is live changes no file and raises NothingNew."""
    run = yard.candidate("r1")
    publish_run(yard, run, "stable", "first", yard.clock)
    before = {p: p.read_bytes() for p in yard.root.rglob("*") if p.is_file()}
    with pytest.raises(NothingNew, match="release 1"):
        publish_run(yard, run, "stable", "again", yard.clock)
    assert {p: p.read_bytes() for p in yard.root.rglob("*") if p.is_file()} == before


def test_the_log_says_what_when_who_and_why(yard: Yard) -> None:
    """Every publication adds one line; the manifest's hash ties it to the depot."""
    publish_run(yard, yard.candidate("r1"), "canary", "first try", yard.clock)
    (entry,) = ReleaseLog(yard.records).entries()
    assert (entry.release, entry.channel, entry.run, entry.why) == (1, "canary", "r1", "first try")
    assert entry.at == "2026-03-01T03:00:00Z"
    assert entry.by
    assert yard.open().manifest("canary", entry.manifest).reason == "first try"


def test_a_release_needs_a_reason(yard: Yard) -> None:
    """Blank reasons are refused before anything is written."""
    with pytest.raises(UsageError, match="reason"):
        publish_run(yard, yard.candidate("r1"), "stable", "  ", yard.clock)
    assert yard.open().live() == {}


def test_files_must_be_those_of_the_manifest(yard: Yard) -> None:
    """A swapped, missing or extra file stops the publication."""
    manifest, files = release("one")
    depot = yard.open()
    swapped = dict.fromkeys(files, b"x")
    with pytest.raises(BadData, match="not the file"):
        depot.publish("stable", manifest, swapped)
    with pytest.raises(BadData, match="disagree"):
        depot.publish("stable", manifest, files | {"models/more/1/model.onnx": b"x"})
    run = yard.candidate("r1")
    next(run.glob("files/golden/*/*")).unlink()
    with pytest.raises(InputMissing, match="no candidate"):
        publish_run(yard, run, "stable", "why", yard.clock)
    assert depot.live() == {}


def test_rollback_names_the_old_models_under_a_higher_number(yard: Yard) -> None:
    """Release 3 is release 1's files; rolling back to what is live is nothing new."""
    for word in ("one", "two"):
        publish_run(yard, yard.candidate(word, word), "stable", "daily", yard.clock)
    assert rollback(yard, 1, "two is worse", yard.clock) == 3
    live = yard.open().live()["stable"].manifest
    assert live.golden.path == "golden/one/windows.json"
    assert live.lineage["rollback_to"] == "1"
    with pytest.raises(NothingNew):
        rollback(yard, 3, "again", yard.clock)


def test_a_publication_that_was_not_logged_is_logged_by_the_next(yard: Yard) -> None:
    """The depot is the truth; the log catches up, once."""
    yard.publish("one")
    assert reconcile(yard, yard.clock) == (1,)
    assert reconcile(yard, yard.clock) == ()
    publish_run(yard, yard.candidate("two", "two"), "stable", "next", yard.clock)
    assert [entry.release for entry in ReleaseLog(yard.records).entries()] == [1, 2]


def test_a_torn_last_line_of_the_log_is_cut_off(yard: Yard) -> None:
    """Half a line, as a power cut leaves it, neither breaks reading nor the next line."""
    publish_run(yard, yard.candidate("one", "one"), "stable", "daily", yard.clock)
    with (yard.root / "releases.jsonl").open("ab") as handle:
        handle.write(b'{"release": 2, "cha')
    assert [entry.release for entry in ReleaseLog(yard.records).entries()] == [1]
    publish_run(yard, yard.candidate("two", "two"), "stable", "daily", yard.clock)
    assert [entry.release for entry in ReleaseLog(yard.records).entries()] == [1, 2]


def test_without_the_models_key_nothing_can_be_published(yard: Yard) -> None:
    """A machine that lacks the key is told so; the depot stays as it was."""
    for path in yard.keys.glob("models-*.pem"):
        path.unlink()
    before = {p.name for p in yard.depot.rglob("*.json")}
    with pytest.raises(Refused, match="'models'"):
        yard.publish("one")
    assert {p.name for p in yard.depot.glob("metadata/*.json")} == {
        name for name in before if not name.startswith("manifest")
    }


def test_signatures_are_renewed_before_they_end(yard: Yard) -> None:
    """Nothing is due at first; past half of a lifetime the online roles are signed again."""
    depot = open_depot(yard, yard.clock)
    assert depot.refresh() == ()
    yard.clock.advance(8 * 86_400)
    assert depot.refresh() == ("snapshot", "timestamp")
    assert depot.refresh() == ()
    yard.clock.advance(200 * 86_400)
    assert set(depot.refresh()) == {"models", "observations", "snapshot", "timestamp"}


def test_a_staged_release_widens_and_nobody_falls_out(yard: Yard, tmp_path: Path) -> None:
    """At 30 % some devices take it; at 60 % those and more; at 100 % all, each time renumbered."""
    run = yard.candidate("r1")
    publish_run(yard, run, "stable", "first", yard.clock, rollout=Rollout(30.0, "r1"))
    ids = [f"farm-{n}/edge-1" for n in range(12)]

    def takers() -> set[str]:
        found = set()
        for name in ids:
            device = Device(tmp_path / name.replace("/", "-"), yard.pinned, yard.clock, id=name)
            with contextlib.suppress(NothingNew):
                device.sync(yard.depot)
            if device.live():
                found.add(name)
        return found

    first = takers()
    assert restage(yard, "stable", 60.0, "all is well", yard.clock) == 2
    second = takers()
    assert restage(yard, "stable", 100.0, "all is well", yard.clock) == 3
    assert first < second < set(ids) == takers()
    with pytest.raises(NothingNew):
        restage(yard, "stable", 100.0, "again", yard.clock)
    with pytest.raises(InputMissing, match="no release"):
        restage(yard, "canary", 10.0, "why", yard.clock)


def test_weather_keeps_the_signatures_of_models_young(yard: Yard) -> None:
    """A depot that only relays weather for a year still offers its release to a new device."""
    yard.publish("one")
    for week in range(60):
        yard.clock.advance(7 * 86_400)
        yard.open().publish_bundles({station_path(108): f"week {week}".encode()})
    device = Device(yard.root / "device", yard.pinned, yard.clock)
    assert device.sync(yard.depot) == 1


def _tuned(word: str, shard: bytes) -> tuple[Manifest, dict[str, bytes]]:
    path = f"models/tuning/{word}/farms.json"
    manifest, files = release("one", tuned=(ref(path, shard),))
    return manifest, files | {path: shard}


def test_shards_of_farms_are_published_with_the_release(yard: Yard) -> None:
    """A shard is a file of the release: signed, packed, given back, and checked like a model."""
    shard = b'{"tunings": "' + b"0" * 5000 + b'"}'
    manifest, files = _tuned("a", shard)
    depot = yard.open()
    depot.publish("stable", manifest, files)
    live = depot.live()["stable"].manifest
    assert depot.content(live) == files
    names = Current(depot.store).delegate(roles.MODELS).targets
    assert {"models/tuning/a/farms.json", "models/tuning/a/farms.json.gz"} <= names.keys()
    with pytest.raises(BadData, match="disagree about models/tuning"):
        depot.publish("stable", manifest, dict(list(files.items())[:-1]))
    with pytest.raises(BadData, match="not the file"):
        depot.publish("stable", manifest, files | {"models/tuning/a/farms.json": b"other"})


def test_shards_of_other_channels_stay_listed(yard: Yard) -> None:
    """A publication on one channel leaves the other channel's shards where devices find them."""
    depot = yard.open()
    depot.publish("stable", *_tuned("a", b"stable"))
    depot.publish("canary", *_tuned("b", b"canary"))
    names = Current(depot.store).delegate(roles.MODELS).targets
    assert {f"models/tuning/{word}/farms.json" for word in "ab"} <= names.keys()


def test_other_tunings_of_the_same_models_are_a_new_release(yard: Yard) -> None:
    """Equal models and tunings are nothing new; equal models with other tunings are."""
    depot = yard.open()
    assert depot.publish("stable", *_tuned("a", b"one")) == 1
    with pytest.raises(NothingNew):
        depot.publish("stable", *_tuned("a", b"one"))
    assert depot.publish("stable", *_tuned("b", b"two")) == 2


def test_a_rollback_brings_the_tunings_of_its_models(yard: Yard) -> None:
    """Tunings belong to models: going back to these goes back to those."""
    run = yard.candidate("r1", "one", tuned=(ref("models/tuning/a/farms.json", b"one"),))
    (run / "files/models/tuning/a").mkdir(parents=True)
    (run / "files/models/tuning/a/farms.json").write_bytes(b"one")
    publish_run(yard, run, "stable", "first", yard.clock)
    publish_run(yard, yard.candidate("r2", "two"), "stable", "second", yard.clock)
    rollback(yard, 1, "worse at dawn", yard.clock)
    back = yard.open().live()["stable"].manifest
    assert [one.path for one in back.tuned] == ["models/tuning/a/farms.json"]
    assert yard.open().content(back)["models/tuning/a/farms.json"] == b"one"
