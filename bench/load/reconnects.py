"""How a fleet comes back to its broker, drawn: by the agent's own pauses, and as measured.

`python -m bench.load.fleet --plot FILE` draws it from `bench/load/reconnects.json`. Equal facts
give equal bytes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from edge_agent.system.html import Markup, join, tag
from tests.fakes.fleet import per_second, returns

if TYPE_CHECKING:
    from collections.abc import Sequence

FACTS: Final = Path(__file__).with_suffix(".json")

_BLINK_S: Final = 0.5
_DEFAULT_S: Final = 1.0
_LAST_S: Final = 300
_MOST: Final = 20_000
_WIDTH, _HEIGHT = 860, 330
_TOP, _BOTTOM = 56, 270
_STYLE: Final = """
.paper{fill:#fff}text{fill:#1b1f24;font:12px system-ui,sans-serif}.head{font-weight:600}
.grid{stroke:#e3e6ea}.limit{stroke:#1b1f24;stroke-dasharray:5 4}.end{text-anchor:end}
.middle{text-anchor:middle}path{fill:none;stroke-width:1.6}.herd{stroke:#a34700}
.spread{stroke:#005a94}.seen{stroke:#00704f;stroke-width:1.2}
@media (prefers-color-scheme:dark){.paper{fill:#0d1117}text{fill:#e6edf3}.grid{stroke:#30363d}
.limit{stroke:#e6edf3}.herd{stroke:#ff9d57}.spread{stroke:#6cb6ff}.seen{stroke:#4fd1a5}}
"""


class Measured(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `bench.load.fleet` saw.

    Attributes:
        devices: How many.
        window_s: `mqtt.reconnect_s` of every device.
        away_s: How long the broker was away.
        connect_us: The broker's processor for a connection, without TLS.
        connect_tls_us: The same with TLS (ECDSA P-256).
        returned: Connections in each second from the broker's return on.
    """

    devices: int
    window_s: float
    away_s: float
    connect_us: float
    connect_tls_us: float
    returned: list[int]


@dataclass(frozen=True, slots=True)
class _Series:
    """A line: class of the sheet, name, connections by second."""

    kind: str
    name: str
    counts: Sequence[int]


@dataclass(frozen=True, slots=True)
class _Panel:
    """Part of the drawing: its title, lines and left and right end."""

    title: str
    lines: Sequence[_Series]
    left: int
    right: int


def draw(seen: Measured) -> str:
    """The drawing as an SVG document: a blink of the broker, and the outage that was measured."""

    def line(kind: str, window_s: float, away_s: float) -> _Series:
        times = returns(seen.devices, away_s, window_s)
        return _Series(kind, f"reconnect_s = {window_s:g}, simulated", per_second(times))

    panels = [
        _Panel(
            f"broker away for {_BLINK_S:g} s",
            [line("herd", _DEFAULT_S, _BLINK_S), line("spread", seen.window_s, _BLINK_S)],
            58,
            418,
        ),
        _Panel(
            f"broker away for {seen.away_s:g} s",
            [
                line("herd", _DEFAULT_S, seen.away_s),
                line("spread", seen.window_s, seen.away_s),
                _Series("seen", f"reconnect_s = {seen.window_s:g}, measured", seen.returned),
            ],
            478,
            838,
        ),
    ]
    limits = [
        _limit(seen.connect_us, "one core of the broker", panels),
        _limit(seen.connect_tls_us, "with TLS", panels),
    ]
    title = f"{seen.devices:,} devices come back to one broker: connections a second"
    picture = tag(
        "svg",
        tag("title", title),
        tag("style", Markup(_STYLE)),
        tag("rect", class_="paper", width=_WIDTH, height=_HEIGHT),
        tag("text", title, class_="head", x=10, y=20),
        *map(_panel, panels),
        *limits,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
    )
    return f"{picture}\n"


def _panel(panel: _Panel) -> Markup:
    middle = (panel.left + panel.right) / 2
    seconds = range(0, _LAST_S + 1, 60)
    ticks = [10**power for power in range(5)]
    return join(
        tag("text", panel.title, class_="middle", x=middle, y=_TOP - 14),
        tag("text", "connections/s", x=panel.left - 48, y=_TOP - 14),
        *(
            tag("line", class_="grid", x1=panel.left, x2=panel.right, y1=_y(tick), y2=_y(tick))
            for tick in ticks
        ),
        *(
            tag(
                "text",
                f"{tick:,}" if tick > 1 else "≤ 1",
                class_="end",
                x=panel.left - 6,
                y=_y(tick) + 4,
            )
            for tick in ticks
        ),
        *(tag("text", str(at), class_="middle", x=_x(panel, at), y=_BOTTOM + 18) for at in seconds),
        tag("text", "seconds after it is back", class_="middle", x=middle, y=_BOTTOM + 38),
        *(
            tag("path", class_=series.kind, d=_steps(panel, series.counts))
            for series in panel.lines
        ),
        *(_named(panel, number, series) for number, series in enumerate(panel.lines)),
    )


def _named(panel: _Panel, number: int, series: _Series) -> Markup:
    """A line of the legend, under the limits and over the spread fleet."""
    y = _y(700) + 16 * number
    return join(
        tag("path", class_=series.kind, d=f"M{panel.right - 220} {y - 4:.1f}h18"),
        tag("text", series.name, x=panel.right - 196, y=y),
    )


def _limit(cost_us: float, name: str, panels: Sequence[_Panel]) -> Markup:
    most = 1e6 / cost_us
    at = _y(most)
    return join(
        *(
            join(
                tag("line", class_="limit", x1=panel.left, x2=panel.right, y1=at, y2=at),
                tag(
                    "text",
                    f"{name}: {round(most, -2):,.0f} a second",
                    class_="end",
                    x=panel.right,
                    y=at - 4,
                ),
            )
            for panel in panels
        )
    )


def _steps(panel: _Panel, counts: Sequence[int]) -> str:
    """Path of the counts, of seconds that are drawn; none and one lie on the axis."""
    shown = list(counts[:_LAST_S])
    ups = [f"V{_y(count):.1f}H{_x(panel, at + 1):.1f}" for at, count in enumerate(shown)]
    return f"M{panel.left} {_BOTTOM}" + "".join(ups)


def _x(panel: _Panel, second: float) -> float:
    return panel.left + second / _LAST_S * (panel.right - panel.left)


def _y(count: float) -> float:
    return _BOTTOM - math.log(max(count, 1)) / math.log(_MOST) * (_BOTTOM - _TOP)
