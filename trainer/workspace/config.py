"""trainer.toml -> frozen, strict structs. Pure: bytes and environment in, structs out."""

from __future__ import annotations

import tomllib
from datetime import date
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from msgspec import Meta

from edge_agent.contract.dfs_grid import cell_of
from edge_agent.contract.errors import ConfigError, UsageError
from edge_agent.contract.farm_identity import WORDS, Latitude, Longitude
from edge_agent.contract.stations import station_list, stations
from edge_agent.system import struct_decoder
from edge_agent.system.struct_decoder import Problem
from trainer.workspace.kma_sources import Kma

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FILE_NAME: Final = "trainer.toml"
PREFIX: Final = "TRAINER__"
LEAST_CANARY_DAYS: Final = 7


class Training(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Training data and the holdout."""

    holdout_share: Annotated[float, Meta(gt=0, lt=1)] = 0.2
    embargo_hours: Annotated[int, Meta(ge=0)] = 168
    farms: bool = False
    """Train on the histories of farms in the lake as well."""
    seed: int = 20240417
    threads: Annotated[int, Meta(ge=0)] = 0
    """0 = all cores."""


class DepotSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Default channel, and how long hours are relayed and canaries are tried."""

    default_channel: str = "stable"
    relay_days: Annotated[int, Meta(ge=1)] = 14
    canary_days: Annotated[int, Meta(ge=0, le=365)] = 14
    """Days that a canary is tried before it goes to stable by itself; 0 = never, else 7 or more."""


class Tracking(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where runs are logged besides their folder."""

    mlflow_uri: Annotated[
        str,
        Meta(
            pattern=r"^(|https?://[^\s?#@]+|sqlite:///[^\s?#]+)$",
            examples=["https://mlflow.example"],
            extra={WORDS: "a web address or sqlite:///file, without password, ? and #"},
        ),
    ] = ""
    """MLflow server, or its SQLite file; empty = none. A password stands in the environment, as
    MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD or MLFLOW_TRACKING_TOKEN."""


class Compute(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where stations are prepared and backtests run."""

    backend: Literal["local", "dask"] = "local"
    scheduler: Annotated[
        str,
        Meta(
            pattern=r"^(|(tcp|tls)://[^\s/]+:\d+)$",
            examples=["tcp://dask.example:8786"],
            extra={WORDS: "the address of a scheduler: tcp:// or tls://, host, : and port"},
        ),
    ] = ""
    """Of the Dask cluster, as tcp://host:8786."""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All settings. `stations` are KMA's ASOS numbers; the three paths take s3:// too."""

    stations: Annotated[tuple[int, ...], Meta(min_length=1)] = (108,)
    farms: tuple[tuple[Latitude, Longitude], ...] = ()
    """Places whose grid cells are collected and relayed, degrees north and east."""
    start: Annotated[
        str,
        Meta(
            pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
            examples=["2014-01-01"],
            extra={WORDS: "year, month and day with - between them"},
        ),
    ] = "2014-01-01"
    """First day wanted in the lake, KST."""
    lake_path: Annotated[str, Meta(min_length=1)] = "lake"
    runs_path: Annotated[str, Meta(min_length=1)] = "runs"
    depot_path: Annotated[str, Meta(min_length=1)] = "depot"
    kma: Kma = msgspec.field(default_factory=Kma)
    training: Training = msgspec.field(default_factory=Training)
    depot: DepotSettings = msgspec.field(default_factory=DepotSettings)
    tracking: Tracking = msgspec.field(default_factory=Tracking)
    compute: Compute = msgspec.field(default_factory=Compute)


def decode(content: bytes, where: str, env: Mapping[str, str] | None = None) -> Config:
    """Config from TOML and TRAINER__SECTION__KEY overrides.

    Raises:
        ConfigError: Not TOML, unknown keys or wrong values; the text has every one with its path.
    """
    try:
        text = content.decode("utf-8-sig")
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise ConfigError(f"{where}: {struct_decoder.not_toml(fault)}") from fault
    problems: list[Problem] = []
    struct_decoder.override(document, env or {}, PREFIX, problems)
    config = struct_decoder.build(document, Config, problems)
    faulty = {fault.path.partition("[")[0] for fault in problems}
    problems += [fault for fault in _check(config) if fault.path.partition("[")[0] not in faulty]
    if problems:
        lined = [(struct_decoder.line_of(text, fault.path) or 0, fault) for fault in problems]
        lined.sort(key=itemgetter(0))
        told = (f"line {line}: {fault}" if line else str(fault) for line, fault in lined)
        raise ConfigError(f"{where}: {'; '.join(told)}")
    return config


def _check(config: Config) -> Iterator[Problem]:
    """Errors that no type holds; a key with a fault of its own has its default here."""
    if not _is_day(config.start):
        yield Problem("start", f"{config.start!r} is not a day like 2014-01-01")
    for index, number in enumerate(config.stations):
        if number not in stations():
            yield Problem(f"stations[{index}]", f"{number} is not one of {station_list()}")
        elif number in config.stations[:index]:
            yield Problem(f"stations[{index}]", f"{number} stands there twice")
    if 0 < config.depot.canary_days < LEAST_CANARY_DAYS:
        yield Problem(
            "depot.canary_days",
            f"{config.depot.canary_days} days decide nothing: 0 (off) or {LEAST_CANARY_DAYS} to "
            "365",
        )
    if config.compute.backend == "dask" and not config.compute.scheduler:
        yield Problem(
            "compute.scheduler",
            'backend = "dask" needs the address of a scheduler, like tcp://host:8786',
        )
    for number, place in enumerate(config.farms):
        try:
            cell_of(*place)
        except UsageError as fault:
            yield Problem(f"farms[{number}]", str(fault))


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
