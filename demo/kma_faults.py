"""Faults that KMA's services show, injected at chosen rates; the same seed gives the same faults.

The fault of a request depends on the seed, on its query and on how often the query came before, but
not on the order in which parallel requests arrive.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from demo.kma_answer import Answer, gateway, header_only

if TYPE_CHECKING:
    from datetime import date

_SERVICE_CODES: Final = ("01", "04", "05")
_REPEATED_ROWS: Final = 3
_MAINTENANCE: Final = (
    "<!DOCTYPE html><html><head><title>점검</title></head>"
    "<body><h1>시스템 점검 중입니다</h1></body></html>"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRates:
    """Share of requests (0 to 1) that meet each fault; all 0 = a service without faults.

    Attributes:
        http_500: HTTP 500 with the gateway's text.
        timeout: No answer at all; the connection closes after `hang_s`.
        truncated: The body ends in the middle; half of the time its announced length is that of the
            whole, and the connection closes early.
        html: A maintenance page under HTTP 200.
        service_code: Result code 01, 04 or 05 under HTTP 200.
        duplicated: Some rows of the answer come twice.
        late_rows: Share of *rows* that are absent from the first good answer which covers them.
        quota: Requests a service answers in a day (KST), or None.
        quota_as_xml: Code 22 as XML under HTTP 200 instead of 429 in plain text.
        hang_s: Seconds until a timed-out connection is closed.
    """

    http_500: float = 0.0
    timeout: float = 0.0
    truncated: float = 0.0
    html: float = 0.0
    service_code: float = 0.0
    duplicated: float = 0.0
    late_rows: float = 0.0
    quota: int | None = None
    quota_as_xml: bool = False
    hang_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """Fault of one request: its `name` ("" = none), and the answer where the fault decides it."""

    name: str
    answer: Answer | None = None
    broken_off: bool = False


class Faults:
    """The state of one run of faults.

    Args:
        rates: How often.
        seed: Same seed, same faults.
    """

    def __init__(self, rates: FaultRates, seed: int = 0) -> None:
        self.rates = rates
        self._seed = seed
        self._lock = threading.Lock()
        self._asked: Counter[str] = Counter()
        self._served: Counter[tuple[str, date]] = Counter()
        self._released: set[tuple[int, int]] = set()
        self._held: dict[str, frozenset[int]] = {}

    def judge(self, service: str, query: dict[str, str], day: date) -> Verdict:
        """Decide on one request.

        Args:
            service: Path; quotas are counted for each.
            query: Without the key.
            day: Korean date, on which quotas are counted.
        """
        asked = f"{service}?{sorted(query.items())}"
        with self._lock:
            self._served[service, day] += 1
            if self.rates.quota is not None and self._served[service, day] > self.rates.quota:
                return Verdict("quota", self._quota())
            self._asked[asked] += 1
            dice = random.Random(f"{self._seed}|{asked}|{self._asked[asked]}")
        throw = dice.random()
        for fault in ("http_500", "timeout", "truncated", "html", "service_code"):
            rate = getattr(self.rates, fault)
            if throw < rate:
                return Verdict(fault, _bad_answer(fault, query, dice), dice.random() < 0.5)
            throw -= rate
        return Verdict("")

    def rows(self, query: dict[str, str], station: int, times: np.ndarray) -> list[int] | None:
        """Row numbers to send for a range, in order, or None for all of them once.

        The first page of a range settles which rows are held back; later pages keep to it, so
        that a paged answer is one answer.
        """
        if not (self.rates.duplicated or self.rates.late_rows):
            return None
        span = {name: text for name, text in query.items() if name not in {"pageNo", "numOfRows"}}
        key = f"{self._seed}|{sorted(span.items())}"
        order = list(range(len(times)))
        if self.rates.late_rows:
            with self._lock:
                if query.get("pageNo", "1") == "1":
                    self._held[key] = self._hold_back(station, times)
                held = self._held.get(key, frozenset())
            order = [i for i in order if i not in held]
        dice = random.Random(key)
        if order and dice.random() < self.rates.duplicated:
            order = sorted(order + dice.choices(order, k=_REPEATED_ROWS))
        return order

    def _hold_back(self, station: int, times: np.ndarray) -> frozenset[int]:
        hours = times.astype("datetime64[h]").astype(np.int64)
        dice = np.random.default_rng([self._seed, station])
        # A hash of the hour replaces a draw for each hour since 1970, which would take long.
        salt = np.uint64(dice.integers(1, 2**62) | 1)
        mixed = (hours.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) ^ salt
        mixed ^= mixed >> np.uint64(29)
        mixed *= np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(32)
        late = np.flatnonzero(mixed / 2.0**64 < self.rates.late_rows)
        held = [int(i) for i in late if (station, int(hours[i])) not in self._released]
        self._released.update((station, int(hours[i])) for i in held)
        return frozenset(held)

    def _quota(self) -> Answer:
        if self.rates.quota_as_xml:
            return gateway("22", "LIMITED_NUMBER_OF_SERVICE_REQUESTS_EXCEEDS_ERROR", 200)
        return Answer(429, "text/plain", b"API token quota exceeded")


def cut_off(whole: Answer, *, broken_off: bool) -> Answer:
    """The first two thirds of an answer, with the announced length of all of it or of the part."""
    part = whole.body[: len(whole.body) * 2 // 3]
    return Answer(
        whole.status, whole.content_type, part, len(whole.body) if broken_off else len(part)
    )


def _bad_answer(fault: str, query: dict[str, str], dice: random.Random) -> Answer | None:
    if fault == "http_500":
        return Answer(500, "text/plain", b"Unexpected errors")
    if fault == "html":
        return Answer(200, "text/html;charset=UTF-8", _MAINTENANCE.encode())
    if fault == "service_code":
        xml = query.get("dataType", "XML").upper() != "JSON"
        return header_only(dice.choice(_SERVICE_CODES), xml=xml)
    return None
