"""Outcome of a check of a device, and what is checked."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from edge_agent.contract.errors import FarmError
from edge_agent.system import fault_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from edge_agent.settings import Config
    from edge_agent.system.ports import Clock


class Outcome(StrEnum):
    """How serious a finding is."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """Outcome of one check.

    Attributes:
        seen: What was found.
        advice: What to do; empty where nothing is to be done.
    """

    check: str
    outcome: Outcome
    seen: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """The device that is checked."""

    config: Config
    state: Path
    clock: Clock
    env: Mapping[str, str]


def guarded(name: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Findings of a check; a foreseeable error in it is a finding as well."""
    try:
        yield from check()
    except (FarmError, OSError) as fault:
        yield Finding(name, Outcome.FAIL, fault_words.of_file(fault))
