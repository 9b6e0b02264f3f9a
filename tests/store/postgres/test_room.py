"""How many connections are made: no more than a machine should, and than a server has."""

from hypothesis import given
from hypothesis import strategies as st

from facesets.store.postgres.claims import MOST_OF_A_HOST, Room, room
from facesets.store.postgres.connection import Database, opened

counts = st.integers(0, 600)


@given(limit=counts, used=counts, ours=counts, wanted=st.integers(1, 600))
def test_no_more_than_are_wanted_allowed_and_free(limit: int, used: int, ours: int, wanted: int) -> None:
    there = Room(limit, used, ours)
    share = there.share(wanted)
    assert 1 <= share <= wanted
    assert share == 1 or (share + ours <= MOST_OF_A_HOST and share + used <= limit)
    assert there.lacks(wanted) == (there.free < min(wanted, max(MOST_OF_A_HOST - ours, 1)))


def test_a_machine_with_room_gets_what_it_asks_for_up_to_fifty() -> None:
    assert [Room(500, 1, 0).share(wanted) for wanted in (1, 4, 50, 64, 500)] == [1, 4, 50, 50, 50]
    assert Room(500, 31, 30).share(500) == 20
    assert not Room(500, 31, 30).lacks(500)


def test_a_server_with_too_few_is_noticed() -> None:
    assert Room(20, 15, 1).share(16) == 5
    assert Room(20, 15, 1).lacks(16)


def test_connections_are_counted(database: Database, library_url: str) -> None:
    before = database.run(room)
    assert before.limit > before.used >= before.ours >= 1
    with opened(Database(library_url)), opened(Database(library_url)):
        # Other tests connect and disconnect meanwhile.
        assert database.run(room).ours >= 3
