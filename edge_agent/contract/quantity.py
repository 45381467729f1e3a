"""What a row of `contract.schema` holds: whatever differs by quantity. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_agent.contract.units import Conversions


@dataclass(frozen=True, slots=True)
class Label:
    """What people call a quantity in one language.

    Attributes:
        text: Within a sentence.
        heading: Above a chart.
        short: Where there is little room: on a tile, in the name of an entity.
    """

    text: str
    heading: str
    short: str

    @classmethod
    def of(cls, text: str, heading: str = "", short: str = "") -> Label:
        """Label whose heading is the text, and whose short form is the heading, unless given."""
        return cls(text, heading or text, short or heading or text)


class HourMethod(Enum):
    """What the hour of a farm's own sensor is; see `observations.sensors`."""

    MEDIAN = auto()
    """Median of the last minutes."""
    MEAN = auto()
    """Mean of the last minutes."""
    DIRECTION = auto()
    """Mean of the last minutes as vectors."""
    POWER = auto()
    """Mean of the whole hour: the hour's energy."""
    COUNTER = auto()
    """Rises of a running total within the hour."""


Limits = tuple[float, float]
"""Smallest and largest value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetLimits:
    """Limits of a quantity that is forecast, in its unit.

    Attributes:
        bias: Largest mean error that the gate lets pass: overall, and in one season.
        bias_slack: How much further off than the live release a biased challenger may be.
        leak_rmse: A year's RMSE a day ahead that no forecast from observations alone has reached
            in Seoul. Below it the gate looks for a leak of the future.
        leak_share: The same as a share of persistence's RMSE.
        correction: Largest bias that a device takes off by itself.
        metric: Name in MLflow's metrics and registered models.
        optional: Whether a release may go without it, as not every station measures it.
    """

    bias: tuple[float, float]
    bias_slack: float
    leak_rmse: float
    leak_share: float
    correction: float
    metric: str
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """One quantity, measured or derived.

    Attributes:
        name: Column name, unit included.
        short_name: Name of its series among the features, of its MQTT topic and of its label in
            metrics.
        unit: Unit as shown to people.
        low: Smallest plausible value, in the unit.
        high: Largest plausible value, in the unit.
        ko: Its labels in Korean.
        en: Its labels in English.
        weather: Whether weather stations measure it, so that it is a column of every observation
            frame; False for what only a farm's own sensors measure.
        step_per_hour: Largest plausible change from one hour to the next, or None where jumps are
            natural.
        stuck_hours: Number of equal hourly values in a row that mean a stuck sensor, or None where
            long runs of one value are natural (dry weather, night, calm).
        neighbour_limit: Largest plausible departure from the stations around, or None where they
            say little.
        sensor_units: Units that a sensor may report in, with scale and offset; empty where no
            sensor measures it.
        sensor_limits: Smallest and largest value that a sensor of a role can measure, where that is
            not `low` and `high`: in a hot house, in the soil, or of a running total.
        overshoot: How far below the smallest and above the largest value a sensor that works may
            read. The limit is taken then.
        turn: Degrees after which values are the same again; None: they are no directions.
        hourly: What becomes of a sensor's readings.
        code: Whether its numbers are those of kinds, between which there is nothing.
        noise: Falls of a running total up to this are noise.
        physical: Smallest and largest possible value, where that is more than what is plausible of
            a reading; forecasts are clipped to it.
        digits: Digits after the point where people read it.
        chart: Limits of a chart's axis; None: as far as the values reach.
        device_class: Home Assistant's class of its forecast; empty: none.
        target: Its limits as a forecast; None where it is not forecast.
    """

    name: str
    short_name: str
    unit: str
    low: float
    high: float
    ko: Label
    en: Label
    weather: bool = True
    step_per_hour: float | None = None
    stuck_hours: int | None = None
    neighbour_limit: float | None = None
    sensor_units: Conversions = field(default_factory=dict)
    sensor_limits: Mapping[str, Limits] = field(default_factory=dict)
    overshoot: tuple[float, float] = (0.0, 0.0)
    turn: float | None = None
    hourly: HourMethod = HourMethod.MEDIAN
    code: bool = False
    noise: float = 0.0
    physical: Limits | None = None
    digits: int = 1
    chart: tuple[float | None, float | None] = (None, None)
    device_class: str = ""
    target: TargetLimits | None = None

    @property
    def sums(self) -> bool:
        """Whether it is the amount of an hour, so that hours have a sum."""
        return self.hourly is HourMethod.COUNTER

    @property
    def bounds(self) -> Limits:
        """Smallest and largest value that a forecast may have."""
        return self.physical or (self.low, self.high)

    def label(self, language: str) -> Label:
        """Its labels in "ko" or "en"."""
        return self.en if language == "en" else self.ko

    def limits(self, role: str) -> Limits:
        """Smallest and largest value of a sensor of a role."""
        return self.sensor_limits.get(role, (self.low, self.high))

    def settled(self, value: float, role: str) -> float | None:
        """A sensor's value within the limits of its role; None where it is no measurement."""
        low, high = self.limits(role)
        below, above = self.overshoot
        if not low - below <= value <= high + above:
            return None
        if self.turn is not None and not low <= value <= high:
            return value % self.turn
        # Adding zero takes the sign off a negative zero.
        return min(max(value, low), high) + 0.0

    def convert(self, value: float, unit: str) -> float:
        """`value`, reported by a sensor in `unit`, in the quantity's unit.

        Raises:
            KeyError: No sensor reports it in this unit.
        """
        scale, offset = self.sensor_units[unit]
        return value * scale + offset
