"""HTML of a report: one page that needs nothing from outside. Pure: text in, text out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from edge_agent.system.html import Markup, join, tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_STYLE: Final = """
:root{--ink:#1b1f24;--quiet:#555b63;--line:#d5d9de;--tint:#f4f6f8;--good:#00663f;--bad:#a3211b}
*{box-sizing:border-box}
body{margin:0;color:var(--ink);background:#fff;font:16px/1.5 system-ui,"Noto Sans",sans-serif}
main{max-width:70rem;margin:0 auto;padding:1.25rem}
h1{font-size:1.6rem;margin:0}h2{font-size:1.25rem;margin:2.2rem 0 .3rem;border-top:1px solid
var(--line);padding-top:1.1rem}h3{font-size:1rem;margin:.2rem 0}
p{margin:.3rem 0 .8rem;max-width:48rem}.quiet{color:var(--quiet)}
.grid{display:grid;gap:1rem 1.5rem;
grid-template-columns:repeat(auto-fit,minmax(min(100%,25rem),1fr))}
figure{margin:0;min-width:0}figcaption{font-weight:600}
svg{width:100%;max-width:32rem;height:auto;display:block}
svg text{font-family:system-ui,"Noto Sans",sans-serif}
.scroll{overflow-x:auto;margin:1rem 0 .4rem}table{border-collapse:collapse;font-size:.92rem}
th,td{text-align:right;padding:.25rem .7rem;border-bottom:1px solid var(--line);
font-variant-numeric:tabular-nums}
th{background:var(--tint);font-weight:600}th:first-child,td:first-child,.words{text-align:left}
.long{overflow-wrap:anywhere}
.tiles{display:grid;gap:.7rem;margin:1rem 0;
grid-template-columns:repeat(auto-fit,minmax(min(100%,14.5rem),1fr))}
.tile{border:1px solid var(--line);border-radius:.5rem;padding:.5rem .9rem}
.tile b{display:block;font-size:1.45rem;line-height:1.3}
.good{color:var(--good);font-weight:600}.bad{color:var(--bad);font-weight:600}
details{margin:.4rem 0}summary{cursor:pointer}
@media print{main{max-width:none;padding:0}figure,.tile,tr{break-inside:avoid}
h2,h3{break-after:avoid}details{display:none}body{font-size:11pt}
.grid{grid-template-columns:1fr 1fr}}
"""

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
LONGEST_WORD: Final = 40
"""Longer ones (digests, parameters) may be broken anywhere."""


def page(title: str, subtitle: str, parts: Iterable[str]) -> str:
    """The whole document; `parts` are HTML."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width,initial-scale=1"),
        # The browser enforces what this page promises: nothing is loaded from anywhere.
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("title", title),
        tag("style", Markup(_STYLE)),
    )
    quiet = tag("p", subtitle, class_="quiet")
    body = tag("body", tag("main", tag("h1", title), quiet, *map(Markup, parts)))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def section(heading: str, words: str, *content: str) -> Markup:
    """A heading, what it says in words, and its HTML."""
    return join(tag("h2", heading), tag("p", words), *map(Markup, content))


def grid(drawings: Mapping[str, str]) -> Markup:
    """Drawings (SVG) side by side under their captions, one below the other on a phone."""
    figures = [
        tag("figure", tag("figcaption", caption), Markup(drawing))
        for caption, drawing in drawings.items()
    ]
    return tag("div", *figures, class_="grid")


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Markup:
    """Table of plain values: floats with three digits after the point, None as a dash.

    Columns of words are set to the left, their heads too; without any head there is no such row.
    """
    cells = list(rows)
    words = [all(isinstance(row[place], str) for row in cells) for place in range(len(head))]
    top = [
        tag("th", name, scope="col", class_="words" if of_words else None)
        for name, of_words in zip(head, words, strict=True)
    ]
    above = tag("thead", tag("tr", *top)) if any(head) else None
    body = tag("tbody", *(tag("tr", *map(_cell, row)) for row in cells))
    return tag("div", tag("table", above, body), class_="scroll")


def folded(words: str, content: str) -> Markup:
    """HTML that opens on a click."""
    return tag("details", tag("summary", words), Markup(content))


def tiles(figures: Iterable[tuple[str, str, str]]) -> Markup:
    """Large figures: heading, figure, what it is held against."""
    cells = [
        tag("div", tag("span", name, class_="quiet"), tag("b", value), tag("span", beside),
            class_="tile")
        for name, value, beside in figures
    ]  # fmt: skip
    return tag("div", *cells, class_="tiles")


def decision(channel: str, document: Mapping[str, Any]) -> Markup:
    """Whether the gate let a run into a channel, its reasons, and every figure that it recorded."""
    passed = bool(document.get("passed"))
    word = tag("span", "passed" if passed else "refused", class_="good" if passed else "bad")
    reasons = [tag("li", str(reason)) for reason in document.get("reasons", ())]
    unguided = [
        tag("li", f"KMA's forecasts are not corrected: {found['target']} {found['text']}")
        for found in document.get("guided", ())
        if not found["passed"]
    ]
    figures = [
        (name, f"{value:g}" if isinstance(value, float) else _text(value))
        for name, value in _flat("", document)
        if name not in {"passed", "run"}
    ]
    lists = [
        table(tuple(rows[0]), [tuple(row.values()) for row in rows])
        for rows in document.values()
        if _is_table(rows)
    ]
    return join(
        tag("h3", f"{channel}: ", word),
        tag("ul", *reasons, *unguided) if reasons or unguided else None,
        folded("Every figure the gate recorded", join(table(("figure", "value"), figures), *lists)),
    )


def _is_table(value: object) -> bool:
    """Whether it is a list of records alike."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(row, dict) and row.keys() == value[0].keys() for row in value)
    )


def _flat(path: str, value: object) -> list[tuple[str, object]]:
    if isinstance(value, dict):
        return [
            row
            for key, inner in value.items()
            if not (path == "" and key == "reasons")
            for row in _flat(f"{path} > {key}" if path else str(key), inner)
        ]
    if _is_table(value):
        return []
    if isinstance(value, list):
        return [row for i, inner in enumerate(value) for row in _flat(f"{path} > {i + 1}", inner)]
    return [(path, value)]


def _cell(value: object) -> Markup:
    text = _text(value)
    if not isinstance(value, str):
        return tag("td", text)
    broken = " long" if any(len(word) > LONGEST_WORD for word in text.split()) else ""
    return tag("td", text, class_=f"words{broken}")


def _text(value: object) -> str:
    if value is None or (isinstance(value, float) and value != value):  # noqa: PLR0124 - NaN
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
