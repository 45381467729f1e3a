"""The release description: to bytes and back, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from edge_agent.contract import manifest as contract
from edge_agent.contract.errors import BadData
from tests.fakes import former_manifest
from tests.fakes.guided_release import guided_release
from tests.fakes.loaded import manifest, table


def _document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(contract.encode(manifest()))
    return document


def test_round_trip_and_canonical_bytes() -> None:
    """Bytes give the manifest back, equal manifests give equal bytes."""
    one = manifest()
    content = contract.encode(one)
    assert contract.decode(content) == one
    assert contract.encode(contract.decode(content)) == content
    turned = dict(reversed(one.models.items()))
    assert contract.encode(msgspec.structs.replace(one, models=turned)) == content


def test_numbers_survive_to_the_last_bit() -> None:
    """Normals come back as they were: another bit would be another feature."""
    document = _document()
    awkward = [0.1 + 0.2, 1e-17, -273.15, 2.0**-1074, *document["sites"]["108"]["coefficients"]]
    document["sites"]["108"]["coefficients"]["air_temperature_c"] = awkward[:4]
    decoded = contract.decode(json.dumps(document).encode())
    assert decoded.sites["108"].coefficients["air_temperature_c"] == tuple(awkward[:4])


@pytest.mark.parametrize(
    "place", ["", "features", "golden", "sites/108", "residuals/air_temperature_c"]
)
def test_unknown_fields_are_refused_everywhere(place: str) -> None:
    """A field this agent does not know may change what the others mean."""
    document = _document()
    part = document
    for key in filter(None, place.split("/")):
        part = part[key]
    part["surprise"] = 1
    with pytest.raises(BadData, match="surprise"):
        contract.decode(json.dumps(document).encode())


@pytest.mark.parametrize(
    "field",
    sorted(
        set(contract.Manifest.__struct_fields__)
        - {"rollout", "widening", "tuned", "guidance", "optional"}
    ),
)
def test_missing_fields_are_refused(field: str) -> None:
    """Every field but those that a release may go without must be there; the text names it."""
    document = _document()
    del document[field]
    with pytest.raises(BadData, match=f"{field}: is missing"):
        contract.decode(json.dumps(document).encode())


@pytest.mark.parametrize(
    ("field", "value"),
    [("release", "7"), ("release", 7.5), ("leads", [1.5]), ("models", []), ("scores", {"a": 1})],
)
def test_wrong_types_are_refused(field: str, value: object) -> None:
    """Types are not guessed; the text names the place."""
    document = _document() | {field: value}
    with pytest.raises(BadData, match=rf"manifest: {field}"):
        contract.decode(json.dumps(document).encode())


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"a": NaN}'])
def test_other_bytes_are_refused(content: bytes) -> None:
    """What is not a JSON object of this form is bad data, never another error."""
    with pytest.raises(BadData, match=r"^manifest: "):
        contract.decode(content)


def test_another_format_says_to_update() -> None:
    """A newer format is refused by name, and the text says what to do."""
    document = _document() | {"schema": "farm-edge/manifest/3"}
    with pytest.raises(
        BadData, match=r"'farm-edge/manifest/3', this agent reads .*: update the agent"
    ):
        contract.decode(json.dumps(document).encode())


def test_models_of_guidance_are_format_2() -> None:
    """They come back as they were, and equal manifests give equal bytes."""
    one, _ = guided_release(residuals={"air_temperature_c": table(2.0)}, lineage={"code": "ab"})
    content = contract.encode(one)
    assert contract.decode(content) == one
    assert contract.decode(content).lineage == {"code": "ab"}
    assert contract.encode(contract.decode(content)) == content
    assert one.guidance is not None
    turned = dict(reversed(one.guidance.models.items()))
    again = msgspec.structs.replace(one.guidance, models=turned)
    assert contract.encode(msgspec.structs.replace(one, guidance=again)) == content
    assert [file.path for file in one.files()][-1] == one.guidance.golden.path
    assert set(one.guidance.files()) < set(one.files()) == set(one.all_files())


def test_an_agent_of_format_1_says_to_update() -> None:
    """Its own code, as it was: it reads what has no such models, and refuses the others by name."""
    plain = manifest()
    assert former_manifest.decode(contract.encode(plain)).release == plain.release
    assert contract.encode(plain) == msgspec.json.encode(
        former_manifest.decode(contract.encode(plain)), order="deterministic"
    )
    with pytest.raises(
        BadData, match=r"^manifest: format 'farm-edge/manifest/2', .*: update the agent$"
    ):
        former_manifest.decode(contract.encode(guided_release()[0]))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "format 'farm-edge/manifest/2' without `guidance`"),
        ("{", "manifest: guidance: "),
        ('{"digest": 1}', "manifest: guidance: digest: "),
        ("{}", "manifest: guidance: digest: is missing"),
    ],
)
def test_wrong_models_of_guidance_are_refused(text: str | None, words: str) -> None:
    """Missing, no JSON, a wrong type, a field too few."""
    document = json.loads(contract.encode(guided_release()[0]))
    del document["lineage"]["guidance"]
    document["lineage"] |= {} if text is None else {"guidance": text}
    with pytest.raises(BadData, match=words):
        contract.decode(json.dumps(document).encode())


def test_an_unknown_field_of_guidance_is_refused() -> None:
    """As everywhere else; and the models stand in the one place that format 1 passes over."""
    document = json.loads(contract.encode(guided_release()[0]))
    guidance = json.loads(document["lineage"]["guidance"])
    document["lineage"]["guidance"] = json.dumps(guidance | {"surprise": 1})
    with pytest.raises(BadData, match="surprise"):
        contract.decode(json.dumps(document).encode())
    with pytest.raises(BadData, match="`guidance` and `optional` stand in `lineage`"):
        contract.decode(json.dumps(document | {"guidance": guidance}).encode())


def test_too_long_is_refused_before_it_is_read() -> None:
    """One byte over the limit is refused by length, at the limit it is read."""
    content = contract.encode(manifest())
    padded = content + b" " * (contract.MAX_BYTES - len(content))
    assert contract.decode(padded) == manifest()
    with pytest.raises(BadData, match=rf"{contract.MAX_BYTES + 1} bytes, more than the limit"):
        contract.decode(padded + b" ")


def test_files_lists_models_and_golden_windows() -> None:
    """What an install needs, golden windows last."""
    paths = [ref.path for ref in manifest().files()]
    assert len(paths) == 3
    assert paths[-1].startswith("golden/")


@pytest.mark.parametrize(
    ("path", "safe"),
    [
        ("models/air_temperature_c/abc/model.onnx", True),
        ("golden/abc/windows.json", True),
        ("model.onnx", False),
        ("/models/a/model.onnx", False),
        ("models/../model.onnx", False),
        ("models/a/../../etc", False),
        ("models//model.onnx", False),
        ("models/a/", False),
        ("models/.hidden/a", False),
        ("models\\a\\b", False),
        ("models/a b/c", False),
        ("models/a%2f/c", False),
        ("models/a/b\n", False),
        ("models/é/b", False),
        ("a/b/c/d/e", False),
        (f"models/{'a' * 101}/b", False),
    ],
)
def test_safe_paths(path: str, *, safe: bool) -> None:
    """A target path can neither leave its folder nor surprise a file system or a URL."""
    assert contract.safe_path(path) is safe


@pytest.mark.parametrize("one", [manifest(), guided_release()[0]])
def test_optional_targets_come_back_and_their_files_are_needed(one: contract.Manifest) -> None:
    """In either format; equal manifests give equal bytes, and a run without them is as it was."""
    more = msgspec.structs.replace(one, optional={"wind_speed_ms": _wind()})
    content = contract.encode(more)
    assert contract.decode(content) == more
    assert contract.encode(contract.decode(content)) == content
    assert more.files() == (*one.files(), *_wind().files())
    assert b"optional" not in contract.encode(one)


def test_an_agent_before_optional_targets_goes_on_with_those_it_knows() -> None:
    """Its own code, as it was: the third target is a text of the lineage, its files stay unread."""
    plain = manifest()
    more = msgspec.structs.replace(plain, optional={"wind_speed_ms": _wind()})
    read, before = (former_manifest.decode(contract.encode(one)) for one in (more, plain))
    assert read.lineage.keys() - before.lineage.keys() == {"optional_targets"}
    assert msgspec.structs.replace(read, lineage=before.lineage) == before
    assert len(read.lineage["optional_targets"]) < 1000


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "manifest: optional_targets: "), ('{"wind_speed_ms": {}}', "digest: is missing")],
)
def test_wrong_optional_targets_are_refused(text: str, words: str) -> None:
    """As any other part of a manifest."""
    document = _document()
    document["lineage"]["optional_targets"] = text
    with pytest.raises(BadData, match=words):
        contract.decode(json.dumps(document).encode())


def _wind() -> contract.OptionalTarget:
    model, golden, tables = (
        contract.FileRef(f"models/wind_speed_ms/{name}", "ab" * 32, 9)
        for name in ("model.onnx", "windows.json", "tables.json")
    )
    return contract.OptionalTarget(
        digest="9d" * 32,
        model=contract.ModelRef("v1", "m/s", model),
        golden=golden,
        tables=tables,
        scores={"rmse_24h_model": 1.1},
    )
