"""Nobody gets in by a foreign name, from another site, without the token, or by guessing."""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from facesets.web.access import Access
from facesets.web.access_guard import host_names
from tests.fixtures.raw_http import asked
from tests.fixtures.website import BASE, TOKEN, Website, served

FOREIGN = "http://evil.example"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8765",
        "localhost.evil.example",
        "localhost:evil.example",
        "localhost:80:80",
        "localhost:123456",
        "evil@localhost",
        "127.0.0.1.evil.example",
        "2130706433",
        "0x7f.0.0.1",
        "[::1",
        "::1]",
        "[127.0.0.1]x",
        "[evil.example]",
        "127.0.0.1]",
        "loc\xe4lhost",
        "",
    ],
)
def test_a_foreign_host_name_is_refused(onlooked: Website, host: str) -> None:
    answer = asked(onlooked.address, "/people", f"Host: {host}")
    assert answer.status in {400, 421}
    assert b"anna" not in answer.body


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "localhost.", "127.0.0.1:80", "[::1]:80", "[::1]"]
)
def test_our_own_names_and_addresses_are_answered(onlooked: Website, host: str) -> None:
    assert asked(onlooked.address, "/people", f"Host: {host}").status == 200


def test_a_refused_name_comes_with_the_command_that_lets_it_in(onlooked: Website) -> None:
    answer = asked(onlooked.address, "/people", "Host: evil.example")
    assert "`facesets serve --name NAME`" in json.loads(answer.body)["detail"]


_BROWSER = "Accept: text/html,application/xhtml+xml,*/*;q=0.8"


def test_a_browser_is_refused_with_a_page_that_says_what_to_do(unchanged: Website, locked: Website) -> None:
    ours = f"Host: {unchanged.address.partition('//')[2]}"
    foreign = ("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate")
    refused = [
        (421, "serve --name NAME", asked(unchanged.address, "/people", "Host: evil.example", _BROWSER)),
        (
            421,
            "serve --name NAME",
            asked(unchanged.address, f"{BASE}/persons", "Host: evil.example", _BROWSER, foreign[1]),
        ),
        (
            403,
            "Another site sent",
            asked(unchanged.address, "/people", ours, _BROWSER, *foreign, method="POST"),
        ),
        (403, "Load the page again", asked(unchanged.address, "/people", ours, _BROWSER, method="POST")),
        (
            401,
            "Log in",
            asked(locked.address, "/people", "Host: localhost", _BROWSER, method="POST"),
        ),
        (
            413,
            "at most",
            asked(unchanged.address, "/login", ours, _BROWSER, "Content-Length: 9999999", method="POST"),
        ),
    ]
    for status, said, answer in refused:
        assert answer.status == status
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        page = answer.body.decode()
        assert said in page
        assert "<h1>" in page
        # By a foreign name nothing else of ours is to be had.
        assert ("/static/" in page) == (status != 421)


def test_no_host_name_or_two_are_refused(onlooked: Website) -> None:
    assert asked(onlooked.address, "/people").status == 400
    assert asked(onlooked.address, "/people", "Host: localhost", "Host: evil.example").status == 400


@pytest.mark.parametrize(
    "target", [f"{FOREIGN}/people", "http://localhost/people", "*", "http://[/x", "people"]
)
def test_a_target_that_is_no_path_is_refused(onlooked: Website, target: str) -> None:
    assert asked(onlooked.address, target, "Host: localhost").status == 400


def test_the_name_of_a_machine_counts_only_where_others_reach_it() -> None:
    assert host_names(["photos.home"], of_machine=False) == {"localhost", "photos.home"}
    assert len(host_names([], of_machine=True)) > 1


def test_a_name_that_the_user_gave_is_answered(album_url: str, tmp_path: Path) -> None:
    with served(album_url, tmp_path, names=("Photos.Home",)) as website:
        assert asked(website.address, "/people", "Host: photos.home").status == 200
        page = asked(website.address, "/people", "Host: photos.home", "Origin: https://photos.home")
        assert page.status == 200


_FORMS: tuple[tuple[str, bytes], ...] = (
    ("application/x-www-form-urlencoded", b"step=1"),
    (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="step"\r\n\r\n1\r\n--x--\r\n',
    ),
    ("text/plain", b'{"step": null, "x": "="}'),
    ("text/plain", b"{}"),
    ("application/json", b"{}"),
    ("", b"{}"),
)


_UNDO = f"{BASE}/undo"


def _state(website: Website) -> tuple[int, int]:
    """How many steps were made, and how many faces somebody has; the first step can be taken back."""
    with website.site.library() as session:
        return session.run(
            lambda each: each.one(
                "SELECT (SELECT count(*) FROM steps), count(person_id) FROM face_detections"
            )
        )


@pytest.fixture
def unchanged(onlooked: Website) -> Iterator[Website]:
    """A library which a test must not get to change."""
    before = _state(onlooked)
    yield onlooked
    assert _state(onlooked) == before


@pytest.mark.parametrize(("kind", "body"), _FORMS)
@pytest.mark.parametrize(
    "headers", [{}, {"origin": FOREIGN}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}]
)
def test_a_form_of_another_site_changes_nothing(
    unchanged: Website, kind: str, body: bytes, headers: Mapping[str, str]
) -> None:
    with closing(unchanged.visitor()) as visitor:
        # A browser sends no token of ours for another site; the cookie it would not send either.
        del visitor.headers["x-csrf-token"]
        answer = visitor.post(_UNDO, content=body, headers={"content-type": kind, **headers})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": FOREIGN},
        {"origin": "null"},
        {"origin": "http://["},
        {"origin": "http://localhost.evil.example"},
        {"origin": "chrome-extension://abc"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
@pytest.mark.parametrize("by", ["page", "program"])
def test_not_even_the_right_token_helps_another_site(
    unchanged: Website, headers: Mapping[str, str], by: str
) -> None:
    if by == "page":
        client = unchanged.visitor()
    else:
        client = httpx.Client(base_url=unchanged.address, headers={"authorization": f"Bearer {TOKEN}"})
    with closing(client):
        answer = client.post(_UNDO, json={}, headers=headers)
    assert (answer.status_code, answer.json()["detail"]) == (
        403,
        "Another site sent this request, so nothing was done. Open the page here, and do it there.",
    )


def test_another_site_gets_no_part_of_ours_but_may_link_to_it(onlooked: Website) -> None:
    foreign = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
    assert onlooked.client.get("/people", headers=foreign).status_code == 403
    assert onlooked.client.get("/people", headers=foreign | {"sec-fetch-mode": "navigate"}).status_code == 200


def test_no_other_site_is_let_read(onlooked: Website) -> None:
    asking = {
        "origin": FOREIGN,
        "access-control-request-method": "POST",
        "access-control-request-headers": "x",
    }
    for method in ("OPTIONS", "GET"):
        answer = onlooked.client.request(method, f"{BASE}/persons", headers=asking)
        assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert onlooked.client.options(_UNDO, headers=asking).status_code == 405


@pytest.mark.parametrize("token", [None, "", "wrong", "\xe4\xff", "x" * 10_000])
def test_a_change_needs_the_token_of_a_page(unchanged: Website, token: str | None) -> None:
    with closing(unchanged.visitor()) as visitor:
        del visitor.headers["x-csrf-token"]
        headers = {} if token is None else {"x-csrf-token": token.encode("latin-1")}
        answer = visitor.post(_UNDO, json={}, headers=headers)  # type: ignore[arg-type]
    assert answer.status_code == 403


def test_the_token_of_a_page_is_nothing_without_its_session(unchanged: Website) -> None:
    with closing(unchanged.visitor()) as visitor:
        visitor.cookies.clear()
        assert visitor.post(_UNDO, json={}).status_code == 403


def test_a_page_changes_things_and_so_does_a_program(website: Website) -> None:
    own = {"origin": website.address, "sec-fetch-site": "same-origin"}
    with closing(website.visitor()) as visitor:
        assert visitor.post(_UNDO, json={}, headers=own).status_code == 200
    assert _state(website)[1] == 0


def test_pages_that_are_open_go_on_to_work_when_a_link_opens_another(website: Website) -> None:
    with closing(website.visitor()) as visitor:
        before = visitor.cookies["facesets"]
        # A link from elsewhere: the browser leaves the cookie out, and gets another.
        new = httpx.get(f"{website.address}/people", headers={"accept": "text/html"}).cookies["facesets"]
        assert new != before
        visitor.cookies.set("facesets", new, domain="127.0.0.1")
        assert visitor.post(_UNDO, json={}).status_code == 200


def test_asking_changes_nothing(unchanged: Website) -> None:
    document = unchanged.client.get("/api/v1/openapi.json").json()
    asked_for = 0
    for path, calls in document["paths"].items():
        if "get" in calls and path != "/health":
            unchanged.client.get(re.sub(r"\{[^}]+\}", "1", path))
            asked_for += 1
    assert asked_for >= 2
    for path in ("/people", "/login", "/"):
        unchanged.client.get(path, headers={"accept": "text/html"})


def test_the_cookie_is_for_this_site_alone_and_for_no_script(onlooked: Website) -> None:
    said = httpx.get(f"{onlooked.address}/people", headers={"accept": "text/html"}).headers["set-cookie"]
    assert said.split("; ")[1:] == ["Path=/", "HttpOnly", "SameSite=Strict"]
    by_tls = {"accept": "text/html", "x-forwarded-proto": "https"}
    said = httpx.get(f"{onlooked.address}/people", headers=by_tls).headers["set-cookie"]
    assert said.split("; ")[1:] == ["Path=/", "HttpOnly", "SameSite=Strict", "Secure"]


@pytest.mark.parametrize(
    "cookie",
    [
        b"facesets=",
        b"facesets=.",
        b"facesets=..1.",
        b"facesets=x.1.1.AAAA",
        b"facesets=\xe4\xf6\xfc",
        b"facesets=\xff.9.1.\xfe",
        b"facesets",
        b"=;;=;",
        b"\xff\xfe=\x80",
        b"facesets=%00",
        b"facesets=" + b"x" * 8000,
    ],
)
def test_a_cookie_that_we_did_not_make_opens_nothing(locked: Website, cookie: bytes) -> None:
    answer = httpx.get(f"{locked.address}{BASE}/persons", headers={b"cookie": cookie})
    assert answer.status_code == 401


def test_a_session_is_ours_whole_not_too_old_and_of_somebody_who_logged_in() -> None:
    access = Access("a secret of ours", must_log_in=True)
    good = access.new_session(logged_in=True)
    assert access.is_session(good)
    assert not access.is_session(good[:-1])
    assert not access.is_session(access.new_session(logged_in=False))
    assert not access.is_session(good.replace(".1.", ".0.", 1))
    assert not Access("another secret", must_log_in=True).is_session(good)
    start = f"x.{1}.1"
    assert not access.is_session(f"{start}.{access._signed('session', start)}")


def test_cookies_of_other_programs_on_this_machine_do_no_harm(locked: Website) -> None:
    session = Access(TOKEN, must_log_in=True).new_session(logged_in=True)
    cookies = f'a={{"b":1}}; c="; \xe4=1; facesets=forged; facesets={session}; d'.encode("latin-1")
    answer = httpx.get(f"{locked.address}{BASE}/persons", headers={b"cookie": cookies})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/people",
        f"{BASE}/persons",
        f"{BASE}/faces/1/crop",
        "/api/v1/openapi.json",
        "/healthy",
        "/login/",
        "/staticky",
        "//static/app.js",
    ],
)
def test_nothing_is_shown_without_having_logged_in(locked: Website, path: str) -> None:
    assert httpx.get(locked.address + path).status_code == 401
    page = httpx.get(locked.address + path, headers={"accept": "text/html"})
    assert page.status_code == 303
    assert page.headers["location"].startswith("/login?to=")
    assert httpx.post(locked.address + path).status_code == 401


def test_basic_passwords_which_browsers_send_for_other_sites_too_are_none_of_ours(unchanged: Website) -> None:
    basic = base64.b64encode(f"x:{TOKEN}".encode()).decode()
    answer = httpx.post(unchanged.address + _UNDO, json={}, headers={"authorization": f"Basic {basic}"})
    assert answer.status_code == 403
