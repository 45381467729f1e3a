"""A release is tried within a limit of memory, whoever pulls it, and in the trainer too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from edge_agent.contract import onnx_guard
from edge_agent.contract.errors import BadData
from edge_agent.core.update_setup import golden_check
from tests.fakes.depot import ref
from tests.fakes.greedy_model import greedy_model
from tests.fakes.tiny_release import TARGETS, tiny_release
from trainer.evaluation.hindcast import ReleaseModels

if TYPE_CHECKING:
    from edge_agent.contract.manifest import Manifest

TEMPERATURE = TARGETS[0]


@pytest.fixture
def greedy() -> tuple[Manifest, dict[str, bytes]]:
    """A release whose model of temperature takes 1.6 GB."""
    manifest, files = tiny_release()
    path = manifest.models[TEMPERATURE].file.path
    files[path] = greedy_model()
    model = msgspec.structs.replace(manifest.models[TEMPERATURE], file=ref(path, files[path]))
    models = {**manifest.models, TEMPERATURE: model}
    return msgspec.structs.replace(manifest, models=models), files


def test_a_release_within_the_limit_is_taken() -> None:
    """Device and trainer."""
    golden_check(*tiny_release())
    assert set(ReleaseModels.tried(*tiny_release()).predictors) == set(TARGETS)


@pytest.mark.parametrize("tried", [golden_check, ReleaseModels.tried])
def test_a_model_that_takes_too_much_is_refused(
    greedy: tuple[Manifest, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch, *, tried: object
) -> None:
    """By the guard; and where the guard lets it pass, by the limit of memory."""
    assert callable(tried)
    with pytest.raises(BadData, match="air_temperature_c: its tensors would hold more"):
        tried(*greedy)
    monkeypatch.setattr(onnx_guard, "check", lambda *_: None)
    with pytest.raises(BadData, match=r"air_temperature_c: cannot compute: .*alloc"):
        tried(*greedy)
