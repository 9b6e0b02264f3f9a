"""What the embedded server writes down about errors: nothing of the values that they are about."""

import os
from pathlib import Path

import psycopg
import pytest

from facesets.errors import SchemaOutdated
from facesets.store.postgres.connection import Connection, Database

NAME = "Annabella Verschwiegen"


@pytest.mark.skipif("FACESETS_TEST_SERVER" in os.environ, reason="another server's log is its owner's")
def test_no_name_gets_into_the_log_when_a_statement_about_it_fails(database: Database) -> None:
    def twice(connection: Connection) -> None:
        for _ in range(2):
            connection.execute(
                """WITH made AS (INSERT INTO persons DEFAULT VALUES RETURNING id)
                    INSERT INTO person_names (person_id, name) SELECT id, %s FROM made""",
                (NAME,),
            )

    with pytest.raises(psycopg.errors.UniqueViolation, match=NAME.lower()):
        database.run(twice)
    with pytest.raises(SchemaOutdated):
        database.run_alone(lambda each: each.execute(f"SELECT no_such_column, '{NAME}'".encode()))
    said = log_of(database)
    assert "person_names_once" in said
    assert NAME.lower() not in said.lower()


def log_of(database: Database) -> str:
    """All that the embedded server wrote."""
    (data,) = database.run(lambda connection: connection.one("SHOW data_directory"))
    return (Path(data).parent / "log" / "server.log").read_text("utf-8", "replace")
