"""Property: whatever is done to the real outbox and to the list-based one, they agree."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.messages.message import Kind, Message
from edge_agent.mqtt.outbox import Caps, Outbox
from edge_agent.system.database import connect
from tests.fakes.examples import examples
from tests.fakes.outbox import MemoryOutbox

START = datetime(2026, 7, 1, tzinfo=UTC)
IDS = st.sampled_from([f"m{number}" for number in range(12)])
TIMES = st.none() | st.integers(0, 50).map(lambda hours: START + timedelta(hours=hours))
MESSAGES = st.builds(
    Message,
    id=IDS,
    topic=st.sampled_from(["t/1", "t/2", "t/alert/frost/state"]),
    payload=st.binary(max_size=400),
    kind=st.sampled_from(Kind),
    retain=st.booleans(),
    expires_at=TIMES,
    collapse=st.none() | st.sampled_from(["c1", "c2"]),
)
STEPS = st.one_of(
    st.tuples(st.just("put"), MESSAGES),
    st.tuples(st.just("delivered"), st.lists(IDS, max_size=3)),
    st.tuples(st.just("refused"), IDS),
    st.tuples(st.just("hung_up"), IDS),
    st.tuples(st.just("revive"), st.none() | st.sampled_from(["t/1", "t/2"])),
    st.tuples(st.just("republish_retained"), TIMES),
    st.tuples(st.just("due"), TIMES),
)


def _do(box: Outbox | MemoryOutbox, step: str, value: Any) -> object:  # noqa: ANN401 - what each step takes
    if step == "refused":
        return box.refused(value, "no")
    if step == "hung_up":
        return box.refused(value, "hung up", hung_up=True)
    if step == "due":
        return [entry.message for entry in box.due(value, limit=100)]
    return getattr(box, step)(value)


@settings(max_examples=examples(60))
@given(st.lists(STEPS, max_size=30))
def test_real_and_model_agree(steps: list[tuple[str, Any]]) -> None:
    """Same answers and same counts after every step; the caps always hold."""
    caps = Caps(alerts_bytes=900, states_bytes=600, telemetry_bytes=300)
    with TemporaryDirectory() as folder, closing(connect(Path(folder) / "agent.db")) as conn:
        conn.execute("PRAGMA synchronous = OFF")
        real, model = Outbox(conn, caps), MemoryOutbox(caps)
        for step, value in steps:
            assert _do(real, step, value) == _do(model, step, value)
            assert real.counts() == model.counts()
            assert _do(real, "due", None) == _do(model, "due", None)
            used = real.counts().waiting_bytes
            assert used.get("telemetry", 0) <= 300
            assert used.get("state", 0) <= 600
            assert used.get("telemetry", 0) + used.get("alert", 0) <= 1200
