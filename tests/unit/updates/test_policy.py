"""Rules A1 to A7, the rollout's arithmetic, and what looks through models."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.contract import manifest as contract
from edge_agent.contract import onnx_guard
from edge_agent.contract.errors import NothingNew, Refused
from edge_agent.contract.manifest import FileRef, Rollout
from edge_agent.updates.policy import MAX_FILE_BYTES, DeviceState, admit, included
from tests.fakes.depot import DIGEST, onnx_bytes, release

HERE = DeviceState("stable", "0.1.0", DIGEST, highest=4, current_release=4, id="farm/edge-1")


def _content(**changes: object) -> bytes:
    manifest, _ = release()
    return contract.encode(
        msgspec.structs.replace(manifest, **({"channel": "stable", "release": 5} | changes))
    )


def test_a_release_that_fits_is_admitted() -> None:
    """No rule speaks against it."""
    assert admit(_content(), "5a", HERE).release == 5


def test_the_live_release_is_nothing_new() -> None:
    """The same manifest is recognised by its hash."""
    device = DeviceState(
        "stable", "0.1.0", DIGEST, highest=5, current_sha256="5a", current_release=5
    )
    with pytest.raises(NothingNew, match="release 5 is the newest"):
        admit(_content(), "5a", device)


def test_a_release_that_was_damaged_here_is_installed_again() -> None:
    """The very one that was installed last comes anew; no other of its number does (A3)."""
    device = DeviceState("stable", "0.1.0", DIGEST, highest=5, installed_sha256="5a")
    assert admit(_content(), "5a", device).release == 5
    with pytest.raises(Refused, match="release 5 is not newer than 5, which ran here"):
        admit(_content(), "5b", device)


@pytest.mark.parametrize("version", ["", "1", "1.2", "1.2.x", "-1.0.0", "1.0.0.0", "9999999.0.0"])
def test_a_version_that_is_none_is_refused(version: str) -> None:
    """Only three numbers make a version."""
    with pytest.raises(Refused, match="not a version"):
        admit(_content(min_agent=version), "5a", HERE)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"schema": 1}', b"\xff\xfe"])
def test_bytes_that_are_no_manifest_are_refused(content: bytes) -> None:
    """Signed rubbish is refused like any other rubbish."""
    with pytest.raises(Refused, match=r"channels/stable/manifest\.json"):
        admit(content, "5a", HERE)


def _shards(*lengths: int, path: str = "models/tuning/{}/farms.json") -> tuple[FileRef, ...]:
    return tuple(FileRef(path.format(n), f"{n:064x}", length) for n, length in enumerate(lengths))


def test_every_shard_keeps_the_rules_of_a_file() -> None:
    """Path and length of those, too, that another device takes (A6)."""
    assert admit(_content(tuned=_shards(1000, 2000)), "5a", HERE).tuned[1].length == 2000
    for bad in (
        _shards(1000, MAX_FILE_BYTES + 1),
        _shards(0, 1000),
        _shards(1000, path="observations/{}/farms.json"),
        _shards(1000, path="models/../{}/farms.json"),
    ):
        with pytest.raises(Refused, match=r"manifest\.json: "):
            admit(_content(tuned=bad), "5a", HERE)


def test_the_sum_counts_what_this_device_takes() -> None:
    """A release for a million farms is large; a device's part of it is not."""
    many = _shards(*(MAX_FILE_BYTES // 2,) * 64)
    assert len(admit(_content(tuned=many), "5a", HERE).tuned) == 64
    golden = FileRef("golden/one/windows.json", "0" * 64, MAX_FILE_BYTES)
    models = {
        name: msgspec.structs.replace(
            model, file=msgspec.structs.replace(model.file, length=MAX_FILE_BYTES)
        )
        for name, model in release()[0].models.items()
    }
    with pytest.raises(Refused, match="112000000 bytes in all"):
        admit(_content(tuned=many, models=models, golden=golden), "5a", HERE)


def test_a_path_stands_for_one_file() -> None:
    """Two contents under one name could not both lie on the disk."""
    one = _shards(1000)[0]
    assert admit(_content(tuned=(one, one)), "5a", HERE).tuned == (one, one)
    other = msgspec.structs.replace(one, sha256="f" * 64)
    with pytest.raises(Refused, match=r"farms\.json stands for two files"):
        admit(_content(tuned=(one, other)), "5a", HERE)


def test_a_pinned_device_takes_its_release_only() -> None:
    """Another number is nothing new; the pinned one is taken."""
    pinned = DeviceState("stable", "0.1.0", DIGEST, highest=4, pinned=6)
    with pytest.raises(NothingNew, match="pinned to 6"):
        admit(_content(), "5a", pinned)
    assert admit(_content(release=6), "6a", pinned).release == 6


def test_a_device_outside_the_rollout_waits() -> None:
    """At 0 % nobody takes it but those who are named; at 100 % everybody does."""
    with pytest.raises(NothingNew, match="0 %"):
        admit(_content(rollout=Rollout(0.0, "s")), "5a", HERE)
    named = Rollout(0.0, "s", ("farm/edge-1",))
    assert admit(_content(rollout=named), "5a", HERE).release == 5
    assert admit(_content(rollout=Rollout(100.0, "s")), "5a", HERE).release == 5


@given(st.text(), st.text(), st.floats(0, 100), st.floats(0, 100))
def test_a_growing_rollout_loses_nobody(salt: str, device: str, one: float, two: float) -> None:
    """Whoever takes part at a percentage takes part at every higher one."""
    low, high = sorted((one, two))
    assert included(Rollout(low, salt), device) <= included(Rollout(high, salt), device)


def test_a_rollout_takes_about_its_share() -> None:
    """Of 10,000 devices about 10 % take part at 10 %, and other salts choose others."""
    ids = [f"farm-{n}/edge-1" for n in range(10_000)]
    first = {name for name in ids if included(Rollout(10.0, "a"), name)}
    second = {name for name in ids if included(Rollout(10.0, "b"), name)}
    # Five standard deviations of a binomial draw: 5 * sqrt(10000 * 0.1 * 0.9) = 150.
    assert abs(len(first) - 1000) < 150
    assert abs(len(first & second) - 100) < 50


@given(st.text(max_size=60))
def test_a_safe_path_stays_inside(path: str) -> None:
    """No accepted path is absolute, climbs, hides, or has characters a URL would change."""
    if contract.safe_path(path):
        parts = path.split("/")
        assert 2 <= len(parts) <= 4
        assert all(part[0].isalnum() and part.isascii() for part in parts)


def _verdict(content: bytes) -> str:
    try:
        onnx_guard.check(content, "model.onnx")
    except Refused as fault:
        return str(fault)
    return "model.onnx: passes"


@given(st.binary(max_size=300))
def test_any_bytes_are_a_model_or_refused(content: bytes) -> None:
    """The guard has one kind of error, whatever the file holds."""
    assert _verdict(content).startswith("model.onnx: ")


@given(st.data())
def test_a_damaged_model_is_a_model_or_refused(data: st.DataObject) -> None:
    """A true model with some bytes changed never breaks the guard."""
    content = bytearray(onnx_bytes("x", (("", "Add"), ("ai.onnx.ml", "TreeEnsembleRegressor"))))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    assert _verdict(bytes(content)).startswith("model.onnx: ")


def test_models_as_onnx_writes_them_pass_and_others_do_not() -> None:
    """Real files of the onnx library: arithmetic passes, control flow and external data do not."""
    import onnx
    from onnx import TensorProto, helper

    from tests.fakes.tiny_release import tiny_release

    manifest, files = tiny_release()
    for model in manifest.models.values():
        onnx_guard.check(files[model.file.path], "model.onnx")
    onnx_guard.check(onnx_bytes("x", (("ai.onnx", "Add"),)), "model.onnx")
    branch = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["z"])],
        "branch",
        [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [])],
    )
    flow = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    graph = helper.make_graph([flow], "g", [], [])
    with pytest.raises(Refused, match="nested graph"):
        onnx_guard.check(helper.make_model(graph).SerializeToString(), "model.onnx")
    tensor = helper.make_tensor("w", TensorProto.FLOAT, [1], b"\0\0\0\0", raw=True)
    onnx.external_data_helper.set_external_data(tensor, "/etc/shadow")
    held = helper.make_graph([helper.make_node("Neg", ["w"], ["y"])], "g", [], [], [tensor])
    with pytest.raises(Refused, match="external data"):
        onnx_guard.check(helper.make_model(held).SerializeToString(), "model.onnx")


def test_every_operator_that_the_trainer_writes_is_allowed() -> None:
    """Exporter and guard agree: what the exporter can write, a device takes."""
    import ast
    from pathlib import Path

    source = (Path(__file__).parents[3] / "trainer/training/onnx_export.py").read_text("utf-8")
    written = {
        node.args[0].value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "make_node"
        and isinstance(node.args[0], ast.Constant)
    }
    assert len(written) > 5
    assert {("", name) for name in written} <= onnx_guard.OPERATORS
