"""CSV downloads of KMA's data portal (data.kma.go.kr): OBS_ASOS_TIM and SURFACE_ASOS hourly. Pure.

Rules, numbered as the tests name them:
    C1  The text is UTF-8, with or without a byte order mark, or else cp949.
    C2  Columns go by their Korean names, in any order and choice. A column in another unit than the
        portal's for hourly data is left out with a warning; temperature makes the file unusable.
        `... QC플래그` belongs to the column it names, and without a name to the one before it.
    C3  Every line after the header is a row with as many fields as the header; a file that breaks
        this was cut off or damaged and none of it is used. Blank cells beyond the header do not
        count, and rows of blank cells are none.
    C4  The header is among the first ten lines that are not blank; titles may stand above it.
"""

from __future__ import annotations

import csv
import io
import logging
import re
from itertools import islice
from typing import TYPE_CHECKING, Final

import polars as pl

from edge_agent.contract.errors import BadData
from edge_agent.contract.kma_fields import FINE, QC_FIELDS, TIME_FIELD
from edge_agent.contract.kma_time import read_times

if TYPE_CHECKING:
    from collections.abc import Iterator

_log = logging.getLogger(__name__)
STATION_FIELD: Final = "stnId"
LINE: Final = "line"
_CELSIUS: Final = ("°C", "℃", "C")
_COLUMNS: Final = {
    "지점": (STATION_FIELD, ()),
    "일시": (TIME_FIELD, ()),
    "기온": ("ta", _CELSIUS),
    "강수량": ("rn", ("mm",)),
    "풍속": ("ws", ("m/s", "ms-1", "㎧")),
    "풍향": ("wd", ("16방위", "deg")),
    "습도": ("hm", ("%",)),
    "증기압": ("pv", ("hPa",)),
    "이슬점온도": ("td", _CELSIUS),
    "현지기압": ("pa", ("hPa",)),
    "해면기압": ("ps", ("hPa",)),
    "일조": ("ss", ("hr",)),
    "일사": ("icsr", ("MJ/m2", "MJ/m²", "MJ/㎡", "MJ/m^2")),
    "전운량": ("dc10Tca", ("10분위",)),
    "시정": ("vs", ("10m",)),
    "지면온도": ("ts", _CELSIUS),
}
"""Korean name -> KMA's field and the units that it may stand in."""

FIELDS: Final = (*(field for field, _ in _COLUMNS.values()), *QC_FIELDS.values())
"""Most columns that a file gives."""

_BATCH: Final = 50_000
"""Rows that are Python's texts at a time."""
_PIECE: Final = 1_000_000
_NEEDED: Final = (STATION_FIELD, TIME_FIELD, "ta")
_MARKS: Final = str.maketrans("", "", " ·⋅∙•・^")
"""Marks within a unit that mean nothing: m·s^-1."""
_TITLES: Final = 10
_FLAG: Final = "QC플래그"
_HEAD: Final = re.compile(r"([^()]*)(?:\(([^()]*)\))?")


def parse(content: bytes, separator: str = ",") -> pl.DataFrame:
    """Rows of a download.

    Args:
        content: The file.
        separator: Of its cells.

    Returns:
        `LINE` of the file, and all text `tm` ("YYYY-MM-DD HH:MM", KST) and, as far as the file has
        them, `stnId` and KMA's fields and QC flags: what `kma_fields.tidy` reads. Rows as they
        stand in the file.

    Raises:
        BadData: Not text, not such a file, a line with too many or too few fields.
    """
    lines = _lines(content, separator)
    header = _header(lines)
    places, loose = _places(header)
    rows = _rows(lines, len(header), [*places.values(), *loose.values()])
    # In batches: as Python's texts a file takes ten times its length.
    frames = [_frame([], places, loose)]
    while batch := list(islice(rows, _BATCH)):
        frames.append(_frame(batch, places, loose))
    return pl.concat(frames)


def _frame(
    rows: list[tuple[int | str, ...]], places: dict[str, int], loose: dict[str, int]
) -> pl.DataFrame:
    """Rows as `_rows` gives them."""
    cells = [*places, *(f"flag of {field}" for field in loose)]
    frame = pl.DataFrame(
        rows,
        schema=[(LINE, pl.Int64), *((name, pl.String) for name in cells)],
        orient="row",
    ).with_columns(pl.col(pl.String).str.strip_chars())
    read_times(frame[TIME_FIELD], frame[LINE])
    # Fields whose flag KMA's service does not have: the verdict is applied here.
    return frame.with_columns(
        pl.when(~pl.col(f"flag of {field}").is_in(FINE))
        .then(pl.lit(""))
        .otherwise(pl.col(field))
        .alias(field)
        for field in loose
    ).select(LINE, *places)


def _rows(
    lines: Iterator[tuple[int, list[str]]], width: int, chosen: list[int]
) -> Iterator[tuple[int | str, ...]]:
    """Line in the file and chosen cells of each row."""
    for number, line in lines:
        if len(line) != width and (len(line) < width or "".join(line[width:]).strip()):
            raise BadData(
                f"line {number} has {len(line)} fields, the header has {width}: the file is cut "
                "off or damaged; download it again"
            )
        yield (number, *(line[at] for at in chosen))


def _header(lines: Iterator[tuple[int, list[str]]]) -> list[str]:
    first: list[str] | None = None
    for _, line in islice(lines, _TITLES):
        cells = [cell.strip() for cell in line]
        first = first or cells
        if any(_named(cell) == "일시" for cell in cells):
            return cells
    if first is None:
        raise BadData("an empty file")
    return first


def _named(cell: str) -> str:
    match = _HEAD.fullmatch(cell)
    return match.group(1).strip() if match else cell


def _lines(content: bytes, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of each line that is not blank."""
    text = io.TextIOWrapper(io.BytesIO(content), encoding_of(content), newline="")
    reader = csv.reader(text, strict=True, delimiter=separator)
    try:
        for line in reader:
            if any(map(str.strip, line)):
                yield reader.line_num, line
    except csv.Error as fault:
        raise BadData(f"not a readable CSV file: {fault}") from fault


def encoding_of(content: bytes) -> str:
    """Encoding of a portal's file: UTF-8 or cp949.

    Raises:
        BadData: Neither.
    """
    # Not read as "utf-8-sig": Python's takes the beginning of a mark for a text without letters.
    for encoding, named in (("utf-8", "utf-8-sig"), ("cp949", "cp949")):
        text = io.TextIOWrapper(io.BytesIO(content), encoding)
        try:
            while text.read(_PIECE):
                pass
        except UnicodeDecodeError:
            continue
        return named
    raise BadData("neither UTF-8 nor cp949 text: download the file again as CSV")


def _places(header: list[str]) -> tuple[dict[str, int], dict[str, int]]:
    """Column number of each field and flag, and of flags that belong to fields without one."""
    places: dict[str, int] = {}
    loose: dict[str, int] = {}
    before = ""
    for at, cell in enumerate(header):
        if cell.endswith(_FLAG):
            field = _COLUMNS.get(cell.removesuffix(_FLAG).strip() or before, ("", ()))[0]
            name = QC_FIELDS.get(field)
            if name is not None:
                places.setdefault(name, at)
            elif field:
                loose.setdefault(field, at)
            continue
        match = _HEAD.fullmatch(cell)
        before = _named(cell)
        if before not in _COLUMNS:
            continue
        field, units = _COLUMNS[before]
        unit = (match.group(2) if match else None) or ""
        if unit and unit.translate(_MARKS) not in units and unit.replace(" ", "") not in units:
            text = f"column {cell}: unit {unit!r}, expected {' or '.join(units) or 'none'}"
            if field in _NEEDED:
                raise BadData(text)
            _log.warning("%s: the column is left out", text)
            continue
        if field in places:
            raise BadData(f"column {cell} stands twice")
        places[field] = at
    if TIME_FIELD not in places or "ta" not in places:
        raise BadData(
            "no columns 일시 and 기온: give an hourly download of data.kma.go.kr "
            "(OBS_ASOS_TIM, SURFACE_ASOS), or a CSV with a column tm or time"
        )
    return places, {field: at for field, at in loose.items() if field in places}
