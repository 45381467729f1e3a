"""Candidate runs whose models are columns of the matrix, in a workspace with real hours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge_agent.contract import features, golden_windows
from edge_agent.contract.feature_table import NAMES
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, TARGETS
from edge_agent.forecasting.inference import load_predictors
from tests.fakes.depot import ref
from tests.fakes.loaded import manifest as loaded
from tests.fakes.weather import SITE, STATION, place, record, values_only
from trainer.depot.releases import publish_run
from trainer.evaluation import run_folder
from trainer.evaluation.breakdown import Detail, Part, Spread, Warned
from trainer.evaluation.daily_sums import REFERENCES, SEASONS
from trainer.evaluation.events import EVENTS
from trainer.evaluation.holdout_scores import SCORED_LEADS, Metrics
from trainer.evaluation.point_scores import Score
from trainer.gate import gate, rules_floor

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.fakes.clock import FakeClock
    from trainer.workspace.workspace import Workspace

HOLDOUT_FROM, TRAINED_TO = "2021-06-01T00:00Z", "2021-05-25T00:00Z"
GOOD = {AIR_TEMPERATURE: "same_hour_temperature_0d", RELATIVE_HUMIDITY: "same_hour_humidity_0d"}
POOR = {AIR_TEMPERATURE: "same_hour_temperature_1d", RELATIVE_HUMIDITY: "same_hour_humidity_1d"}


def column_model(name: str) -> bytes:
    """Model that gives one column; missing becomes 10."""
    constants = {"c": np.array([NAMES.index(name)], np.int64), "ten": np.array(10, np.float32)}
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["features", "c"], ["picked"], axis=1),
            helper.make_node("IsNaN", ["picked"], ["missing"]),
            helper.make_node("Where", ["missing", "ten", "picked"], ["value"]),
        ],
        name,
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, len(NAMES)])],
        [helper.make_tensor_value_info("value", TensorProto.FLOAT, [None, 1])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def lower_floor(patch: pytest.MonkeyPatch) -> None:
    """Let models that are single columns pass G1, where the floor is not what is tested."""
    patch.setattr(rules_floor, "FLOOR", dict.fromkeys(rules_floor.FLOOR, -99.0))


def _detail(target: str) -> Detail:
    part = Part(1000, 2.0, 1.0, 0.1)
    slices = [f"{season} {hour:02d}" for season in SEASONS for hour in range(0, 24, 3)]
    spread = Spread(1000, 1.1, 1.6, 0.81, 0.9, 6.5, (0.1,) * 10)
    warned = Warned(
        base_rate=0.25,
        brier=0.1,
        brier_skill=0.4,
        reliability=0.01,
        resolution=0.1,
        uncertainty=0.1875,
        slope=0.9,
        points=((0.1, 0.15, 700), (0.6, 0.5, 300)),
        at=0.2,
        pod=0.8,
        far=0.3,
        csi=0.6,
        ets=0.5,
        sedi=None,
        bias=1.1,
    )
    return Detail(
        parts={"model": {24: dict.fromkeys([*slices, f"station {STATION}"], part)}},
        spread={lead: dict.fromkeys(["all", *SEASONS], spread) for lead in SCORED_LEADS},
        events={event.name: {24: warned} for event in EVENTS if event.target == target},
    )


def _metrics() -> Metrics:
    own, reference = ({24: Score(1000, rmse, rmse / 2, 0.1, 0.8)} for rmse in (2.0, 3.0))
    return Metrics(
        holdout_from=HOLDOUT_FROM,
        holdout_to="2021-12-31T00:00Z",
        scores={t: {"model": own} | dict.fromkeys(REFERENCES, reference) for t in TARGETS},
        coverage_80={target: {24: 0.8} for target in TARGETS},
        trained_to=TRAINED_TO,
        damped={target: dict.fromkeys(SCORED_LEADS, (0.3, 0.3)) for target in TARGETS},
        detail={target: _detail(target) for target in TARGETS},
    )


@dataclass(frozen=True)
class Bench:
    """A workspace and runs in it."""

    workspace: Workspace
    clock: FakeClock

    def run(
        self,
        name: str,
        columns: dict[str, str],
        **changes: object,
    ) -> Path:
        """Candidate whose models are these columns."""
        bodies = {t: column_model(c) for t, c in columns.items()}
        predictors = {t: p.predict for t, p in load_predictors(bodies, len(NAMES)).items()}
        windows = golden_windows.build(
            ((place(), values_only(record()[5000:5240])),), (24,), predictors
        )
        path, golden_ref = run_folder.golden_file(windows)
        files = {f"models/{t}/{columns[t]}/model.onnx": body for t, body in bodies.items()}
        site = msgspec.structs.replace(
            loaded().sites["108"],
            latitude=SITE.latitude,
            longitude=SITE.longitude,
            elevation_m=SITE.elevation_m,
            coefficients=place().normals,
        )
        manifest = msgspec.structs.replace(
            loaded(0),
            channel="",
            created_at="",
            features=msgspec.structs.replace(
                loaded().features, digest=features.digest(), names=NAMES
            ),
            models={
                t: msgspec.structs.replace(model, version=columns[t], file=ref(p, files[p]))
                for (t, model), p in zip(loaded().models.items(), files, strict=True)
            },
            golden=golden_ref,
            sites={str(STATION): site},
            scores={t: {"rmse_24h_model": float(len(columns[t]))} for t in TARGETS},
            lineage={
                "stations": str(STATION),
                "trained_to": TRAINED_TO,
                "embargo_hours": "168",
                "parameters": "columns",
            },
        )
        manifest = msgspec.structs.replace(manifest, **changes)
        folder = self.workspace.runs / name
        run_folder.write(folder, manifest, {**files, path: windows}, _metrics())
        return folder

    def decide(self, folder: Path) -> Path:
        """The gate's word."""
        return gate.decide(self.workspace, folder, "stable", self.clock)

    def publish(self, folder: Path) -> int:
        """Put a run live."""
        return publish_run(self.workspace, folder, "stable", "test", self.clock)
