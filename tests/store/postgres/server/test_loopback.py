"""The embedded server where it cannot be reached by a socket: over loopback, and only with its password."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from tests.fixtures.embedded_server import answers, copy_data, end, holder, kept_in, server_pid
from tests.fixtures.postgres import wait_until_unused
from tests.fixtures.program import REPOSITORY, environment
from tests.fixtures.waiting import wait_for

from facesets.errors import WrongUsage
from facesets.operations.library.migrate import backup, migrate, restore
from facesets.store.postgres.connection import Database
from facesets.store.postgres.connection import opened as opened_database
from facesets.store.postgres.server import embedded, keeper
from facesets.store.postgres.server.accounts import check_name, server_account
from facesets.store.postgres.server.embedded import EmbeddedServer

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def loopback() -> bool:
    return True


def opened(base: Path) -> EmbeddedServer:
    return EmbeddedServer(base, durable=False, loopback=True)


def password_of(base: Path) -> str:
    return (base / "run" / "password").read_text().strip()


def port_of(base: Path) -> int:
    return int((base / "run" / "port").read_text())


@contextmanager
def command_lines() -> Iterator[set[bytes]]:
    """Collect the publicly readable command lines of processes started meanwhile."""
    seen: set[bytes] = set()
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(path.read_bytes())
                except OSError:
                    continue

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def test_users_share_it_its_password_is_unreadable_and_it_stops_after_the_last(fresh: Path) -> None:
    with command_lines() as lines, ThreadPoolExecutor(3) as pool:
        users = list(pool.map(lambda _: holder(fresh, loopback=True), range(3)))
    secret = password_of(fresh).encode()
    assert len(secret) > 40
    # Programs that end at once may be missed, so not each one is required.
    assert b"initdb" in {Path(os.fsdecode(line.split(b"\0")[0])).name.encode() for line in lines}
    assert not [line for line in lines if secret in line]
    assert (fresh / "run" / "password").stat().st_mode & 0o077 == 0
    assert (fresh / "run").stat().st_mode & 0o077 == 0
    for user in users[:2]:
        end(user)
    assert answers(fresh, loopback=True)
    users[2].send_signal(signal.SIGTERM)
    assert users[2].wait() == 0
    wait_for(lambda: opened(fresh).alive_pid() is None)


def test_it_listens_only_on_loopback_and_requires_the_password(
    base: Path,
) -> None:
    with opened(base) as server:
        with psycopg.connect(server.conninfo) as connection:
            row = connection.execute(
                "SELECT current_setting('listen_addresses'), current_setting('unix_socket_directories')"
            ).fetchone()
            methods = connection.execute("SELECT DISTINCT auth_method FROM pg_hba_file_rules").fetchall()
        assert row == ("127.0.0.1", "")
        assert methods == [("scram-sha-256",)]
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT number FROM kept").fetchone() == (7,)
        for password in ("", "guessed"):
            with pytest.raises(psycopg.OperationalError, match=r"no password|authentication failed"):
                psycopg.connect(server.conninfo, password=password)


def test_a_killed_server_is_started_again_on_its_port(base: Path) -> None:
    with opened(base) as server:
        port = port_of(base)
        os.kill(server_pid(base, loopback=True), signal.SIGKILL)
        server.ensure_running()
        assert port_of(base) == port
        assert kept_in(server) == 7


def test_a_port_of_another_program_is_left_alone(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_PING_TIMEOUT_S", 1)
    with socket.create_server(("127.0.0.1", 0)) as other:
        (base / "run" / "port").write_text(str(other.getsockname()[1]))
        with opened(base) as server:
            assert port_of(base) != other.getsockname()[1]
            assert kept_in(server) == 7


def test_a_server_of_another_account_on_that_port_is_not_mistaken_for_it(made: Path, fresh: Path) -> None:
    mine, theirs = fresh / "mine", fresh / "theirs"
    for directory in (mine, theirs):
        copy_data(made, directory)
    (theirs / "run" / "password").unlink()
    try:
        with opened(theirs):
            (mine / "run" / "port").write_text(str(port_of(theirs)))
            with opened(mine) as server:
                assert kept_in(server) == 7
                assert port_of(mine) != port_of(theirs)
                assert password_of(mine) != password_of(theirs)
    finally:
        for directory in (mine, theirs):
            opened(directory).stop()
            wait_until_unused(directory)


def test_the_password_is_never_sent_to_a_server_that_asks_for_it_in_clear(base: Path) -> None:
    received: list[bytes] = []

    def ask(listening: socket.socket) -> None:
        session, _ = listening.accept()
        with session:
            session.settimeout(10)
            received.append(session.recv(1000))
            session.sendall(b"R\0\0\0\x08\0\0\0\x03")
            received.append(session.recv(1000))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        (base / "run" / "port").write_text(str(listening.getsockname()[1]))
        asking = threading.Thread(target=ask, args=(listening,))
        asking.start()
        with pytest.raises(psycopg.OperationalError, match="requested a cleartext password"):
            psycopg.connect(opened(base).conninfo)
        asking.join()
    assert b"facesets" in received[0]
    assert password_of(base).encode() not in b"".join(received)


def test_a_wrong_password_is_reported_and_a_lost_one_is_replaced(base: Path) -> None:
    file = base / "run" / "password"
    file.write_text("guessed\n")
    with pytest.raises(WrongUsage, match=rf"password in {file}\. Run `db stop`, delete that file"):
        opened(base).__enter__()
    assert opened(base).stop()
    file.unlink()
    with opened(base) as server:
        assert kept_in(server) == 7
        assert len(password_of(base)) > 40
        assert file.stat().st_mode & 0o077 == 0


def test_backup_and_restore_go_through_it_and_keep_its_password(base: Path, tmp_path: Path) -> None:
    with opened(base) as server, command_lines() as lines:
        with opened_database(Database(server.conninfo)) as database:
            migrate(database)
        with psycopg.connect(server.conninfo) as connection:
            connection.execute("INSERT INTO persons (id) VALUES (gen_random_uuid())")
        backup(server.conninfo, tmp_path / "backup", environment(), replace=False, dry_run=False)
        with psycopg.connect(server.conninfo) as connection:
            connection.execute("DELETE FROM persons")
        restore(server.conninfo, tmp_path / "backup", replace=True, dry_run=False)
        with psycopg.connect(server.conninfo) as connection:
            assert connection.execute("SELECT count(*) FROM persons").fetchone() == (1,)
    assert any(b"pg_dump" in line for line in lines)
    assert not [line for line in lines if password_of(base).encode() in line]


def test_a_folder_that_postgresql_cannot_name_is_reported(tmp_path: Path) -> None:
    check_name(tmp_path / "Jörg", "cp1252")
    with pytest.raises(
        WrongUsage, match=r"Михаил because .* lacks the characters Михаил\. Set FACESETS_DATA"
    ):
        check_name(tmp_path / "Михаил", "cp1252")


THERE = """
import os, sys
sys.path[:0] = {paths!r}
# The locks of all other files are another matter; other people's modules have code of their own for Windows.
import facesets.files, psycopg, platformdirs
from tests.fixtures.no_posix import take_away
take_away()
from pathlib import Path
from facesets.store.postgres.server import keeper
from facesets.store.postgres.server.embedded import EmbeddedServer
keeper.__file__, sys.executable = {keeper!r}, {python!r}
if {account}:
    os.setgroups([])
    os.setgid({account})
    os.setuid({account})
with EmbeddedServer(Path({base!r}), durable=False) as server, EmbeddedServer(Path({base!r})) as again:
    with psycopg.connect(again.conninfo) as connection:
        print(connection.execute("SELECT 7 FROM pg_database WHERE datname = 'facesets'").fetchone())
    print(server.alive_pid() is not None)
"""
KEEPER = """
import sys
sys.argv[0] = {keeper!r}
sys.path.insert(0, {repository!r})
from tests.fixtures.no_posix import run_without
run_without()
"""


@pytest.fixture
def place_of_account(fresh: Path) -> Iterator[tuple[Path, int]]:
    """A place and the account that it is of: not root, who gives up no rights without accounts."""
    mine = fresh / "mine"
    mine.mkdir(mode=0o755)
    account = server_account(mine / "data").uid
    os.chown(mine, account, account)
    yield mine, account
    opened(mine).stop()


def python_for_all() -> str:
    """A Python that other accounts can run too."""
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    if os.geteuid() and python is None:
        pytest.skip("needs a Python that other accounts can run")
    return python or sys.executable


def test_it_works_without_features_that_windows_lacks(place_of_account: tuple[Path, int]) -> None:
    base, account = place_of_account
    wrapped = base / "keeper.py"
    wrapped.write_text(KEEPER.format(keeper=keeper.__file__, repository=str(REPOSITORY)))
    script = THERE.format(
        paths=[str(REPOSITORY), str(REPOSITORY / "src")],
        keeper=str(wrapped),
        python=python_for_all(),
        account=account if os.geteuid() == 0 else 0,
        base=str(base),
    )
    line = [sys.executable, "-c", script]
    done = subprocess.run(line, capture_output=True, text=True, env=environment(), check=False)
    assert done.stderr == ""
    assert done.stdout == "(7,)\nTrue\n"
    wait_for(lambda: opened(base).alive_pid() is None)
    assert "received fast shutdown request" in (base / "log" / "server.log").read_text()
