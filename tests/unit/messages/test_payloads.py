"""Filling structs from values by key."""

from __future__ import annotations

import pytest

from edge_agent.messages.payloads import Skill, fill

VALUES = {"quantity": "air_temperature_c", "lead_h": 6, "hours": 700, "rmse": 1.2, "bias": 0.1}


def test_a_struct_takes_the_keys_that_it_has() -> None:
    """Later mappings win, and keys of other structs are left out."""
    skill = fill(Skill, VALUES, {"coverage": 0.8, "model_rmse": 1.4, "rmse": 1.1, "text": "other"})
    assert skill == Skill(
        quantity="air_temperature_c",
        lead_h=6,
        hours=700,
        rmse=1.1,
        bias=0.1,
        coverage=0.8,
        model_rmse=1.4,
    )


def test_a_key_that_is_missing_is_an_error() -> None:
    """Nothing is sent with a hole in it."""
    with pytest.raises(TypeError, match="coverage"):
        fill(Skill, VALUES, {"model_rmse": 1.4})
