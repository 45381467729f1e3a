"""The machine of wrong clocks for as long as it takes to see what is rare."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.contract.test_clock_machine import WrongClockMachine

LONG = settings(max_examples=1500, stateful_step_count=20, deadline=None)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_wrong_clock_changes_nothing_for_good() -> None:
    """Some ten thousand settings, starts and turns of the weather."""
    run_state_machine_as_test(WrongClockMachine, settings=LONG)
