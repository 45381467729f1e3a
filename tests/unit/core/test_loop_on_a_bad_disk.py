"""The service's rules where the disk refuses, is slow or is full."""

from __future__ import annotations

from edge_agent.contract.errors import StorageError, TryLater
from tests.fakes.service_case import ServiceCase, hours


def test_a_failing_outbox_does_not_make_the_loop_spin() -> None:
    """Rule 5: a disk fault in the queue is said and tried again later, not at once for ever."""
    case = ServiceCase()
    case.delivery.fault = StorageError("disk full")
    case.work.in_memory = True
    case.run(3600)
    assert len(case.delivery.times) < 400
    assert any("outbox: disk full" in line for line in case.systemd.said)


def test_a_start_in_memory_is_a_problem_until_the_disk_takes_writes() -> None:
    """Rule 9: told in `/health` from the first cycle on."""
    case = ServiceCase()
    case.work.in_memory = True
    case.run(60)
    assert case.work.problems == [
        "storage: everything is kept in memory: the disk refused at the start"
    ]


def test_a_slow_disk_is_said_and_nothing_is_moved_to_memory() -> None:
    """It takes every write, so everything stays there; the problem ends with its cause."""
    case = ServiceCase()
    case.work.slow = "the disk is slow"

    def repair() -> None:
        case.work.slow = ""

    case.run(3600, {1800: repair})
    assert not case.work.in_memory
    texts = [line for line in case.systemd.said if line.startswith("STATUS=")]
    assert any("disk: the disk is slow" in line for line in texts)
    assert "disk is slow" not in texts[-2]


def test_a_disk_that_refuses_is_left_and_found_again() -> None:
    """Rule 9: the hour is worked in memory at once, health tells of it, then the way back."""
    case = ServiceCase()
    case.work.fault = StorageError("disk full")

    def repair() -> None:
        case.work.disk_well = True

    case.run(4000, {600: repair})
    assert case.delivery.ended == ["hang up", "write down"]
    assert hours(case) == ["01 12:20", "01 12:20", "01 12:30", "01 13:01"]
    texts = [line for line in case.systemd.said if line.startswith("STATUS=")]
    assert any("storage: everything is kept in memory: disk full" in line for line in texts)
    assert "storage" not in texts[-2]
    assert not case.work.in_memory
    assert case.work.settled == 2
    assert case.work.problems == [
        "storage: until 2026-07-01 12:30 UTC everything is kept in memory: disk full"
    ]


def test_room_on_the_disk_is_enough() -> None:
    """Rule 9: where the reserve could be given back the hour is worked again on the disk."""
    case = ServiceCase()
    case.work.fault, case.work.room = StorageError("disk full"), True
    case.run(600)
    assert len(case.work.cycles) == 2
    assert case.work.settled == 0
    assert case.systemd.said[-3].startswith("STATUS=cycle 2")


def test_without_any_way_out_the_loop_does_not_spin() -> None:
    """Rule 9: neither disk nor memory: it is said, and the hours go on."""
    case = ServiceCase()
    case.work.fault, case.work.walled_in = StorageError("disk full"), True
    case.run(3 * 3600 + 60)
    assert len(case.work.cycles) == 4
    assert any("storage: no memory left" in line for line in case.systemd.said)
    assert case.events is not None
    assert len(case.events.waits) < 1000


def test_health_tells_of_faults() -> None:
    """Rules 5 and 9: the next cycle is told what is wrong elsewhere, and not its own last fault."""
    case = ServiceCase()
    case.work.fault = StorageError("disk full")
    case.work.fetch_fault = TryLater("depot: no answer")
    case.run(4000)
    assert case.work.problems == [
        "update: depot: no answer", "storage: everything is kept in memory: disk full",
    ]  # fmt: skip
