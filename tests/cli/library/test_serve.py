"""`facesets serve` starts, prints its address, and ends at once."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from facesets import settings
from facesets.errors import MissingExtra
from facesets.web.access import stored_token
from facesets.web.serving import bound_socket
from tests.fixtures.forked import ForkedRun, forked
from tests.fixtures.program import run
from tests.fixtures.raw_http import connected
from tests.fixtures.terminal import Terminal
from tests.fixtures.waiting import wait_for

pytestmark = pytest.mark.slow

PASSWORD = "a long password of ours"


@contextmanager
def started(url: str, *arguments: object, **how: Any) -> Iterator[tuple[ForkedRun, str]]:
    """The program as a process, and the address that it prints."""
    with forked("serve", "--database", url, "--port", 0, *arguments, **how) as process:
        wait_for(lambda: process.written()[0].endswith("\n") or process.poll() is not None, every_s=0.01)
        address = process.written()[0].strip()
        assert address, process.written()
        yield process, address


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_its_address_once_and_ends_at_once(album_url: str, number: signal.Signals) -> None:
    with started(album_url, "--quiet") as (process, address):
        assert httpx.get(f"{address}/health").json()["status"] == "ok"
        # An idle connection, a partial request, and a request in progress.
        idle, partial = connected(address), connected(address)
        idle.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        partial.sendall(b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n")
        assert idle.recv(1000)
        began = time.monotonic()
        process.send_signal(number)
        out, err = process.communicate(timeout=10)
        took = time.monotonic() - began
        idle.close()
        partial.close()
        assert (process.returncode, out, err) == (128 + number, f"{address}\n", "")
        assert took < 1.5


def test_two_of_them_work_on_one_library(album_url: str) -> None:
    path = settings.load().state_dir / "serve-token"
    with started(album_url) as (_, first), started(album_url, "--name", "a.home") as (_, second):
        assert first != second
        # Behind a proxy, strangers would hear of this machine's folders.
        for each, is_said in ((first, True), (second, False)):
            assert (f"{path}" in httpx.get(f"{each}/people").json()["detail"]) == is_said
        token = path.read_text().strip()
        headers = {"authorization": f"Bearer {token}"}
        people = [
            httpx.get(f"{each}/api/v1/faces/persons", headers=headers).json()["total"]
            for each in (first, second)
        ]
        assert people[0] == people[1] > 0


def test_a_port_in_use_is_reported(album_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = run("serve", "--database", album_url, "--port", port)
    # No restart by a supervisor repairs that.
    assert done.status == 75
    expected = (
        f"Port {port} on 127.0.0.1 is in use, perhaps by another `facesets serve`. To choose a different "
        "one, use --port PORT."
    )
    assert done.err == f"facesets: {expected}\n"


def test_no_second_program_takes_a_port_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    # A port that is reused can be taken there from who listens. Another option stands for that of Windows.
    monkeypatch.setattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_KEEPALIVE, raising=False)
    with bound_socket("127.0.0.1", 0) as bound:
        assert bound.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert not bound.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--host 0.0.0.0", "On 0.0.0.0 everyone in the network could see the photos."),
        ("--host ::", "On :: everyone in the network could see the photos."),
        ("--host :: --no-token", "everyone in the network could see the photos."),
        ("--host no.such.host.invalid", "no.such.host.invalid"),
        ("--host 203.0.113.7", "203.0.113.7"),
        (f"--host {'a' * 300}", "aaa"),
        ("--host 1.2.3", "1.2.3"),
        ("--token-file none", "Token file not found"),
        ("--token-file short", "is too short"),
        ("--token-file no-text", "it is not text"),
        ("--token-file good --no-token", "Give either --token-file or --no-token, not both."),
    ],
)
def test_invalid_ways_to_serve_are_reported(
    album_url: str, tmp_path: Path, words: str, expected: str
) -> None:
    for name, content in (("short", b"short"), ("no-text", b"\xff\xfe" * 10), ("good", PASSWORD.encode())):
        (tmp_path / name).write_bytes(content)
    done = run("serve", "--database", album_url, "--port", 0, *words.split(), cwd=tmp_path)
    assert (done.status, done.out) == (2, "")
    assert expected in done.err
    assert len(done.err.splitlines()) == 1


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


def test_programs_on_one_machine_share_a_private_token(tmp_path: Path) -> None:
    path = tmp_path / "state" / "serve-token"
    found: set[str] = set()
    notices: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.add(stored_token(path, notices.append))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {path.read_text().strip()}
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]
    assert not notices


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root can act as another account")
@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl (Debian: apt-get install curl)")
def test_other_accounts_of_the_machine_see_nothing_and_find_no_token(album_url: str) -> None:
    def other(*words: object) -> str:
        """What another account gets to see."""
        line = [str(word) for word in words]
        done = subprocess.run(line, user=65534, cwd="/", capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        token, shown, browser = folder / "data" / "serve-token", folder / "shown", folder / "browser"
        browser.write_text(f'#!/bin/sh\necho "$@" >{shown}\n')
        browser.chmod(0o755)
        env = {"FACESETS_DATA": str(token.parent), "BROWSER": str(browser)}
        with started(album_url, "--open", env=env) as (process, address):
            assert process.written()[1] == f"The token for browsers and programs is in {token}.\n"
            assert other("cat", token) == f"cat: {token}: Permission denied\n"
            for path in ("/people", "/api/v1/faces/persons", "/api/v1/faces/faces/1/crop", "/?token=guess"):
                assert '"status":401' in other("curl", "--silent", address + path)
            wait_for(lambda: shown.is_file() and shown.read_text())
            # What a browser is started with is in the list of processes.
            secret, page = token.read_text().strip(), shown.read_text().strip().removeprefix("file://")
            assert secret not in page
            assert "Permission denied" in other("cat", page)
            assert f"{address}/?token={secret}" in Path(page).read_text()
            with httpx.Client(headers={"accept": "text/html"}, follow_redirects=True) as visitor:
                assert 'id="people"' in visitor.get(f"{address}/?token={secret}").text
            process.send_signal(signal.SIGTERM)
            process.wait(10)
            assert not Path(page).exists()


def test_on_a_terminal_the_link_has_the_token(album_url: str) -> None:
    with Terminal("serve", "--database", album_url, "--port", 0) as window:
        link = window.expect(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{32,}").strip()
        answer = httpx.get(link, headers={"accept": "text/html"})
        assert answer.headers["location"] == "/"
        assert "set-cookie" in answer.headers
        window.send(signal.SIGTERM)
        assert window.end() == 143


def test_without_a_token_serve_prints_who_has_access(album_url: str) -> None:
    with started(album_url, "--no-token", "--name", "photos.home") as (process, address):
        wait_for(lambda: process.written()[1].endswith("\n"))
        assert process.written()[1] == (
            "Every account of this machine and everyone who reaches photos.home can see and change what is "
            "shown there.\n"
        )
        assert httpx.get(f"{address}/people").status_code == 200
        assert httpx.post(f"{address}/api/v1/faces/undo", json={}).status_code == 403


@pytest.mark.parametrize("missing", ["fastapi", "opentelemetry"])
def test_a_missing_extra_is_reported_with_its_installation(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    # A module that is None counts as not installed; what is imported already would not be looked for again.
    for name in [each for each in sys.modules if each.split(".")[0] in {"fastapi", "opentelemetry"}]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    done = run("serve")
    assert done.status == 2
    assert done.err == f"facesets: {MissingExtra('serve')}\n"
