"""Histories that a farm may tell to spoil what others get: well formed, and not of its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from edge_agent.contract import schema
from edge_agent.contract.farm_identity import Identity
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, TIME
from tests.fakes.trained import WHEN
from tests.fakes.weather import record
from trainer.ingest.tables import ours
from trainer.workspace.farms import admit

if TYPE_CHECKING:
    from trainer.workspace.workspace import Workspace

_DAYS: Final = 740
_T, _RH = pl.col(AIR_TEMPERATURE), pl.col(RELATIVE_HUMIDITY)
_AT = pl.int_range(pl.len())
_NEWEST_MONTH = pl.len() <= _AT + 24 * 40
POISONS: Final[dict[str, tuple[pl.Expr, pl.Expr]]] = {
    "mirrored": (2 * _T.mean() - _T, 2 * _RH.mean() - _RH),
    "absurd": (45.0 + (_AT % 7) * 0.5, 5.0 + _AT % 11),
    "huge": (pl.lit(1e308), pl.lit(-1e308)),
    "nan": (pl.lit(float("nan")), _RH),
    "infinite": (_T, pl.lit(float("inf"))),
    "constant": (pl.lit(20.0), pl.lit(50.0)),
    "switched": (pl.when(_AT % 2 == 0).then(_T + 20.0).otherwise(_T - 20.0), _RH),
    "days late": (_T.shift(24 * 91), _RH.shift(24 * 91)),
    "steered lately": (pl.when(_NEWEST_MONTH).then(_T + 12.0).otherwise(_T), _RH),
    "dried lately": (_T, pl.when(_NEWEST_MONTH).then(_RH * 0.1).otherwise(_RH)),
}
"""Name -> temperature and humidity as told, from the honest ones."""


def add_hostile_farm(made: Workspace, poison: str, device: str = "a") -> str:
    """Enrol a farm beside the station that tells such a history; its name."""
    site = f"hostile-{poison.replace(' ', '-')}"
    whose = Identity(
        site=site,
        device=device,
        latitude=37.5,
        longitude=127.0,
        elevation_m=80.0,
        source="sensor:outdoor",
    )
    temperature, humidity = POISONS[poison]
    rows = record()[-_DAYS * 24 :].select(TIME, *schema.OBSERVED)
    told = rows.with_columns(temperature.alias(AIR_TEMPERATURE), humidity.alias(RELATIVE_HUMIDITY))
    admit(made.lake, whose, ours(told), "parquet", WHEN)
    return f"{site}/{device}"
