"""The interface against its own document, by schemathesis: right, odd and wrong requests."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from edge_agent.core.runtime import DATABASE
from edge_agent.web.api.openapi import document
from edge_agent.web.app import Application
from tests.fakes.clock import FakeClock
from tests.fakes.examples import examples
from tests.fakes.shown_farm import NOON, ShownFarm

with warnings.catch_warnings():
    # Its GraphQL half uses what its own dependency calls outdated.
    warnings.simplefilter("ignore")
    import schemathesis

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "known to the tester"


class HastyClock(FakeClock):
    """A minute goes by at each look, so that no pace of the server is ever reached."""

    def monotonic(self) -> float:
        """The steady clock."""
        self._monotonic += 60.0
        return self._monotonic


class Served:
    """WSGI: the application of the farm that a test works with."""

    application: Application

    def __call__(self, environ: dict[str, Any], start: Any) -> Any:  # noqa: ANN401 - WSGI
        """One request."""
        return self.application(environ, start)


@pytest.fixture(scope="module", autouse=True)
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShownFarm]:
    """A farm that has worked for some hours, and is served."""
    made = ShownFarm(tmp_path_factory.mktemp("farm"), HastyClock(NOON))
    made.work(4)
    database = made.runtime.state / DATABASE
    SERVED.application = Application(made.snapshots, made.clock, database, lambda: TOKEN, made.ask)
    yield made
    made.close()


SERVED = Served()
schema = schemathesis.openapi.from_dict(json.loads(document()))
schema.app = SERVED


@schema.parametrize()
@settings(max_examples=examples(12), suppress_health_check=list(HealthCheck))
def test_the_interface_keeps_to_its_document(case: schemathesis.Case[Any]) -> None:
    """Status, type, form and refusals of every address are as docs/openapi.json says."""
    case.call_and_validate(headers={"Authorization": f"Bearer {TOKEN}"})
