"""What each date came to: `state/daily/<date>.json` of the records, written when all is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from datetime import date

    from trainer.workspace.store import Store


class Drift(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Verified error of one target over the newest days.

    Attributes:
        target: Quantity.
        days: Days with verified hours, 30 or 10.
        rmse: Of the live model a day ahead, in the target's unit.
        reference: Of the damped anomaly on the same hours.
        change: Relative change of such ratios since the gate, over all leads; 0.1 = 10 % worse.
        alarm: Whether it is above its limit.
    """

    target: str
    days: int
    rmse: float
    reference: float
    change: float
    alarm: bool


class Journal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a date came to.

    Attributes:
        date: Logical date, ISO.
        run: Candidate trained for it; empty where a canary on trial was not to be replaced.
        release: Number published, or None where the gate refused.
        refused: The gate's reasons, or empty.
        canary: What became of the canary, or empty where there is none.
        drift: Verified error of the release that was live, against the gate's; see `drift`.
        laggards: Stations of several that lacked the day before; the others went on.
        awaited: Those of them whose day is still to come: the date is worked again with it.
        farms: What became of the corrections for single farms, or empty where there are none.
        notes: What the run was trained without: stations left out, inputs without values.
    """

    date: str
    run: str
    release: int | None = None
    refused: str = ""
    canary: str = ""
    drift: tuple[Drift, ...] = ()
    laggards: tuple[int, ...] = ()
    awaited: tuple[int, ...] = ()
    farms: str = ""
    notes: tuple[str, ...] = ()

    def outcome(self) -> str:
        """The result in a few words."""
        if not self.run:
            return self.canary
        what = f"release {self.release}" if self.release else "refused by the gate"
        return f"{what}, run {self.run}"

    def still_open(self, stations: tuple[int, ...]) -> str:
        """Why the date is open: these stations are awaited."""
        numbers = ", ".join(map(str, stations))
        return (
            f"{self.date}: {self.outcome()}; open until KMA has the newest day of {numbers}: "
            "run it again later"
        )


class Page:
    """The place of a date's journal.

    Args:
        records: Of the workspace.
        when: The date.
    """

    def __init__(self, records: Store, when: date) -> None:
        self._records = records
        self._name = f"state/daily/{when}.json"
        self._before = records.read(self._name)

    def done(self) -> Journal | None:
        """What stood there at first; None where nothing did, or nothing that can be read."""
        try:
            return msgspec.json.decode(self._before or b"", type=Journal)
        except msgspec.DecodeError:
            return None

    def write(self, journal: Journal) -> None:
        """Close the date.

        Raises:
            TryLater: Another process has closed it meanwhile.
        """
        self._records.swap(self._name, self._before, msgspec.json.encode(journal))
