"""KMA's sources, a row each, and the settings that they share. Pure.

A row says what a source is called, how it ranks in the lake and which key it needs. The code that
plans, fetches and rebuilds stands beside the same name in `trainer.ingest.registry`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from edge_agent.contract.farm_identity import WORDS

Address = Annotated[
    str,
    Meta(
        pattern=r"^https?://[^\s?#]+$",
        examples=["https://api.example/path"],
        extra={WORDS: "a web address without blanks, ? and #"},
    ),
]


class Rank(IntEnum):
    """Which source may replace which in the lake (rule L2 of `workspace.lake`)."""

    GRID = 0
    """Nowcasts of KMA's forecast grid."""
    NEAR_REAL_TIME = 1
    RECORD = 2
    """Quality-controlled records, imported files, and what a farm measured itself."""


class Kma(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Section `[kma]`: addresses (a recorded server can stand in), key files and limits.

    `<name>_url` is the address of the source of that name.
    """

    asos_url: Address = "https://apis.data.go.kr/1360000/AsosHourlyInfoService/getWthrDataList"
    hub_url: Address = "https://apihub.kma.go.kr/api/typ01/url"
    village_url: Address = "https://apis.data.go.kr/1360000/VilageFcstInfoService_2.0"
    warning_url: Address = "https://apis.data.go.kr/1360000/WthrWrnInfoService"
    service_key_file: str = ""
    """File with the data.go.kr key; the environment's KMA_SERVICE_KEY comes first."""
    hub_key_file: str = ""
    """File with the API hub key; the environment's KMA_HUB_KEY comes first."""
    timeout_s: Annotated[float, Meta(gt=0, le=600)] = 60.0
    retries: Annotated[int, Meta(ge=0, le=20)] = 4
    requests_per_day: Annotated[int, Meta(ge=1)] = 10_000
    requests_per_second: Annotated[float, Meta(gt=0)] = 5.0
    parallel: Annotated[int, Meta(ge=1, le=32)] = 4


@dataclass(frozen=True, slots=True)
class ServiceKey:
    """A key that KMA gives out.

    Attributes:
        variable: Environment variable; in lower case the name of the systemd credential.
        file_setting: Field of `Kma` that names a file with the key.
        query_field: Query field that carries it.
    """

    variable: str
    file_setting: str
    query_field: str


DATA_PORTAL: Final = ServiceKey("KMA_SERVICE_KEY", "service_key_file", "serviceKey")
API_HUB: Final = ServiceKey("KMA_HUB_KEY", "hub_key_file", "authKey")


@dataclass(frozen=True, slots=True)
class KmaSource:
    """One source.

    Attributes:
        name: Word of `trainer ingest --source`, folder of the raw answers, name under which
            requests are counted, and the beginning of its address in `Kma`.
        brings: What it brings, for the help text.
        rank: Rank of its rows in the lake.
        key: The key that it asks for.
        lake_name: What the lake's column `source` has for its rows; empty = `name`.
    """

    name: str
    brings: str
    rank: Rank
    key: ServiceKey
    lake_name: str = ""


ASOS: Final = KmaSource("asos", "Archive of hours", Rank.RECORD, DATA_PORTAL)
HUB: Final = KmaSource("hub", "newest hours", Rank.NEAR_REAL_TIME, API_HUB)
VILLAGE: Final = KmaSource(
    "village", "forecasts and nowcasts of grid cells", Rank.GRID, DATA_PORTAL, "nowcast"
)
WARNING: Final = KmaSource("warning", "official warnings", Rank.GRID, DATA_PORTAL)

SOURCES: Final = (ASOS, HUB, VILLAGE, WARNING)
"""Every source; the first one is the default of `trainer ingest`."""

RANKS: Final = {source.lake_name or source.name: source.rank for source in SOURCES}
"""Name in the lake -> rank; whatever else brings rows has the rank of records."""
