"""Drawings of a report, as SVG to stand in a page: the only module that imports matplotlib.

Small widths and large letters, so that a drawing is readable at the width of a phone; colours from
Okabe and Ito's palette (safe for colour-blind readers), darkened to 4.5:1 on white, and never the
only mark. Text stays text: it can be searched, and the files are small.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.dates import DateFormatter, HourLocator
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator, PercentFormatter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from matplotlib.axes import Axes

INK: Final = "#1b1f24"
MODEL: Final = "#005a94"
BAND: Final = "#9cc7e6"
WIDE_BAND: Final = "#d3e6f4"
_REFERENCES: Final = {
    "persistence": ("#a34700", "--"),
    "climatology": ("#5c5f66", ":"),
    "damped_anomaly": ("#00704f", "-."),
    "seed_recipe": ("#8a2f66", ""),
}
_STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "font.size": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8b9199",
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.grid": True,
    "grid.color": "#e3e6ea",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
}


def lines_by_lead(scores: Mapping[str, Mapping[int, float]], unit: str, title: str) -> str:
    """Error by lead of the model and its references: forecast -> lead -> RMSE."""

    def paint(axes: Axes) -> None:
        for name, by_lead in scores.items():
            colour, line = _REFERENCES.get(name, (MODEL, "-"))
            leads = sorted(by_lead)
            axes.plot(
                leads,
                [by_lead[lead] for lead in leads],
                color=colour,
                linestyle=line,
                linewidth=2.6 if name == "model" else 1.6,
                marker="o" if name == "model" else ("D" if not line else ""),
                markersize=4.5,
                label=name.replace("_", " "),
            )
        axes.set_xlabel("hours ahead")
        axes.set_ylabel(f"RMSE, {unit}")
        axes.set_ylim(bottom=0)
        axes.set_xticks((1, 6, 12, 24, 36, 48))
        axes.legend(loc="lower right")

    return _draw(title, paint)


def calibration(held: Mapping[float, Mapping[int, float]], title: str) -> str:
    """Share of observations inside central intervals by lead: nominal share -> lead -> share."""

    def paint(axes: Axes) -> None:
        styles = ((MODEL, "o"), ("#a34700", "s"))
        for (nominal, by_lead), (colour, mark) in zip(held.items(), styles, strict=True):
            axes.axhline(nominal, color=colour, linewidth=1, linestyle="--")
            leads = sorted(by_lead)
            shares = [by_lead[lead] for lead in leads]
            axes.plot(
                leads, shares, color=colour, marker=mark, markersize=4.5, label=f"{nominal:.0%}"
            )
        axes.set_xlabel("hours ahead")
        axes.set_ylabel("interval held")
        axes.set_xticks((1, 6, 12, 24, 36, 48))
        axes.set_ylim(min(0.5, *(min(by_lead.values()) for by_lead in held.values())), 1.0)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.legend(loc="lower right")

    return _draw(title, paint)


def pit(shares: np.ndarray, title: str) -> str:
    """Where observations fell in their forecast distribution; flat is calibrated."""

    def paint(axes: Axes) -> None:
        width = 1.0 / len(shares)
        axes.bar(
            np.arange(len(shares)) * width, shares, width, align="edge", color=BAND, edgecolor=MODEL
        )
        axes.axhline(width, color=INK, linewidth=1, linestyle="--")
        axes.set_xlabel("part of the forecast distribution")
        axes.set_ylabel("share of observations")
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.yaxis.set_major_locator(MultipleLocator(width / 2.0))
        axes.set_ylim(0, max(2.0 * width, float(shares.max()) * 1.1))

    return _draw(title, paint)


def reliability(points: Sequence[tuple[float, float, int]], title: str) -> str:
    """How often an event came when a chance was told.

    Args:
        points: Mean chance told, share of hours with the event, number of hours; by bin.
        title: Heading.
    """
    told, seen, counts = (np.array(column) for column in zip(*points, strict=True))

    def paint(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color="#8b9199", linewidth=1)
        axes.bar(told, counts / counts.sum(), 0.06, color="#d0d4d9", label="share of forecasts")
        axes.plot(told, seen, color=MODEL, marker="o", markersize=5, label="event came")
        axes.set_xlabel("chance told")
        axes.set_ylabel("share of hours with the event")
        _percent(axes)
        # Beside the bar of the many hours without a chance, above the curve.
        axes.legend(loc="upper left", bbox_to_anchor=(0.07, 1.0))

    return _draw(title, paint)


def heat_map(
    values: np.ndarray, names: tuple[Sequence[str], Sequence[str]], unit: str, title: str
) -> str:
    """Numbers on a colour; `names` are those of rows and columns, NaN stays white."""
    rows, columns = names

    def paint(axes: Axes) -> None:
        axes.grid(visible=False)
        top = float(np.nanmax(values))
        # Rectangles and not an image: a page that may load nothing may load no image either.
        axes.pcolor(values, cmap="Blues", vmin=0.0, vmax=top * 1.6, edgecolors="white")
        for row, column in np.argwhere(np.isfinite(values)):
            axes.text(
                column + 0.5, row + 0.5, f"{values[row, column]:.1f}", ha="center", va="center"
            )
        axes.set_xticks(np.arange(len(columns)) + 0.5, columns, fontsize=9)
        axes.set_yticks(np.arange(len(rows)) + 0.5, rows)
        axes.invert_yaxis()
        axes.tick_params(length=0)
        axes.set_xlabel(f"Korean hour of the day; RMSE in {unit}")

    return _draw(title, paint, height=2.5)


def bars(values: Mapping[str, float], unit: str, title: str) -> str:
    """Importance by group, largest first; the axis is logarithmic, the numbers stand beside."""

    def paint(axes: Axes) -> None:
        order = sorted(values, key=lambda name: values[name])
        heights = [max(values[name], 1e-3) for name in order]
        axes.barh(order, heights, color=BAND, edgecolor=MODEL)
        axes.set_xscale("log")
        axes.set_xlim(1e-3, max(heights) * 6)
        for index, name in enumerate(order):
            axes.text(heights[index] * 1.15, index, f"{values[name]:+.2f}", va="center")
        axes.grid(visible=False)
        axes.set_xlabel(f"RMSE added when shuffled, {unit}")

    return _draw(title, paint)


def example(
    past: tuple[Sequence[datetime], np.ndarray],
    ahead: tuple[Sequence[datetime], np.ndarray, np.ndarray],
    quantiles: Mapping[float, np.ndarray],
    unit: str,
    title: str,
) -> str:
    """One forecast with its bands, and what came.

    Args:
        past: Hours in Korean time and observations up to the origin.
        ahead: Hours after it, points and what was observed.
        quantiles: 0.025, 0.1, 0.9 and 0.975 at these hours.
        unit: Of the values.
        title: Heading.
    """
    # Matplotlib takes datetimes, its annotations do not say so.
    hours: list[Any] = list(ahead[0])
    before: list[Any] = list(past[0])
    _, points, truth = ahead

    def paint(axes: Axes) -> None:
        axes.fill_between(
            hours,
            quantiles[0.025],
            quantiles[0.975],
            color=WIDE_BAND,
            linewidth=0,
            label="95 %",
        )
        axes.fill_between(
            hours,
            quantiles[0.1],
            quantiles[0.9],
            color=BAND,
            linewidth=0,
            label="80 %",
        )
        axes.plot(hours, points, color=MODEL, linewidth=2.2, label="forecast")
        axes.plot([*before, *hours], [*past[1], *truth], color=INK, linewidth=1.2, label="observed")
        axes.axvline(before[-1], color="#8b9199", linewidth=1, linestyle="--")
        axes.xaxis.set_major_locator(HourLocator(byhour=(0, 12), tz=before[-1].tzinfo))
        axes.xaxis.set_major_formatter(DateFormatter("%d %b\n%H:%M", tz=before[-1].tzinfo))
        axes.set_ylabel(unit)
        axes.legend(loc="best", ncols=2)

    return _draw(title, paint)


def _percent(axes: Axes) -> None:
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def _draw(title: str, paint: Callable[[Axes], None], *, height: float = 3.4) -> str:
    with mpl.rc_context({**_STYLE, "svg.hashsalt": title}):
        figure = Figure(figsize=(5.0, height), layout="constrained")
        axes = figure.add_subplot()
        paint(axes)
        sink = io.StringIO()
        # No date: equal facts give equal bytes.
        FigureCanvasSVG(figure).print_svg(sink, metadata={"Date": None, "Creator": None})
    return _inline(sink.getvalue(), title)


def _inline(document: str, title: str) -> str:
    """The drawing alone, with names that are its own in a page of many."""
    body = document[document.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    name = re.sub(r"[^a-z0-9]+", "-", title.lower())
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = body.replace("url(#", f"url(#{name}-").replace('href="#', f'href="#{name}-')
    # The page names the font, and the browser needs no list of them at every word.
    body = re.sub(r"font-family: [^;\"]*;?\s*", "", body)
    return body.replace("<svg ", f'<svg role="img" aria-label="{title}" ', 1).strip()
