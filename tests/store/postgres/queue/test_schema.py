"""The queue's tables in a library: made, brought up to date, and left alone by an older program."""

import pytest
from psycopg.conninfo import conninfo_to_dict
from tests.fixtures.queued import with_queue

from facesets.errors import SchemaOutdated, WrongUsage
from facesets.operations.library.migrate import migrate
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.queue.schema import Shipped, install, queue_conninfo, require_queue, shipped

_LATER = 6
"""So many of procrastinate's migrations an earlier one had not."""


def tables(connection: Connection) -> list[tuple[str, str]]:
    return connection.execute(
        """SELECT table_name || '.' || column_name, data_type FROM information_schema.columns
            WHERE table_schema = 'queue' ORDER BY 1"""
    ).fetchall()


def functions(connection: Connection) -> list[tuple[str]]:
    return connection.execute(
        """SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
            WHERE n.nspname = 'queue' ORDER BY 1"""
    ).fetchall()


def earlier() -> Shipped:
    """The schema of an earlier procrastinate."""
    now = shipped()
    steps = now.steps[:-_LATER]
    return Shipped("\n".join(sql for _, sql in steps), steps, now.ours)


def test_migrate_makes_the_queue_in_a_schema_of_its_own(database: Database) -> None:
    before = database.run(
        lambda c: c.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    )
    assert migrate(database).applied > 0
    require_queue(database)
    assert migrate(database).applied == 0
    after = database.run(
        lambda c: c.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    )
    assert before == after
    assert ("job_notes.reason", "text") in database.run(tables)
    # Procrastinate's connection finds it there, and notices as ours does that the server's machine died.
    reported = conninfo_to_dict(queue_conninfo(database))
    assert (reported["options"], reported["tcp_user_timeout"]) == ("-c search_path=queue,public", "60000")


def test_a_later_procrastinate_migrates_the_queue_to_the_schema_of_a_new_one(
    database: Database, empty_database: Database
) -> None:
    install(database, earlier())
    with pytest.raises(SchemaOutdated, match="migrate"):
        require_queue(database)
    assert install(database) == _LATER
    install(empty_database)
    assert database.run(tables) == empty_database.run(tables)
    assert set(empty_database.run(functions)) <= set(database.run(functions))


def test_an_earlier_procrastinate_leaves_the_queue_of_a_later_one_alone(library_url: str) -> None:
    with with_queue(library_url) as session:
        older = earlier()
        with pytest.raises(WrongUsage, match="newer procrastinate"):
            install(session, older)


def test_without_a_queue_migrate_is_suggested(database: Database) -> None:
    with pytest.raises(SchemaOutdated, match="migrate"):
        require_queue(database)
