"""Merging rows of two sources by the rules of `workspace.lake`. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from edge_agent.contract import schema
from edge_agent.contract.errors import BadData
from edge_agent.contract.schema import TIME, Flag, flag_column
from trainer.workspace.kma_sources import RANKS, Rank

if TYPE_CHECKING:
    from datetime import datetime

SOURCE: Final = "source"
COLUMNS: Final = (TIME, *schema.OBSERVED, *(flag_column(name) for name in schema.OBSERVED), SOURCE)
"""Columns of every observation file, in order. `source` joins several with `+`."""

SCHEMA: Final = pl.Schema(
    {
        TIME: schema.TIME_DTYPE,
        **dict.fromkeys(schema.OBSERVED, pl.Float64()),
        **dict.fromkeys((flag_column(name) for name in schema.OBSERVED), pl.UInt8()),
        SOURCE: pl.String(),
    }
)
_NEW: Final = "_new"


@dataclass(frozen=True, slots=True)
class MergedYear:
    """Rows after a merge, and what it replaced.

    Attributes:
        rows: `COLUMNS`, ascending.
        changed: Rows that were there before and are not the same now.
        revisions: Replaced values, by time and quantity; each is a line of the revisions.
    """

    rows: pl.DataFrame
    changed: int
    revisions: list[dict[str, Any]]


def rank_of(source: str) -> Rank:
    """Rank of a value of the column `source`; of several sources the highest."""
    return max(RANKS.get(part, Rank.RECORD) for part in source.split("+"))


def merged(old: pl.DataFrame, new: pl.DataFrame, when: datetime) -> MergedYear:
    """Merge new rows of one source into old ones.

    Args:
        old: `COLUMNS`.
        new: What `checked` returned; at least one row.
        when: Time of the merge, for the revisions.
    """
    joined, sources = _join(old, new)
    rows = joined.select(
        TIME,
        *(pl.when(_taken(n)).then(f"{n}{_NEW}").otherwise(n).alias(n) for n in schema.OBSERVED),
        *(
            pl.when(_taken(n))
            .then(f"{flag_column(n)}{_NEW}")
            .otherwise(flag_column(n))
            .fill_null(Flag.MISSING)
            .cast(pl.UInt8)
            .alias(flag_column(n))
            for n in schema.OBSERVED
        ),
        sources.alias(SOURCE),
    )
    if rows.equals(old):
        return MergedYear(old, 0, [])
    return MergedYear(rows, _differing(old, rows), _revisions(joined, when))


def checked(frame: pl.DataFrame, source: str) -> pl.DataFrame:
    """Rows as `COLUMNS`, ascending.

    Raises:
        BadData: A time is doubled, null or not a full hour, or a column lacks.
    """
    missing = set(COLUMNS[:-1]) - set(frame.columns)
    if missing:
        raise BadData(f"observations from {source} lack the column {min(missing)}")
    frame = frame.with_columns(pl.lit(source).alias(SOURCE)).select(COLUMNS).sort(TIME)
    frame = frame.cast(SCHEMA)
    wrong = frame.select(
        (
            pl.col(TIME).is_null()
            | pl.col(TIME).is_duplicated()
            | (pl.col(TIME).dt.truncate("1h") != pl.col(TIME))
        ).any()
    ).item()
    if wrong:
        raise BadData(f"observations from {source}: a time is missing, doubled or no full hour")
    return frame


def _join(old: pl.DataFrame, new: pl.DataFrame) -> tuple[pl.DataFrame, pl.Expr]:
    """Old and new side by side with `_take_<name>` columns, and the new `source` expression."""
    incoming = new[SOURCE][0]
    joined = old.join(new, on=TIME, how="full", coalesce=True, suffix=_NEW).sort(TIME)
    names = {name: rank_of(name) for name in old[SOURCE].unique()}
    rank = pl.lit(-1)
    merged = pl.lit(incoming)
    for name, value in names.items():
        here = pl.col(SOURCE) == name
        rank = pl.when(here).then(pl.lit(value)).otherwise(rank)
        both = "+".join(sorted({*name.split("+"), incoming}))
        merged = pl.when(here).then(pl.lit(both)).otherwise(merged)
    joined = joined.with_columns(rank.alias("_rank"), merged.alias("_both"))
    joined = joined.with_columns(_take(name, rank_of(incoming)) for name in schema.OBSERVED)
    taken = pl.any_horizontal(_taken(name) for name in schema.OBSERVED)
    kept = pl.any_horizontal(
        ~_taken(name) & _present(flag_column(name)) for name in schema.OBSERVED
    )
    source = (
        pl.when(pl.col(SOURCE).is_null())
        .then(pl.col(f"{SOURCE}{_NEW}"))
        .when(~taken)
        .then(pl.col(SOURCE))
        .when(kept)
        .then(pl.col("_both"))
        .otherwise(pl.lit(incoming))
    )
    return joined, source


def _present(flag: str) -> pl.Expr:
    return (pl.col(flag) != Flag.MISSING).fill_null(value=False)


def _taken(name: str) -> pl.Expr:
    return pl.col(f"_take_{name}")


def _differs(name: str) -> pl.Expr:
    flag = flag_column(name)
    return pl.col(name).ne_missing(pl.col(f"{name}{_NEW}")) | pl.col(flag).ne_missing(
        pl.col(f"{flag}{_NEW}")
    )


def _take(name: str, rank: int) -> pl.Expr:
    flag = flag_column(name)
    higher = pl.col("_rank") < rank
    same = (pl.col("_rank") == rank) & _differs(name)
    return (_present(f"{flag}{_NEW}") & (~_present(flag) | higher | same)).alias(f"_take_{name}")


def _revisions(joined: pl.DataFrame, when: datetime) -> list[dict[str, Any]]:
    revisions: list[dict[str, Any]] = []
    for name in schema.OBSERVED:
        flag = flag_column(name)
        rows = joined.filter(_taken(name) & _present(flag) & _differs(name)).select(
            time=TIME,
            quantity=pl.lit(name),
            old=name,
            old_flag=flag,
            old_source=SOURCE,
            new=f"{name}{_NEW}",
            new_flag=f"{flag}{_NEW}",
            new_source=f"{SOURCE}{_NEW}",
            revised_at=pl.lit(when),
        )
        revisions += rows.to_dicts()
    for row in revisions:
        row["time"] = row["time"].strftime("%Y-%m-%dT%H:%M:%SZ")
        row["revised_at"] = when.strftime("%Y-%m-%dT%H:%M:%SZ")
    return sorted(revisions, key=lambda row: (row["time"], row["quantity"]))


def _differing(old: pl.DataFrame, result: pl.DataFrame) -> int:
    """Rows that were there before and are not the same now."""
    same = result.filter(pl.col(TIME).is_in(old[TIME].implode()))
    changed = pl.any_horizontal(
        pl.col(name).ne_missing(pl.lit(old[name])) for name in COLUMNS if name != TIME
    )
    return same.filter(changed).height
