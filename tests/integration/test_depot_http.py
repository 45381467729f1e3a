"""Transport: resumed, asked conditionally, cheap when nothing changed."""

from __future__ import annotations

import contextlib
import gzip
import random
import re
from typing import TYPE_CHECKING

import httpx
import msgspec
import pytest

from edge_agent.contract import compression
from edge_agent.contract.bundles import station_path
from edge_agent.contract.errors import NothingNew, Refused, TryLater
from edge_agent.system.clock import SystemClock
from edge_agent.updates.http_source import HttpSource
from edge_agent.updates.source import FolderSource, NoSuchFile
from tests.fakes.depot import IMPATIENT, Device, Yard, onnx_bytes, ref, release, varint
from tests.fakes.hostile_web import Handler, HostileWeb
from tests.fakes.served import counted, served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def web(tmp_path: Path) -> Iterator[HostileWeb]:
    """A server over a folder."""
    with HostileWeb(tmp_path) as server:
        yield server


def _read(url: str, name: str) -> bytes:
    with HttpSource(url, SystemClock(), IMPATIENT) as source:
        return b"".join(source.read(name))


class Cutter:
    """Answers that break off after some bytes, and honour ranges."""

    def __init__(self, tag: str = '"one"') -> None:
        self.tag = tag
        self.ranges: list[str] = []

    def __call__(self, handler: Handler, content: bytes) -> None:
        """Send a part of what is asked for, then hang up."""
        asked = handler.headers.get("Range", "")
        self.ranges.append(asked)
        start = int(re.findall(r"\d+", asked)[0]) if asked else 0
        if asked:
            assert handler.headers["If-Range"] == self.tag
        until = f"bytes {start}-{len(content) - 1}/{len(content)}"
        handler.head(
            206 if asked else 200, len(content) - start, ETag=self.tag, Content_Range=until
        )
        handler.body(content[start : start + 40_000])
        if len(content) - start > 40_000:
            handler.close_connection = True


def test_a_broken_download_goes_on_where_it_stopped(web: HostileWeb) -> None:
    """Each part is asked for once; the bytes are whole."""
    content = bytes(range(256)) * 400
    (web.folder / "model").write_bytes(content)
    cutter = Cutter()
    web.rules["model"] = cutter
    assert _read(web.url, "model") == content
    assert cutter.ranges == ["", "bytes=40000-", "bytes=80000-"]
    assert web.sent == len(content)


def test_without_a_strong_tag_nothing_is_joined(web: HostileWeb) -> None:
    """Two files could be mixed: the download is given up, for later."""
    (web.folder / "model").write_bytes(bytes(100_000))
    for tag in ('W/"weak"', ""):
        web.rules["model"] = Cutter(tag)
        with pytest.raises(TryLater, match="model"):
            _read(web.url, "model")


def test_resuming_has_an_end(web: HostileWeb) -> None:
    """A link that breaks for ever is given up after `Pace.resumes` tries."""
    (web.folder / "model").write_bytes(bytes(1_000_000))
    cutter = Cutter()
    web.rules["model"] = cutter
    with pytest.raises(TryLater, match="check the link"):
        _read(web.url, "model")
    assert len(cutter.ranges) == IMPATIENT.resumes + 1


def test_another_part_than_asked_for_is_not_taken(web: HostileWeb) -> None:
    """A server that answers a range with other bytes, or all of them, is not believed."""
    (web.folder / "model").write_bytes(bytes(100_000))
    honest = Cutter()

    def lying(handler: Handler, content: bytes) -> None:
        if "Range" in handler.headers:
            handler.whole(content, 206, ETag='"one"', Content_Range="bytes 0-9/10")
        else:
            honest(handler, content)

    web.rules["model"] = lying
    with pytest.raises(TryLater, match="another part"):
        _read(web.url, "model")


def test_the_timestamp_is_asked_for_conditionally(web: HostileWeb) -> None:
    """The second read costs a 304, and gives the same bytes."""
    (web.folder / "timestamp.json").write_bytes(b"{}")

    def answer(handler: Handler, content: bytes) -> None:
        if handler.headers.get("If-None-Match") == '"t1"':
            handler.head(304, 0)
        else:
            handler.whole(content, ETag='"t1"')

    web.rules["timestamp.json"] = answer
    with HttpSource(web.url, SystemClock(), IMPATIENT) as source:
        assert [b"".join(source.read("timestamp.json")) for _ in range(2)] == [b"{}", b"{}"]
    assert [status for _, status in web.asked] == [200, 304]


@pytest.mark.parametrize(
    ("status", "error"), [(404, NoSuchFile), (403, NoSuchFile), (500, TryLater), (304, TryLater)]
)
def test_every_status_has_its_meaning(web: HostileWeb, status: int, error: type[Exception]) -> None:
    """Absent is told from out of service; an answer nobody asked for is no content."""
    web.rules["x"] = lambda handler, _: handler.head(status, 0)
    with pytest.raises(error, match=f"x: HTTP {status}"):
        _read(web.url, "x")


def test_a_password_in_the_address_is_never_shown(web: HostileWeb) -> None:
    """Errors name the place without its credentials."""
    web.rules["x"] = lambda handler, _: handler.head(500, 0)
    address = web.url.replace("http://", "http://farm:s3cret@")
    with pytest.raises(TryLater, match="127") as caught:
        _read(address, "x")
    assert "s3cret" not in str(caught.value)


def test_bytes_on_the_wire(tmp_path: Path) -> None:
    """A poll that finds nothing costs at most 4 KB, a release of 2 x 450 KB at most 1 MB."""
    yard = Yard.make(tmp_path / "yard")
    manifest, files = release("big")
    for target, model in manifest.models.items():
        # Bytes that no transport can shrink, as large as a real model.
        noise = random.Random(target).randbytes(450_000)
        files[model.file.path] = onnx_bytes(target) + b"\x12" + varint(450_000) + noise
    models = {
        target: msgspec.structs.replace(model, file=ref(model.file.path, files[model.file.path]))
        for target, model in manifest.models.items()
    }
    yard.open().publish("stable", msgspec.structs.replace(manifest, models=models), files)
    device = Device(tmp_path / "device", yard.pinned, yard.clock)
    with served(yard.depot) as direct, counted(direct) as (url, counts):
        assert device.sync(url) == 1
        assert 900_000 < sum(counts) < 1_000_000
        counts.clear()
        with pytest.raises(NothingNew):
            device.sync(url)
        assert 0 < sum(counts) <= 4096


def test_unchanged_weather_is_not_pulled_twice(tmp_path: Path) -> None:
    """A poll of release and weather that finds nothing costs at most 4 KB; damage is mended."""
    yard = Yard.make(tmp_path / "yard")
    yard.publish("one")
    yard.open().publish_bundles({station_path(108): b"w" * 20_000})
    device = Device(tmp_path / "device", yard.pinned, yard.clock)
    with served(yard.depot) as direct, counted(direct) as (url, counts):

        def poll() -> bytes | None:
            counts.clear()
            with HttpSource(url, SystemClock(), IMPATIENT) as source:
                updater = device.updater(source)
                with contextlib.suppress(NothingNew):
                    updater.sync()
                return updater.fetch_relayed(station_path(108))

        assert poll() == b"w" * 20_000
        assert poll() == b"w" * 20_000
        assert 0 < sum(counts) <= 4096
        (device.state / station_path(108)).write_bytes(b"rot")
        assert poll() == b"w" * 20_000
        assert sum(counts) > 20_000
        yard.open().publish_bundles({station_path(108): b"new"})
        assert poll() == b"new"


def test_the_server_serves_a_depot_and_nothing_else(tmp_path: Path) -> None:
    """Caching headers, ranges, conditions; no listing, no hidden file, no link, no climbing."""
    yard = Yard.make(tmp_path / "yard")
    (tmp_path / "yard/depot/metadata/link.json").symlink_to(yard.root / "root.json")
    with served(yard.depot) as url, httpx.Client(base_url=url) as client:
        stamp = client.get("metadata/timestamp.json")
        assert stamp.headers["Cache-Control"] == "public, max-age=60, must-revalidate"
        again = client.get(
            "metadata/timestamp.json", headers={"If-None-Match": stamp.headers["ETag"]}
        )
        assert (again.status_code, again.content) == (304, b"")
        root = client.get("metadata/1.root.json")
        assert "immutable" in root.headers["Cache-Control"]
        for asked, part in (
            ("bytes=0-9", root.content[:10]),
            ("bytes=10-", root.content[10:]),
            ("bytes=-5", root.content[-5:]),
        ):
            answer = client.get("metadata/1.root.json", headers={"Range": asked})
            assert (answer.status_code, answer.content) == (206, part)
        late = client.get("metadata/1.root.json", headers={"Range": "bytes=99999-"})
        assert late.status_code == 416
        old = {"Range": "bytes=5-", "If-Range": '"other"'}
        assert client.get("metadata/1.root.json", headers=old).content == root.content
        for name in (
            "",
            "metadata",
            "metadata/",
            ".lock",
            "metadata/link.json",
            "metadata/%2e%2e/%2e%2e/root.json",
            "metadata/..%2f..%2fkeys/root-1.pem",
            "keys/root-1.pem",
        ):
            assert client.get(name).status_code == 404, name
        assert client.head("metadata/1.root.json").content == b""
        assert client.post("metadata/1.root.json").status_code == 501


def test_a_stick_holds_plain_files_only(tmp_path: Path) -> None:
    """A named pipe is refused without waiting for it, names stay below the folder."""
    import os

    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    source = FolderSource(tmp_path)
    with pytest.raises(Refused, match="not a plain file"):
        list(source.read("pipe"))
    with pytest.raises(Refused, match="not a plain file"):
        list(source.read("folder"))
    for name in ("../x", "a/../../x", "/etc/passwd", "a//b", "."):
        with pytest.raises(Refused, match="not a name"):
            list(source.read(name))
    with pytest.raises(NoSuchFile):
        list(source.read("metadata/9.root.json"))
    with pytest.raises(TryLater, match="plugged in"):
        list(FolderSource(tmp_path / "gone").read("metadata/timestamp.json"))


def test_what_was_seen_is_not_pulled_again(tmp_path: Path) -> None:
    """A large manifest travels packed, and costs nothing at the next poll, even a refused one."""
    yard = Yard.make(tmp_path / "yard")
    noise = random.Random(1).randbytes(100_000).hex()
    yard.publish("one", lineage={"noise": noise})
    device = Device(tmp_path / "device", yard.pinned, yard.clock)
    other = Device(tmp_path / "other", yard.pinned, yard.clock, digest="00" * 32)
    with served(yard.depot) as direct, counted(direct) as (url, counts):
        for one, fault in ((device, NothingNew), (other, Refused)):
            with contextlib.suppress(Refused):
                one.sync(url)
            # 200 kB of hexadecimal digits, packed to the half.
            assert 100_000 < sum(counts) < 130_000
            counts.clear()
            with pytest.raises(fault):
                one.sync(url)
            assert 0 < sum(counts) <= 4096
            counts.clear()


def test_files_travel_packed_and_once(tmp_path: Path) -> None:
    """Models that pack well cost their packed size; a release that keeps them costs none of it."""
    yard = Yard.make(tmp_path / "yard")
    manifest, files = release("big")
    for target, model in manifest.models.items():
        body = onnx_bytes(target) + b"\x12" + varint(450_000) + target.encode()[:15] * 30_000
        files[model.file.path] = body
    models = {
        target: msgspec.structs.replace(model, file=ref(model.file.path, files[model.file.path]))
        for target, model in manifest.models.items()
    }
    big = msgspec.structs.replace(manifest, models=models)
    yard.open().publish("stable", big, files)
    device = Device(tmp_path / "device", yard.pinned, yard.clock)
    with served(yard.depot) as direct, counted(direct) as (url, counts):
        assert device.sync(url) == 1
        assert sum(counts) < 30_000
        live = device.slots.load()
        assert live is not None
        for file in live.manifest.files():
            assert live.read(file) == files[file.path]
        for packed in yard.depot.glob("targets/models/**/*.gz"):
            packed.unlink()
        yard.open().publish(
            "stable", msgspec.structs.replace(big, reason="again", scores={"a": {"b": 1.0}}), files
        )
        for packed in yard.depot.glob("targets/models/**/*"):
            if packed.is_file():
                packed.unlink()
        assert device.sync(url) == 2


def test_a_packed_file_that_holds_something_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signed by a thief of the models key or made by mistake: a bomb or other content stays out."""
    yard = Yard.make(tmp_path / "yard")
    device = Device(tmp_path / "device", yard.pinned, yard.clock)
    for packed, text in (
        (gzip.compress(bytes(50_000_000)), "does not unpack to exactly"),
        (b"no gzip", "not a gzip file"),
    ):
        monkeypatch.setattr(compression, "pack", lambda _, packed=packed: packed)
        manifest, files = release(f"bad{len(packed)}")
        for path in files:
            if path.endswith("model.onnx"):
                files[path] += b"\x12" + varint(60_000) + bytes(60_000)
        models = {
            target: msgspec.structs.replace(
                model, file=ref(model.file.path, files[model.file.path])
            )
            for target, model in manifest.models.items()
        }
        yard.open().publish("stable", msgspec.structs.replace(manifest, models=models), files)
        with pytest.raises(Refused, match=text):
            device.sync(yard.depot)
        assert device.live() == 0
