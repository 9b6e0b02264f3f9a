"""Every answer has the right headers and a message; and slow clients delay no others."""

import json
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from facesets.errors import UnreadableImage
from facesets.web import serving
from facesets.web.site import Site
from tests.fixtures.raw_http import asked, connected, received, sent
from tests.fixtures.website import BASE, TOKEN, Website

pytestmark = pytest.mark.slow

_HOST = "Host: localhost"
_TOKEN = f"Authorization: Bearer {TOKEN}"
_TRICKS = [
    "..",
    "../../etc/passwd",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "..%5c..%5cetc",
    "%00",
    "1%00.jpg",
    "%0d%0aSet-Cookie:%20a=b",
    "-1",
    "0",
    "1e3",
    "%D9%A1",
    "%EF%BC%91",
    "9223372036854775808",
    "9" * 5000,
    "a" * 12_000,
    "%ff%fe",
    "%F0%9F%98%80",
    "'%20OR%201=1--",
    "[x",
    "%5B::1",
]


def _ids(website: Website) -> list[str]:
    """All addresses of the API that hold an id, with `{}` for it."""
    paths = website.client.get("/api/v1/openapi.json").json()["paths"]
    return [path[: path.index("{")] + "{}" + path[path.index("}") + 1 :] for path in paths if "{" in path]


@pytest.mark.parametrize("trick", _TRICKS)
def test_an_id_is_no_path(onlooked: Website, trick: str) -> None:
    places = [*_ids(onlooked), "/people/{}", "/static/{}", "/photos/{}", "/{}"]
    assert f"{BASE}/faces/{{}}/crop" in places
    for place in places:
        answer = asked(onlooked.address, place.format(trick), _HOST, _TOKEN)
        assert 400 <= answer.status < 500 or answer.status == 303, (place, trick)
        assert b"root:" not in answer.body
        assert "set-cookie" not in answer.headers or "a=b" not in answer.headers["set-cookie"]


def test_static_files_are_those_of_the_program(onlooked: Website) -> None:
    assert onlooked.client.get("/static/app.js").status_code == 200
    for target in (
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static//etc/passwd",
        "/static/%2e%2e/app.py",
    ):
        assert asked(onlooked.address, target, _HOST).status == 404


@pytest.mark.parametrize(
    ("parameters", "wrong"),
    [
        ({"pageSize": 101}, "pageSize"),
        ({"pageSize": 0}, "pageSize"),
        ({"page": 0}, "page"),
        ({"page": 10**9}, "page"),
        ({"pageSize": "9" * 5000}, "pageSize"),
        ({"find": "x" * 201}, "find"),
        ({"status": "nobody"}, "status"),
    ],
)
def test_pages_of_lists_are_bounded(onlooked: Website, parameters: dict[str, str], wrong: str) -> None:
    answer = onlooked.client.get(f"{BASE}/persons", params=parameters)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(f"{wrong}: ")


def test_ten_megabytes_are_refused_before_they_are_read(onlooked: Website) -> None:
    with connected(onlooked.address) as connection:
        head = f"POST {BASE}/undo HTTP/1.1\r\n{_HOST}\r\n{_TOKEN}\r\nContent-Length: 10000000\r\n\r\n"
        connection.sendall(head.encode())
        assert received(connection).status == 413


@pytest.mark.parametrize("length", ["content-length", "chunked"])
def test_ten_megabytes_that_are_sent_are_refused_by_a_sentence(onlooked: Website, length: str) -> None:
    content = b'{"step": ' + b" " * 10_000_000 + b"1}"
    answer = onlooked.client.post(
        f"{BASE}/undo",
        content=content
        if length == "content-length"
        else (content[at : at + 65536] for at in range(0, len(content), 65536)),
        headers={"content-type": "application/json"},
    )
    assert (answer.status_code, answer.json()["detail"]) == (
        413,
        "The request is too large: the limit is 1000000 bytes.",
    )


def test_half_a_request_is_none(onlooked: Website) -> None:
    with connected(onlooked.address) as connection:
        kind = "Content-Type: application/json"
        lines = (f"POST {BASE}/undo HTTP/1.1", _HOST, _TOKEN, kind, "Content-Length: 50", "", "{}")
        connection.sendall("\r\n".join(lines).encode())
    # As long as it would take to do it.
    time.sleep(0.7)
    assert onlooked.rows("SELECT count(person_id) > 0 FROM face_detections") == [(True,)]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"1",
        b'"\\ud800"',
        b'{"step": "\\u0000"}',
        b"\x00",
        b"\xff",
        b"[" * 100_000,
        b'{"step": 1e999}',
        b'{"step": 9223372036854775808}',
        b'{"step": NaN}',
        b'{"path": "/etc/passwd"}',
    ],
)
def test_an_invalid_body_is_reported(onlooked: Website, body: bytes) -> None:
    answer = onlooked.client.post(f"{BASE}/undo", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]
    assert answer.json()["detail"].endswith(".")


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"{", "The request body is not valid JSON."),
        (b"\xff", "The request body cannot be read. Send JSON in UTF-8."),
    ],
)
def test_a_body_without_json_is_reported(onlooked: Website, body: bytes, detail: str) -> None:
    answer = onlooked.client.post(f"{BASE}/undo", content=body, headers={"content-type": "application/json"})
    assert answer.json()["detail"] == detail


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data"])
def test_only_json_is_taken_for_json(onlooked: Website, kind: str) -> None:
    answer = onlooked.client.post(f"{BASE}/undo", content=b"{}", headers={"content-type": kind})
    assert answer.status_code in {400, 422}


def test_head_answers_like_get_without_the_body(onlooked: Website) -> None:
    for path in ("/people", f"{BASE}/persons", f"{BASE}/faces/1/crop", "/static/app.js", "/health"):
        head, get = onlooked.client.head(path), onlooked.client.get(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == get.headers["content-length"]
        assert head.headers["cache-control"] == get.headers["cache-control"]


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PUT", "DELETE", "PATCH", "PROPFIND", "x"])
def test_other_methods_are_refused(onlooked: Website, method: str) -> None:
    answer = asked(onlooked.address, f"{BASE}/persons", _HOST, _TOKEN, method=method)
    assert answer.status == 405
    assert json.loads(answer.body)["title"] == "Method Not Allowed"
    assert json.loads(answer.body)["detail"] == "This address does not support that method."


def test_no_connection_becomes_another(onlooked: Website) -> None:
    upgrade = (
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: x",
        "Sec-WebSocket-Version: 13",
    )
    assert asked(onlooked.address, "/people", _HOST, *upgrade).status in {200, 400}
    assert asked(onlooked.address, "example.com:443", _HOST, method="CONNECT").status == 400


_EVERYWHERE = {
    "content-security-policy": "default-src 'none'; img-src 'self' data:; style-src 'self'; "
    "script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


@pytest.mark.parametrize(
    ("request_lines", "status"),
    [
        (("GET /people HTTP/1.1", _HOST), 200),
        (("GET /static/app.js HTTP/1.1", _HOST), 200),
        ((f"GET {BASE}/persons HTTP/1.1", _HOST), 200),
        ((f"GET {BASE}/faces/1/crop HTTP/1.1", _HOST), 200),
        (("GET / HTTP/1.1", _HOST), 303),
        (("GET /nothing HTTP/1.1", _HOST), 404),
        (("GET /nothing HTTP/1.1", _HOST, "Accept: text/html"), 404),
        (("GET /people HTTP/1.1", "Host: evil.example"), 421),
        (("POST /people HTTP/1.1", _HOST), 403),
        (("POST /people HTTP/1.1", _HOST, _TOKEN), 405),
        ((f"GET {BASE}/persons?page=x HTTP/1.1", _HOST), 422),
        (("nonsense",), 400),
        (("GET /people HTTP/1.1",), 400),
        (("POST /people HTTP/1.1", _HOST, "Content-Length: x"), 400),
        (("POST /people HTTP/1.1", _HOST, "Content-Length: " + "9" * 5000), 400),
    ],
)
def test_every_answer_has_guards_and_reveals_nothing_about_the_server(
    onlooked: Website, request_lines: tuple[str, ...], status: int
) -> None:
    answer = sent(onlooked.address, "\r\n".join([*request_lines, "Connection: close", "", ""]).encode())
    assert answer.status == status
    assert {name: answer.headers.get(name) for name in _EVERYWHERE} == _EVERYWHERE
    assert "server" not in answer.headers
    assert answer.headers["cache-control"]


def test_an_unexpected_error_is_a_message_with_the_same_guards(
    onlooked: Website, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_site: Site) -> None:
        raise ZeroDivisionError("of no use to a stranger")

    monkeypatch.setattr(Site, "library", broken)
    for accept in ("application/json", "text/html"):
        answer = onlooked.client.get("/people", headers={"accept": accept})
        assert answer.status_code == 500
        assert "An unexpected error occurred." in answer.text
        assert "no use" not in answer.text
        assert answer.headers["content-security-policy"] == _EVERYWHERE["content-security-policy"]
    assert "ZeroDivisionError" in caplog.text


def test_cache_headers_by_kind_of_answer(onlooked: Website) -> None:
    def cache_control(path: str) -> str:
        return onlooked.client.get(path).headers["cache-control"]

    assert (
        cache_control("/people")
        == cache_control(f"{BASE}/persons")
        == cache_control("/nothing")
        == cache_control("/health")
        == "no-store"
    )
    assert cache_control("/static/app.js") == "no-cache"
    assert cache_control(f"{BASE}/faces/1/crop") == "private, max-age=60"
    photo = onlooked.get("/faces/1")["assetId"]
    for picture in (f"{BASE}/faces/1/crop?size=96", f"{BASE}/assets/{photo}/picture?size=160"):
        answer = onlooked.client.get(f"{picture}&v={photo[:16]}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
        assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert cache_control(f"{BASE}/faces/1/crop?v=0000000000000000") == "private, max-age=60"


def test_an_unchanged_script_is_not_sent_again(onlooked: Website) -> None:
    first = onlooked.client.get("/static/app.js")
    again = onlooked.client.get("/static/app.js", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content, again.headers["cache-control"]) == (304, b"", "no-cache")


def test_a_question_that_takes_too_long_is_ended(onlooked: Website, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facesets.web.site._LOOKS_WITHIN_S", 1)
    monkeypatch.setattr(
        "facesets.web.pages.people.people_page",
        lambda session, *_, **__: session.run(lambda each: each.execute("SELECT pg_sleep(20)")),
    )
    answer = onlooked.client.get("/people")
    assert answer.status_code == 503
    assert answer.json()["detail"].endswith(
        "too long to answer. Request less, or try again when it is less busy."
    )


_HEAD = f"{_HOST}\r\n{_TOKEN}\r\n"


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
def impatient(monkeypatch: pytest.MonkeyPatch, onlooked: Website) -> Website:
    """A server whose limits of time are short."""
    monkeypatch.setattr(serving, "HEAD_WITHIN_S", 0.5)
    monkeypatch.setattr(serving, "READ_WITHIN_S", 0.5)
    monkeypatch.setattr("facesets.web.middleware._BODY_WITHIN_S", 0.5)
    return onlooked


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


def test_clients_that_keep_sending_after_a_refusal_are_disconnected(
    impatient: Website, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "_REFUSED_BODY_WITHIN_S", 0.5)
    with connected(impatient.address) as connection:
        connection.sendall(b"POST /people HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 403 ")
        assert _drip(connection, b"1\r\na\r\n" * 10)


def test_clients_that_do_not_read_are_disconnected(impatient: Website) -> None:
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


def test_a_head_without_an_end_is_refused(onlooked: Website) -> None:
    with connected(onlooked.address) as connection:
        try:
            connection.sendall(b"GET /people HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 1_000_000)
        except OSError:
            return
        assert _ended_within(connection, 3)


def test_a_new_connection_takes_the_place_of_one_that_rests(
    onlooked: Website, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "MOST", 20)
    resting = [connected(onlooked.address) for _ in range(40)]
    try:
        assert httpx.get(f"{onlooked.address}/health").status_code == 200
        assert _ended_within(resting[0], 2)
        assert not _ended_within(resting[-1], 0.1)
    finally:
        for connection in resting:
            connection.close()


def test_a_hundred_at_once_all_get_their_answer(onlooked: Website) -> None:
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
        with httpx.Client(base_url=onlooked.address, timeout=60, verify=certificates) as client:
            ready.wait()
            return [client.get(paths[(number + each) % len(paths)]).status_code for each in range(5)]

    with ThreadPoolExecutor(100) as pool:
        assert [status for found in pool.map(ask, range(100)) for status in found] == [200] * 500


def test_an_answer_on_a_reused_connection_is_sent_at_once(onlooked: Website) -> None:
    took = []
    for _ in range(60):
        began = time.perf_counter()
        assert onlooked.client.get("/static/icon.svg").status_code == 200
        took.append(time.perf_counter() - began)
    # A system that waits for more to send, and for a receipt, takes 40 ms for each but the first few.
    assert min(took[-20:]) < 0.03


def test_slow_photos_delay_no_other_answer(website: Website, monkeypatch: pytest.MonkeyPatch) -> None:
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
