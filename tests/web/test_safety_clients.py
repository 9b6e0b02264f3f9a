"""Who is slow, asks for much or goes away in the middle takes nothing from anybody else."""

import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from facesets.errors import UnreadableImage
from facesets.web import serving
from tests.fixtures.raw_http import connected
from tests.fixtures.website import BASE, TOKEN, Website

_HEAD = f"Host: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"


def _ended_within(connection: socket.socket, seconds: float) -> bool:
    """Whether the server ends a connection, of which everything is read."""
    connection.settimeout(seconds)
    try:
        while connection.recv(65536):
            pass
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
    return True


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch, website: Website) -> Website:
    """A server whose limits of time are short."""
    monkeypatch.setattr(serving, "HEAD_WITHIN_S", 0.5)
    monkeypatch.setattr(serving, "READ_WITHIN_S", 0.5)
    monkeypatch.setattr("facesets.web.middleware._BODY_WITHIN_S", 0.5)
    return website


def _drip(connection: socket.socket, text: bytes, every_s: float = 0.1) -> bool:
    """Send a text byte by byte; whether the server ended the connection before the end of it."""
    try:
        for byte in text:
            connection.sendall(bytes([byte]))
            time.sleep(every_s)
    except OSError:
        return True
    return False


def test_a_connection_on_which_nothing_comes_is_ended(impatient: Website) -> None:
    with connected(impatient.address) as connection:
        assert _ended_within(connection, 3)


@pytest.mark.parametrize("before", [b"", f"GET /health HTTP/1.1\r\n{_HEAD}\r\n".encode()])
def test_a_head_that_drips_is_cut_off(impatient: Website, before: bytes) -> None:
    with connected(impatient.address) as connection:
        connection.sendall(before)
        time.sleep(0.2)
        assert _drip(connection, b"GET /people HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 60)


def test_a_body_that_drips_is_cut_off(impatient: Website) -> None:
    with connected(impatient.address) as connection:
        head = f"POST {BASE}/undo HTTP/1.1\r\n{_HEAD}Content-Type: application/json\r\n"
        connection.sendall(f"{head}Content-Length: 900\r\n\r\n".encode())
        began = time.monotonic()
        assert connection.recv(1000).startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - began < 3
        assert _ended_within(connection, 3)


def test_what_goes_on_after_it_was_refused_is_cut_off(
    impatient: Website, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "_REFUSED_BODY_WITHIN_S", 0.5)
    with connected(impatient.address) as connection:
        connection.sendall(b"POST /people HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 403 ")
        assert _drip(connection, b"1\r\na\r\n" * 10)


@pytest.mark.slow
def test_who_does_not_read_is_cut_off(impatient: Website) -> None:
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        host, _, port = impatient.address.removeprefix("http://").rpartition(":")
        connection.connect((host, int(port)))
        asking = f"GET {BASE}/faces/1/crop?size=640 HTTP/1.1\r\n{_HEAD}\r\n".encode()
        connection.settimeout(5)
        with pytest.raises(OSError, match=r"reset|Broken pipe|timed out") as cut:
            while True:
                connection.sendall(asking)
        assert not isinstance(cut.value, TimeoutError)


def test_a_head_without_an_end_is_refused(website: Website) -> None:
    with connected(website.address) as connection:
        try:
            connection.sendall(b"GET /people HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 1_000_000)
        except OSError:
            return
        assert _ended_within(connection, 3)


def test_a_new_connection_takes_the_place_of_one_that_rests(
    website: Website, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "MOST", 20)
    resting = [connected(website.address) for _ in range(40)]
    try:
        assert httpx.get(f"{website.address}/health").status_code == 200
        assert _ended_within(resting[0], 2)
        assert not _ended_within(resting[-1], 0.1)
    finally:
        for connection in resting:
            connection.close()


@pytest.mark.slow
def test_a_hundred_at_once_all_get_their_answer(website: Website) -> None:
    paths = [
        "/people",
        f"{BASE}/persons",
        f"{BASE}/faces/1/crop",
        f"{BASE}/faces/2/crop?size=320",
        "/static/app.js",
    ]
    ready = threading.Barrier(100)
    certificates = ssl.create_default_context()

    def ask(number: int) -> list[int]:
        with httpx.Client(base_url=website.address, timeout=60, verify=certificates) as client:
            ready.wait()
            return [client.get(paths[(number + each) % len(paths)]).status_code for each in range(5)]

    with ThreadPoolExecutor(100) as pool:
        assert [status for found in pool.map(ask, range(100)) for status in found] == [200] * 500


def test_an_answer_on_a_kept_connection_is_sent_at_once(website: Website) -> None:
    took = []
    for _ in range(60):
        began = time.perf_counter()
        assert website.client.get("/static/icon.svg").status_code == 200
        took.append(time.perf_counter() - began)
    # A system that waits for more to send, and for a receipt, takes 40 ms for each but the first few.
    assert min(took[-20:]) < 0.03


def test_photos_that_take_long_keep_nobody_from_an_answer(
    website: Website, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = threading.Event()

    def slow(*_: object, **__: object) -> None:
        goes_on.wait(20)
        raise UnreadableImage("gone")

    monkeypatch.setattr("facesets.web.crops.read_decoded", slow)
    sizes = (96, 160, 320, 640)
    addresses = [f"{BASE}/faces/{face}/crop?size={size}" for face in range(1, 16) for size in sizes]
    with ThreadPoolExecutor(60) as pool:
        waiting = [pool.submit(website.client.get, address) for address in addresses]
        try:
            time.sleep(1)
            began = time.monotonic()
            assert website.client.get(f"{BASE}/persons").status_code == 200
            assert time.monotonic() - began < 5
        finally:
            goes_on.set()
        assert {each.result().status_code for each in waiting} == {404}
