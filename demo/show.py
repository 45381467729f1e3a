"""What the demo prints: the table of scores, the chart of the forecast, the alerts received."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import plotext
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SEOUL: Final = ZoneInfo("Asia/Seoul")
COLUMNS: Final = ("model", "seed_recipe", "damped_anomaly", "persistence", "climatology")
THRESHOLDS: Final = {"temperature": (("heat", 30.0), ("frost", 0.0)), "humidity": (("dry", 30.0),)}


def scores(by_target: Mapping[str, Mapping[str, float]]) -> Table:
    """RMSE 24 h ahead on the same hours of the holdout."""
    table = Table(title="RMSE 24 h ahead on the newest 20 % of the hours, never trained on")
    table.add_column("target")
    for name in COLUMNS:
        table.add_column(name.replace("_", " "), justify="right")
    for target, figures in by_target.items():
        values = [figures[f"rmse_24h_{name}"] for name in COLUMNS]
        best = min(values)
        table.add_row(target, *(f"[b]{v:.2f}[/b]" if v == best else f"{v:.2f}" for v in values))
    return table


def chart(name: str, payload: Mapping[str, Any]) -> str:
    """The next hours of one quantity with its 80 % band and the alert thresholds, as text."""
    hours = payload["hours"]
    leads = list(range(1, len(hours) + 1))
    figure = plotext.figure
    figure.clear()
    figure.theme("colorless")
    figure.plot_size(100, 20)
    for key, marker in (("p90", "·"), ("value", "●"), ("p10", "·")):
        figure.draw(figure.signal(leads, [hour[key] for hour in hours], marker=marker))
    shown = [hour[key] for hour in hours for key in ("p10", "p90")]
    words = ["● forecast", "· 80 % interval"]
    for label, level in THRESHOLDS[name]:
        if min(shown) - 2 <= level <= max(shown) + 2:
            figure.draw(figure.signal(leads, [level] * len(leads), marker="-"))
            words.append(f"- {label} {level:g} {payload['unit']}")
    times = [datetime.fromisoformat(hour["valid_at"]).astimezone(SEOUL) for hour in hours]
    every = range(0, len(times), 6)
    figure.ruler("x").ticks([leads[i] for i in every], [f"{times[i]:%d.%H}h" for i in every])
    figure.title(f"{name}, {payload['unit']}: {', '.join(words)}; day.hour in Korea")
    text: str = figure.build().string(colorless=True)
    return text


def alerts(events: Sequence[Mapping[str, Any]]) -> Table:
    """Every alert edge as the subscriber received it."""
    table = Table(title="Alerts as a controller receives them", show_lines=True)
    for name in ("rule", "what", "value", "chance", "release", "valid until (KST)"):
        table.add_column(name)
    for event in events:
        until = datetime.fromisoformat(event["valid_until"]).astimezone(SEOUL)
        value = "-" if event["value"] is None else f"{event['value']:.1f} {event['unit']}"
        chance = "-" if event["probability"] is None else f"{event['probability']:.0%}"
        table.add_row(
            f"{event['rule']}\n{event['event_type']}, {event['severity']}",
            f"{event['text']}\n[dim]{event['reason']}[/dim]",
            value,
            chance,
            str(event["model_release"]),
            f"{until:%Y-%m-%d %H:%M}",
        )
    return table
