"""What `check` looks for, in databases that are not like ours."""

import psycopg
import pytest
from psycopg import conninfo

from facesets.store.postgres.connection import Database, opened
from facesets.store.postgres.integrity import find_problems
from facesets.store.postgres.migrate import migrate, shipped_migrations


def test_an_index_that_was_never_finished_is_found_whatever_the_schema_is_called(empty_url: str) -> None:
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION vector")
        connection.execute('CREATE SCHEMA "Our photos"')
    named = conninfo.make_conninfo(empty_url, options='-c search_path="Our\\ photos",public')
    with opened(Database(named)) as database:
        migrate(database, shipped_migrations())
        assert database.run(find_problems) == []
        with psycopg.connect(named, autocommit=True) as connection:
            connection.execute(
                "INSERT INTO runs (command, program_version, host, options) "
                "SELECT 'index', '1', 'here', '{}' FROM generate_series(1, 2)"
            )
            with pytest.raises(psycopg.errors.UniqueViolation):
                connection.execute("CREATE UNIQUE INDEX CONCURRENTLY unfinished ON runs (host)")
        (problem,) = database.run(find_problems)
    assert (problem.what, problem.count) == ("broken indexes", 1)
