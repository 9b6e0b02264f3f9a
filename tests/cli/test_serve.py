"""`facesets serve` starts, says where it is, and ends at once."""

import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from facesets.cli import serve
from facesets.web.serving import bound_socket
from tests.fixtures.forked import ForkedRun, forked
from tests.fixtures.program import run
from tests.fixtures.raw_http import connected
from tests.fixtures.waiting import wait_for

pytestmark = pytest.mark.slow

PASSWORD = "a long password of ours"


@contextmanager
def started(url: str, *arguments: object) -> Iterator[tuple[ForkedRun, str]]:
    """The program as a process, and the address that it prints."""
    with forked("serve", "--database", url, "--port", 0, *arguments) as process:
        wait_for(lambda: process.written()[0].endswith("\n") or process.poll() is not None, every_s=0.01)
        address = process.written()[0].strip()
        assert address, process.written()
        yield process, address


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_its_address_once_and_ends_at_once(album_url: str, number: signal.Signals) -> None:
    with started(album_url, "--quiet") as (process, address):
        assert httpx.get(f"{address}/health").json()["status"] == "ok"
        # A connection that is kept, a request of which only a part came, and one that is being answered.
        kept, partial = connected(address), connected(address)
        kept.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        partial.sendall(b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n")
        assert kept.recv(1000)
        began = time.monotonic()
        process.send_signal(number)
        out, err = process.communicate(timeout=10)
        took = time.monotonic() - began
        kept.close()
        partial.close()
        assert (process.returncode, out, err) == (128 + number, f"{address}\n", "")
        assert took < 1.5


@pytest.mark.slow
def test_two_of_them_work_on_one_library(album_url: str) -> None:
    with started(album_url) as (_, first), started(album_url) as (_, second):
        assert first != second
        people = [httpx.get(f"{each}/api/v1/faces/persons").json()["total"] for each in (first, second)]
        assert people[0] == people[1] > 0


def test_a_port_in_use_is_said_in_a_sentence(album_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = run("serve", "--database", album_url, "--port", port)
    assert done.status == 2
    assert done.err.splitlines() == [
        f"facesets: Cannot listen on 127.0.0.1 port {port}: Address already in use. Choose another port."
    ]


def test_no_second_program_takes_a_port_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    # A port that is reused can be taken there from who listens. Another option stands for that of Windows.
    monkeypatch.setattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_KEEPALIVE, raising=False)
    with bound_socket("127.0.0.1", 0) as bound:
        assert bound.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert not bound.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_the_network_needs_a_password(album_url: str, host: str) -> None:
    done = run("serve", "--database", album_url, "--port", 0, "--host", host)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith(f"facesets: On {host} everybody in the network could see the photos.")
    assert "--token-file FILE" in done.err


@pytest.mark.parametrize("host", ["no.such.host.invalid", "203.0.113.7", "a" * 300, "1.2.3"])
def test_a_host_that_is_not_this_machine_is_said_in_a_sentence(album_url: str, host: str) -> None:
    done = run("serve", "--database", album_url, "--port", 0, "--host", host)
    assert done.status == 2
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "There is no file"), (b"short", "is too short"), (b"\xff\xfe" * 10, "it is no text")],
)
def test_a_password_that_is_none_is_refused(
    album_url: str, tmp_path: Path, content: bytes | None, said: str
) -> None:
    path = tmp_path / "password"
    if content is not None:
        path.write_bytes(content)
    done = run("serve", "--database", album_url, "--port", 0, "--token-file", path)
    assert done.status == 2
    assert said in done.err


@pytest.mark.slow
def test_it_is_reached_by_the_new_kind_of_address_by_password_and_by_a_name(
    album_url: str, tmp_path: Path
) -> None:
    password = tmp_path / "password"
    password.write_text(f"{PASSWORD}\n")
    arguments = ("--host", "::1", "--token-file", password, "--name", "photos.home")
    with started(album_url, *arguments) as (_, address):
        assert address.startswith("http://[::1]:")
        assert httpx.get(f"{address}/people").status_code == 401
        as_proxy = {"host": "photos.home", "authorization": f"Bearer {PASSWORD}"}
        assert httpx.get(f"{address}/people", headers=as_proxy).status_code == 200
        port = address.rpartition(":")[2]
        login = httpx.post(f"{address}/login", data={"password": PASSWORD})
        assert login.headers["set-cookie"].startswith(f"facesets_{port}=")


def test_programs_on_one_machine_share_a_token_that_nobody_else_can_read(tmp_path: Path) -> None:
    path = tmp_path / "state" / "serve-token"
    found: set[str] = set()
    threads = [threading.Thread(target=lambda: found.add(serve._made_token(path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {path.read_text()}
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("missing", ["fastapi", "opentelemetry"])
def test_without_the_extra_or_a_part_of_it_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    # A module that is None counts as not installed; what is imported already would not be looked for again.
    for name in [each for each in sys.modules if each.split(".")[0] in {"fastapi", "opentelemetry"}]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    done = run("serve")
    assert done.status == 2
    assert done.err == "facesets: This needs an optional part: run `pip install 'facesets[serve]'`.\n"


def test_open_shows_it_in_a_browser(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: list[str] = []

    def show(address: str) -> bool:
        shown.append(address)
        return True

    monkeypatch.setattr("webbrowser.open", show)
    serve._open("http://127.0.0.1:1")
    assert shown == ["http://127.0.0.1:1"]
    monkeypatch.setattr("webbrowser.open", lambda _address: False)
    serve._open("http://127.0.0.1:1")
    assert "No browser could be opened" in capsys.readouterr().err
