"""A release that passes every check and fails on this farm's weather: back by itself, and told."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from edge_agent import config
from edge_agent.contract import manifest as contract
from edge_agent.contract.forecast import Forecast, Source
from edge_agent.core.runtime import Runtime
from tests.fakes.clock import FakeClock
from tests.fakes.depot import Yard
from tests.fakes.farm import fill_weather, whole_release, write_config
from tests.fakes.tiny_release import tiny_release
from trainer.depot import key_ceremony

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime.now(UTC).replace(microsecond=0)  # noqa: TID251 - the weather ends at the machine's now


def _publish(yard: Yard, word: str, *, blind_above: float = 1e9) -> int:
    whole = contract.decode(whole_release()[0])
    made, files = tiny_release(word, blind_above=blind_above)
    manifest = msgspec.structs.replace(
        made,
        sites=whole.sites,
        residuals=whole.residuals,
        climatology_residuals=whole.climatology_residuals,
        reason=word,
    )
    return yard.open().publish("stable", manifest, files)


def _said(runtime: Runtime, topic: str) -> dict[str, Any]:
    entries = [e.message for e in runtime.outbox.due(None, limit=1000)]
    newest = [m for m in entries if m.topic.endswith(topic)][-1]
    document: dict[str, Any] = json.loads(newest.payload)
    return document


def test_back_by_itself(tmp_path: Path) -> None:
    """Golden windows are of winter; the farm is hot, and there the new models give no number."""
    yard = Yard(tmp_path / "yard", FakeClock(NOW))
    key_ceremony.create(yard, yard.clock)
    depot = f'[depot]\npath = "{yard.depot}"\nroot_file = "{yard.root / "root.json"}"\n'
    path = write_config(tmp_path, 1, depot)
    clock = FakeClock(NOW)
    runtime = Runtime(config.load(path, {}), tmp_path / "state", clock, lambda: True)
    with closing(runtime):
        fill_weather(tmp_path / "state")
        assert _publish(yard, "sound") == 1
        runtime.fetch()()
        _works(runtime, clock, 1)
        assert _publish(yard, "blind", blind_above=30.0) == 2
        pulled = runtime.fetch()()
        assert pulled.release is not None
        assert pulled.release.manifest.release == 2
        _works(runtime, clock, 1)
        told = "release 2 was left: it gave no forecast where the release before it did: "
        why = "the model of air_temperature_c gave no number"
        assert any(p.startswith(told + why) for p in _said(runtime, "/health")["problems"])
        model = _said(runtime, "/model")
        assert (model["release"], model["left_release"]) == (1, 2)
        assert why in model["left_reason"]
        assert not runtime.fetch()()
        _works(runtime, clock, 1)
        assert _publish(yard, "mended") == 3
        runtime.fetch()()
        for _ in range(3):
            _works(runtime, clock, 3)
        assert runtime.slots.pointer().trial is None
        assert _said(runtime, "/model")["left_release"] is None


def _works(runtime: Runtime, clock: FakeClock, release: int) -> None:
    clock.advance(timedelta(hours=1).total_seconds())
    forecast = runtime.run_cycle()[0].forecast
    assert isinstance(forecast, Forecast)
    assert forecast.source is Source.MODEL_RELAYED
    assert forecast.release == release
    live = runtime.slots.load()
    assert live is not None
    assert live.manifest.release == release
