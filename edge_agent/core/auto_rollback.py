"""Goes back to the previous release when a new one fails where the previous one forecasts.

    P1  A release that replaced another is on trial until `CYCLES` cycles forecast by its models.
    P2  Where a cycle on trial raises, or its models give no number, the previous release works
        the same hour. If that one forecasts, the device goes back to it and publishes its hour.
    P3  Where neither forecasts, the weather is missing, and the trial continues.
    P4  A cycle is recorded before it begins. After `CYCLES` in a row without an end (the process
        was killed by what the release does) the device goes back before it tries again.
    P5  A full or failing disk is no fault of the release.

`Slots` remembers the release that was left, so that the next update does not install it again.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from edge_agent.contract.errors import FarmError, StorageError
from edge_agent.contract.forecast import Forecast
from edge_agent.forecasting import fallback
from edge_agent.updates.slots import Trial

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_agent.core.cycle import Decision
    from edge_agent.forecasting.forecaster import LoadedRelease
    from edge_agent.updates.installed_release import InstalledRelease
    from edge_agent.updates.slots import Slots

_log = logging.getLogger(__name__)
CYCLES: Final = 3


class AutoRollback:
    """Guards a device against a release that installs but does not work.

    Args:
        slots: The releases of this device.
        live: The live release in memory, loaded anew where another went live.
        load: Puts an installed release into memory.
    """

    def __init__(
        self,
        slots: Slots,
        live: Callable[[], LoadedRelease | None],
        load: Callable[[InstalledRelease], LoadedRelease],
    ) -> None:
        self._slots = slots
        self._live = live
        self._load = load

    def decide(self, work: Callable[[LoadedRelease | None], Decision]) -> Decision:
        """Decision of one hour, by the new release or by the previous one.

        Args:
            work: Decides the hour with a release; writes nothing, as it may be asked twice.

        Raises:
            StorageError: The disk failed.
            FarmError: As `work`, where no release can do it.
        """
        trial = self._slots.pointer().trial
        if trial is not None and trial.begun >= CYCLES:
            self._go_back(f"the agent stopped within each of its last {CYCLES} cycles")
            trial = None
        if trial is None:
            return work(self._live())
        self._slots.note(Trial(trial.begun + 1, trial.good))
        decision, fault = self._try(work)
        if decision is not None and _by_models(decision):
            good = trial.good + 1
            self._slots.note(Trial(0, good) if good < CYCLES else None)
            return decision
        previous = self._by_previous(work)
        if previous is not None:
            self._go_back(_why(decision, fault))
            return previous
        self._slots.note(Trial(0, trial.good))
        if decision is None:
            assert fault is not None
            raise fault
        return decision

    def _try(
        self, work: Callable[[LoadedRelease | None], Decision]
    ) -> tuple[Decision | None, Exception | None]:
        try:
            return work(self._live()), None
        except StorageError:
            raise
        except Exception as fault:  # noqa: BLE001 - whatever a release does to a cycle is judged
            return None, fault

    def _by_previous(self, work: Callable[[LoadedRelease | None], Decision]) -> Decision | None:
        installed = self._slots.previous()
        if installed is None:
            return None
        try:
            decision = work(self._load(installed))
        except StorageError:
            raise
        except Exception as fault:  # noqa: BLE001 - as above
            _log.warning("the previous release cannot work this hour either: %s", fault)
            return None
        return decision if _by_models(decision) else None

    def _go_back(self, why: str) -> None:
        failed = self._slots.pointer().current
        try:
            release = self._slots.go_back(why)
        except StorageError:
            raise
        except FarmError as fault:
            # P4 without a usable previous release: nothing is better than to continue.
            _log.error("cannot go back: %s", fault)
            self._slots.note(None)
            return
        _log.error(
            "release %s is left, release %d is live again: %s",
            "?" if failed is None else failed.release,
            release.manifest.release,
            why,
        )


def _by_models(decision: Decision) -> bool:
    forecast = decision.forecast
    return isinstance(forecast, Forecast) and forecast.source in fallback.MODELS


def _why(decision: Decision | None, fault: Exception | None) -> str:
    if decision is None:
        return f"a first cycle failed: {str(fault) or type(fault).__name__}"
    forecast = decision.forecast
    reason = next(iter(forecast.notes), "") if isinstance(forecast, Forecast) else forecast.reason
    return f"it gave no forecast where the release before it did: {reason}"
