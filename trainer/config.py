"""trainer.toml -> frozen, strict structs. Pure: bytes in, structs out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from edge_agent.errors import ConfigError, InputMissing

if TYPE_CHECKING:
    from pathlib import Path

FILE_NAME: Final = "trainer.toml"
SERVICE_KEY: Final = "KMA_SERVICE_KEY"
HUB_KEY: Final = "KMA_HUB_KEY"


class Kma(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """KMA's services: addresses (a recorded server can stand in) and manners."""

    asos_url: str = "https://apis.data.go.kr/1360000/AsosHourlyInfoService/getWthrDataList"
    hub_url: str = "https://apihub.kma.go.kr/api/typ01/url"
    village_url: str = "https://apis.data.go.kr/1360000/VilageFcstInfoService_2.0"
    timeout_s: float = 60.0
    retries: int = 4
    requests_per_day: int = 10_000
    requests_per_second: float = 5.0
    parallel: int = 4


class Training(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is trained, and how it is judged."""

    holdout_share: float = 0.2
    embargo_hours: int = 168
    seed: int = 20240417
    threads: int = 0
    """0 = all cores."""


class Depot(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where releases go and how long their signatures speak."""

    default_channel: str = "stable"
    relay_days: int = 14


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file. `stations` are KMA's ASOS numbers; `lake` and `depot_path` take s3:// too."""

    stations: tuple[int, ...] = (108,)
    start: str = "2014-01-01"
    """First day wanted in the lake, KST."""
    lake_path: str = "lake"
    depot_path: str = "depot"
    kma: Kma = msgspec.field(default_factory=Kma)
    training: Training = msgspec.field(default_factory=Training)
    depot: Depot = msgspec.field(default_factory=Depot)


def decode(content: bytes, where: str) -> Config:
    """Config from TOML.

    Raises:
        ConfigError: Not TOML, an unknown key or a value of the wrong type; the text has the path.
    """
    try:
        return msgspec.toml.decode(content, type=Config)
    except (msgspec.DecodeError, msgspec.ValidationError) as fault:
        raise ConfigError(f"{where}: {fault}") from fault


def load(path: Path) -> Config:
    """Config from a file.

    Raises:
        InputMissing: No such file.
        ConfigError: See `decode`.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as fault:
        raise InputMissing(
            f"{path}: no such file; make a workspace with `trainer init DIR` and run there, "
            "or name the file with --config"
        ) from fault
    return decode(content, str(path))
