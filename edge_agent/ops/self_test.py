"""Self-test: whether this installation works on this machine. Nothing is changed."""

from __future__ import annotations

import importlib
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from edge_agent.contract.errors import BadData, FarmError
from edge_agent.contract.forecast import Forecast, Source
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, TIME, TIME_DTYPE, Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import polars as pl

    from edge_agent.updates.installed_release import InstalledRelease

LIBRARIES: Final = (
    "click",
    "httpx",
    "msgspec",
    "numpy",
    "onnxruntime",
    "paho.mqtt.client",
    "polars",
    "tuf.ngclient",
    "zoneinfo",
)
_NOW: Final = datetime(2026, 7, 1, 5, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Check:
    """Outcome of one check."""

    name: str
    outcome: Literal["ok", "failed", "skipped"]
    detail: str


def run(installed: InstalledRelease | None, device: str) -> Iterator[Check]:
    """Every check; those that others depend on come first.

    Args:
        installed: The live release, or None where none is installed.
        device: "site/id", whose corrections are tested as well.
    """
    yield _check("libraries", _libraries)
    yield _check("time zones", _zones)
    yield _check("database", _database)
    if installed is None:
        yield Check("golden windows", "skipped", "no release is installed")
        yield Check("forecast", "skipped", "no release is installed")
        return
    yield _check("golden windows", lambda: _golden(installed))
    yield _check("forecast", lambda: _forecast(installed, device))


def _check(name: str, call: Callable[[], str]) -> Check:
    try:
        return Check(name, "ok", call())
    except FarmError as fault:
        return Check(name, "failed", str(fault))
    except Exception as fault:  # noqa: BLE001 - a broken library may raise anything, and must not hide other checks
        return Check(name, "failed", f"{type(fault).__name__}: {fault}")


def _libraries() -> str:
    for name in LIBRARIES:
        importlib.import_module(name)
    return f"{len(LIBRARIES)} import"


def _zones() -> str:
    from zoneinfo import ZoneInfo

    local = _NOW.astimezone(ZoneInfo("Asia/Seoul"))
    if local.utcoffset() != timedelta(hours=9):
        raise BadData("Asia/Seoul is not nine hours ahead of UTC")
    return "Asia/Seoul known"


def _database() -> str:
    import sqlite3

    from edge_agent.system.database import connect, transaction

    with tempfile.TemporaryDirectory() as folder:
        db = connect(Path(folder) / "check.db")
        try:
            with transaction(db):
                db.execute("CREATE TABLE t (v TEXT) STRICT")
                db.execute("INSERT INTO t VALUES ('kept')")
            (mode,) = db.execute("PRAGMA journal_mode").fetchone()
            if db.execute("SELECT v FROM t").fetchone() != ("kept",) or mode != "wal":
                raise BadData("SQLite did not keep what was written")
        finally:
            db.close()
    return f"SQLite {sqlite3.sqlite_version}, write-ahead log"


def _golden(installed: InstalledRelease) -> str:
    from edge_agent.core.update_setup import golden_check

    manifest = installed.manifest
    golden_check(manifest, {ref.path: installed.read(ref) for ref in manifest.files()})
    return f"release {installed.manifest.release} computes here what it computed where it was made"


def _forecast(installed: InstalledRelease, device: str) -> str:
    from edge_agent.core.loaded_release import load_release
    from edge_agent.forecasting import forecaster

    station = next(iter(installed.manifest.sites.values()))
    site = Site(station.latitude, station.longitude, station.elevation_m)
    loaded = load_release(installed, device)
    forecast = forecaster.make(_weather(forecaster.HISTORY_HOURS), site, loaded, _NOW)
    if not isinstance(forecast, Forecast) or forecast.source is not Source.MODEL:
        raise BadData("the models gave no forecast on plain weather")
    tuned = f", corrected for {device}: {', '.join(sorted(loaded.tuning))}"
    return f"{len(forecast.valid_at)} hours{tuned if loaded.tuning else ''}"


def _weather(hours: int) -> pl.DataFrame:
    """Plain summer days: warm and dry after noon, cool and damp at dawn."""
    import polars as pl

    back = np.arange(hours)
    phase = np.cos((back + 1) / 24 * 2 * np.pi)
    return pl.DataFrame(
        {
            TIME: [_NOW - timedelta(hours=int(step)) for step in back],
            AIR_TEMPERATURE: np.round(24 + 4 * phase + 0.01 * back, 2),
            RELATIVE_HUMIDITY: np.round(65 - 15 * phase + 0.01 * back, 2),
        },
        schema_overrides={TIME: TIME_DTYPE},
    )
