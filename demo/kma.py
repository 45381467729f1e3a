"""Stand-in for KMA's services on loopback: serves any frame in KMA's names, byte for byte alike."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Final, Protocol

from demo.kma_answer import Answer, gateway, kst
from demo.kma_asos import AsosService
from demo.kma_faults import FaultRates, Faults, cut_off
from demo.kma_hub import HubService, refusal
from demo.kma_rows import Rows
from demo.kma_village import VillageService
from demo.loopback import LoopbackServer
from edge_agent.contract.hours import KST

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    import polars as pl

_ASOS: Final = "/1360000/AsosHourlyInfoService/getWthrDataList"
_HUB: Final = "/api/typ01/url"
_VILLAGE: Final = "/1360000/VilageFcstInfoService_2.0"
_HUB_FAULTS: Final = {
    "quota": (403, "API 호출 한도를 초과했습니다."),
    "service_code": (500, "내부 서버 오류가 발생했습니다."),
}
"""The hub's texts for errors that the other services name by a code."""
_NO_FAULTS: Final = Faults(FaultRates())


class _Service(Protocol):
    def answer(self, query: dict[str, str], now: datetime, faults: Faults) -> Answer:
        """Answer a request at the moment `now`."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came in: path, query without the key, HTTP status (0 = none), fault."""

    path: str
    query: dict[str, str]
    status: int
    fault: str


class KmaStandIn:
    """Context manager that serves `frame` as KMA would.

    Args:
        frame: `station`, `tm` (naive KST) and KMA's fields; a Parquet file of observations or
            what `demo.climate.generate` gives.
        now: Moment that the services believe it is (aware); by default noon (KST) of the day after
            the frame ends. Set the attribute `now` to let time pass.
        key: Key in its Decoding form that callers must present.
        faults: Which faults to show.
        seed: Seed of the faults.
        complete_hour: Hour (KST) at which yesterday's ASOS rows appear.

    Attributes:
        now: See above.
        requests: Every request so far.
    """

    def __init__(
        self,
        frame: pl.DataFrame,
        *,
        now: datetime | None = None,
        key: str = "demo-key",
        faults: FaultRates | None = None,
        seed: int = 0,
        complete_hour: int = 11,
    ) -> None:
        self.now = now or _noon_after(frame)
        self.requests: list[Request] = []
        self._key = key
        self._faults = Faults(faults or FaultRates(), seed)
        self._closing = threading.Event()
        self._server = LoopbackServer(self._respond)
        rows = Rows(frame)
        self._services: dict[str, _Service] = {
            _ASOS: AsosService(rows, complete_hour),
            f"{_HUB}/kma_sfctm2.php": HubService(rows, single=True),
            f"{_HUB}/kma_sfctm3.php": HubService(rows, single=False),
            f"{_VILLAGE}/getVilageFcst": VillageService(rows, nowcast=False),
            f"{_VILLAGE}/getUltraSrtNcst": VillageService(rows, nowcast=True),
        }
        self.url = self._server.url
        """Root address."""
        self.asos_url = self.url + _ASOS
        """What `[kma] asos_url` of trainer.toml is set to."""
        self.hub_url = self.url + _HUB
        """What `[kma] hub_url` is set to."""
        self.village_url = self.url + _VILLAGE
        """What `[kma] village_url` is set to."""

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.set()
        self._server.__exit__(kind, fault, trace)

    def _respond(self, path: str, query: dict[str, str]) -> Answer | None:
        keys = [query.pop(name, "") for name in ("serviceKey", "ServiceKey", "authKey")]
        given = "".join(keys)
        answer, fault = self._decide(path, query, given)
        self.requests.append(Request(path, query, answer.status if answer else 0, fault))
        return answer

    def _decide(self, path: str, query: dict[str, str], key: str) -> tuple[Answer | None, str]:
        service = self._services.get(path)
        hub = path.startswith(_HUB)
        if service is None:
            unknown = gateway("12", "NO_OPENAPI_SERVICE_ERROR", 400)
            return refusal(403, "허용되지 않은 API 입니다.") if hub else unknown, ""
        if key != self._key:
            stranger = gateway("30", "SERVICE_KEY_IS_NOT_REGISTERED_ERROR", 403)
            return refusal(401, "유효한 인증키가 아닙니다.") if hub else stranger, ""
        verdict = self._faults.judge(path, query, kst(self.now).date())
        answer = verdict.answer
        if hub and verdict.name in _HUB_FAULTS:
            answer = refusal(*_HUB_FAULTS[verdict.name])
        elif verdict.name == "timeout":
            self._closing.wait(self._faults.rates.hang_s)
        elif verdict.name == "truncated":
            whole = service.answer(query, self.now, _NO_FAULTS)
            answer = cut_off(whole, broken_off=verdict.broken_off)
        elif not verdict.name:
            answer = service.answer(query, self.now, self._faults)
        return answer, verdict.name


def _noon_after(frame: pl.DataFrame) -> datetime:
    last = frame["tm"].max()
    assert isinstance(last, datetime)
    return datetime.combine(last + timedelta(days=1), time(12), KST).astimezone(UTC)
