"""Coverage-guided fuzzing of every parser of foreign bytes, with atheris (libFuzzer).

For any bytes a parser must return, or raise a `FarmError` of one line. Anything else is a find, and
its bytes are stored in build/fuzz/finds/.

Example: make fuzz SECONDS=60
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import atheris  # type: ignore[import-untyped]

with atheris.instrument_imports(include=["edge_agent", "trainer"]):
    from edge_agent.contract import (
        compression,
        forecast_json,
        kma_fields,
        manifest,
        official_warnings,
        onnx_guard,
        site_correction,
    )
    from edge_agent.contract.errors import FarmError
    from edge_agent.contract.stations import station
    from edge_agent.observations import bundles, sensors
    from edge_agent.settings import Sensor
    from tests.fakes import loaded
    from trainer.fleet import farm_histories
    from trainer.ingest import farm_files, guidance_files, importer, warning_archive
    from trainer.ingest.sources import (
        asos,
        hub,
        hub_warnings,
        village,
        village_table,
        warnings,
    )

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT: Final = Path(__file__).parents[1]
WORK: Final = ROOT / "build" / "fuzz"
SAMPLES: Final = ROOT.parent / "shared" / "data" / "kma_samples"
_SITE: Final = station(108).site
_SENSOR: Final = Sensor(
    topic="t", field="a.b[0]", time_field="at", quantity="air_temperature_c", unit="C"
)
_NOW: Final = datetime(2024, 1, 1, tzinfo=UTC)


def _asos(body: bytes) -> None:
    kma_fields.tidy(asos.parse(body, 200).rows, _SITE)


def _hub(body: bytes) -> None:
    kma_fields.tidy(hub.parse(body, 200), _SITE)


def _village(body: bytes) -> None:
    rows = village.parse(body, 200).rows
    village_table.forecasts(rows)
    village_table.nowcast(rows)


def _bundle(body: bytes) -> None:
    bundles.read(body, "bundle")
    bundles.read_guidance(body, "guidance")


def _history(body: bytes) -> None:
    farm_histories.read("farm/v1/hill/edge-1/history", body, "farm/v1")


def _shard(body: bytes) -> None:
    site_correction.decode(body, loaded.manifest())


_WHOSE: Final = (
    '{"site":"hill","device":"edge-1","latitude":37.5,"longitude":127.0,"elevation_m":86.0,'
    '"source":"sensor:outdoor"'
)
_HUB_HEAD: Final = "#START7777\n#        KST  ID\n"
TARGETS: Final[dict[str, tuple[Callable[[bytes], object], tuple[bytes, ...]]]] = {
    "asos": (_asos, (b'{"response":{"header":{"resultCode":"00"},"body":{"items":{"item":[]}}}}',)),
    "hub": (_hub, (f"{_HUB_HEAD}202301010000 108 {'-9 ' * 44}\n#7777END\n".encode(),)),
    "village": (_village, (b'{"response":{"header":{"resultCode":"00"},"body":{"items":""}}}',)),
    "warnings": (
        lambda body: warning_archive.bundle(warnings.parse(body, 200), _NOW),
        (b'{"response":{"header":{"resultCode":"00"},"body":{"items":"","totalCount":0}}}',),
    ),
    "warnings-hub": (
        lambda body: hub_warnings.parse(body, 200),
        (
            "#START7777\nL1130100,광주광역시,L1130120,광주동부,202608021600,202608031100,폭염,"
            "중대경보,변경,,=\n".encode("cp949"),
        ),
    ),
    "official": (
        lambda body: official_warnings.decode(body, "file"),
        (official_warnings.encode(official_warnings.WarningBundle(as_of=_NOW, warnings=())),),
    ),
    "csv": (
        lambda body: importer.read("a.csv", body, 108),
        (b"tm,ta\n2024-01-01 01:00,1.5\n", "지점,일시,기온(°C)\n".encode("cp949")),
    ),
    "past": (
        lambda body: guidance_files.read("x_습도_201706.csv", body, None),
        (b" location:97_74 Start : 20170601 \n 1,0200,+4,50.0 \n",),
    ),
    "parquet": (lambda body: importer.read("a.parquet", body, 108), ()),
    "bundle": (_bundle, ()),
    "sensor": (
        lambda body: list(sensors.read(_SENSOR, body, _NOW)),
        (b'{"a":{"b":[21.5]},"at":"2024-01-01T00:00:00Z"}',),
    ),
    "history": (
        _history,
        (
            f'{_WHOSE},"schema":"farm-edge/history/1","start":"2024-01-01T00:00:00Z",'
            '"step_s":3600,"values":{"air_temperature_c":[1.5,null]}}'.encode(),
        ),
    ),
    "farm": (
        lambda body: farm_files.read("a.csv", body),
        (
            f"# farm-edge/history/1 {_WHOSE}}}\ntime,air_temperature_c\n"
            "2024-01-01T01:00:00Z,1.5\n".encode(),
        ),
    ),
    "manifest": (manifest.decode, (b'{"schema":1,"project":"farm-edge"}',)),
    "tuning": (_shard, (b'{"schema":"farm-edge/tuning/1","tunings":{"farm/edge-1":{}}}',)),
    "onnx": (lambda body: onnx_guard.check(body, "model.onnx"), ()),
    "packed": (lambda body: compression.unpack(body, 100), (compression.pack(b"x" * 5000) or b"",)),
    "forecast": (forecast_json.from_bytes, (b'{"issued_at":"2024-01-01T00:00:00Z"}',)),
}
"""Name -> parser and examples to start from; the samples beside the project join them."""
NATIVE: Final = ("parquet", "bundle")
"""Run only when named: polars' own decoder can end the process (see `edge_agent.core.pull`)."""


def _seeds(name: str) -> Path:
    folder = WORK / "corpus" / name
    folder.mkdir(parents=True, exist_ok=True)
    given = list(TARGETS[name][1])
    given += [path.read_bytes() for path in SAMPLES.glob("*.*") if path.stat().st_size < 100_000]
    table = io.BytesIO()
    pl.DataFrame({"time": [_NOW], "tm": ["2024-01-01 01:00"], "ta": [1.5]}).write_parquet(table)
    given.append(table.getvalue())
    for number, content in enumerate(given):
        (folder / f"seed-{number}").write_bytes(content)
    return folder


def _fuzz(name: str, seconds: str) -> None:
    """Never returns: libFuzzer ends the process."""
    parse = TARGETS[name][0]

    def one(body: bytes) -> None:
        try:
            parse(body)
        except FarmError as fault:
            if "\n" in str(fault):
                raise AssertionError(f"an error of several lines: {fault!r}") from fault

    finds = WORK / "finds"
    finds.mkdir(parents=True, exist_ok=True)
    options = (
        f"-max_total_time={seconds}",
        f"-artifact_prefix={finds}/{name}-",
        "-rss_limit_mb=4096",
        "-timeout=20",
        "-print_final_stats=1",
        "-verbosity=0",
    )
    atheris.Setup([sys.argv[0], *options, str(_seeds(name))], one)
    atheris.Fuzz()


def main() -> int:
    """All targets one after the other, each in a process of its own; exit 1 after a find."""
    seconds, *chosen = sys.argv[1:] or ["30"]
    found = {}
    for name in chosen or [name for name in TARGETS if name not in NATIVE]:
        done = subprocess.run(  # noqa: S603 - this very file
            [sys.executable, __file__, "--one", name, seconds],
            capture_output=True,
            text=True,
            check=False,
        )
        lines = done.stderr.splitlines()
        runs = next((x.split()[-1] for x in lines if "number_of_executed_units" in x), "?")
        found[name] = {"runs": runs, "finds": int(done.returncode != 0)}
        print(f"{name:10} {runs:>10} runs  {'FOUND' if done.returncode else 'nothing found'}")
        if done.returncode:
            print("\n".join(lines[-40:]))
    (WORK / "results.json").write_text(json.dumps(found, indent=1))
    return int(any(one["finds"] for one in found.values()))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        _fuzz(*sys.argv[2:4])
    sys.exit(main())
