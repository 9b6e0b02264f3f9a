"""PostgreSQL's planner knows a library's tables once much was added to them."""

from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.copying import analyze_grown
from facesets.store.postgres.library import Library
from tests.fixtures.library_people import rows
from tests.fixtures.made_faces import SETTINGS


def add_images(database: Database, first: int, last: int) -> None:
    def work(connection: Connection) -> None:
        connection.execute(
            """INSERT INTO images (sha256, width, height, fingerprint)
                SELECT encode(sha256(i::text::bytea), 'hex'), 100, 100, ''
                FROM generate_series(%s::int, %s::int) i""",
            (first, last),
        )

    database.run(work)


def known_to_planner(database: Database) -> list[str]:
    return [
        name
        for (name,) in rows(
            database,
            "SELECT DISTINCT tablename::text FROM pg_stats WHERE schemaname = current_schema() "
            "AND tablename IN ('images', 'galleries')",
        )
    ]


def test_tables_are_analyzed_once_after_a_run_that_added_much(database: Database) -> None:
    library = Library(database)
    with library.recorded_run("index", {}):
        add_images(database, 1, 100)
    assert known_to_planner(database) == [], "so few need no look"
    with library.recorded_run("index", {}):
        add_images(database, 101, 12_000)
    assert known_to_planner(database) == ["images"]
    add_images(database, 12_001, 15_000)
    assert database.run(analyze_grown) == []
    add_images(database, 15_001, 20_000)
    assert database.run(analyze_grown) == ["images"]


def test_tables_are_analyzed_after_a_cache_was_imported(database: Database) -> None:
    with Library(database).writing(SETTINGS):
        add_images(database, 1, 12_000)
    assert known_to_planner(database) == ["images"]
