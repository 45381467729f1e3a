"""A trainer's workspace on generated weather, with training small enough for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from edge_agent.contract import schema
from edge_agent.contract.farm_identity import Identity
from tests.fakes.weather import FIRST, STATION, record
from trainer import setup
from trainer.ingest.tables import ours
from trainer.training import candidate, fit, seed_recipe
from trainer.training.trees import Recipe
from trainer.workspace import workspace
from trainer.workspace.farms import admit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest

    from edge_agent.contract.manifest import Manifest
    from trainer.workspace.workspace import Workspace

AS_OF = FIRST + timedelta(days=735)
WHEN = datetime(2026, 1, 1, tzinfo=UTC)


FEW_PAIRS = 6000
"""For tests that look at a run's form and not at its errors: two thirds of the time."""


def shrink(monkeypatch: pytest.MonkeyPatch, rounds: int = 12, pairs: int = 20_000) -> None:
    """Few pairs and few trees: the same code in a few seconds; too little for humidity to win."""
    monkeypatch.setattr(fit, "PAIRS", pairs)
    monkeypatch.setattr(fit, "LINEAR_ROWS", 700)
    monkeypatch.setattr(fit, "Recipe", partial(Recipe, rounds=rounds))
    monkeypatch.setattr(seed_recipe, "SEED_ROUNDS", 5)


def make_workspace(root: Path, days: int = 740) -> Workspace:
    """Workspace whose lake holds the generated record."""
    made = setup.create(root, single_key=True)
    settings = root / "trainer.toml"
    settings.write_text(settings.read_text().replace("# threads = 0", "threads = 1"))
    made.lake.merge(STATION, record()[: days * 24], "asos", WHEN)
    return workspace.Workspace.open(root, {})


def add_farm(
    made: Workspace,
    name: str = "hill/edge-1",
    days: int = 740,
    names: Sequence[str] = schema.OBSERVED,
) -> None:
    """Newest days of a farm near the station, with its own weather; `names` is what it measures."""
    site, _, device = name.partition("/")
    whose = Identity(
        site=site,
        device=device,
        latitude=37.4321,
        longitude=127.1234,
        elevation_m=120.0,
        source="sensor:outdoor",
    )
    rows = ours(record(seed=9)[-days * 24 :].select(schema.TIME, *names))
    admit(made.lake, whose, rows, "parquet", WHEN)


def train(made: Workspace, as_of: datetime = AS_OF, champion: Manifest | None = None) -> Path:
    """Candidate run."""
    return candidate.train(made, as_of, champion=champion, progress=lambda _: None)
