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

They are defaults to edit. `trainer.evaluation.events` scores the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edge_agent.agronomy.crops import CROPS
from edge_agent.agronomy.development import BUD_FROST_C
from edge_agent.contract import schema
from edge_agent.settings import Rule

if TYPE_CHECKING:
    from edge_agent.settings import Config, Irrigation

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
)


NAMES: Final = (*(rule.name for rule in _WEATHER), "bud-frost", "house-hot", "house-cold")
"""Of every built-in rule, whatever the farm grows."""


def in_force(config: Config) -> tuple[Rule, ...]:
    """Built-in rules, then the farm's own.

    Left out are built-in rules that `[builtin] off` names, and those whose name an own rule has.
    """
    replaced = {rule.name for rule in config.rules}.union(config.builtin.off)
    return (*(rule for rule in rules(config) if rule.name not in replaced), *config.rules)


def rules(config: Config) -> tuple[Rule, ...]:
    """Heat, dryness, frost and thirsty air of the coming day, and the crop's own limits.

    With a crop in `[irrigation]` and a thermometer of role "indoor", two live rules watch the
    house with the limits of that crop. With `bud_stage` a rule watches for frost that kills a tenth
    of the buds in that stage, a degree before, since a bud is colder than the air on clear nights.
    """
    crop = CROPS.get(config.irrigation.crop)
    indoor = any(
        sensor.role == "indoor" and sensor.quantity == schema.AIR_TEMPERATURE
        for sensor in config.sensors
    )
    weather = (*_WEATHER, *_bud_frost(config.irrigation))
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
