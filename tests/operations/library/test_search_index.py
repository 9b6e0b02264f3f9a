"""Building the index: by all processors, beside ongoing work, and with progress."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg import errors, sql
from tests.fixtures.made_faces import SETTINGS, made_file, made_image
from tests.fixtures.program import run
from tests.fixtures.recording_progress import RecordingProgress
from tests.fixtures.waiting import wait_for

from facesets.machine import processors
from facesets.operations.library.search_index import build_index
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.photos.search import face_vectors
from facesets.store.postgres.photos.vector_index import Vectors, has_index
from facesets.store.postgres.server.configuration import start_settings

FACES = 24


@pytest.fixture
def library(database: Database) -> Library:
    """A few faces, whose table is looked through by several processes where there are any."""
    images = [made_image(f"i{n}", 2) for n in range(FACES // 2)]
    filled = Library(database)
    with filled.writing(SETTINGS):
        filled.commit([made_file(f"/{image.sha256}.jpg", image) for image in images], images)
    database.run(
        lambda connection: connection.execute("ALTER TABLE face_embeddings SET (parallel_workers = 64)")
    )
    return filled


def vectors_of(library: Library) -> Vectors:
    return library.database.run(lambda connection: face_vectors(library.require_detector(connection)))


@contextmanager
def remarks(database: Database) -> Iterator[list[str]]:
    """What the server says in passing within the block."""
    said: list[str] = []

    def listen(connection: Connection) -> None:
        connection.add_notice_handler(lambda each: said.append(each.message_primary or ""))
        connection.execute("SET client_min_messages = debug1")

    database.run_alone(listen)
    yield said
    database.run_alone(lambda connection: connection.execute("SET client_min_messages = warning"))


def said_of_build(library: Library, said: list[str]) -> list[str]:
    """What the server says while the index is built."""
    said.clear()
    build_index(library, RecordingProgress())
    return said


def test_as_many_processes_build_it_as_the_server_lets_work_on_one_statement(library: Library) -> None:
    library.database.run_alone(lambda connection: connection.execute("SET max_parallel_workers = 3"))
    with remarks(library.database) as said:
        # Other tests on the same server may have its workers for a moment.
        wait_for(lambda: "using 2 parallel workers" in said_of_build(library, said))
    library.database.run_alone(lambda connection: connection.execute("SET max_parallel_workers = 0"))
    with remarks(library.database) as said:
        build_index(library, RecordingProgress())
    assert [line for line in said if "parallel workers" in line] == []
    assert library.database.run(lambda connection: has_index(connection, vectors_of(library)))


def test_the_embedded_server_lets_all_processors_work() -> None:
    given = dict(setting.removeprefix("-c").split("=") for setting in start_settings())
    assert int(given["max_parallel_workers"]) == processors()
    assert int(given["max_worker_processes"]) > processors()


def test_one_process_builds_it_where_several_lack_shared_memory(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.database.run_alone(lambda connection: connection.execute("SET max_parallel_workers = 3"))
    real = psycopg.Connection.execute

    def execute(self: Connection, query: Any, *rest: Any) -> Any:
        several = self.scalar("SHOW max_parallel_maintenance_workers") != "0"
        if several and isinstance(query, sql.Composed) and "CREATE INDEX" in query.as_string():
            # What a server says whose /dev/shm is full, which takes a container of its own to bring about.
            raise errors.DiskFull("could not resize shared memory segment")
        return real(self, query, *rest)

    monkeypatch.setattr(psycopg.Connection, "execute", execute)
    progress = RecordingProgress()
    build_index(library, progress)
    assert library.database.run(lambda connection: has_index(connection, vectors_of(library)))
    (line,) = progress.lines
    assert "shared memory" in line


def test_progress_follows_what_the_server_says_of_the_build(
    library: Library, library_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facesets.operations.library.search_index._LOOKS_EVERY_S", 0.01)
    progress = RecordingProgress()
    builder = threading.Thread(target=lambda: build_index(library, progress))
    with psycopg.connect(library_url) as older:
        # A build ends by waiting for those who may see the table as it was before.
        older.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        older.execute("SELECT count(*) FROM face_embeddings")
        builder.start()
        wait_for(lambda: len(progress.stages) > 1)
        assert progress.stages == [("Indexing faces", FACES), ("Checking the index of faces", None)]
        assert progress.done == FACES
    builder.join()


def test_it_is_built_where_there_is_no_second_connection_to_follow_it(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facesets.operations.library.search_index._LOOKS_EVERY_S", 0.0)
    database = library.database
    monkeypatch.setattr(database, "_text", "postgresql://nobody@127.0.0.1:1/none")
    progress = RecordingProgress()
    build_index(library, progress)
    assert database.run(lambda connection: has_index(connection, vectors_of(library)))
    assert (progress.stages, progress.done, progress.lines) == ([("Indexing faces", FACES)], FACES, [])


@pytest.mark.usefixtures("library")
def test_a_log_has_progress_only_where_it_is_asked_for(library_url: str) -> None:
    def written(*words: str) -> tuple[int, str, str]:
        result = run("db", "index", *words, "--database", library_url)
        return result.status, result.out, result.err

    assert written() == (0, "The index is built.\n", "")
    assert written("-q") == (0, "", "")
    status, _, log = written("-v")
    assert status == 0
    assert f"{FACES}/{FACES} (" in log
