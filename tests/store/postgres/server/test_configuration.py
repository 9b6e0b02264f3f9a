"""Settings of the embedded server: its memory, and its log of errors."""

import os
from pathlib import Path

import psycopg
import pytest

from facesets.errors import SchemaOutdated
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.server.configuration import share_mb, shared_buffers_mb


@pytest.mark.parametrize(
    ("file", "text", "megabytes"),
    [
        ("memory.max", str(2 * 2**30), 256),
        ("memory/memory.limit_in_bytes", str(4 * 2**30), 512),
        ("memory.max", str(2**20), 128),
    ],
)
def test_the_server_takes_an_eighth_of_what_its_container_may_have(
    tmp_path: Path, file: str, text: str, megabytes: int
) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(text + "\n")
    assert shared_buffers_mb(tmp_path) == megabytes


def test_without_a_limit_it_takes_as_much_of_the_machine_within_bounds(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("max\n")
    assert shared_buffers_mb(tmp_path) == shared_buffers_mb(tmp_path / "none")
    assert 128 <= shared_buffers_mb(tmp_path) <= 8192


@pytest.mark.parametrize(("memory", "share"), [(4, 0.5), (8, 1), (16, 3), (24, 6), (28, 7), (32, 8), (64, 8)])
def test_with_more_memory_it_uses_a_larger_share(memory: int, share: float) -> None:
    assert share_mb(memory * 1024) == share * 1024


NAME = "Annabella Verschwiegen"


@pytest.mark.skipif("FACESETS_TEST_SERVER" in os.environ, reason="another server's log is its owner's")
def test_no_name_gets_into_the_log_when_an_sql_statement_about_it_fails(database: Database) -> None:
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
    (data,) = database.run(lambda connection: connection.one("SHOW data_directory"))
    reported = (Path(data).parent / "log" / "server.log").read_text("utf-8", "replace")
    assert "person_names_once" in reported
    assert NAME.lower() not in reported.lower()
