"""Claims: one holder at a time, whatever happens to the connection; and how many connections are made."""

from collections.abc import Callable, Iterator

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facesets.errors import AlreadyRunning
from facesets.store.postgres.claims import MAX_PER_HOST, Claims, Room, RunLock, room
from facesets.store.postgres.connection import Database, opened

Cut = Callable[[], None]


@pytest.fixture
def other(library_url: str) -> Iterator[Database]:
    """The session of another run."""
    with opened(Database(library_url)) as session:
        yield session


@pytest.fixture
def cut(database: Database, library_url: str) -> Iterator[Cut]:
    """End our session from outside, and wait until its locks are gone."""
    with psycopg.connect(library_url, autocommit=True) as by_hand:

        def call() -> None:
            # Asked in no transaction, for that would notice a cut of before and repair it.
            pid = database.run_alone(lambda connection: connection.info.backend_pid)
            by_hand.execute("SELECT pg_terminate_backend(%s, 10000)", (pid,))

        yield call


def test_a_claim_has_one_holder_and_is_free_after_release(database: Database, other: Database) -> None:
    ours, theirs = Claims(database, "path"), Claims(other, "path")
    assert ours.take(["a", "b"]) == {"a", "b"}
    assert ours.take(["b", "c"]) == {"c"}
    assert theirs.take(["a", "b", "c", "d"]) == {"d"}
    ours.release(["a", "d"])
    assert theirs.take(["a", "d"]) == {"a"}


def test_claims_outlive_their_session(database: Database, other: Database, cut: Cut) -> None:
    ours, theirs = Claims(database, "path"), Claims(other, "path")
    ours.take(["a", "b"])
    cut()
    ours.release(["b"])
    assert theirs.take(["a", "b"]) == {"b"}
    assert ours.holds("a")
    cut()
    ours.release(["a"])
    assert theirs.take(["a"]) == {"a"}


@pytest.mark.slow
def test_a_claim_that_another_took_meanwhile_is_lost(database: Database, other: Database, cut: Cut) -> None:
    ours, theirs = Claims(database, "path"), Claims(other, "path")
    ours.take(["a", "b"])
    cut()
    assert theirs.take(["a"]) == {"a"}
    assert ours.take(["c"]) == {"c"}
    assert [name for name in "abc" if ours.holds(name)] == ["b", "c"]
    ours.release(["a", "b", "c"])
    assert theirs.take(["a", "b", "c"]) == {"b", "c"}


@pytest.mark.slow
def test_a_run_that_lost_its_lock_stops(database: Database, other: Database, cut: Cut) -> None:
    with RunLock(database, "cluster"):
        cut()
        assert database.run(lambda connection: connection.execute("SELECT 1").fetchone()) == (1,)
        cut()
        with RunLock(other, "cluster"), pytest.raises(AlreadyRunning, match="another `cluster`"):
            database.run(lambda connection: connection.execute("SELECT 1").fetchone())
    with RunLock(other, "cluster"):
        pass


COUNTS = st.integers(0, 600)


@given(limit=COUNTS, used=COUNTS, ours=COUNTS, wanted=st.integers(1, 600))
def test_connections_are_limited_by_need_maximum_and_free_ones(
    limit: int, used: int, ours: int, wanted: int
) -> None:
    there = Room(limit, used, ours)
    share = there.share(wanted)
    assert 1 <= share <= wanted
    assert share == 1 or (share + ours <= MAX_PER_HOST and share + used <= limit)
    assert there.lacks(wanted) == (there.free < min(wanted, max(MAX_PER_HOST - ours, 1)))


def test_a_machine_with_room_gets_what_it_asks_for_up_to_fifty() -> None:
    assert [Room(500, 1, 0).share(wanted) for wanted in (1, 4, 50, 64, 500)] == [1, 4, 50, 50, 50]
    assert Room(500, 31, 30).share(500) == 20
    assert not Room(500, 31, 30).lacks(500)
    # A server with too few is noticed.
    assert Room(20, 15, 1).share(16) == 5
    assert Room(20, 15, 1).lacks(16)


def test_connections_are_counted(database: Database, library_url: str) -> None:
    before = database.run(room)
    assert before.limit > before.used >= before.ours >= 1
    with opened(Database(library_url)), opened(Database(library_url)):
        # Other tests connect and disconnect meanwhile.
        assert database.run(room).ours >= 3
