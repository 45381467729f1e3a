"""A depot in a bucket: published into a real S3 server on loopback, pulled from a copy of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_agent.contract.bundles import station_path
from edge_agent.contract.errors import NothingNew
from tests.fakes.bucket import bucket as a_bucket
from tests.fakes.depot import Device, Yard, release
from trainer.depot.keyring import KeyRing
from trainer.depot.publisher import Depot

pytest.importorskip("moto.server", reason="moto is not installed")
s3_store = pytest.importorskip("trainer.workspace.s3", reason="obstore is not installed")

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from trainer.workspace.store import Store


@pytest.fixture
def bucket() -> Iterator[Store]:
    """A prefix of an empty bucket."""
    with a_bucket() as env:
        yield s3_store.S3Store("s3://farm/depot", env)


def _mirror(bucket: Store, folder: Path) -> Path:
    """What a CDN in front of the bucket would serve."""
    for name in bucket.names(""):
        content = bucket.read(name)
        assert content is not None
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_a_depot_lives_in_a_bucket(bucket: Store, tmp_path: Path) -> None:
    """Moved there once, it is published into and pulled from like a folder, byte for byte."""
    yard = Yard.make(tmp_path / "yard")
    yard.publish("one")
    for name in yard.depot_store.names(""):
        content = yard.depot_store.read(name)
        assert content is not None
        bucket.write(name, content)
    device = Device(tmp_path / "device", yard.pinned, yard.clock)
    assert device.sync(_mirror(bucket, tmp_path / "mirror")) == 1
    depot = Depot(bucket, KeyRing(yard.keys), yard.clock)
    assert depot.publish("stable", *release("two")) == 2
    with pytest.raises(NothingNew):
        depot.publish("stable", *release("two"))
    depot.publish_bundles({station_path(108): b"weather"})
    # The same steps in a folder give the same bytes.
    assert yard.publish("two") == 2
    yard.open().publish_bundles({station_path(108): b"weather"})
    mirror = _mirror(bucket, tmp_path / "mirror")
    for name in yard.depot_store.names(""):
        if not name.startswith("."):
            assert (mirror / name).read_bytes() == (yard.depot / name).read_bytes(), name
    assert device.sync(mirror) == 2
