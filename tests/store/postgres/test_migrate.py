"""Migrations: each once, none edited, none from the future, even concurrently; and the manual of tables."""

import itertools
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import psycopg
import pytest
from psycopg import sql

from facesets.errors import FacesetsError, SchemaOutdated, WrongUsage
from facesets.file_records import FileRecord
from facesets.operations.library.stats import stages
from facesets.operations.options.index import STAGES
from facesets.records import ImageRecord
from facesets.store.postgres.connection import Connection, Database, opened
from facesets.store.postgres.integrity import find_problems
from facesets.store.postgres.library import Library
from facesets.store.postgres.migrate import Migration, migrate, require_current, shipped_migrations, status
from facesets.store.postgres.models import ensure_detector
from facesets.store.postgres.photos.faces import insert_faces
from facesets.store.postgres.photos.image_paths import store_paths
from facesets.store.postgres.photos.images import store_images
from tests.fixtures.library_people import rows
from tests.fixtures.made_faces import SETTINGS, made_file, made_image
from tests.fixtures.made_metadata import METADATA, with_metadata
from tests.fixtures.postgres import Server, drop_database

FIRST = Migration(1, "0001_first", "CREATE TABLE one (id int);")
SECOND = Migration(2, "0002_second", "CREATE TABLE two (id int);")


@pytest.fixture
def empty(empty_url: str) -> Iterator[Database]:
    """A session with a database without tables."""
    with opened(Database(empty_url)) as session:
        yield session


def test_every_prefix_of_the_migrations_upgrades_to_the_whole(empty: Database) -> None:
    migrations = shipped_migrations()
    for count in range(1, len(migrations) + 1):
        assert [state.number for state in migrate(empty, migrations[:count])] == [count]
    require_current(empty, migrations)
    assert migrate(empty, migrations) == []


def test_photos_of_an_older_library_are_pending_for_what_is_new_and_for_nothing_else(empty: Database) -> None:
    """Before there were stages: migrations up to the sixth."""
    migrations = shipped_migrations()
    image, file = made_image("old", 2, "2011-05-06T07:08:09"), made_file("/old.jpg", made_image("old"))
    migrate(empty, migrations[:6])
    empty.run(lambda connection: _take_in_as_before(connection, image, file))
    migrate(empty, migrations)
    library = Library(empty, SETTINGS)
    assert {each.stage: (each.pending, each.completed) for each in stages(library).stages} == {
        stage: (0, 1) if stage == "detection" else (1, 0) for stage in STAGES
    }
    assert library.has_images([image.sha256]) == {image.sha256}
    assert empty.run(find_problems) == []
    library.store_findings([with_metadata(image, METADATA)])
    counts = {each.stage: each.pending for each in stages(library).stages}
    assert (counts["metadata"], counts["scene"]) == (0, 1)


def _take_in_as_before(connection: Connection, image: ImageRecord, file: FileRecord) -> None:
    detector = ensure_detector(connection, SETTINGS)
    ids, _ = store_images(connection, [replace(image, findings={})])
    # The old tables had no place for the data of today's program.
    connection.execute("ALTER TABLE face_detections ADD COLUMN norm real")
    insert_faces(connection, detector, [(ids[image.sha256], image)])
    connection.execute("ALTER TABLE face_detections DROP COLUMN norm")
    store_paths(connection, [file], ids)


def test_status_distinguishes_applied_from_pending(empty: Database) -> None:
    assert [bool(state.applied_at) for state in status(empty, [FIRST, SECOND])] == [False, False]
    migrate(empty, [FIRST])
    assert [bool(state.applied_at) for state in status(empty, [FIRST, SECOND])] == [True, False]


@pytest.mark.parametrize(("encoding", "fits"), [("LATIN1", False), ("SQL_ASCII", True)])
def test_a_database_that_cannot_hold_every_name_is_refused(server: Server, encoding: str, fits: bool) -> None:
    name = f"test_{os.getpid()}_{encoding.lower()}"
    with psycopg.connect(server.conninfo, autocommit=True) as connection:
        statement = sql.SQL(
            "CREATE DATABASE {} TEMPLATE template0 ENCODING {} LOCALE_PROVIDER libc LOCALE 'C'"
        )
        connection.execute(statement.format(sql.Identifier(name), encoding))
    try:
        with (
            opened(Database(server.url_of(name))) as database,
            nullcontext() if fits else pytest.raises(WrongUsage, match=f"encoding {encoding}.*createdb"),
        ):
            assert migrate(database, shipped_migrations())
    finally:
        drop_database(server, name)


def test_an_outdated_schema_is_reported_in_one_sentence(empty: Database) -> None:
    with pytest.raises(SchemaOutdated, match="Run `migrate`"):
        require_current(empty, shipped_migrations())
    with pytest.raises(SchemaOutdated, match="Run `migrate`"):
        Library(empty).files()


def test_an_edited_migration_is_refused(empty: Database) -> None:
    edited = Migration(1, "0001_first", "CREATE TABLE other (id int);")
    migrate(empty, [FIRST])
    with pytest.raises(WrongUsage, match="0001_first was edited"):
        migrate(empty, [edited, SECOND])
    with pytest.raises(WrongUsage, match="was edited"):
        status(empty, [edited])


def test_a_newer_schema_is_refused(empty: Database) -> None:
    migrate(empty, [FIRST, SECOND])
    with pytest.raises(WrongUsage, match="newer facesets"):
        migrate(empty, [FIRST])


def test_a_table_that_was_dropped_by_hand_is_named(empty: Database) -> None:
    migrate(empty, [FIRST])
    empty.run(lambda connection: connection.execute("DROP TABLE one"))
    for look in (migrate, status, require_current):
        with pytest.raises(SchemaOutdated, match=r"The table one was removed.*Restore a backup"):
            look(empty, [FIRST, SECOND])


def test_a_table_that_a_migration_drops_is_not_missed(empty: Database) -> None:
    third = Migration(3, "0003_third", "DROP TABLE one;")
    migrate(empty, [FIRST, SECOND, third])
    require_current(empty, [FIRST, SECOND, third])


def test_the_database_of_another_program_is_refused(empty_url: str) -> None:
    with psycopg.connect(empty_url) as connection:
        connection.execute("CREATE TABLE schema_migrations (version text)")
    with opened(Database(empty_url)) as database:
        for look in (migrate, status, require_current):
            with pytest.raises(WrongUsage, match="another program"):
                look(database, [FIRST])


def test_a_migration_that_fails_leaves_nothing(empty: Database) -> None:
    broken = Migration(2, "0002_broken", "CREATE TABLE half (id int); SELECT nonsense;")
    with pytest.raises(FacesetsError, match="0002_broken"):
        migrate(empty, [FIRST, broken])
    assert [state.number for state in migrate(empty, [FIRST, SECOND])] == [2]
    half = empty.run(lambda connection: connection.execute("SELECT to_regclass('half')").fetchone())
    assert half == (None,)


def test_vectors_pass_in_the_session_that_made_the_extension_and_in_its_successor(empty_url: str) -> None:
    def passed(connection: Connection) -> list[float]:
        return list(connection.scalar("SELECT %s", (np.arange(3, dtype=np.float32),)).to_list())

    with opened(Database(empty_url)) as database:
        migrate(database, [FIRST])
        assert database.run(passed) == [0, 1, 2]
        with psycopg.connect(empty_url, autocommit=True) as other:
            pid = database.run(lambda connection: connection.info.backend_pid)
            other.execute("SELECT pg_terminate_backend(%s)", (pid,))
        assert database.run(passed) == [0, 1, 2]


def test_several_hosts_may_migrate_at_once(empty_url: str) -> None:
    def applied(_: int) -> list[int]:
        with opened(Database(empty_url)) as database:
            return [state.number for state in migrate(database, [FIRST, SECOND])]

    with ThreadPoolExecutor(4) as pool:
        assert sorted(itertools.chain(*pool.map(applied, range(4)))) == [1, 2]


def test_line_ends_do_not_change_a_checksum(tmp_path: Path) -> None:
    (tmp_path / "0001_a.sql").write_bytes(b"SELECT 1;\nSELECT 2;\n")
    unix = shipped_migrations(tmp_path)
    (tmp_path / "0001_a.sql").write_bytes(b"SELECT 1;\r\nSELECT 2;\r\n")
    assert shipped_migrations(tmp_path)[0].checksum == unix[0].checksum


MANUAL = Path(__file__).parents[3] / "docs/library.md"


def test_the_manual_names_all_tables_and_no_others(database: Database) -> None:
    _, _, tables = MANUAL.read_text(encoding="utf-8").partition("## Tables\n")
    listed = [line.split("|")[1] for line in tables.splitlines() if line.startswith("| `")]
    named = {name for cell in listed for name in re.findall(r"`(\w+)`", cell)}
    query = """SELECT tablename FROM pg_tables WHERE schemaname = current_schema()
        UNION SELECT viewname FROM pg_views WHERE schemaname = current_schema()"""
    there = {name for (name,) in rows(database, query)}
    assert named == there - {"schema_migrations"}
