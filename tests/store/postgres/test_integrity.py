"""What `check` looks for, in databases that are not like ours."""

import psycopg
import pytest
from psycopg import conninfo

from facesets.store.postgres.connection import Database, opened
from facesets.store.postgres.integrity import find_problems, repair_rows
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


@pytest.mark.parametrize(
    ("by_hand", "what", "then"),
    [
        (
            "DELETE FROM photo_metadata WHERE image_id = 1",
            "images of which nothing is left in photo_metadata",
            "SELECT count(*) = 1 FROM image_stages",
        ),
        (
            "DELETE FROM image_stages WHERE image_id = 1",
            "findings of metadata in photo_metadata without a record of the stage",
            "SELECT count(*) = 1 FROM photo_metadata",
        ),
        (
            """SET session_replication_role = replica;
                UPDATE image_stages SET version_id = 99 WHERE image_id = 1;
                SET session_replication_role = origin""",
            "images with a stage in a version that is not known",
            "SELECT count(*) = 1 FROM image_stages",
        ),
        (
            """SET session_replication_role = replica; DELETE FROM images WHERE id = 1;
                DELETE FROM image_paths WHERE image_id = 1; DELETE FROM face_scans WHERE image_id = 1;
                DELETE FROM face_embeddings e USING face_detections f
                    WHERE f.id = e.face_id AND f.image_id = 1;
                DELETE FROM face_detections WHERE image_id = 1; SET session_replication_role = origin""",
            "stages of images that are not there",
            "SELECT count(*) = 1 FROM photo_metadata",
        ),
        (
            "UPDATE images SET taken = '1999-01-01' WHERE id = 1",
            "images with another time than their metadata say",
            "SELECT count(*) = 2 FROM images WHERE taken = '2019-07-04 15:30:00'",
        ),
    ],
    ids=["no finding", "no stage", "no version", "no image", "other time"],
)
def test_what_stages_found_and_that_they_did_go_together(
    database: Database, by_hand: str, what: str, then: str
) -> None:
    keep(Library(database, SETTINGS), METADATA, METADATA)
    assert database.run(find_problems) == []
    database.run(lambda connection: connection.execute(by_hand.encode()))
    problems = {problem.what: problem for problem in database.run(find_problems)}
    assert problems[what].by_sql
    database.run(lambda connection: repair_rows(connection, "tester"))
    assert database.run(find_problems) == []
    assert database.run(lambda connection: connection.execute(then.encode()).fetchone()) == (True,)
