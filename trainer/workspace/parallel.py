"""Where work that is done station by station is done: here, or on a Dask cluster.

Work and items travel as Python objects, so scheduler and workers are trusted like this machine:
keep them in a network of their own, or use `tls://` with Dask's own settings. Workers open the
lake by the same path or bucket, with their own environment's keys.
"""

from __future__ import annotations

import logging
import platform
from collections import deque
from contextlib import contextmanager
from itertools import cycle
from typing import TYPE_CHECKING, Protocol, TypeVar
from uuid import uuid4

import numpy as np
import polars as pl

from edge_agent import __version__
from edge_agent.contract import features
from edge_agent.contract.errors import ConfigError, TryLater
from trainer.workspace.code_identity import training_code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from distributed import Client, Future

    from trainer.workspace.config import Compute

T = TypeVar("T")
R = TypeVar("R")

_CONNECT_S = 15
_IN_HAND = 4
"""Items per thread of the cluster that are sent and whose results are not taken yet."""


class Each(Protocol):
    """The shape of `map`: results in the order of the items."""

    def __call__(self, work: Callable[[T], R], items: Iterable[T], /) -> Iterable[R]:
        """Do the work for each item."""


@contextmanager
def each_of(compute: Compute) -> Iterator[Each]:
    """The `map` of the settings. A worker that dies is made up for by the others.

    Raises:
        ConfigError: The Dask package lacks, or a worker runs other code than this process.
        TryLater: No scheduler answers, it is lost or has no workers, or work fell with several.
    """
    if compute.backend == "local":
        yield map
        return
    try:
        from distributed import CancelledError, Client, KilledWorker
        from distributed.comm.core import CommClosedError
    except ModuleNotFoundError as fault:
        raise ConfigError(
            'compute.backend: "dask" needs one more package: pip install distributed'
        ) from fault
    # What fails is raised; its log would add tracebacks of threads that try again.
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    try:
        client = Client(compute.scheduler, timeout=_CONNECT_S, set_as_default=False)
    except OSError as fault:
        raise TryLater(f"{compute.scheduler}: no Dask scheduler answers") from fault
    with client:
        if not client.ncores():
            raise TryLater(f"{compute.scheduler}: the Dask scheduler has no workers")
        try:
            yield _Cluster(client)
        except KilledWorker as fault:
            raise TryLater(f"{compute.scheduler}: workers die of this work: {fault}") from fault
        except (CancelledError, CommClosedError) as fault:
            raise TryLater(f"{compute.scheduler}: the Dask scheduler was lost") from fault


class _Cluster:
    """`map` on a cluster; a result is let go of when it has been taken."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __call__(self, work: Callable[[T], R], items: Iterable[T], /) -> Iterator[R]:
        from dask.utils import funcname

        # A task of its own, so that what all items share (a `partial` may hold models) does not
        # travel with each. Not `scatter`: what is lost with a worker would not be made again.
        shared = self._client.submit(_same, work, pure=False)
        threads = [name for name, count in self._client.ncores().items() for _ in range(count)]
        waiting: deque[Future[R]] = deque()
        for item, worker in zip(items, cycle(threads), strict=False):
            task = self._client.submit(
                _checked,
                _code(),
                shared,
                item,
                # Dask takes tasks of one name to last alike when it moves them between workers.
                key=f"{funcname(work)}-{uuid4()}",
                # In turn: left to itself Dask sends the first ones to the worker that has `shared`.
                workers=[worker],
                allow_other_workers=True,
            )
            waiting.append(task)
            if len(waiting) >= _IN_HAND * len(threads):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _same(work: T) -> T:
    """Runs on one worker, of which the others get it."""
    return work


def _checked(code: tuple[str, ...], work: Callable[[T], R], item: T) -> R:
    """Runs on the worker."""
    if code != _code():
        raise ConfigError(f"a Dask worker runs {_code()}, the trainer {code}: install the same")
    return work(item)


def _code() -> tuple[str, ...]:
    """Everything that decides whether two machines come to the same numbers."""
    versions = (platform.machine(), platform.python_version(), pl.__version__, np.__version__)
    return (__version__, features.digest()[:12], training_code()[:12], *versions)
