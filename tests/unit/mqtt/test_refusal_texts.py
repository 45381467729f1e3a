"""One text for each cause of refusals, with its topics counted and what to do."""

from __future__ import annotations

import logging

import pytest

from edge_agent.mqtt.outbox_refusals import RefusedTopic
from edge_agent.mqtt.refusal_texts import LOG_S, TRIED, RefusalLog, by_cause
from edge_agent.web.page.reasons_ko import in_korean


def _refused(reason: str, *topics: str) -> list[RefusedTopic]:
    return [RefusedTopic(topic, reason) for topic in topics]


def test_ten_topics_of_one_cause_are_one_text() -> None:
    """It counts them, names some, and says what to do."""
    (text,) = by_cause(_refused("Not authorized", *"abcdefghij"))
    assert text == (
        "broker refuses 10 topics (a, b, c and 7 more): Not authorized; "
        f"let this client write there (the broker's access list); {TRIED}"
    )


def test_causes_stay_apart() -> None:
    """A length is no right; lengths that differ are one cause."""
    long = [
        RefusedTopic(topic, f"{size} bytes are longer than the broker takes (4000)")
        for topic, size in (("h", 5000), ("i", 6000))
    ]
    texts = by_cause([*_refused("Not authorized", "a"), *long])
    assert texts == (
        (
            f"broker refuses a: Not authorized; let this client write there (the broker's access "
            f"list); {TRIED}"
        ),
        (
            "broker refuses 2 topics (h, i), the first one: 5000 bytes are longer than the broker "
            f"takes (4000); raise the broker's limit of length; {TRIED}"
        ),
    )


def test_a_reason_that_nobody_knows_gets_no_advice() -> None:
    """T4: no cause is guessed."""
    assert by_cause(_refused("Unspecified error", "a")) == (
        f"broker refuses a: Unspecified error; {TRIED}",
    )


def test_the_log_has_one_line_a_cause(caplog: pytest.LogCaptureFixture) -> None:
    """What comes together is logged together, soon."""
    log = RefusalLog()
    with caplog.at_level(logging.WARNING):
        for topic in "abcdefghij":
            log.add(topic, "Not authorized", 10.0)
            log.write(10.5)
        assert log.due_in(10.5) == LOG_S - 0.5
        log.write(10.0 + LOG_S)
        log.write(20.0)
    assert len(caplog.records) == 1
    assert "10 topics" in caplog.text


@pytest.mark.parametrize(
    "reason",
    [
        "Not authorized",
        "5000 bytes are longer than the broker takes (4000)",
        "a message of 7000 bytes does not come back: the broker drops it",
        "it ends the connection when it gets this message of 70 bytes (the longest it took has 7)",
    ],
)
@pytest.mark.parametrize("topics", ["a", "abcd"])
def test_the_page_says_it_in_korean(reason: str, topics: str) -> None:
    """No English is left but the broker's own word."""
    (text,) = by_cause(_refused(reason, *topics))
    told = in_korean(f"mqtt: {text}")
    for word in ("refuses", "let this", "topics", "agent", "raise", "check", "more"):
        assert word not in told
