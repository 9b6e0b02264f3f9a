"""A backup of any schema restores a library, beside objects of others, or changes nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import conninfo
from tests.fixtures.library_people import rows
from tests.fixtures.postgres import Server, filled, temporary
from tests.fixtures.program import run

from facesets.errors import AlreadyRunning, DamagedFile, FacesetsError, Unreachable, WrongUsage
from facesets.operations.library.migrate import backup, restore
from facesets.operations.people.corrections import history, naming
from facesets.store.postgres.claims import RunLock
from facesets.store.postgres.connection import Database, opened
from facesets.store.postgres.integrity import find_problems
from facesets.store.postgres.migrate import Migration, migrate, require_current, shipped_migrations
from facesets.store.postgres.queue.schema import Shipped, install, is_made, require_queue, shipped
from facesets.store.postgres.server import contents, restoring, tools

MIGRATIONS = shipped_migrations()
TODAY = len(MIGRATIONS)
SCHEMA_3 = Path(__file__).parents[2] / "fixtures" / "schema_0003" / "library.sql"
NAMES = "SELECT name, person_id::text FROM person_names ORDER BY name"
BY = "anna@home"

FIRST_SCHEMA = """
    INSERT INTO models (kind, name, sha256, dimension) VALUES ('face', 'made.onnx', 'aa', 4);
    INSERT INTO detectors (model_id, pack, detector, detector_sha256, det_size, min_det_score)
        SELECT id, 'made', 'found.onnx', 'bb', 640, 0.5 FROM models;
    INSERT INTO images (sha256, width, height, fingerprint) VALUES (repeat('a', 64), 4, 3, '');
    INSERT INTO image_paths (path, size, mtime_ns, sha256, image_id)
        SELECT '/a.jpg', 1, 1, sha256, id FROM images;
    INSERT INTO face_scans (image_id, detector_id) SELECT i.id, d.id FROM images i, detectors d;
    INSERT INTO persons (id) VALUES ('00000000-0000-0000-0000-000000000001');
    INSERT INTO person_names (person_id, name) SELECT id, 'Anna' FROM persons"""

OTHERS = """
    CREATE TYPE public.mood AS ENUM ('sad', 'glad');
    CREATE TABLE public.images_of_others (id serial PRIMARY KEY, mood mood NOT NULL);
    CREATE INDEX by_mood ON public.images_of_others (mood);
    CREATE TABLE public.albums (image int GENERATED ALWAYS AS IDENTITY, of int REFERENCES images_of_others);
    INSERT INTO images_of_others (mood) VALUES ('glad');
    CREATE VIEW public.glad AS SELECT * FROM images_of_others WHERE mood = 'glad';
    CREATE FUNCTION public.greet(mood) RETURNS text LANGUAGE sql AS $$ SELECT 'I am ' || $1 $$;
    CREATE SCHEMA app;
    CREATE TABLE app.images (id int);
    CREATE INDEX mine ON public.images (width)"""


LATER = f"INSERT INTO schema_migrations (number, name, checksum) VALUES ({TODAY + 1}, 'more', '')"


@pytest.fixture(scope="module")
def template(server: Server) -> Iterator[str]:
    """A library with people, names and changes, and a queue."""

    def fill(database: Database) -> None:
        _at_schema(database, TODAY)
        install(database)

    yield from filled(server, "template0", fill)


@pytest.fixture
def backed_up(library_url: str, tmp_path: Path) -> Path:
    """A backup of that library."""
    return _backup(library_url, tmp_path)


@pytest.fixture
def older_url(server: Server) -> Iterator[str]:
    """A database without tables, for an older library."""
    yield from temporary(server, "template0")


def _at_schema(database: Database, number: int) -> None:
    """People and changes that a program of that schema may have left."""
    first = min(number, 3)
    content = SCHEMA_3.read_bytes() if first == 3 else FIRST_SCHEMA.encode()
    migrate(database, MIGRATIONS[:first])
    database.run(lambda connection: connection.execute(content))
    migrate(database, MIGRATIONS[:number])


def _backup(url: str, folder: Path) -> Path:
    path = folder / "library.backup"
    backup(url, path, {}, replace=True, dry_run=False)
    return path


def _rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


def _execute(url: str, statements: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(statements.encode())


@contextmanager
def unchanged(url: str, *further: str) -> Iterator[None]:
    """Check that the database is the same after the block, with all objects and their results."""
    queries = (*further, "SELECT oid, relname FROM pg_class ORDER BY oid", "SELECT oid, proname FROM pg_proc")
    before = [_rows(url, query) for query in queries]
    yield
    assert [_rows(url, query) for query in queries] == before


@pytest.mark.parametrize("number", [1, 3, 16, TODAY])
def test_a_backup_of_any_schema_fills_an_empty_database_and_one_in_use(
    number: int, older_url: str, library_url: str, empty_url: str, tmp_path: Path
) -> None:
    with opened(Database(older_url)) as database:
        _at_schema(database, number)
        if number == 16:
            _install_earlier_queue(database)
    path, names = _backup(older_url, tmp_path), _rows(older_url, NAMES)
    _execute(library_url, "UPDATE person_names SET name = name || ' of today'")
    for url, replaced in ((empty_url, False), (library_url, True)):
        assert restore(url, path, replace=replaced, dry_run=False).replaced == replaced
        with opened(Database(url)) as database:
            require_current(database, MIGRATIONS)
            require_queue(database)
            assert database.run(find_problems) == []
            assert rows(database, NAMES) == names
            if number > 1:
                _undo_naming_of_fay(database)
            naming.rename(database, str(names[0][0]), "Zoe", by=BY)
            history.undo(database, by=BY)
            assert str(names[0][0]) in dict(rows(database, NAMES))


def _undo_naming_of_fay(database: Database) -> None:
    assert "Fay" in dict(rows(database, NAMES))
    history.undo(database, by=BY)
    assert "Fay" not in dict(rows(database, NAMES))


def _install_earlier_queue(database: Database) -> None:
    now = shipped()
    # Step by step: servers before 17 use no new value of an enum in the transaction that adds it.
    for count in (1, len(now.steps) - 6):
        install(database, Shipped(now.steps[0][1], now.steps[:count], now.ours[: count - 1][:1]))


def test_data_of_other_programs_survives_and_is_restored(
    library_url: str, empty_url: str, tmp_path: Path
) -> None:
    _execute(library_url, OTHERS)
    path, names = _backup(library_url, tmp_path), _rows(library_url, NAMES)
    _execute(library_url, "INSERT INTO images_of_others (mood) VALUES ('sad'); DELETE FROM person_names")
    # What a table of the library was called once.
    _execute(library_url, "CREATE TABLE said_people (mine int)")
    settings = "SELECT name, setting FROM pg_settings WHERE source = 'session' ORDER BY name"
    with opened(Database(library_url)) as database:
        before = rows(database, settings)
        database.run_alone(restoring.restore, path, MIGRATIONS, "it", replace=True)
        assert rows(database, settings) == before
        assert rows(database, NAMES) == names
        _undo_naming_of_fay(database)
    assert _rows(library_url, "SELECT id, mood::text FROM images_of_others") == [(1, "glad"), (2, "sad")]
    assert _rows(library_url, "SELECT mine FROM said_people") == []
    assert _rows(library_url, "SELECT indexdef FROM pg_indexes WHERE indexname IN ('mine', 'by_mood')") == [
        ("CREATE INDEX by_mood ON public.images_of_others USING btree (mood)",),
        ("CREATE INDEX mine ON public.images USING btree (width)",),
    ]
    assert restore(empty_url, path, replace=False, dry_run=False).left_out == []
    for url in (library_url, empty_url):
        assert _rows(url, "SELECT greet(mood) FROM glad") == [("I am glad",)]


def test_unreadable_tables_of_others_do_not_block_a_backup(
    older_url: str, empty_url: str, tmp_path: Path
) -> None:
    for url in (older_url, empty_url):
        _execute(url, "CREATE EXTENSION vector; GRANT ALL ON SCHEMA public TO pg_monitor")
    _execute(older_url, 'CREATE TABLE "Al""bums" (secret text); CREATE VIEW seen AS TABLE "Al""bums"')
    _execute(older_url, "GRANT SELECT ON seen TO pg_monitor")
    shared, own = (
        conninfo.make_conninfo(url, options="-c role=pg_monitor") for url in (older_url, empty_url)
    )
    with opened(Database(shared)) as database:
        _at_schema(database, 16)
    path, names = tmp_path / "library.backup", _rows(shared, NAMES)
    assert backup(shared, path, {}, replace=False, dry_run=False).left_out == ['public.Al"bums']
    for url, replace in ((shared, True), (own, False)):
        assert restore(url, path, replace=replace, dry_run=False).left_out == ["public.seen"]
        assert _rows(url, NAMES) == names
    assert _rows(older_url, "TABLE seen") == []


def test_a_missing_extension_of_others_does_not_block_a_restore(
    library_url: str, empty_url: str, tmp_path: Path
) -> None:
    _execute(library_url, "CREATE EXTENSION citext; CREATE TABLE albums (name citext)")
    path, names = _backup(library_url, tmp_path), _rows(library_url, NAMES)
    path.write_bytes(path.read_bytes().replace(b"citext", b"absent"))
    reported = run("db", "restore", path, "--database", empty_url).out
    assert reported.endswith("\nSkipped because it does not belong to the library: absent, public.albums.\n")
    assert _rows(empty_url, NAMES) == names


@pytest.mark.parametrize(
    ("statement", "reported"),
    [
        ("CREATE VIEW wide AS SELECT * FROM images", "view wide depends on table images"),
        (
            "CREATE TABLE friends (who uuid REFERENCES persons)",
            "constraint friends_who_fkey on table friends",
        ),
        ("CREATE VIEW todo AS SELECT * FROM queue.procrastinate_jobs", "view todo depends on table"),
        ("CREATE TABLE mine (s queue.procrastinate_job_status)", "column s of table mine depends on type"),
        (LATER, r"made by a newer facesets .*more.*Upgrade"),
    ],
)
def test_obstacles_to_replacing_a_library_are_named_and_nothing_changes(
    library_url: str, backed_up: Path, statement: str, reported: str
) -> None:
    _execute(library_url, statement)
    with unchanged(library_url, NAMES), pytest.raises(WrongUsage, match=reported):
        restore(library_url, backed_up, replace=True, dry_run=False)


def test_a_table_of_others_with_the_name_of_a_later_one_of_ours_is_not_dropped(
    empty_url: str, backed_up: Path
) -> None:
    with opened(Database(empty_url)) as database:
        _at_schema(database, 3)
    _execute(empty_url, "CREATE TABLE tags (mine text)")
    with unchanged(empty_url, NAMES), pytest.raises(FacesetsError, match='"tags" already exists'):
        restore(empty_url, backed_up, replace=True, dry_run=False)


def test_the_database_of_another_program_is_left_alone(empty_url: str, backed_up: Path) -> None:
    _execute(
        empty_url, "CREATE TABLE schema_migrations (version text); INSERT INTO schema_migrations VALUES ('1')"
    )
    for replace in (False, True):
        with pytest.raises(WrongUsage, match="another program"):
            restore(empty_url, backed_up, replace=replace, dry_run=False)
    assert _rows(empty_url, "SELECT * FROM schema_migrations") == [("1",)]


@pytest.mark.parametrize("columns", ["version text", "version bigint, dirty bool"])
@pytest.mark.parametrize("replace", [False, True])
def test_migrations_of_another_program_are_not_taken_for_the_library_s(
    library_url: str, empty_url: str, tmp_path: Path, columns: str, replace: bool
) -> None:
    _execute(library_url, f"CREATE SCHEMA app; CREATE TABLE app.schema_migrations ({columns})")
    _execute(library_url, "INSERT INTO app.schema_migrations VALUES (20260101120000)")
    path, names = _backup(library_url, tmp_path), _rows(library_url, NAMES)
    url = library_url if replace else empty_url
    if not replace:
        _execute(url, "CREATE SCHEMA app")
    assert restore(url, path, replace=replace, dry_run=False).replaced == replace
    assert _rows(url, NAMES) == names


def test_a_backup_without_a_library_is_named(empty_url: str, tmp_path: Path) -> None:
    path = tmp_path / "other.backup"
    for statement in (
        "CREATE TABLE schema_migrations (version bigint, dirty bool)",
        "DROP TABLE schema_migrations; CREATE EXTENSION vector; " + MIGRATIONS[0].sql,
        "CREATE TABLE schema_migrations (number int, name text, checksum text, applied_at timestamptz)",
    ):
        _execute(empty_url, statement)
        tools.backup(empty_url, path, {})
        with pytest.raises(DamagedFile, match="holds no library"):
            contents.require_backup(path, MIGRATIONS)


def test_a_library_outside_the_search_path_is_not_replaced_by_a_new_one(
    older_url: str, empty_url: str, tmp_path: Path
) -> None:
    _execute(older_url, "CREATE SCHEMA photos; CREATE EXTENSION vector")
    home = conninfo.make_conninfo(older_url, options="-c search_path=photos,public")
    with opened(Database(home)) as database:
        _at_schema(database, 1)
    path = _backup(home, tmp_path)
    with unchanged(empty_url), pytest.raises(WrongUsage, match="in the schema photos"):
        restore(empty_url, path, replace=False, dry_run=False)
    there = conninfo.make_conninfo(empty_url, options="-c search_path=photos,public")
    restore(there, path, replace=False, dry_run=False)
    assert _rows(there, NAMES) == _rows(home, NAMES)


def test_a_backup_cut_off_or_of_a_later_pg_dump_changes_nothing(library_url: str, tmp_path: Path) -> None:
    _execute(
        library_url,
        """INSERT INTO galleries (path, description)
            SELECT '/' || n, (SELECT string_agg(md5(n + i || ''), '') FROM generate_series(1, 2000) i)
            FROM generate_series(1, 4000000, 200000) n""",
    )
    path = _backup(library_url, tmp_path)
    whole = path.read_bytes()
    damaged = "incomplete or damaged"
    for content, error, reported in (
        (whole[: int(len(whole) * 0.02)], DamagedFile, damaged),  # In the table of contents.
        (whole[: int(len(whole) * 0.5)], DamagedFile, damaged),  # In the rows of a table.
        (whole[:6] + b"\x63" + whole[7:], WrongUsage, "newer pg_dump"),
    ):
        path.write_bytes(content)
        with unchanged(library_url, NAMES), pytest.raises(error, match=reported):
            restore(library_url, path, replace=True, dry_run=False)


@pytest.mark.parametrize(
    ("last", "error"),
    [
        ("SELECT nonsense", FacesetsError),
        ("SELECT pg_terminate_backend(pg_backend_pid())", Unreachable),
        ("DO $$ BEGIN RAISE disk_full; END $$", FacesetsError),
    ],
)
def test_a_failure_at_the_very_end_changes_nothing(
    library_url: str, backed_up: Path, last: str, error: type[FacesetsError]
) -> None:
    with unchanged(library_url, NAMES), opened(Database(library_url)) as database, pytest.raises(error):
        migrations = [*MIGRATIONS, Migration(TODAY + 1, "broken", last)]
        database.run_alone(restoring.restore, backed_up, migrations, "it", replace=True)


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_later_program_s_backup_is_refused(
    library_url: str, empty_url: str, tmp_path: Path, dry_run: bool
) -> None:
    _execute(library_url, LATER)
    path = _backup(library_url, tmp_path)
    with pytest.raises(WrongUsage, match=r"library.backup was made by a newer facesets"):
        restore(empty_url, path, replace=False, dry_run=dry_run)


def test_nothing_changes_while_a_command_works_on_the_library(
    library_url: str, backed_up: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restoring, "_WAITS_FOR_OTHERS", "50ms")

    def again() -> None:
        restore(library_url, backed_up, replace=True, dry_run=False)

    with unchanged(library_url, NAMES), opened(Database(library_url)) as other:
        with RunLock(other, "cluster"), pytest.raises(AlreadyRunning, match="Another program is working"):
            again()
        with psycopg.connect(library_url) as reading:
            reading.execute("SELECT FROM images")
            with pytest.raises(AlreadyRunning, match="Nothing was changed"):
                again()
    again()


def test_column_data_of_newer_servers_is_ignored(library_url: str, empty_url: str, tmp_path: Path) -> None:
    with psycopg.connect(library_url) as connection:
        connection.execute("SET allow_system_table_mods = on")
        connection.execute(
            """UPDATE pg_attribute SET attoptions = '{pg_attver=35619264}'
                WHERE attnum > 0 AND attrelid IN ('images'::regclass, 'present_faces'::regclass)"""
        )
        connection.execute(
            """UPDATE pg_attribute SET attoptions = '{pg_attver=35619264,n_distinct=5}'
                WHERE attrelid = 'person_names'::regclass AND attname = 'name'"""
        )
    restore(empty_url, _backup(library_url, tmp_path), replace=False, dry_run=False)
    options = "SELECT attname, attoptions FROM pg_attribute WHERE attoptions IS NOT NULL"
    stored = [
        (name, [o for o in found if not o.startswith("pg_attver")])
        for name, found in _rows(empty_url, options)
    ]
    assert [(name, found) for name, found in stored if found] == [("name", ["n_distinct=5"])]


def test_the_extension_in_another_schema_is_named(empty_url: str, backed_up: Path) -> None:
    _execute(empty_url, "CREATE SCHEMA tools; CREATE EXTENSION vector SCHEMA tools")
    with pytest.raises(WrongUsage, match="ALTER EXTENSION vector SET SCHEMA public;"):
        restore(empty_url, backed_up, replace=False, dry_run=False)
    _execute(empty_url, "ALTER EXTENSION vector SET SCHEMA public")
    restore(empty_url, backed_up, replace=False, dry_run=False)


def test_without_the_queue_s_part_of_the_program_the_queue_comes_back_as_it_was(
    library_url: str, empty_url: str, backed_up: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facesets.store.postgres.queue.schema.is_installed", lambda: False)
    for url, replace in ((empty_url, False), (library_url, True)):
        restore(url, backed_up, replace=replace, dry_run=False)
        with opened(Database(url)) as database:
            assert database.run(is_made)
