"""The lake in a bucket: the same code, the same bytes, a real S3 server on loopback."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest

from demo.climate import generate
from demo.kma import KmaStandIn
from demo.places import SEOUL
from edge_agent.contract.errors import ConfigError, StorageError
from tests.fakes.bucket import SECRET, bucket
from tests.fakes.clock import FakeClock
from tests.fakes.kma_workspace import ENV, KEY, kma_workspace
from trainer.ingest import pipeline
from trainer.ingest.kma_client import KmaClient
from trainer.workspace.store import FolderStore
from trainer.workspace.workspace import Workspace

pytest.importorskip("moto.server", reason="moto is not installed")
s3_store = pytest.importorskip("trainer.workspace.s3", reason="obstore is not installed")

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import polars as pl

NOW = datetime(2021, 1, 2, 3, tzinfo=UTC)


@pytest.fixture(scope="module")
def s3() -> Iterator[dict[str, str]]:
    """Environment of an S3 server with one bucket."""
    with bucket() as env:
        yield env


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    """Three generated months."""
    return generate([SEOUL], datetime(2020, 10, 1), datetime(2021, 1, 2), seed=3)  # noqa: DTZ001 - KST


def test_the_store_behaves_as_a_folder_does(tmp_path: Path, s3: dict[str, str]) -> None:
    """One story, told to both."""
    for store in (FolderStore(tmp_path), s3_store.S3Store("s3://farm/story", s3)):
        assert store.read("a/b=1/c") is None
        store.write("a/b=1/c", b"1")
        store.write("a/b=1/c", b"2")
        store.write("a/d", b"")
        store.write("ab", b"x")
        assert store.read("a/b=1/c") == b"2"
        assert store.read("a/d") == b""
        assert store.names("a") == ("a/b=1/c", "a/d")
        assert store.names("none") == ()
        store.remove("a/d")
        store.remove("a/d")
        assert store.names("a") == ("a/b=1/c",)
        with store.lock():
            pass


def test_a_lake_in_a_bucket_is_the_lake_in_a_folder(
    tmp_path: Path, s3: dict[str, str], frame: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ingested twice from KMA: every file has the same bytes, the second run asks nothing."""
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    trees = []
    for place in ("lake", "s3://farm/year"):
        with KmaStandIn(frame, key=KEY, now=NOW) as server:
            made = kma_workspace(tmp_path / place[:2], server, start="2020-10-02")
            config = made.config
            workspace = Workspace(
                made.root,
                type(config)(
                    stations=config.stations, start=config.start, lake_path=place, kma=config.kma
                ),
            )
            for _ in range(2):
                clock = FakeClock(NOW)
                wanted = pipeline.request(workspace, clock)
                client = KmaClient(workspace, clock, ENV, sleep=lambda _seconds: None)
                pipeline.run(client, wanted)
            assert len(server.requests) == 3
            store = workspace.store
            names = [n for part in ("observations", "raw", "ledger") for n in store.names(part)]
            trees.append({name: store.read(name) for name in names})
            assert workspace.lake.stations() == (108,)
            rows = workspace.lake.observations(108, datetime(2021, 1, 1, tzinfo=UTC))
            assert rows["time"].dt.date().unique().to_list() == [date(2021, 1, 1)]
    assert trees[0] == trees[1]
    assert len(trees[0]) == 6


def test_faults_are_one_line_without_secrets(s3: dict[str, str]) -> None:
    """A bucket that is not there, a server that is not there, an address that is none."""
    store = s3_store.S3Store("s3://absent/x", s3)
    with pytest.raises(StorageError, match=r"s3://absent/x/a: .*no such bucket") as caught:
        store.write("a", b"1")
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(StorageError, match="s3://absent/x/a: cannot be listed"):
        store.names("a")
    with pytest.raises(ConfigError, match="s3://bucket/prefix"):
        s3_store.S3Store("s3:///x", s3)
