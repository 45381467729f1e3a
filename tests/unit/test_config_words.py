"""Errors of both configurations are in words: over every key of both schemas."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent import config
from edge_agent.contract import farm_identity
from edge_agent.contract.errors import BadData, ConfigError
from edge_agent.contract.farm_identity import WORDS
from edge_agent.settings import Config
from edge_agent.system import value_words
from tests.fakes.config_keys import keys_of
from trainer.workspace import config as trainer_config

if TYPE_CHECKING:
    from collections.abc import Callable


KEYS = tuple(keys_of(Config))
TRAINER_KEYS = tuple(keys_of(trainer_config.Config))
STRANGE = st.one_of(
    st.sampled_from(
        ["nan", "inf", "-inf", "1e400", "true", '"30"', '"٣٠"', '"３０"', '"a\\n"', '""', "[1]"]
    ),
    st.sampled_from(["{ a = 1 }", "2026-01-01", "-1", "9" * 18, "[nan]", '"\\u0000"', "07:30:00"]),
    st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=20).map(
        lambda text: f"'''{text.replace(chr(39), '')}'''"
    ),
)
PROGRAMMERS_WORDS = re.compile(
    r"regex|`|Expected|\bstr\b|\bint\b|\bfloat\b|\bbool\b|\\d|\^|\$\[|null"
)

NO_NUMBER = re.compile(r"\bnan\b|\binf\b")


def document(path: tuple[str, ...], value: str) -> bytes:
    """TOML that sets one key; a list of tables has one table."""
    text = f"{path[-1]} = {value}"
    for part in reversed(path[:-1]):
        text = f"[{{ {text} }}]" if part == "0" else f"{part} = {text}"
        text = text if part == "0" else text.replace(" = ", " = { ", 1) + " }"
    return re.sub(r"= \{ (\[.*\]) \}$", r"= \1", text).encode()


def told_and_made(decode: Callable[[], object]) -> tuple[str, str]:
    """What an error tells, and what was made of the document; without texts in quotation marks."""
    try:
        told, made = "", repr(decode())
    except ConfigError as fault:
        told, made = str(fault), ""
    return re.sub(r"'.*?'", "", told), re.sub(r"'.*?'", "", made)


@given(st.sampled_from(KEYS), STRANGE)
def test_any_value_is_taken_or_refused_in_words(key: tuple[Any, ...], value: str) -> None:
    """No key takes what is no number; no error is in the words of programmers."""
    told, made = told_and_made(lambda: config.decode(document(key[0], value), "c.toml", {}))
    assert not PROGRAMMERS_WORDS.search(told)
    assert not NO_NUMBER.search(made)


@given(st.sampled_from(TRAINER_KEYS), STRANGE)
def test_the_trainer_refuses_in_words(key: tuple[Any, ...], value: str) -> None:
    """The same for trainer.toml."""
    told, made = told_and_made(lambda: trainer_config.decode(document(key[0], value), "t.toml"))
    assert not PROGRAMMERS_WORDS.search(told)
    assert not NO_NUMBER.search(made)


@pytest.mark.parametrize("key", [*KEYS, *TRAINER_KEYS], ids=lambda key: ".".join(key[0]))
def test_each_pattern_has_words_and_an_example(key: tuple[Any, ...]) -> None:
    """What a person reads instead of a regular expression; the example is one that is taken."""
    for meta in value_words.metas(key[1]):
        if meta.pattern:
            assert (meta.extra or {})[WORDS]
            assert all(re.fullmatch(meta.pattern, text) for text in meta.examples or ())
            assert meta.examples


@pytest.mark.parametrize("section", ["rules[0].message", "push.template"])
@pytest.mark.parametrize(
    "text",
    [
        "{x.__class__}", "{rule.__class__}", "{severity.__class__.__mro__}", "{rule!r}",
        "{rule:>1000000000}", "{rule:{severity}}", "{rule[0]}", "{0}", "{}", "{", "}",
    ],
)  # fmt: skip
def test_a_text_holds_names_alone(section: str, text: str) -> None:
    """No attribute, no width that fills the memory, no conversion: in every text of a person."""
    rule = '[[rules]]\nname = "a"\nquantity = "air_temperature_c"\noperator = ">="\nthreshold = 3\n'
    toml = {
        "rules[0].message": f'{rule}message = "{text}"',
        "push.template": f'[push]\nurl = "https://ntfy.example/farm"\ntemplate = "{text}"',
    }[section]
    with pytest.raises(config.InvalidConfig) as caught:
        config.decode(toml.encode(), "c.toml")
    assert {problem.path for problem in caught.value.problems} == {section}


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e400", '"30"', "true", '"٣٠"'])
@pytest.mark.parametrize("key", ["threshold", "clear"])
def test_a_threshold_is_a_number(key: str, value: str) -> None:
    """A rule at NaN would never be raised, and nobody would know."""
    rule = '[[rules]]\nname = "a"\nquantity = "air_temperature_c"\noperator = ">="\n'
    others = "" if key == "threshold" else "threshold = 30\n"
    with pytest.raises(config.InvalidConfig) as caught:
        config.decode(f"{rule}{others}{key} = {value}".encode(), "c.toml")
    (problem,) = caught.value.problems
    assert (problem.path, problem.line) == (f"rules[0].{key}", 5 + bool(others))
    assert problem.text.startswith("must be a number, not ")


def test_each_wrong_item_of_a_list_is_told_with_its_line() -> None:
    """Both names, and the line of their key."""
    with pytest.raises(config.InvalidConfig) as caught:
        config.decode(b'[mqtt]\nport = 1\ncommands = ["sync", "x", 5]', "c.toml")
    assert [(p.path, p.line) for p in caught.value.problems] == [
        ("mqtt.commands[1]", 3),
        ("mqtt.commands[2]", 3),
    ]


def test_the_trainer_lists_every_error_with_its_line() -> None:
    """Errors of single keys and those between keys come together."""
    text = (
        'start = "2014-13-01"\nstations = [108, 7, 108]\nfarms = [[0.0, 0.0]]\n'
        "[training]\nholdout_share = nan\n[depot]\ncanary_days = 3\n"
        '[compute]\nbackend = "dask"\n'
    )
    with pytest.raises(ConfigError) as caught:
        trainer_config.decode(text.encode(), "t.toml")
    told = str(caught.value)
    for part in (
        "line 1: start: '2014-13-01' is not a day like 2014-01-01",
        "line 2: stations[1]: 7 is not one of KMA's 97 ASOS stations",
        "line 2: stations[2]: 108 stands there twice",
        "line 3: farms[0]: ",
        "line 5: training.holdout_share: must be a number above 0 and below 1, not nan",
        "line 7: depot.canary_days: ",
        "compute.scheduler: ",
    ):
        assert part in told


def test_no_regular_expression_in_what_a_trainer_is_told_of_a_device() -> None:
    """A history with a wrong name is refused with an example."""
    with pytest.raises(BadData, match="site: must be text such as 'greenhouse-1'") as caught:
        farm_identity.decode('{"site": "A B", "device": "x", "latitude": 1, "longitude": 1}')
    assert "^" not in str(caught.value)
