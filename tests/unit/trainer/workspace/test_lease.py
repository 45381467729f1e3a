"""The lease: one holder at a time, and none that goes on after its time."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from edge_agent.contract.errors import StorageError, TryLater
from trainer.workspace.lease import Lease, Seen, held

TERM = 120.0


@dataclass
class Bucket:
    """`lease.Shelf` in memory, whose own clock is what a test says."""

    time: datetime = datetime(2026, 3, 1, tzinfo=UTC)
    notes: dict[str, Seen] = field(default_factory=dict)
    away: bool = False
    writes: int = 0

    def peek(self, name: str) -> Seen | None:
        """What lies there."""
        self._reach()
        return self.notes.get(name)

    def put_if(self, name: str, content: bytes, tag: str | None) -> str | None:
        """Write where the tag is still right."""
        self._reach()
        seen = self.notes.get(name)
        if (seen.tag if seen else None) != tag:
            return None
        self.writes += 1
        self.notes[name] = Seen(content, f"v{self.writes}", self.time)
        return self.notes[name].tag

    def now(self) -> datetime:
        """Its clock."""
        self._reach()
        return self.time

    def _reach(self) -> None:
        if self.away:
            raise StorageError("the link is away")


class Ticks:
    """A clock that never jumps."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        """Its reading."""
        return self.seconds


@pytest.fixture
def bucket() -> Bucket:
    """An empty bucket."""
    return Bucket()


@pytest.fixture
def ticks() -> Ticks:
    """A clock."""
    return Ticks()


def lease(bucket: Bucket, ticks: Ticks, owner: str = "a") -> Lease:
    """A claim on the one note."""
    return Lease(bucket, ".lock", "s3://farm", ticks, term_s=TERM, owner=owner)


def later(bucket: Bucket, ticks: Ticks, seconds: float) -> None:
    """Time passes for bucket and machine alike."""
    bucket.time += timedelta(seconds=seconds)
    ticks.seconds += seconds


def test_only_one_holds_it(bucket: Bucket, ticks: Ticks) -> None:
    """E1: the second is told who and how long; after the release it is free at once."""
    first, second = lease(bucket, ticks, "host-1"), lease(bucket, ticks, "host-2")
    first.acquire()
    later(bucket, ticks, 20)
    with pytest.raises(TryLater, match=r"s3://farm: .*host-1.*in 100 s"):
        second.acquire()
    first.check()
    first.release()
    second.acquire()
    with pytest.raises(TryLater):
        first.check()


def test_of_two_that_see_it_free_one_is_first(bucket: Bucket, ticks: Ticks) -> None:
    """E1: the loser of a race between look and write holds nothing."""
    slow = lease(bucket, ticks, "slow")

    class Overtaken(Bucket):
        def peek(self, name: str) -> Seen | None:
            seen = bucket.peek(name)
            lease(bucket, ticks, "quick").acquire()
            return seen

        def put_if(self, name: str, content: bytes, tag: str | None) -> str | None:
            return bucket.put_if(name, content, tag)

    slow = Lease(Overtaken(), ".lock", "s3://farm", ticks, term_s=TERM)
    with pytest.raises(TryLater, match="was first"):
        slow.acquire()
    with pytest.raises(TryLater):
        slow.check()


def test_a_dead_holder_is_passed_over_after_its_term(bucket: Bucket, ticks: Ticks) -> None:
    """E2: not a second before, by the bucket's clock; and the dead one writes nothing more."""
    dead, heir = lease(bucket, ticks, "dead"), lease(bucket, ticks, "heir")
    dead.acquire()
    later(bucket, ticks, TERM - 1)
    with pytest.raises(TryLater, match="in 1 s"):
        heir.acquire()
    later(bucket, ticks, 1)
    heir.acquire()
    with pytest.raises(TryLater, match="may be another's"):
        dead.check()
    assert not dead.renew()
    heir.check()
    dead.release()
    heir.check()
    assert heir.renew()


def test_the_machines_clocks_do_not_matter(bucket: Bucket, ticks: Ticks) -> None:
    """E2: a machine that sleeps or runs ahead neither takes over early nor goes on too long."""
    holder = lease(bucket, ticks, "holder")
    holder.acquire()
    hasty = Ticks()
    hasty.seconds = 9e9
    with pytest.raises(TryLater):
        lease(bucket, hasty, "hasty").acquire()
    # Suspended: for the machine's boot clock the time went on.
    ticks.seconds += TERM
    with pytest.raises(TryLater):
        holder.check()


def test_a_renewal_counts_from_its_beginning(ticks: Ticks) -> None:
    """E3: a slow write does not lengthen what the holder believes in."""

    class Slow(Bucket):
        def put_if(self, name: str, content: bytes, tag: str | None) -> str | None:
            new = super().put_if(name, content, tag)
            ticks.seconds += 50
            return new

    holder = lease(Slow(), ticks)
    holder.acquire()
    ticks.seconds += TERM - 50 - 1
    holder.check()
    ticks.seconds += 1
    with pytest.raises(TryLater):
        holder.check()


def test_a_link_that_comes_back_in_time_costs_nothing(bucket: Bucket, ticks: Ticks) -> None:
    """E4: failed renewals are borne for a term, and no longer."""
    holder = lease(bucket, ticks)
    holder.acquire()
    bucket.away = True
    later(bucket, ticks, TERM - 10)
    with pytest.raises(StorageError):
        holder.renew()
    holder.check()
    bucket.away = False
    assert holder.renew()
    later(bucket, ticks, TERM - 1)
    holder.check()
    bucket.away = True
    later(bucket, ticks, 1)
    with pytest.raises(TryLater):
        holder.check()
    holder.release()


def test_the_lock_file_of_a_folder_is_free(bucket: Bucket, ticks: Ticks) -> None:
    """What `aws s3 sync` brought along holds nobody up."""
    bucket.notes[".lock"] = Seen(b"", "v0", bucket.time)
    lease(bucket, ticks).acquire()


def test_it_is_renewed_in_the_background_and_given_back(ticks: Ticks) -> None:
    """While it is held new versions appear; afterwards it is free and the thread is gone."""
    renewed = threading.Event()

    class Watched(Bucket):
        def put_if(self, name: str, content: bytes, tag: str | None) -> str | None:
            new = super().put_if(name, content, tag)
            if self.writes >= 3:
                renewed.set()
            return new

    shelf = Watched()
    with held(Lease(shelf, ".lock", "s3://farm", ticks, term_s=0.01)):
        assert renewed.wait(30)
    assert b'"owner":""' in shelf.notes[".lock"].content
    assert not [thread for thread in threading.enumerate() if thread.name == "lease"]
