"""Trees with float32 thresholds, the graph made of them, and the parity check on both."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

import lightgbm
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edge_agent.contract.errors import BadData
from edge_agent.contract.feature_table import NAMES, REFERENCES
from edge_agent.contract.schema import AIR_TEMPERATURE, LEADS, RELATIVE_HUMIDITY
from edge_agent.forecasting.inference import OnnxPredictor
from trainer.training import onnx_export, onnx_parity
from trainer.training import trees as trees_module
from trainer.training.forecast_model import ForecastModel
from trainer.training.ridge import Ridge
from trainer.training.trees import Binned, Recipe, Trees, fit

LEAD = NAMES.index("lead")
REFERENCE = NAMES.index(REFERENCES[AIR_TEMPERATURE])
RECIPE = Recipe({**trees_module.TREES, "min_data_in_leaf": 5, "feature_fraction": 1.0}, 30, 1, 1)


def _matrix(count: int = 1500, seed: int = 3) -> np.ndarray:
    random = np.random.default_rng(seed)
    matrix = random.normal(5.0, 4.0, (count, len(NAMES))).astype(np.float32)
    matrix[random.random(matrix.shape) < 0.05] = np.nan
    matrix[:, LEAD] = random.integers(1, 49, count)
    matrix[:, REFERENCE] = random.normal(10.0, 5.0, count)
    return matrix


MATRIX = _matrix()
VALUES = np.nan_to_num(MATRIX[:, 5]) * 0.5 + np.sin(np.nan_to_num(MATRIX[:, 9]))


def _linear() -> Ridge:
    random = np.random.default_rng(4)
    weights = random.normal(0, 0.02, (len(LEADS), len(NAMES))).astype(np.float32)
    mean = random.normal(5, 1, len(NAMES)).astype(np.float32)
    return Ridge(mean, weights, random.normal(0, 1, len(LEADS)).astype(np.float32))


TREES = fit(MATRIX, VALUES, RECIPE)
OTHER = fit(MATRIX, -2.0 * VALUES, replace(RECIPE, seed=9))
WEIGHTS = np.random.default_rng(6).uniform(0.2, 0.8, (len(LEADS), 3)).astype(np.float32)
MODEL = ForecastModel(AIR_TEMPERATURE, _linear(), TREES, OTHER, WEIGHTS)
GRAPH = onnx_export.to_onnx(MODEL)


@pytest.fixture
def _unlowered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thresholds as LightGBM wrote them."""
    monkeypatch.setattr(trees_module, "_lower", lambda text: text)


def test_thresholds_are_float32_and_not_above_the_fitted_ones() -> None:
    """Each threshold is the nearest float32 at or below what LightGBM chose."""
    raw = lightgbm.train(RECIPE.all_parameters(), lightgbm.Dataset(MATRIX, VALUES), RECIPE.rounds)
    fitted = [float(v) for line in re.findall(r"(?m)^threshold=(.*)$", raw.model_to_string())
              for v in line.split()]  # fmt: skip
    lowered = [value for _, value in Trees(raw).thresholds()]
    assert len(fitted) == len(lowered) > 100
    for before, after in zip(fitted, lowered, strict=True):
        assert float(np.float32(after)) == after <= before
        assert float(np.nextafter(np.float32(after), np.float32(np.inf))) > before


def test_lowering_changes_no_prediction_of_float32_rows() -> None:
    """For float32 inputs the lowered trees are the fitted trees, missing values included."""
    raw = lightgbm.train(RECIPE.all_parameters(), lightgbm.Dataset(MATRIX, VALUES), RECIPE.rounds)
    assert (Trees(raw).predict(MATRIX) == np.asarray(raw.predict(MATRIX))).all()


def test_rows_without_truth_are_left_out() -> None:
    """NaN among the values trains the same trees as leaving those rows away."""
    values = VALUES.copy()
    values[::3] = np.nan
    kept = np.isfinite(values)
    found = fit(MATRIX, values, RECIPE).predict(MATRIX)
    assert (found == fit(MATRIX[kept], VALUES[kept], RECIPE).predict(MATRIX)).all()


def test_some_rows_of_the_bins_train_as_if_they_were_all() -> None:
    """Neither the values nor the number of the other rows matter, NaN among the values included."""
    rows = np.arange(0, len(MATRIX), 2)
    values = VALUES[rows].copy()
    values[::3] = np.nan
    binned = Binned(MATRIX, RECIPE)
    found = binned.fit(rows, values).predict(MATRIX)
    binned.fit(np.arange(len(MATRIX)), -VALUES)
    kept = np.isfinite(values)
    assert (found == binned.fit(rows[kept], values[kept]).predict(MATRIX)).all()
    error = np.abs(found[rows[kept]] - VALUES[rows[kept]]).mean()
    assert error < 0.7 * np.abs(VALUES[rows[kept]] - VALUES[rows[kept]].mean()).mean()


def test_the_same_seed_grows_the_same_trees_and_bytes() -> None:
    """Equal data and seed: equal graph, byte for byte; another seed differs."""
    again = replace(MODEL, rest=fit(MATRIX, VALUES, RECIPE))
    assert onnx_export.to_onnx(again) == GRAPH
    other = replace(MODEL, rest=fit(MATRIX, VALUES, replace(RECIPE, seed=2)))
    assert onnx_export.to_onnx(other) != GRAPH


def test_the_graph_is_bounded() -> None:
    """No input makes a humidity outside of 0..100 or a temperature outside of its range."""
    for target, low, high in ((RELATIVE_HUMIDITY, 0.0, 100.0), (AIR_TEMPERATURE, -40.0, 45.0)):
        matrix = MATRIX[:50].copy()
        matrix[:, NAMES.index(REFERENCES[target])] = np.tile([-500.0, 500.0], 25)
        one = replace(MODEL, target=target)
        found = OnnxPredictor(onnx_export.to_onnx(one), len(NAMES), target).predict(matrix)
        assert (found.min(), found.max()) == (low, high)
        assert (one.predict(matrix) == found).all()


def test_graph_and_model_agree_on_every_kind_of_row() -> None:
    """Parity holds on given, blanked and threshold rows, far within the limit."""
    found = onnx_parity.check(MODEL, GRAPH, MATRIX, seed=1)
    assert set(found.worst) == {"holdout", "nulls", "on thresholds", "above thresholds"}
    assert found.rows == 2 * len(MATRIX) + 2 * onnx_parity.THRESHOLD_ROWS
    # Float32 sums of a hundred terms: a few units of 1e-6 of values up to 45.
    assert found.maximum < 1e-4


@pytest.mark.usefixtures("_unlowered")
def test_parity_sees_thresholds_that_were_not_lowered() -> None:
    """Without lowering, rows on a threshold take another branch in ONNX: refused.

    This is the guard of `model._lower`: taken away here, it must be noticed.
    """
    trees = fit(MATRIX, VALUES, RECIPE)
    one = replace(MODEL, rest=trees)
    with pytest.raises(BadData, match=r"differ by .* .limit 1e-03.*thresholds") as refusal:
        onnx_parity.check(one, onnx_export.to_onnx(one), MATRIX, seed=1)
    worst = re.search(r"'holdout': ([0-9.e-]+)", str(refusal.value))
    assert worst is not None
    # The ordinary rows do not show it; that is why threshold rows are made.
    assert float(worst.group(1)) < onnx_parity.TOLERANCE


def test_parity_makes_no_row_of_an_infinite_threshold() -> None:
    """A column of one value and gaps is parted by infinity: no input lies there, nor is it tried.

    The split itself is compared on the other rows.
    """
    matrix = MATRIX.copy()
    solar = NAMES.index("solar")
    matrix[:, solar] = np.where(np.arange(len(matrix)) % 3 == 0, np.float32(np.nan), 0.0)
    values = VALUES + 5.0 * np.isnan(matrix[:, solar])
    trees = fit(matrix, values, RECIPE)
    assert [value for column, value in trees.thresholds() if column == solar and np.isinf(value)]
    linear = _linear()
    # As the ridge has it where a column never varies; times infinity that is no number.
    linear.weights[:, solar] = 0.0
    one = replace(MODEL, rest=trees, linear=linear)
    assert onnx_parity.check(one, onnx_export.to_onnx(one), matrix, seed=1).maximum < 1e-4


@pytest.mark.parametrize(
    ("name", "step"),
    [("weights", 0.05), ("bias", 0.01), ("mean", 1.0), ("weights_of_members", 0.01)],
)
def test_parity_sees_a_changed_number(name: str, step: float) -> None:
    """One number of the graph that is not the model's is refused."""
    graph = onnx.load_model_from_string(GRAPH)
    (tensor,) = (one for one in graph.graph.initializer if one.name == name)
    values = numpy_helper.to_array(tensor).copy()
    values.reshape(-1)[0 if name == "bias" else 3] += step
    tensor.CopyFrom(numpy_helper.from_array(values, name))
    with pytest.raises(BadData, match=r"^air_temperature_c: ONNX and LightGBM differ by"):
        onnx_parity.check(MODEL, graph.SerializeToString(), MATRIX, seed=1)


def test_parity_sees_rows_without_a_number() -> None:
    """NaN on one side is a difference without bound, also on blanked rows only."""
    graph = onnx.load_model_from_string(GRAPH)
    (where,) = (node for node in graph.graph.node if node.op_type == "Where")
    where.input[1] = "features"
    graph.graph.initializer.remove(
        next(one for one in graph.graph.initializer if one.name == "low")
    )
    clip = next(node for node in graph.graph.node if node.op_type == "Clip")
    clip.input[1] = ""
    whole = np.nan_to_num(MATRIX)
    with pytest.raises(BadData, match=r"differ by inf.*'nulls': inf"):
        onnx_parity.check(MODEL, graph.SerializeToString(), whole, seed=1)


def test_every_lead_has_its_own_line() -> None:
    """The graph reads weights, bias and shares of each row's own lead."""
    matrix = np.repeat(np.nan_to_num(MATRIX[:1]), len(LEADS), axis=0)
    matrix[:, LEAD] = LEADS
    found = OnnxPredictor(GRAPH, len(NAMES), "t").predict(matrix)
    assert np.abs(found - MODEL.predict(matrix)).max() < 1e-4
    assert all(a != b for a, b in itertools.pairwise(found.tolist()))
