"""The built-in rules; those of the configuration stand beside them. Pure.

The chances at which a rule is raised were chosen on the training years of Seoul (2013 to October
2017, each quarter forecast by models that never saw it, 24 h ahead) by `bench.skill.thresholds` on
2026-11-21: the highest CSI at a POD of 0.85 for heat (at a FAR of 0.30, which no chance reaches
together with it; 0.20 misses both by least) and frost, 0.95 for the watch and 0.50 for dryness.

    rule         chance   POD    FAR    CSI   on those 41,559 hours
    heat           0.20   0.84   0.58   0.39
    frost          0.40   0.86   0.25   0.67
    frost-watch    0.25   0.95   0.25   0.73
    dryness        0.25   0.59   0.60   0.32

Rules on wind, rain and snow are on what KMA's forecast has; a device that never had one leaves them
out. The limits of wind and snow are those of `[house]`. Their defaults are half of the smallest
that houses in Korea are designed for (24 m/s of gusts, which reach twice the mean; 20 cm of snow):
the house may be older. Sudden cold is a fall against the same hour of the day before, since each
day has one. Dew settles on fruit that is still as cold as three hours before, when the air has
warmed by more than its dew point lies below it: 2.5 C at 85 %.

They are defaults to edit. `trainer.evaluation.events` scores the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edge_agent.agronomy.crops import CROPS
from edge_agent.agronomy.development import BUD_FROST_C
from edge_agent.contract import schema
from edge_agent.settings import Condition, Rule

if TYPE_CHECKING:
    from edge_agent.settings import Config, House, Irrigation

HIGH_VPD_KPA: Final = 1.6
"""Upper end of what is advised for crops under glass (`LOW_VPD_KPA` to it)."""
LOW_VPD_KPA: Final = 1.4
BUD_COLDER_C: Final = 1.0
_HOLD_S: Final = 3 * 3600
_WEATHER: Final = (
    Rule(
        name="heat",
        quantity=schema.AIR_TEMPERATURE,
        operator=">=",
        threshold=30.0,
        probability=0.2,
        clear=29.0,
        hold_s=_HOLD_S,
    ),
    Rule(
        name="dryness",
        quantity=schema.RELATIVE_HUMIDITY,
        operator="<=",
        threshold=30.0,
        probability=0.25,
        clear=35.0,
        hold_s=_HOLD_S,
    ),
    Rule(
        name="frost",
        quantity=schema.AIR_TEMPERATURE,
        operator="<=",
        threshold=0.0,
        probability=0.4,
        clear=1.0,
        hold_s=_HOLD_S,
        severity="critical",
    ),
    Rule(
        name="frost-watch",
        quantity=schema.AIR_TEMPERATURE,
        operator="<=",
        threshold=2.0,
        probability=0.25,
        clear=3.0,
        hold_s=_HOLD_S,
    ),
    Rule(
        name="vpd-high",
        quantity=schema.VPD,
        operator=">=",
        threshold=HIGH_VPD_KPA,
        for_h=3,
        clear=LOW_VPD_KPA,
        hold_s=_HOLD_S,
        severity="info",
    ),
    Rule(
        name="cold-snap",
        quantity=schema.AIR_TEMPERATURE,
        aggregate="fall",
        over_h=24,
        operator=">=",
        threshold=10.0,
        clear=8.0,
        all=(Condition(quantity=schema.AIR_TEMPERATURE, operator="<=", threshold=5.0),),
        within_h=48,
        hold_s=_HOLD_S,
    ),
    Rule(
        name="heavy-rain",
        quantity=schema.RAIN,
        aggregate="sum",
        over_h=12,
        operator=">=",
        threshold=60.0,
        clear=40.0,
        hold_s=_HOLD_S,
    ),
    Rule(
        name="rain-soon",
        quantity=schema.RAIN_CHANCE,
        operator=">=",
        threshold=60.0,
        clear=40.0,
        within_h=6,
        hold_s=_HOLD_S,
        severity="info",
    ),
)
_DEW: Final = Rule(
    name="dew-at-sunrise",
    quantity=schema.AIR_TEMPERATURE,
    aggregate="rise",
    over_h=3,
    operator=">=",
    threshold=3.0,
    all=(Condition(quantity=schema.RELATIVE_HUMIDITY, operator=">=", threshold=85.0),),
    hold_s=_HOLD_S,
    severity="info",
)
FRUIT: Final = (
    "strawberry", "tomato", "paprika", "chilli", "cucumber", "melon", "apple", "pear",
)  # fmt: skip
"""Crops whose fruit dew harms."""


NAMES: Final = (
    *(rule.name for rule in _WEATHER),
    "strong-wind",
    "heavy-snow",
    _DEW.name,
    "bud-frost",
    "house-hot",
    "house-cold",
)
"""Of every built-in rule, whatever the farm grows."""


def in_force(config: Config) -> tuple[Rule, ...]:
    """Built-in rules, then the farm's own.

    Left out are built-in rules that `[builtin] off` names, and those whose name an own rule has.
    """
    replaced = {rule.name for rule in config.rules}.union(config.builtin.off)
    return (*(rule for rule in rules(config) if rule.name not in replaced), *config.rules)


def rules(config: Config) -> tuple[Rule, ...]:
    """On the coming weather, what the house bears, and the crop's own limits.

    With a crop of `FRUIT` in `[irrigation]` a rule watches for dew. With any crop there and a
    thermometer of role "indoor", two live rules watch the house with the limits of that crop. With
    `bud_stage` a rule watches for frost that kills a tenth of the buds in that stage, a degree
    before, since a bud is colder than the air on clear nights.
    """
    crop = CROPS.get(config.irrigation.crop)
    indoor = any(
        sensor.role == "indoor" and sensor.quantity == schema.AIR_TEMPERATURE
        for sensor in config.sensors
    )
    dew = (_DEW,) if config.irrigation.crop in FRUIT else ()
    weather = (*_WEATHER, *_loads(config.house), *dew, *_bud_frost(config.irrigation))
    if crop is None or not indoor:
        return weather
    hot = Rule(
        name="house-hot",
        quantity=schema.AIR_TEMPERATURE,
        operator=">=",
        threshold=crop.high_c,
        clear=crop.high_c - 1.0,
        now=True,
        role="indoor",
    )
    cold = Rule(
        name="house-cold",
        quantity=schema.AIR_TEMPERATURE,
        operator="<=",
        threshold=crop.low_c,
        clear=crop.low_c + 1.0,
        now=True,
        role="indoor",
    )
    return (*weather, hot, cold)


def needs_guidance(config: Config, rule: Rule) -> bool:
    """Whether a rule in force comes with the agent and is on what only KMA's forecast has."""
    points = any(condition.quantity in schema.POINTS for condition in rule.conditions)
    return points and not rule.now and rule not in config.rules


def _loads(house: House) -> tuple[Rule, ...]:
    """Wind and snow that the house may not bear."""
    wind = Rule(
        name="strong-wind",
        quantity=schema.WIND_SPEED,
        operator=">=",
        threshold=house.wind_limit_ms,
        clear=round(0.8 * house.wind_limit_ms, 1),
        probability=0.3,
        hold_s=_HOLD_S,
    )
    snow = Rule(
        name="heavy-snow",
        quantity=schema.NEW_SNOW,
        aggregate="sum",
        over_h=12,
        operator=">=",
        threshold=house.snow_limit_cm,
        clear=round(0.7 * house.snow_limit_cm, 1),
        hold_s=_HOLD_S,
    )
    return wind, snow


def _bud_frost(settings: Irrigation) -> tuple[Rule, ...]:
    deadly = BUD_FROST_C.get(settings.crop, {}).get(settings.bud_stage)
    if deadly is None:
        return ()
    # The sum of two decimal numbers has digits that nobody wrote.
    threshold = round(deadly + BUD_COLDER_C, 1)
    return (
        Rule(
            name="bud-frost",
            quantity=schema.AIR_TEMPERATURE,
            operator="<=",
            threshold=threshold,
            probability=0.2,
            clear=round(threshold + 1.0, 1),
            hold_s=_HOLD_S,
            severity="critical",
        ),
    )
