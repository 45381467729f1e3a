"""Attacks on the corrections of single farms: rows of the suite, see `attack.Attack`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edge_agent.contract import site_correction
from edge_agent.contract.schema import AIR_TEMPERATURE
from edge_agent.contract.site_correction import Shard
from tests.fakes import attack
from tests.fakes.attack import Attack
from tests.fakes.depot import release
from tests.fakes.tuned import tuning_of, with_shards, with_tunings

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_agent.contract.manifest import FileRef, Manifest
    from edge_agent.contract.site_correction import Correction
    from tests.fakes.attack import Scene

OVERLONG = 33_000_000


def publish_tuned(scene: Scene) -> tuple[FileRef, bytes]:
    """Publish an honest release with a correction for the device; its shard."""
    made, files = release("two")
    made, shards = with_tunings(made, {scene.device.id: tuning_of(made, offset=0.5)})
    scene.yard.open().publish("stable", made, files | shards)
    return made.tuned[0], shards[made.tuned[0].path]


def _altered_byte(scene: Scene) -> None:
    shard, content = publish_tuned(scene)
    (path,) = scene.yard.depot.glob(f"targets/models/tuning/*/{shard.sha256}.farms.json")
    path.write_bytes(content.replace(b"0.5", b"9.5", 1))


def _mixed(scene: Scene) -> None:
    shard, content = publish_tuned(scene)
    scene.forger.list_target("models", shard.path, content.replace(b"0.5", b"9.5"))


def _relayed(scene: Scene) -> None:
    path = "observations/evil/farms.json"
    content = _of(scene.device.id)(release("evil")[0])
    _plant(lambda _: content, path)(scene)
    scene.forger.list_target("observations", path, content)


def _swapped(scene: Scene) -> None:
    """Two shards, each at the other's place."""
    planted: dict[str, bytes] = {}
    own, names = scene.device.id, (f"farm/edge-{number}" for number in range(2, 50))
    number = site_correction.shard_number(own, 2)
    other = next(name for name in names if site_correction.shard_number(name, 2) != number)

    def mutate(manifest: Manifest) -> Manifest:
        made = tuning_of(manifest, offset=0.5)
        tuned, files = with_tunings(manifest, {own: made, other: made}, 2)
        planted.update(files)
        return msgspec.structs.replace(tuned, tuned=tuned.tuned[::-1])

    scene.plant(mutate=mutate, swap=lambda files: files.update(planted))


def _plant(content: Callable[[Manifest], bytes], path: str = "") -> Callable[[Scene], None]:
    """Release 99 with such a shard, at its honest place unless a path is given."""

    def act(scene: Scene) -> None:
        planted: dict[str, bytes] = {}

        def mutate(manifest: Manifest) -> Manifest:
            tuned, files = with_shards(manifest, content(manifest))
            shard = tuned.tuned[0]
            if path:
                tuned = msgspec.structs.replace(
                    tuned, tuned=(msgspec.structs.replace(shard, path=path),)
                )
                files = {path: files[shard.path]}
            planted.update(files)
            return tuned

        scene.plant(mutate=mutate, swap=lambda files: files.update(planted))

    return act


def _of(
    device: str, change: Callable[[Correction], Correction] = lambda made: made
) -> Callable[[Manifest], bytes]:
    """Shard with a correction of temperature that was changed."""

    def content(manifest: Manifest) -> bytes:
        made = tuning_of(manifest, offset=0.5)
        corrections = made.corrections | {
            AIR_TEMPERATURE: change(made.corrections[AIR_TEMPERATURE])
        }
        return site_correction.encode(
            Shard(
                site_correction.FORMAT,
                {device: msgspec.structs.replace(made, corrections=corrections)},
            )
        )

    return content


def _changed(**fields: object) -> Callable[[Manifest], bytes]:
    return _of("farm/edge-1", lambda made: msgspec.structs.replace(made, **fields))


def _with_weight(number: float) -> Callable[[Manifest], bytes]:
    def change(made: Correction) -> Correction:
        first, *rest = made.weights
        return msgspec.structs.replace(made, weights=((number, *first[1:]), *rest))

    return _of("farm/edge-1", change)


def _padded(manifest: Manifest) -> bytes:
    return _of("farm/edge-1")(manifest) + b" " * OVERLONG


def _elsewhere(manifest: Manifest) -> bytes:
    other, _ = release("another")
    return _of("farm/edge-1")(msgspec.structs.replace(manifest, models=other.models))


DECODED = "farms.json: tuning of farm/edge-1: air_temperature_c: "
SHARDS = {
    "shard with a byte changed": Attack(
        _altered_byte, r"farms\.json.*hash", (attack.hashes, attack.manifest_hashes)
    ),
    "shard of the same name": Attack(_mixed, r"farms\.json.*mixed", (attack.manifest_hashes,)),
    "shard of another release": Attack(
        _plant(_elsewhere), f"{DECODED}made for another model", (attack.shards,)
    ),
    "shard of another device": Attack(
        _swapped,
        r"farms\.json: holds the correction of farm/edge-\d+, which belongs into another file",
        (attack.addresses,),
    ),
    "shard signed by the relay": Attack(
        _relayed, r"manifest\.json: 'observations/evil/farms\.json'", (attack.paths,)
    ),
    "shard whose path climbs": Attack(
        _plant(_of("farm/edge-1"), "models/../../farms.json"),
        r"manifest\.json: .*farms\.json' is not a path",
        (attack.paths,),
    ),
    "overlong shard": Attack(_plant(_padded), r"farms\.json: 330\d+ bytes", (attack.paths,)),
    "shard with NaN": Attack(
        _plant(_with_weight(float("nan"))),
        r"farms\.json: tuning: .*must be a number, not nothing",
        (attack.shards,),
    ),
    "shard with a huge weight": Attack(
        _plant(_with_weight(1e6)), f"{DECODED}a weight is beyond 100", (attack.shards,)
    ),
    "shard that narrows to nothing": Attack(
        _plant(_changed(spread=(0.0,) * 8)), f"{DECODED}a factor of the spread", (attack.shards,)
    ),
    "shard of other terms": Attack(
        _plant(_changed(weights=((1.0,),) * 8)), f"{DECODED}8 rows of 15", (attack.shards,)
    ),
    "shard that is none": Attack(
        _plant(lambda _: b"MZ" * 40),
        r"farms\.json: tuning: not JSON: wrong from byte",
        (attack.shards,),
    ),
}
