"""Problems that `check` finds, in unusual databases."""

import psycopg
import pytest
from psycopg import conninfo

from facesets.store.postgres.connection import Database, opened
from facesets.store.postgres.integrity import find_problems, repair_rows
from facesets.store.postgres.library import Library
from facesets.store.postgres.migrate import migrate, shipped_migrations
from tests.fixtures.made_faces import SETTINGS
from tests.fixtures.made_metadata import METADATA, keep


def test_an_unfinished_index_is_found_in_any_schema(empty_url: str) -> None:
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


_ALSO_BY_OTHER_STAGES = """
    INSERT INTO stage_versions (stage, version)
        VALUES ('attributes', '1'), ('face-tags', '1'), ('describe', '1');
    INSERT INTO image_stages (image_id, stage, version_id, status)
        SELECT 1, stage, id, 'completed' FROM stage_versions WHERE stage <> 'metadata';
    UPDATE face_detections SET age = 30 WHERE image_id = 1;
    INSERT INTO models (kind, name, sha256, dimension) VALUES ('clip', 'made', repeat('c', 64), 2);
    INSERT INTO face_clip_embeddings (face_id, model_id, embedding)
        SELECT f.id, m.id, '[1,0]' FROM face_detections f, models m WHERE f.image_id = 1 AND m.kind = 'clip';
    INSERT INTO face_attributes SELECT id, '{}' FROM face_detections WHERE image_id = 1;
    INSERT INTO bodies (image_id, x1, y1, x2, y2, score, face_id)
        SELECT 1, 0, 0, 9, 9, 1, min(id) FROM face_detections WHERE image_id = 1;
    INSERT INTO tag_categories (name, target, selection_mode, min_confidence, templates, none_prompts)
        VALUES ('setting', 'scene', 'single', 0, '{}', '{}');
    INSERT INTO tags (category_id, place, name, phrases) SELECT id, 0, 'beach', '{}' FROM tag_categories;
    INSERT INTO image_tags SELECT 1, t.id, NULL, 1, i.taken FROM tags t, images i WHERE i.id = 1;
    INSERT INTO descriptions (sha256, image_id, description, quality, season, time_of_day, environment,
            people, activities, objects, text_in_image, tags, emotional_tone, answer,
            provider, model, prompt, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens)
        SELECT sha256, id, '', 1, '', '', '', 0, '{}', '{}', '', '{}', '', '{}', '', '', '', 0, 0, 0, 0
            FROM images WHERE id = 1"""
_AS_A_REPLICA = "SET session_replication_role = replica; {}; SET session_replication_role = origin"


_OF_OTHER_STAGES = {
    "photos with faces that lost their age": (
        "UPDATE face_detections SET age = NULL",
        "SELECT count(*) = 0 FROM image_stages WHERE stage = 'attributes'",
    ),
    "photos with faces that lost the embedding of their crop": (
        "DELETE FROM face_clip_embeddings",
        "SELECT count(*) = 0 FROM image_stages WHERE stage = 'face-tags'",
    ),
    "results in face_attributes about faces that do not exist": (
        _AS_A_REPLICA.format("UPDATE face_attributes SET face_id = 99 WHERE face_id = 1"),
        "SELECT count(*) FILTER (WHERE face_id = 99) = 0 FROM face_attributes",
    ),
    "results in bodies about photos that do not exist": (
        _AS_A_REPLICA.format("UPDATE bodies SET image_id = 99"),
        "SELECT count(*) = 0 FROM bodies",
    ),
    "bodies with a face of another photo": (
        "UPDATE bodies SET face_id = (SELECT min(id) FROM face_detections WHERE image_id = 2)",
        "SELECT count(face_id) = 0 AND count(*) = 1 FROM bodies",
    ),
    "descriptions of photos that do not exist": (
        _AS_A_REPLICA.format("UPDATE descriptions SET image_id = 99"),
        "SELECT image_id = 1 FROM descriptions",
    ),
    "photos sent to be described but not marked as sent": (
        "DELETE FROM image_stages WHERE stage = 'describe'",
        "SELECT status = 'completed' FROM image_stages WHERE stage = 'describe'",
    ),
    "photos marked as described without a description": (
        "DELETE FROM descriptions",
        "SELECT status = 'failed' FROM image_stages WHERE stage = 'describe'",
    ),
}
_OF_METADATA = {
    "invalid coordinates": (
        "UPDATE photo_metadata SET latitude = 95, longitude = 11 WHERE image_id = 1",
        "SELECT count(*) = 1 FROM image_stages",
    ),
    "invalid coordinates: half of one": (
        "UPDATE photo_metadata SET longitude = NULL WHERE image_id = 1",
        "SELECT count(*) = 1 FROM image_stages",
    ),
    "photos without their row in photo_metadata": (
        "DELETE FROM photo_metadata WHERE image_id = 1",
        "SELECT count(*) = 1 FROM image_stages",
    ),
    "results in photo_metadata without a record of the step": (
        "DELETE FROM image_stages WHERE image_id = 1",
        "SELECT count(*) = 1 FROM photo_metadata",
    ),
    "photos with a step of an unknown version": (
        _AS_A_REPLICA.format("UPDATE image_stages SET version_id = 99 WHERE image_id = 1"),
        "SELECT count(*) = 1 FROM image_stages",
    ),
    "analysis steps of photos that do not exist": (
        _AS_A_REPLICA.format(
            """DELETE FROM images WHERE id = 1;
                DELETE FROM image_paths WHERE image_id = 1; DELETE FROM face_scans WHERE image_id = 1;
                DELETE FROM face_embeddings e USING face_detections f
                    WHERE f.id = e.face_id AND f.image_id = 1;
                DELETE FROM face_detections WHERE image_id = 1"""
        ),
        "SELECT count(*) = 1 FROM photo_metadata",
    ),
    "photos with a time that differs from their metadata": (
        "UPDATE images SET taken = '1999-01-01' WHERE id = 1",
        "SELECT count(*) = 2 FROM images WHERE taken = '2019-07-04 15:30:00'",
    ),
}


@pytest.mark.parametrize("what", [*_OF_OTHER_STAGES, *_OF_METADATA])
def test_results_of_steps_are_repaired_and_paid_ones_stay(database: Database, what: str) -> None:
    by_hand, then = (_OF_OTHER_STAGES | _OF_METADATA)[what]
    keep(Library(database, SETTINGS), METADATA, METADATA)
    if what in _OF_OTHER_STAGES:
        database.run(lambda connection: connection.execute(_ALSO_BY_OTHER_STAGES.encode()))
    assert database.run(find_problems) == []
    database.run(lambda connection: connection.execute(by_hand.encode()))
    problems = {problem.what: problem for problem in database.run(find_problems)}
    assert problems[what.partition(":")[0]].by_sql
    database.run(lambda connection: repair_rows(connection, "tester"))
    assert database.run(find_problems) == []
    assert database.run(lambda connection: connection.execute(then.encode()).fetchone()) == (True,)


def test_only_steps_of_photos_that_are_read_again_become_pending(database: Database) -> None:
    keep(Library(database, SETTINGS), METADATA, METADATA)
    database.run(lambda connection: connection.execute(_ALSO_BY_OTHER_STAGES.encode()))
    by_hand = b"DELETE FROM face_embeddings WHERE face_id = 1"
    database.run(lambda connection: connection.execute(by_hand))
    database.run(lambda connection: repair_rows(connection, "tester"))
    left = b"SELECT stage FROM image_stages WHERE image_id = 1 ORDER BY 1"
    done = database.run(lambda connection: connection.execute(left).fetchall())
    assert done == [("describe",), ("metadata",)]
