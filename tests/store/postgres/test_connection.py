"""Connections: sentences without secrets, and a session that outlives its server's restarts."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg import conninfo

from facesets.errors import Unreachable, WrongUsage
from facesets.store.postgres import paths
from facesets.store.postgres.claims import RunLock
from facesets.store.postgres.connection import Connection, Database, label_of, opened
from facesets.store.postgres.paths import from_text, to_text
from facesets.store.postgres.server.tools import masked, psql
from tests.fixtures.postgres import Server, close_to_all

SECRET = "s3cr3tpw"


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://me:{SECRET}@127.0.0.1:1/photos",
        f"postgresql://me:{SECRET}@no-such-host.invalid/photos",
        f"postgresql://me:a@{SECRET}@localhost/photos",
        f"postgresql://me:a/{SECRET}@localhost/photos",
        f"postgresql://me:1/{SECRET}@localhost/photos",
        f"postgresql://me:a#{SECRET}@localhost:99/photos",
        f"host=127.0.0.1 port=1 password={SECRET} user=me",
        f"host=127.0.0.1 passwort={SECRET}",
        f"{SECRET}",
    ],
)
def test_no_message_holds_the_password(text: str) -> None:
    with pytest.raises((Unreachable, WrongUsage)) as caught:
        Database(text)
    error: BaseException | None = caught.value
    while error is not None and (error is caught.value or not caught.value.__suppress_context__):
        assert SECRET not in str(error)
        error = error.__cause__ or error.__context__


def test_labels_and_urls_are_masked() -> None:
    url = f"postgresql://me:{SECRET}@db.home:5433/photos"
    assert label_of(url) == "the database photos at db.home:5433"
    assert SECRET not in masked(url)
    assert SECRET not in masked(f"{url}?sslpassword={SECRET}-2&sslkey=k.pem&scram_client_key={SECRET}")


def test_no_secret_is_on_the_command_line_of_psql_which_gets_it_all_the_same(
    library_url: str, tmp_path: Path
) -> None:
    line = tmp_path / "line"
    script = f'cat /proc/$PPID/cmdline "$PGSERVICEFILE" >{line}; echo $PGPASSWORD >>{line}'
    text = conninfo.make_conninfo(library_url, password=f"{SECRET}1", sslpassword=f"{SECRET} 2")
    assert psql(text, ["-c", f"\\! {script}"], os.environ) == 0
    command, *rest = line.read_bytes().split(b"[facesets]")
    assert b"psql" in command
    assert SECRET.encode() not in command
    assert b"".join(rest).decode().split("\n")[1:3] == [f"sslpassword={SECRET} 2", f"{SECRET}1"]


def test_a_dead_server_machine_is_noticed_within_a_minute_by_default(
    library_url: str,
) -> None:
    def timeouts(text: str) -> tuple[int, int]:
        with opened(Database(text)) as database:
            reported = database.run(lambda connection: connection.info.get_parameters())
        asked = (reported[f"keepalives_{name}"] for name in ("idle", "interval", "count"))
        idle, interval, count = map(int, asked)
        return idle + interval * count, int(reported["tcp_user_timeout"])

    assert timeouts(library_url) == (60, 60_000)
    assert timeouts(conninfo.make_conninfo(library_url, keepalives_idle=300)) == (330, 60_000)


def test_interrupted_work_is_repeated_as_a_whole(library_url: str) -> None:
    with opened(Database(library_url)) as database, psycopg.connect(library_url, autocommit=True) as other:
        attempts = []

        def work(connection: psycopg.Connection) -> None:
            connection.execute(
                "INSERT INTO models (kind, name, sha256, dimension) VALUES ('clip', 'x', 'x', 3)"
            )
            attempts.append(connection.info.backend_pid)
            if len(attempts) == 1:
                other.execute("SELECT pg_terminate_backend(%s)", (attempts[0],))
            connection.execute("SELECT 1")

        database.run(work)
        assert len(set(attempts)) == 2
        assert other.execute("SELECT count(*) FROM models").fetchone() == (1,)


def answer(connection: Connection) -> object:
    return connection.execute("SELECT 42").fetchone()


def test_all_users_of_a_vanished_database_wait_for_it_together(server: Server, library_url: str) -> None:
    def work(_: int) -> object:
        with pytest.raises(Unreachable, match="was lost"):
            database.run(answer)
        return time.monotonic()

    with opened(Database(library_url, reconnect_within_s=2)) as database, ThreadPoolExecutor(8) as pool:
        with pytest.raises(Unreachable, match="was lost"), RunLock(database, "index"):
            close_to_all(server, library_url)
            began = time.monotonic()
            list(pool.map(work, range(8)))
            database.run(answer)
        assert time.monotonic() - began < 4
        assert database.closed


def test_a_stop_ends_the_wait_for_an_unavailable_database(server: Server, library_url: str) -> None:
    wish = threading.Event()
    with opened(Database(library_url, reconnect_within_s=30, is_stopping=wish.is_set)) as database:
        close_to_all(server, library_url)
        threading.Timer(1, wish.set).start()
        began = time.monotonic()
        with pytest.raises(Unreachable, match="was lost"):
            database.run(answer)
        assert time.monotonic() - began < 5


def test_a_path_of_windows_is_stored_with_slashes_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "_SEPARATOR", "\\")
    path = "C:\\Photos\\Zoë & co\\1.jpg"
    assert to_text(path) == "C:/Photos/Zoë & co/1.jpg"
    assert from_text(to_text(path)) == path
    assert paths.range_below("C:\\Photos") == {
        "root": "C:/Photos",
        "below": "C:/Photos/",
        "beyond": "C:/Photos0",
    }


@pytest.mark.parametrize("path", ["/a/\udcff.jpg", "/\U0010fe00", "/\U0010feff\udc80x", "/ü/日本.jpg"])
def test_paths_go_to_text_and_back(path: str) -> None:
    text = to_text(path)
    text.encode("utf-8")
    assert from_text(text) == path
