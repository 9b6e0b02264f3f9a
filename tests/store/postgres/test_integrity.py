"""What `check` looks for, in databases that are not like ours."""

import psycopg
import pytest
from psycopg import conninfo

from facesets.library_records import PhotosOfStage
from facesets.operations.library.check import check
from facesets.store.postgres.connection import Database, opened
from facesets.store.postgres.integrity import find_problems
from facesets.store.postgres.library import Library
from facesets.store.postgres.migrate import migrate, shipped_migrations
from tests.fixtures.made_faces import SETTINGS
from tests.fixtures.made_metadata import METADATA, keep


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


def test_metadata_that_were_lost_are_read_again(database: Database) -> None:
    library = Library(database, SETTINGS)
    keep(library, METADATA, METADATA)
    assert database.run(find_problems) == []
    database.run(
        lambda connection: connection.execute(
            "DELETE FROM photo_metadata WHERE image_id = (SELECT min(image_id) FROM photo_metadata)"
        )
    )
    (problem,) = check(library, fix=True).problems
    assert (problem.what, problem.count) == ("photos whose metadata count as read and are not kept", 1)
    assert database.run(find_problems) == []
    assert library.count_pending(PhotosOfStage("metadata", "1")) == 1
