"""`trainer init`, `ingest`, `import` and `status --quality` as a user calls them."""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias

import polars as pl
import pytest

from demo.climate import generate
from demo.kma import KmaStandIn
from demo.kma_faults import FaultRates
from demo.places import SEOUL
from tests.fakes import portal_village
from tests.fakes.kma_workspace import KEY
from trainer.cli import entry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Call: TypeAlias = "Callable[..., tuple[int, str, str]]"
NOW = datetime(2021, 1, 2, 3, tzinfo=UTC)
DAYS = ("--from", "2020-12-01", "--to", "2020-12-31")


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    """Two generated months."""
    return generate([SEOUL], datetime(2020, 11, 1), datetime(2021, 1, 1), seed=3)  # noqa: DTZ001 - KST


@pytest.fixture
def call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Call:
    """Run the command line in a workspace; returns exit code, standard output and error."""
    (tmp_path / "trainer.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KMA_SERVICE_KEY", KEY)
    monkeypatch.setenv("TRAINER__KMA__REQUESTS_PER_SECOND", "1000")
    monkeypatch.setenv("TRAINER__KMA__RETRIES", "0")

    def run(server: KmaStandIn | None, *words: str) -> tuple[int, str, str]:
        if server is not None:
            monkeypatch.setenv("TRAINER__KMA__ASOS_URL", server.asos_url)
        monkeypatch.setattr(sys, "argv", ["trainer", *words])
        code = entry()
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


def test_a_month_from_plan_to_report(call: Call, frame: pl.DataFrame) -> None:
    """Dry run, ingest, a second ingest, the quality report."""
    with KmaStandIn(frame, key=KEY, now=NOW) as server:
        code, out, _ = call(server, "ingest", *DAYS, "--dry-run", "--json")
        assert (code, json.loads(out)["requests"], len(server.requests)) == (0, 1, 0)
        code, out, _ = call(server, "ingest", *DAYS, "--json")
        found = json.loads(out)
        assert (code, found["requests_left_over"]) == (0, 0)
        assert found["stations"]["108"]["added"] + found["stations"]["108"]["absent"] == 744
        code, _, err = call(server, "ingest", *DAYS)
        assert code == 11
        assert "Traceback" not in err
    code, out, _ = call(None, "status", "--quality", "--json")
    months = {row["month"] for row in json.loads(out)}
    assert (code, months) == (0, {"2020-12"})


def test_a_lost_file_is_rebuilt_without_a_request(
    call: Call, frame: pl.DataFrame, tmp_path: Path
) -> None:
    """Exit 0 and the same bytes; where nothing was lost, exit 11; a part cannot be asked for."""
    with KmaStandIn(frame, key=KEY, now=NOW) as server:
        call(server, "ingest", *DAYS)
        asked = len(server.requests)
        (tidy,) = (tmp_path / "lake/observations").rglob("year=2020.parquet")
        before = tidy.read_bytes()
        tidy.write_bytes(b"rot")
        code, out, _ = call(server, "ingest", "--rebuild", "--json")
        assert (code, json.loads(out)["replaced"], len(server.requests)) == (
            0,
            ["observations/station=108/year=2020.parquet"],
            asked,
        )
    assert tidy.read_bytes() == before
    code, _, err = call(None, "ingest", "--rebuild")
    assert (code, err) == (11, "trainer: the lake is what its raw answers say\n")
    code, _, err = call(None, "ingest", "--rebuild", "--station", "108")
    assert (code, "whole lake" in err) == (64, True)


@pytest.mark.parametrize(
    ("faults", "key", "words", "code", "text"),
    [
        (FaultRates(), "wrong", DAYS, 77, "KMA_SERVICE_KEY"),
        (FaultRates(), "", DAYS, 78, "no key for KMA"),
        (FaultRates(quota=0), KEY, DAYS, 75, "quota"),
        (FaultRates(html=1.0), KEY, DAYS, 76, "a web page"),
        (FaultRates(truncated=1.0), KEY, DAYS, 76, "cut off|broke off"),
        (FaultRates(http_500=1.0), KEY, DAYS, 75, "Unexpected errors"),
        (FaultRates(), KEY, (*DAYS, "--station", "90"), 11, "KMA has no data"),
        (FaultRates(), KEY, ("--to", "2999-01-01"), 75, "not out yet"),
        (FaultRates(), KEY, (*DAYS, "--station", "7"), 64, "station 7 is not one"),
        (FaultRates(), KEY, ("--from", "yesterday"), 64, "not a day like"),
        (FaultRates(), KEY, ("--from", "2020-12-02", "--to", "2020-12-01"), 64, "nothing lies"),
    ],
)
def test_each_fault_has_its_line_and_exit_code(
    call: Call,
    frame: pl.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    faults: FaultRates,
    key: str,
    words: tuple[str, ...],
    code: int,
    text: str,
) -> None:
    """What, where, what to do; no traceback; no observation is written."""
    monkeypatch.setenv("KMA_SERVICE_KEY", key)
    with KmaStandIn(frame, key=KEY, now=NOW, faults=faults) as server:
        found, _, err = call(server, "ingest", *words)
    assert found == code
    assert re.search(text, err)
    said = [line for line in err.splitlines() if line.startswith(("trainer:", "Error:"))]
    assert len(said) == 1
    assert "Traceback" not in err
    assert not (tmp_path / "lake" / "observations").exists()


def test_files_are_imported_and_faults_named(
    call: Call, frame: pl.DataFrame, tmp_path: Path
) -> None:
    """A good file is taken though another one is bad; the bad one decides the exit code."""
    frame.write_parquet(tmp_path / "good.parquet")
    (tmp_path / "bad.parquet").write_bytes(b"x")
    code, out, err = call(None, "import", "good.parquet", "bad.parquet", "none.csv", "--json")
    assert code == 65
    assert json.loads(out)[0]["added"] == frame.height
    assert "bad.parquet: not a readable Parquet file" in err
    assert "none.csv: no such file" in err
    code, out, _ = call(None, "import", "good.parquet")
    assert (code, "0 new, 0 changed" in out) == (0, True)


def test_past_forecasts_are_imported(call: Call, tmp_path: Path) -> None:
    """Files of the portal say their cell, Parquet gets it by number or by place."""
    path = portal_village.write(tmp_path, "3시간기온", portal_village.days(1, 3, 20.0))
    code, out, _ = call(None, "import", path.name)
    line = "cell 97-74: 72 forecasts, 72 new, 0 completed, 0 values differ"
    assert (code, out) == (0, f"{path.name}: {line}\n")
    code, out, _ = call(None, "import", path.name, "--cell", "97,74", "--place", "35.0836,129.0056")
    assert (code, "0 new, 0 completed" in out) == (0, True)
    rows = pl.read_parquet(tmp_path / "lake/guidance/nx=97/ny=74/month=2017-06.parquet")
    humid = rows.select("issued_at", "valid_at", reh=pl.lit(50.0))
    humid.write_parquet(tmp_path / "past.parquet")
    code, _, err = call(None, "import", "past.parquet")
    assert (code, "name it with --cell NX,NY or --place LAT,LON" in err) == (64, True)
    code, out, _ = call(None, "import", "past.parquet", "--place", "35.0836,129.0056", "--json")
    assert (code, json.loads(out)) == (
        0,
        [
            {
                "file": "past.parquet",
                "cell": "97-74",
                "rows": 72,
                "added": 0,
                "completed": 72,
                "differing": 0,
            }
        ],
    )
    assert call(None, "ingest", "--rebuild")[0] == 11


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--cell", "60,127", "--place", "35.0836,129.0056"), "lies in cell 97,74"),
        (("--cell", "60"), "not two numbers"),
        (("--cell", "60,nan"), "not two numbers"),
        (("--place", "inf,127"), "not two numbers"),
        (("--cell", "60.5,127"), "whole numbers"),
        (("--cell", "600,127"), "grid has cells"),
        (("--place", "0,0"), "outside KMA's forecast grid"),
    ],
)
def test_cells_that_are_none_are_refused(
    call: Call, tmp_path: Path, words: tuple[str, ...], text: str
) -> None:
    """One line, exit 64, and nothing is imported."""
    path = portal_village.write(tmp_path, "습도", portal_village.days(1, 1, 50.0))
    code, _, err = call(None, "import", path.name, *words)
    assert (code, text in err) == (64, True)
    assert not (tmp_path / "lake" / "guidance").exists()
