"""Each fault of a bucket: its exit code, and a line that says what to do."""

from __future__ import annotations

import pytest

from edge_agent.contract.errors import StorageError
from trainer.workspace.s3_errors import RIGHTS, fault_of

WHERE = "s3://farm/runs/a"


def _answer(status: str, code: str) -> str:
    """What the library says of an answer of the server."""
    return (
        f"Generic S3 error: Error performing GET http://h/farm/a in 1ms - Server returned non-2xx "
        f"status code: {status}: <?xml version='1.0'?>\n<Error><Code>{code}</Code></Error>\n\nDebug"
    )


@pytest.mark.parametrize(
    ("text", "exit_code", "told"),
    [
        (
            _answer("403 Forbidden", "AccessDenied"),
            77,
            "AccessDenied: key tester is wrong or lacks",
        ),
        (_answer("401 Unauthorized", "x"), 77, "x: key tester is wrong or lacks s3:GetObject"),
        (_answer("404 Not Found", "NoSuchBucket"), 78, "no such bucket: make it, or mend"),
        (_answer("503 Service Unavailable", "SlowDown"), 75, "SlowDown: try again later"),
        (_answer("429 Too Many Requests", "Busy"), 75, "Busy: try again later"),
        (
            "Generic S3 error: after 4 retries - HTTP error: error sending",
            75,
            "no answer: try again",
        ),
        (_answer("400 Bad Request", "ExpiredToken"), 74, "read: ExpiredToken"),
        ("Something odd\nDebug source", 74, "read: Something odd"),
        ("", 74, "no reason given"),
    ],
)
def test_faults_by_treatment(text: str, exit_code: int, told: str) -> None:
    """Try later, mend the key, mend the address, or look at it: one line each."""
    fault = fault_of(WHERE, "read", "tester", text)
    assert isinstance(fault, StorageError)
    assert (type(fault).exit_code, "\n" in str(fault)) == (exit_code, False)
    assert str(fault).startswith(f"{WHERE}: cannot be read: ")
    assert told in str(fault)


@pytest.mark.parametrize(("deed", "right"), RIGHTS.items())
def test_a_refusal_names_the_right(deed: str, right: str) -> None:
    """What is to be written into the bucket's policy, and for whom."""
    fault = fault_of(WHERE, deed, "", _answer("403 Forbidden", "AccessDenied"))
    assert str(fault).endswith(f"AccessDenied: this machine's role is wrong or lacks {right}")


def test_a_machine_without_any_key_is_told_which_variable() -> None:
    """No key, and nobody who would give one: that is no fault of the link."""
    text = "Generic S3 error: PUT http://169.254.169.254/latest/api/token - HTTP error"
    fault = fault_of(WHERE, "read", "", text)
    assert type(fault).exit_code == 77
    assert "set AWS_ACCESS_KEY_ID" in str(fault)
