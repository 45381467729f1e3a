"""deploy/nginx.conf under a real nginx: a device pulls through it, and nothing else is served."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from edge_agent.contract.errors import NothingNew
from edge_agent.system.clock import SystemClock
from edge_agent.updates.http_source import HttpSource
from tests.fakes.depot import IMPATIENT, Device, Yard
from tests.fakes.mosquitto import free_port
from tests.fakes.nginx import nginx

if TYPE_CHECKING:
    from collections.abc import Iterator

CONF = Path(__file__).parents[2] / "deploy/nginx.conf"


@contextmanager
def _nginx(folder: Path, depot: Path) -> Iterator[str]:
    """The example, with this folder and a port put in."""
    site = CONF.read_text("utf-8")
    assert "root /srv/farm-edge/depot;" in site
    port = free_port()
    site = site.replace("/srv/farm-edge/depot", str(depot))
    site = site.replace("listen 8080;", f"listen 127.0.0.1:{port};")
    with nginx(folder, site, port):
        yield f"http://127.0.0.1:{port}/"


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    """A workspace with a release."""
    made = Yard.make(tmp_path / "yard")
    made.publish("one")
    return made


def test_a_device_pulls_through_nginx(yard: Yard, tmp_path: Path) -> None:
    """Two releases arrive, the poll between them finds nothing, by a conditional request."""
    device = Device(tmp_path / "device", yard.pinned, yard.clock)
    with _nginx(tmp_path / "nginx", yard.depot) as url:
        assert device.sync(url) == 1
        with HttpSource(url, SystemClock(), IMPATIENT) as source:
            for _ in range(2):
                with pytest.raises(NothingNew):
                    device.updater(source).sync()
        yard.publish("two")
        assert device.sync(url) == 2


def test_nginx_serves_the_depot_and_nothing_else(yard: Yard, tmp_path: Path) -> None:
    """Caching as a CDN needs it, ranges, no writing, no listing, no link, no hidden file."""
    (yard.depot / "metadata/link.json").symlink_to(yard.root / "root.json")
    with _nginx(tmp_path / "nginx", yard.depot) as url, httpx.Client(base_url=url) as client:
        stamp = client.get("metadata/timestamp.json")
        assert stamp.headers["Cache-Control"] == "public, max-age=60, must-revalidate"
        tag = {"If-None-Match": stamp.headers["ETag"]}
        assert client.get("metadata/timestamp.json", headers=tag).status_code == 304
        root = client.get("metadata/1.root.json")
        assert "immutable" in root.headers["Cache-Control"]
        part = client.get("metadata/1.root.json", headers={"Range": "bytes=10-19"})
        assert (part.status_code, part.content) == (206, root.content[10:20])
        absent = client.get("metadata/2.root.json")
        assert (absent.status_code, absent.headers["Cache-Control"]) == (404, "public, max-age=60")
        assert client.get("metadata/link.json").status_code == 403
        for name in ("", "metadata/", ".lock", "keys/root-1.pem", "metadata/../../root.json"):
            assert client.get(name).status_code in {403, 404}, name
        for method in ("PUT", "DELETE", "POST"):
            assert client.request(method, "metadata/1.root.json").status_code == 405
