"""The rules that apply without any in the configuration."""

from __future__ import annotations

import pytest

from edge_agent import config
from edge_agent.agronomy.development import BUD_FROST_C
from edge_agent.alerts import default_rules
from edge_agent.contract import schema
from edge_agent.settings import Config, Irrigation, Sensor
from trainer.evaluation.events import EVENTS, Event

HOUSE = Config(
    irrigation=Irrigation(crop="strawberry"),
    sensors=(Sensor(topic="t", quantity=schema.AIR_TEMPERATURE, unit="C", role="indoor"),),
)


@pytest.mark.parametrize("event", [e for e in EVENTS if e.name != "damp"], ids=lambda e: e.name)
def test_the_gate_judges_what_farms_are_told(event: Event) -> None:
    """The trainer scores warnings at the limit and the chance at which devices give them."""
    rules = {rule.name: rule for rule in default_rules.rules(Config())}
    rule = rules[event.name]
    told = (rule.quantity, rule.operator, rule.threshold, rule.probability)
    assert told == (event.target, event.operator, event.threshold, event.served)


def test_they_pass_the_checks_of_the_configuration() -> None:
    """What is built in could as well be written down."""
    for settings in (Config(), HOUSE):
        assert list(config.check(Config(rules=default_rules.rules(settings)))) == []


def test_no_limit_has_digits_that_nobody_wrote() -> None:
    """`check-config` and `/api` show 1.4, not 1.4000000000000001."""
    stages = [(crop, stage) for crop, known in BUD_FROST_C.items() for stage in known]
    settings = [Config(irrigation=Irrigation(crop=c, bud_stage=s)) for c, s in stages]
    limits = [
        limit
        for one in (Config(), HOUSE, *settings)
        for rule in default_rules.rules(one)
        for limit in (rule.threshold, rule.clear)
        if limit is not None
    ]
    assert [limit for limit in limits if limit != round(limit, 2)] == []


def test_frost_for_the_buds_that_are_there() -> None:
    """A degree before what kills a tenth of them; without a stage no such rule."""

    def names(crop: str, bud_stage: str = "") -> dict[str, float]:
        made = default_rules.rules(Config(irrigation=Irrigation(crop=crop, bud_stage=bud_stage)))
        return {rule.name: rule.threshold for rule in made}

    assert names(crop="pear", bud_stage="full_bloom")["bud-frost"] == pytest.approx(-1.2)
    assert names(crop="apple", bud_stage="silver_tip")["bud-frost"] == pytest.approx(-8.4)
    assert "bud-frost" not in names(crop="apple")
    wrong = Config(irrigation=Irrigation(crop="tomato", bud_stage="full_bloom"))
    assert [problem.path for problem in config.check(wrong)] == ["irrigation.bud_stage"]
