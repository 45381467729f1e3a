"""Attacks on the depot, each over a real web server or a real folder.

Every row runs twice: guarded, where it must be refused by name while the running release stays
untouched, and with its guards taken away, where it must succeed. So no row can pass by accident,
and a guard that is lost turns the first test red, one that is doubled elsewhere the second.
"""

from __future__ import annotations

import gzip
import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest
from tuf.api.metadata import Metadata

from edge_agent.contract.errors import BadData, FarmError, Refused, TryLater
from edge_agent.updates import http_source
from tests.fakes import attack
from tests.fakes.attack import Attack, Scene
from tests.fakes.depot import Device, Yard, onnx_bytes, ref, varint
from tests.fakes.hostile_web import Handler, HostileWeb
from tests.fakes.shard_attacks import SHARDS, publish_tuned
from trainer.depot.key_rotation import Rotation
from trainer.depot.keyring import KeyRing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from edge_agent.contract.manifest import FileRef, Manifest

SEED = "channels/stable/manifest.json"
ENDLESS = 60_000_000
"""Bytes; more than the buffers of a connection can swallow before anyone reads."""


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """A device that runs release 1, pulled over HTTP."""
    # No power is cut here, and flushing to a disk is most of the time that a row takes.
    monkeypatch.setattr(os, "fsync", lambda _: None)
    yard = Yard.make(tmp_path / "yard")
    yard.publish("one")
    device = Device(tmp_path / "device", yard.pinned, yard.clock)
    with HostileWeb(yard.depot) as web:
        assert device.sync(web.url) == 1
        yield Scene(yard, web, device, tmp_path, web.url)


# --- Signatures and keys -------------------------------------------------------------------------


def _nothing(_: Any) -> None:  # noqa: ANN401 - tuf's metadata
    """No edit."""


def _sign_with(role: str, signers: Callable[[Scene], list[Any]]) -> Callable[[Scene], None]:
    def act(scene: Scene) -> None:
        scene.yard.publish("two")
        forger = scene.forger
        forger.resign(role, _nothing, signers=signers(scene))
        if role == "snapshot":
            forger.stamp(forger.version("snapshot") + 1)
        elif role != "timestamp":
            forger.seal(role)

    return act


def _unsigned(role: str) -> Callable[[Scene], None]:
    return _sign_with(role, lambda _: [])


def _strange(role: str) -> Callable[[Scene], None]:
    return _sign_with(role, lambda scene: scene.forger.signers(role, scene.stranger().keys))


def _by(role: str, thief: str) -> Callable[[Scene], None]:
    return _sign_with(role, lambda scene: scene.forger.signers(thief))


def _retired(role: str) -> Callable[[Scene], None]:
    def act(scene: Scene) -> None:
        Rotation(scene.yard, scene.yard.clock).rotate(role)
        (retired,) = scene.yard.keys.glob("*.retired")
        _sign_with(role, lambda _: [KeyRing(scene.yard.keys).load(retired)])(scene)

    return act


def _overthrow(helpers: Callable[[Scene], list[Any]]) -> Callable[[Scene], None]:
    """A stranger's whole depot behind a root 2 of the stranger's, signed by some of ours too."""

    def act(scene: Scene) -> None:
        stranger = scene.stranger()
        for word in ("a", "b", "evil"):
            stranger.publish(word)
        document: Metadata[Any] = Metadata.from_bytes(
            (stranger.depot / "metadata/1.root.json").read_bytes()
        )
        document.signed.version = 2
        document.signatures.clear()
        for signer in [*scene.forger.signers("root", stranger.keys), *helpers(scene)]:
            document.sign(signer, append=True)
        shutil.rmtree(scene.yard.depot)
        shutil.copytree(stranger.depot, scene.yard.depot)
        (scene.yard.depot / "metadata/2.root.json").write_bytes(document.to_bytes())

    return act


def _swapped_model(scene: Scene) -> None:
    scene.yard.publish("two")
    (path,) = scene.yard.depot.glob("targets/models/air_temperature_c/two/*.model.onnx")
    evil = onnx_bytes("air_temperature_c bad")
    assert len(evil) == path.stat().st_size
    path.write_bytes(evil)


def _relay_lists_a_release(scene: Scene) -> None:
    scene.device.channel = "canary"
    scene.plant("observations", channel="canary")


SIGNATURES = {
    "arbitrary model": Attack(
        _swapped_model, "model.onnx.*hash", (attack.hashes, attack.manifest_hashes)
    ),
    **{
        f"unsigned {role}": Attack(
            _unsigned(role), rf"{role}\.json.*signed by 0/1", (attack.signatures,)
        )
        for role in ("timestamp", "snapshot", "targets", "models")
    },
    **{
        f"{role} signed by a stranger": Attack(
            _strange(role), rf"{role}\.json.*signed by 0/1", (attack.signatures,)
        )
        for role in ("timestamp", "snapshot", "targets", "models")
    },
    **{
        f"models signed by the {thief} key": Attack(
            _by("models", thief), r"models\.json.*signed by 0/1", (attack.signatures,)
        )
        for thief in ("observations", "snapshot", "timestamp")
    },
    **{
        f"retired {role} key": Attack(
            _retired(role), rf"{role}\.json.*signed by 0/1", (attack.signatures,)
        )
        for role in ("timestamp", "snapshot", "targets", "models")
    },
    "root of a stranger": Attack(
        _overthrow(lambda _: []), r"2\.root\.json.*signed by 0/2", (attack.signatures,)
    ),
    "root with one of two signatures": Attack(
        _overthrow(lambda scene: scene.forger.signers("root")[:1]),
        r"2\.root\.json.*signed by 1/2",
        (attack.signatures,),
    ),
    "root signed by the targets key": Attack(
        _overthrow(lambda scene: scene.forger.signers("targets")),
        r"2\.root\.json.*signed by 0/2",
        (attack.signatures,),
    ),
    "release listed by the relay": Attack(
        _relay_lists_a_release,
        "canary.*no release on this channel",
        (attack.delegation,),
        TryLater,
    ),
}


# --- Versions, time ------------------------------------------------------------------------------


def _old_mirror(scene: Scene) -> None:
    old = scene.copy()
    scene.advance()
    shutil.rmtree(scene.yard.depot)
    shutil.copytree(old, scene.yard.depot)


def _old_snapshot(scene: Scene) -> None:
    old = scene.forger.version("snapshot")
    scene.advance()
    scene.forger.stamp(old)


def _old_models(scene: Scene) -> None:
    old = scene.forger.version("models")
    scene.advance()
    scene.forger.seal(models=old)


def _old_targets(scene: Scene) -> None:
    forger = scene.forger
    targets, models = forger.version("targets"), forger.version("models")
    Rotation(scene.yard, scene.yard.clock).rotate("models")
    scene.advance()
    forger.seal(targets=targets, models=models)


def _dropped_role(scene: Scene) -> None:
    scene.yard.publish("two")
    scene.forger.seal(lie=lambda snapshot: snapshot.meta.pop("observations.json"))


def _old_root(scene: Scene) -> None:
    scene.yard.publish("two")
    shutil.copy(scene.forger.path("root", 1), scene.forger.path("root", 2))


def _mixed_snapshot(scene: Scene) -> None:
    old = scene.forger.version("snapshot")
    scene.advance()
    forger = scene.forger
    forger.resign("snapshot", _nothing)
    forger.stamp(forger.version("snapshot") + 1)
    shutil.copy(forger.path("snapshot", old), forger.path("snapshot"))


def _stick_of_last_year(scene: Scene) -> None:
    stick = scene.copy()
    scene.advance()
    scene.yard.clock.advance(365 * 86_400)
    scene.place = stick


def _stick_for_a_new_device(scene: Scene) -> None:
    stick = scene.copy()
    scene.yard.clock.advance(365 * 86_400)
    scene.device = Device(scene.folder / "new", scene.yard.pinned, scene.yard.clock)
    scene.place, scene.before = stick, 0


def _expired(role: str) -> Callable[[Scene], None]:
    def act(scene: Scene) -> None:
        scene.yard.publish("two")
        scene.forger.expire(role, scene.yard.clock.now())
        scene.yard.clock.advance(1)

    return act


def _clock_set_back(scene: Scene) -> None:
    scene.yard.clock.advance(100 * 86_400)
    with pytest.raises(TryLater, match="expired"):
        scene.pull()
    scene.yard.clock.jump(-100 * 86_400)
    scene.yard.publish("two")


def _signed_tomorrow(scene: Scene) -> None:
    _plant(created_at="2026-03-09T00:00:00Z")(scene)


FORGET = (attack.memory, attack.numbers)
VERSIONS = {
    "mirror goes back": Attack(_old_mirror, r"timestamp\.json.*version", FORGET),
    "snapshot rollback with the timestamp key": Attack(
        _old_snapshot, r"timestamp\.json.*snapshot version", FORGET
    ),
    "models rollback with the online keys": Attack(
        _old_models, r"snapshot\.json.*models\.json version", FORGET
    ),
    "targets rollback with the online keys": Attack(
        _old_targets, r"snapshot\.json.*(targets|models)\.json version.*older than", FORGET
    ),
    "snapshot without a role": Attack(
        _dropped_role, r"snapshot\.json.*observations\.json", (attack.memory,)
    ),
    "old root as the next one": Attack(
        _old_root, r"2\.root\.json.*version 2", (attack.root_versions,)
    ),
    "mix and match of snapshots": Attack(
        _mixed_snapshot,
        r"snapshot\.json.*(hash|length|version)",
        (attack.hashes, attack.versions, *FORGET),
    ),
    "last year's stick": Attack(
        _stick_of_last_year, r"timestamp\.json.*version", (*FORGET, attack.expiry)
    ),
    "last year's stick for a new device": Attack(
        _stick_for_a_new_device, r"timestamp\.json is expired", (attack.expiry,), TryLater
    ),
    **{
        f"freeze by an ended {role}": Attack(
            _expired(role), rf"{role}.* expired", (attack.expiry,), TryLater
        )
        for role in ("root", "timestamp", "snapshot", "targets", "models")
    },
    "clock set back": Attack(_clock_set_back, "set the clock", (attack.floor,), TryLater),
    "signed in the future": Attack(
        _signed_tomorrow, "2026-03-09.*set the clock", (attack.future,), TryLater
    ),
}


# --- Servers and sticks --------------------------------------------------------------------------


def _publish_two(scene: Scene) -> None:
    scene.yard.publish("two")


def _endless(
    pattern: str, publish: Callable[[Scene], object] = _publish_two
) -> Callable[[Scene], None]:
    def answer(handler: Handler, _honest: bytes) -> None:
        handler.head(200, None)
        for _ in range(ENDLESS // 60_000):
            handler.body(b"x" * 60_000)

    def act(scene: Scene) -> None:
        publish(scene)
        scene.web.rules[pattern] = answer
        scene.web.sent = 0

    return act


def _swallowed(scene: Scene) -> bool:
    return scene.web.sent >= ENDLESS


def _drip(handler: Handler, content: bytes) -> None:
    handler.head(200, len(content))
    for start in range(0, len(content), 4):
        handler.body(content[start : start + 4])
        handler.server.give_up.wait(0.01)


def _dripping_head(handler: Handler, content: bytes) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\nX-Pad: {'x' * 300}\r\n\r\n"
    for letter in head.encode():
        handler.wfile.write(bytes([letter]))
        if handler.server.give_up.wait(0.01):
            return
    handler.wfile.write(content)


def _slow(answer: Callable[[Handler, bytes], None]) -> Callable[[Scene], None]:
    def act(scene: Scene) -> None:
        scene.yard.publish("two")
        scene.web.rules[r"metadata/timestamp\.json"] = answer

    return act


def _patience(_: Scene, patch: pytest.MonkeyPatch) -> None:
    """The server may take as long as it likes."""
    honest = http_source.HttpSource.__init__

    def patient(self: Any, url: str, clock: Any, pace: http_source.HttpLimits) -> None:  # noqa: ANN401 - handed on
        honest(self, url, clock, replace(pace, grace_s=60, head_s=60))

    patch.setattr(http_source.HttpSource, "__init__", patient)


def _redirect(scene: Scene) -> None:
    scene.yard.publish("two")
    other = scene.web.url + "metadata/timestamp.json?elsewhere"

    def answer(handler: Handler, _: bytes) -> None:
        handler.whole(b"", 302, Location=other)

    def honest(handler: Handler, _: bytes) -> None:
        handler.whole((scene.yard.depot / "metadata/timestamp.json").read_bytes())

    scene.web.rules[r"metadata/timestamp\.json\?elsewhere"] = honest
    scene.web.rules[r"metadata/timestamp\.json"] = answer


def _follow(_: Scene, patch: pytest.MonkeyPatch) -> None:
    """Redirects are followed."""
    honest = httpx.Client.send
    patch.setattr(
        httpx.Client, "send", lambda *args, **how: honest(*args, **how, follow_redirects=True)
    )


def _packed(scene: Scene) -> None:
    scene.yard.publish("two")

    def answer(handler: Handler, content: bytes) -> None:
        handler.whole(gzip.compress(content), Content_Encoding="gzip")

    scene.web.rules[r"metadata/timestamp\.json"] = answer


def _unpack(_: Scene, patch: pytest.MonkeyPatch) -> None:
    """Content encodings are undone."""
    honest = httpx.Response.iter_raw

    def unpacked(self: httpx.Response) -> Iterator[bytes]:
        content = b"".join(honest(self))
        yield gzip.decompress(content) if "Content-Encoding" in self.headers else content

    patch.setattr(httpx.Response, "iter_raw", unpacked)


def _stick(scene: Scene) -> Path:
    scene.yard.publish("two")
    scene.place = scene.copy()
    return scene.place


def _linked_file(scene: Scene) -> None:
    (path,) = _stick(scene).glob("targets/golden/two/*.windows.json")
    moved = path.rename(scene.folder / "elsewhere.json")
    path.symlink_to(moved)


def _linked_folder(scene: Scene) -> None:
    path = _stick(scene) / "metadata"
    moved = path.rename(scene.folder / "elsewhere")
    path.symlink_to(moved)


SERVERS = {
    "endless timestamp": Attack(
        _endless(r"metadata/timestamp\.json"),
        r"timestamp\.json.*maximum allowed length",
        (attack.lengths,),
        won=_swallowed,
    ),
    "endless root": Attack(
        _endless(r"metadata/2\.root\.json"),
        r"2\.root\.json.*maximum allowed length",
        (attack.lengths,),
        won=_swallowed,
    ),
    "endless snapshot": Attack(
        _endless(r"metadata/\d+\.snapshot\.json"),
        r"snapshot\.json.*maximum allowed length",
        (attack.lengths,),
        won=_swallowed,
    ),
    "endless model": Attack(
        _endless(r"targets/models/.*"),
        r"model\.onnx.*maximum allowed length",
        (attack.lengths,),
        won=_swallowed,
    ),
    "endless shard": Attack(
        _endless(r"targets/models/tuning/.*", publish_tuned),
        r"farms\.json.*maximum allowed length",
        (attack.lengths,),
        won=_swallowed,
    ),
    "slow drip of a body": Attack(
        _slow(_drip), r"timestamp\.json.*slower than", (_patience,), TryLater
    ),
    "slow drip of a head": Attack(
        _slow(_dripping_head), r"timestamp\.json", (_patience,), TryLater
    ),
    "redirect": Attack(_redirect, "redirects are not followed", (_follow,), TryLater),
    "packed answer": Attack(_packed, r"timestamp\.json: not a depot", (_unpack,), TryLater),
    "linked file on a stick": Attack(
        _linked_file, r"windows\.json: a symbolic link", (attack.links,)
    ),
    "linked folder on a stick": Attack(
        _linked_folder, "metadata: a symbolic link", (attack.links,)
    ),
}


# --- Releases signed with a stolen models key, or by mistake -------------------------------------


def _plant(**changes: object) -> Callable[[Scene], None]:
    return lambda scene: scene.plant(
        mutate=lambda manifest: msgspec.structs.replace(manifest, **changes)
    )


def _golden(
    file: Callable[[Manifest], FileRef], content: bytes | None = None
) -> Callable[[Scene], None]:
    """Release 99 whose golden windows lie under another name, or are other bytes."""

    def act(scene: Scene) -> None:
        found: list[FileRef] = []

        def mutate(manifest: Manifest) -> Manifest:
            found.append(file(manifest))
            return msgspec.structs.replace(manifest, golden=found[0])

        def swap(files: dict[str, bytes]) -> None:
            old = files.pop("golden/evil/windows.json")
            files[found[0].path] = old if content is None else content

        scene.plant(mutate=mutate, swap=swap)

    return act


def _renamed(path: str) -> Callable[[Scene], None]:
    return _golden(lambda manifest: msgspec.structs.replace(manifest.golden, path=path))


HUGE = bytes(33_000_000)


def _model(content: bytes) -> Callable[[Scene], None]:
    def act(scene: Scene) -> None:
        path = "models/air_temperature_c/evil/model.onnx"

        def mutate(manifest: Manifest) -> Manifest:
            one = msgspec.structs.replace(
                manifest.models["air_temperature_c"], file=ref(path, content)
            )
            return msgspec.structs.replace(
                manifest, models=manifest.models | {"air_temperature_c": one}
            )

        scene.plant(mutate=mutate, swap=lambda files: files.update({path: content}))

    return act


def _mixed_release(scene: Scene) -> None:
    scene.yard.publish("two")
    path = "models/air_temperature_c/two/model.onnx"
    scene.forger.list_target("models", path, onnx_bytes("another one"))


def _field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def _failing(scene: Scene) -> None:
    def check(*_: object) -> None:
        raise BadData("golden window 1: air_temperature_c is 9, expected 1")

    scene.device.check = check
    scene.yard.publish("two")


ONNX = onnx_bytes("x")
EXTERNAL = ONNX + _field(
    7, _field(5, _field(13, _field(1, b"location") + _field(2, b"/etc/shadow")))
)
LOCATED = ONNX + _field(7, _field(5, varint(14 << 3) + varint(1)))
NESTED = ONNX + _field(
    7, _field(1, _field(4, b"Add") + _field(5, _field(1, b"body") + _field(6, b"")))
)
FUNCTIONS = ONNX + _field(25, _field(1, b"f"))

RELEASES = {
    "release of another project": Attack(
        _plant(project="other-farm"), f"{SEED}.*project 'other-farm'", (attack.fitness,)
    ),
    "release of another channel": Attack(
        lambda scene: scene.plant(
            mutate=lambda manifest: msgspec.structs.replace(manifest, channel="canary")
        ),
        f"{SEED}.*signed for channel 'canary'",
        (attack.fitness,),
    ),
    "release number used again": Attack(
        _plant(release=1, reason="other"),
        f"{SEED}.*release 1 is not newer than 1",
        (attack.fitness,),
        won=lambda scene: scene.device.live_words() == "other",
    ),
    "release number gone back": Attack(
        _plant(release=0), f"{SEED}.*release 0 is not newer than 1", (attack.fitness,)
    ),
    "release for a newer agent": Attack(
        _plant(min_agent="9.0.0"), f"{SEED}.*needs agent 9.0.0", (attack.fitness,)
    ),
    "release for other features": Attack(
        lambda scene: scene.plant(
            mutate=lambda manifest: msgspec.structs.replace(
                manifest, features=msgspec.structs.replace(manifest.features, digest="e0" * 32)
            )
        ),
        f"{SEED}.*feature code e0e0",
        (attack.fitness,),
    ),
    "path that climbs": Attack(
        _renamed("models/../../escaped.json"), f"{SEED}.*escaped.json", (attack.paths,)
    ),
    "path among observations": Attack(
        _renamed("golden/evil/-rf"), f"{SEED}.*golden/evil/-rf", (attack.paths,)
    ),
    "path that hides": Attack(_renamed("golden/evil/.bashrc"), f"{SEED}.*bashrc", (attack.paths,)),
    "file over the limit": Attack(
        _golden(lambda _: ref("golden/evil/windows.json", HUGE), HUGE),
        f"{SEED}.*33000000 bytes",
        (attack.paths,),
    ),
    "manifest over the limit": Attack(
        _plant(reason="x" * 2_100_000), f"{SEED}.*more than the limit", (attack.sizes,)
    ),
    "file of another release": Attack(
        _mixed_release, "air_temperature_c/two/model.onnx.*mixed", (attack.manifest_hashes,)
    ),
    "operator If": Attack(
        _model(onnx_bytes("x", (("", "If"),))), "model.onnx.*operator 'If'", (attack.operators,)
    ),
    "operator of a strange domain": Attack(
        _model(onnx_bytes("x", (("evil.ops", "Add"),))),
        "model.onnx.*operator 'evil.ops.Add'",
        (attack.operators,),
    ),
    "external data": Attack(_model(EXTERNAL), "model.onnx.*external data", (attack.operators,)),
    "external data by its flag": Attack(
        _model(LOCATED), "model.onnx.*external data", (attack.operators,)
    ),
    "nested graph": Attack(_model(NESTED), "model.onnx.*nested graph", (attack.operators,)),
    "functions": Attack(_model(FUNCTIONS), "model.onnx.*functions", (attack.operators,)),
    "no model at all": Attack(
        _model(b"MZ" * 40), "model.onnx.*not an ONNX model", (attack.operators,)
    ),
    "models that compute otherwise": Attack(
        _failing, "release 2: self-check.*golden window 1", (attack.replay,)
    ),
}

ATTACKS = SIGNATURES | VERSIONS | SERVERS | RELEASES | SHARDS


def test_the_suite_is_as_large_as_promised() -> None:
    """At least 75 attacks."""
    assert len(ATTACKS) >= 75


@pytest.mark.parametrize("name", ATTACKS)
def test_the_attack_is_fended_off(scene: Scene, name: str) -> None:
    """Refused or put off, in one line that names file and reason; the running release stays."""
    row = ATTACKS[name]
    row.act(scene)
    live = scene.device.slots.load()
    with pytest.raises(row.error, match=row.says) as caught:
        scene.pull()
    assert caught.value.exit_code in {75, 77}
    assert "\n" not in str(caught.value)
    assert scene.device.slots.load() == live
    assert scene.device.live() == scene.before
    assert scene.web.sent < ENDLESS


@pytest.mark.parametrize("name", ATTACKS)
def test_the_attack_succeeds_without_its_guard(
    scene: Scene, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the guards of the row taken away the same attack works: the row tests something."""
    row = ATTACKS[name]
    row.act(scene)
    for guard in row.guards:
        guard(scene, monkeypatch)
    fault: FarmError | None = None
    try:
        scene.pull()
    except FarmError as raised:
        fault = raised
    assert row.won(scene), fault


@pytest.mark.parametrize("ahead", attack.FAST_FORWARDS, ids=" and ".join)
def test_a_fast_forward_ends_when_its_keys_are_rotated(
    scene: Scene, ahead: tuple[str, ...]
) -> None:
    """TUF 5.3.11: what the new root does not trust is forgotten with its versions.

    Rotating another key does not help, so it is the rotation of these that ends it.
    """
    attack.fast_forward(scene, *ahead)
    with pytest.raises(Refused, match="older than what this device saw before"):
        scene.pull()
    rotation = Rotation(scene.yard, scene.yard.clock)
    rotation.rotate("targets")
    with pytest.raises(Refused, match="older than what this device saw before"):
        scene.pull()
    for role in ("timestamp", "snapshot"):
        rotation.rotate(role)
    assert scene.pull() == 3
    scene.yard.publish("four")
    assert scene.pull() == 4
