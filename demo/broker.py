"""An MQTT broker inside this process (amqtt, MQTT 3.1.1), for the demo and for tests.

It stores nothing on disk and asks for no password. Production uses a broker of its own.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING, Final

from amqtt.broker import Broker

from edge_agent.contract.errors import Unavailable

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

_NOISY: Final = ("amqtt", "transitions")
_ANONYMOUS: Final = "amqtt.plugins.authentication.AnonymousAuthPlugin"


class EmbeddedBroker:
    """Context manager around a broker on 127.0.0.1 that runs in a thread.

    Args:
        port: 0 = any free port. Give a stopped broker's port to start again at the same address.

    Attributes:
        port: Port that it listens on, once entered.
    """

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self._thread = threading.Thread(target=self._run, name="broker", daemon=True)
        self._started = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._fault: Exception | None = None
        self._levels: dict[str, int] = {}

    def __enter__(self) -> Self:
        for name in _NOISY:
            self._levels[name] = logging.getLogger(name).level
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._thread.start()
        self._started.wait()
        if self._fault is not None:
            self.__exit__(None, None, None)
            raise Unavailable(
                f"embedded broker: 127.0.0.1:{self.port} cannot be opened ({self._fault}); "
                "choose a free port"
            ) from self._fault
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._fault is None and self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        for name, level in self._levels.items():
            logging.getLogger(name).setLevel(level)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as fault:  # noqa: BLE001 - raised again in the thread of the caller
            self._fault = fault
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        broker = Broker(
            {
                "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{self.port}"}},
                "plugins": {_ANONYMOUS: {"allow_anonymous": True}},
            }
        )
        await broker.start()
        sockets = broker._servers["default"].instance.sockets  # noqa: SLF001 - no other way to learn a free port
        self.port = sockets[0].getsockname()[1]
        self._started.set()
        await self._stop.wait()
        await broker.shutdown()
