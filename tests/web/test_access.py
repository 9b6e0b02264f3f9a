"""Access control: the secret of `serve`, links and files with it, and refused clients."""

import base64
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from playwright.sync_api import Browser

from facesets.cli.library import serve as opening
from facesets.web.access import Access, Attempts, TooManyTries, client_of, exposed, given_token, stored_token
from facesets.web.access_guard import host_names
from facesets.web.api.result_folder import ResultSite
from facesets.web.app import create_app, create_results_app
from facesets.web.crops import CropStore
from tests.fixtures.chromium import opened
from tests.fixtures.raw_http import asked
from tests.fixtures.result_site import served_result
from tests.fixtures.website import BASE, TOKEN, TOKEN_FILE, Website, served

FOREIGN = "http://evil.example"
_UNDO = f"{BASE}/undo"


def test_logging_in_leads_to_where_one_wanted_to_go(locked: Website) -> None:
    with httpx.Client(base_url=locked.address, headers={"accept": "text/html"}) as client:
        to_door = client.get("/people?status=hidden")
        assert to_door.headers["location"] == "/login?to=/people%3Fstatus%3Dhidden"
        assert 'value="/people?status=hidden"' in client.get(to_door.headers["location"]).text
        answer = client.post("/login", data={"to": "/people?status=hidden", "password": TOKEN})
        assert (answer.status_code, answer.headers["location"]) == (303, "/people?status=hidden")
        assert "SameSite=Strict" in answer.headers["set-cookie"]
        assert client.get("/people").status_code == 200
        assert client.post(_UNDO, json={}).status_code == 403


@pytest.mark.parametrize(
    "to",
    [
        FOREIGN,
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "evil",
        "",
        "/%09/evil.example/../..//evil.example\r\nSet-Cookie: a=b",
    ],
)
def test_logging_in_leads_to_no_other_site(locked: Website, to: str) -> None:
    answer = httpx.post(f"{locked.address}/login", data={"to": to, "password": TOKEN})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/people"
    assert "a=b" not in answer.headers["set-cookie"]


def test_logins_from_another_site_or_with_a_million_fields_are_refused(locked: Website) -> None:
    login = f"{locked.address}/login"
    foreign = httpx.post(login, data={"password": TOKEN}, headers={"origin": FOREIGN})
    for answer in (foreign, httpx.post(login, content=b"a&" * 400_000)):
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


def test_guessing_becomes_slow(album_url: str, tmp_path: Path) -> None:
    with served(album_url, tmp_path, must_log_in=True) as website:
        login, call = f"{website.address}/login", f"{website.address}{BASE}/persons"
        for number in range(5):
            if number % 2:
                assert httpx.post(login, data={"password": f"wrong {number}"}).status_code == 403
            else:
                assert httpx.get(call, headers={"authorization": "Bearer wrong"}).status_code == 401
        # From now on not even the right one counts, for a moment: else trying on would be as quick as before.
        late = httpx.post(login, data={"password": TOKEN})
        assert late.status_code == 429
        assert "Too many wrong passwords. Wait 1 second" in late.text
        refused = website.client.get(f"{BASE}/persons")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        time.sleep(1.1)
        assert website.client.get(f"{BASE}/persons").status_code == 200


def test_the_wait_doubles_to_a_bound_and_is_each_clients_own() -> None:
    now = 100.0
    attempts = Attempts(lambda: now)
    access = Access("a secret of ours", must_log_in=True, attempts=attempts)
    waits = []
    for _ in range(12):
        assert not access.opens("wrong", "10.0.0.1")
        waits.append(attempts.wait_s("10.0.0.1"))
        now += waits[-1]
    assert waits == [0, 0, 0, 0, 1, 2, 4, 8, 16, 30, 30, 30]
    access.opens("wrong", "10.0.0.1")
    with pytest.raises(TooManyTries):
        access.opens("a secret of ours", "10.0.0.1")
    assert access.opens("a secret of ours", "10.0.0.2")
    for number in range(2000):
        attempts.failed(f"10.1.{number // 256}.{number % 256}")
    assert len(attempts._clients) == 1000


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "1.2.3.4, 5.6.7.8", "5.6.7.8"),
        ("10.0.0.7", "1.2.3.4", "10.0.0.7"),
        ("127.0.0.1", "2001:db8::1:2:3:4", "2001:db8::"),
        ("127.0.0.1", "nonsense", "nonsense"),
    ],
)
def test_clients_that_guess_are_recognized_behind_a_proxy(peer: str, forwarded: str, client: str) -> None:
    headers = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
    assert client_of({"type": "http", "client": (peer, 1), "headers": headers}) == client


_PAGE = {"accept": "text/html"}
_OPEN = {"/health", "/login"}
_LIKE_OPEN = [("GET", f"/{path}") for path in ("healthy", "login/", "staticky", "/static/app.js", "nothing")]
"""Beginnings of addresses that need no login."""


def _calls(app: FastAPI) -> set[tuple[str, str]]:
    """Every call and page of an application, with a number for each id."""
    return {
        (method, re.sub(r"\{[^}]+\}", "1", str(route.path)))
        for route in iter_route_contexts(app.routes)
        for method in getattr(route, "methods", None) or ()
    }


def _closed(address: str, app: FastAPI) -> int:
    """Check that every call and page needs the token; return their number."""
    calls = [(method, path) for method, path in _calls(app) if path not in _OPEN]
    with httpx.Client(base_url=address) as stranger:
        for method, path in (*calls, *_LIKE_OPEN):
            for headers in ({}, {"authorization": "Bearer wrong"}, {"cookie": "facesets=x.1.1.y"}):
                answer = stranger.request(method, path, headers=headers)
                assert answer.status_code == 401, (method, path, headers)
                assert answer.headers["www-authenticate"] == "Bearer"
            page = stranger.request(method, path, headers=_PAGE)
            assert page.status_code == (303 if method in {"GET", "HEAD"} else 401), (method, path)
            assert page.headers.get("location", "/login").startswith("/login")
    return len(calls)


def test_without_the_token_nothing_of_a_library_is_seen_or_changed(tokened: Website) -> None:
    assert _closed(tokened.address, create_app(tokened.site, Access(TOKEN, must_log_in=True))) > 50
    assert httpx.get(f"{tokened.address}/health").status_code == 200
    assert httpx.get(f"{tokened.address}/static/app.js").status_code == 200


def test_without_the_token_nothing_of_a_result_folder_is_seen_or_changed(tmp_path: Path) -> None:
    with served_result(tmp_path, tmp_path / "crops", must_log_in=True, is_made=True) as site:
        app = create_results_app(
            ResultSite(tmp_path, CropStore(tmp_path / "crops", 1)), Access(TOKEN, must_log_in=True)
        )
        assert _closed(site.address, app) >= 8


def test_the_link_opens_the_page_and_leaves_no_token_behind(tokened: Website) -> None:
    with httpx.Client(base_url=tokened.address, headers=_PAGE) as browser:
        answer = browser.get(f"/people?find=a%26b&token={TOKEN}&page=2")
        assert (answer.status_code, answer.headers["location"]) == (303, "/people?find=a%26b&page=2")
        cookie = answer.headers["set-cookie"].split("; ")[1:]
        assert cookie == ["Path=/", "HttpOnly", "SameSite=Strict", "Max-Age=2592000"]
        assert browser.get("/people").status_code == 200
        # Who is logged in has no need of the door.
        assert browser.get("/login?to=/runs").headers["location"] == "/runs"


@pytest.mark.parametrize(
    ("path", "to"),
    [
        ("/?token=wrong", "/"),
        ("/?token=", "/"),
        ("/people?token=wrong&token=wrong&a=", "/people?a="),
        ("//evil.example/?token=wrong", "/people"),
        ("/\\evil.example?token=wrong", "/%5Cevil.example"),
    ],
)
def test_a_link_with_another_token_leads_to_the_door_and_to_no_other_site(
    tokened: Website, path: str, to: str
) -> None:
    answer = httpx.get(tokened.address + path, headers=_PAGE)
    assert (answer.status_code, answer.headers["location"]) == (303, to)
    assert "set-cookie" not in answer.headers
    assert httpx.get(tokened.address + to, headers=_PAGE).headers["location"].startswith("/login?to=")


def test_a_link_takes_no_password_and_a_call_takes_no_token_of_a_link(
    locked: Website, tokened: Website
) -> None:
    answer = httpx.get(f"{locked.address}/people?token={TOKEN}", headers=_PAGE)
    assert (answer.status_code, answer.headers["location"]) == (303, "/people")
    assert "set-cookie" not in answer.headers
    for method, path in (("GET", "/persons"), ("POST", "/undo")):
        answer = httpx.request(method, f"{tokened.address}{BASE}{path}?token={TOKEN}")
        assert answer.status_code == 401
    assert httpx.post(f"{tokened.address}{BASE}/undo?token={TOKEN}", headers=_PAGE).status_code == 401


def test_clients_without_the_token_learn_its_file(tokened: Website, locked: Website) -> None:
    for headers in ({}, {"authorization": "Bearer wrong"}):
        detail = httpx.get(f"{tokened.address}{BASE}/persons", headers=headers).json()["detail"]
        assert detail.endswith(f" The token is in {TOKEN_FILE}.")
    page = httpx.get(f"{tokened.address}/login", headers=_PAGE).text
    assert TOKEN_FILE in page.replace("<wbr>", "")
    assert "Token\n<input" in page
    assert "token is in" not in httpx.get(f"{locked.address}{BASE}/persons").json()["detail"]
    assert "Password\n<input" in httpx.get(f"{locked.address}/login", headers=_PAGE).text


def test_wrong_tokens_of_another_account_lock_out_no_one(tokened: Website) -> None:
    with closing(httpx.Client(base_url=tokened.address)) as other:
        for _ in range(12):
            assert other.post("/login", data={"password": "wrong"}).status_code == 403
            assert other.get(f"{BASE}/persons", headers={"authorization": "Bearer wrong"}).status_code == 401
    assert tokened.client.get(f"{BASE}/persons").status_code == 200
    assert httpx.post(f"{tokened.address}/login", data={"password": f" {TOKEN}\n"}).status_code == 303


def test_a_browser_is_led_on_by_a_file_that_only_its_owner_can_read(
    tokened: Website, browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda address: not shown.append(address))  # type: ignore[func-returns-value]
    monkeypatch.setattr(opening, "_aside", lambda work: work())
    monkeypatch.setattr(opening, "_READ_WITHIN_S", 0)
    link = Access(TOKEN, must_log_in=True, is_made=True).link(tokened.address)
    with opening.opener(link, tmp_path) as opens:
        [page] = tmp_path.iterdir()
        assert page.stat().st_mode & 0o777 == 0o600
        with opened(browser, page.as_uri()) as tab:
            # The cookie goes along although the browser came from elsewhere, and the token is gone.
            tab.wait_for_url(f"{tokened.address}/people")
            tab.get_by_role("heading", name="People").wait_for()
            tab.goto(f"data:text/html,<a href='{tokened.address}/runs'>Runs</a>")
            tab.get_by_role("link").click()
            tab.wait_for_url(f"{tokened.address}/runs")
        opens()
    assert shown == [page.as_uri()]
    assert not list(tmp_path.iterdir())


def test_a_link_without_a_token_is_opened_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: list[str] = []
    monkeypatch.setattr("webbrowser.open", shown.append)
    monkeypatch.setattr(opening, "_aside", lambda work: work())
    with opening.opener("http://127.0.0.1:1", None) as opens:
        opens()
    assert shown == ["http://127.0.0.1:1"]
    assert "No browser could be opened" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"short", b"\xff\xfe" * 10, b"a password, which one can guess\n"])
def test_a_damaged_token_is_replaced_with_a_notice(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "serve-token"
    notices: list[str] = []
    path.write_bytes(content)
    path.chmod(0o644)
    token = stored_token(path, notices.append)
    assert len(token) >= 40
    assert len(notices) == 1
    assert "so it was replaced" in notices[0]
    assert stored_token(path, notices.append) == token
    assert len(notices) == 1
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_a_password_that_others_can_read_is_warned_about(tmp_path: Path) -> None:
    path = tmp_path / "a password"
    path.write_text("long enough for a password")
    given_token(path)
    for mode, is_exposed in ((0o600, False), (0o400, False), (0o640, True), (0o604, True)):
        path.chmod(mode)
        assert bool(exposed(path)) == is_exposed
    assert exposed(path).endswith(f"run `chmod 600 '{path}'`.")
    if os.geteuid() == 0:
        path.chmod(0o600)
        os.chown(path, 65534, 65534)
        assert "belongs to another account" in exposed(path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
def test_a_root_file_readable_by_its_group_is_closed_only_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "token"
    path.write_text("a password of a service")
    path.chmod(0o640)
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    assert exposed(path) == ""
    path.chmod(0o644)
    assert f"`chmod o= {path}`" in exposed(path)


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


_BROWSER = "Accept: text/html,application/xhtml+xml,*/*;q=0.8"


def test_a_refused_browser_gets_a_page_with_advice(unchanged: Website, locked: Website) -> None:
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
        (403, "Reload the page", asked(unchanged.address, "/people", ours, _BROWSER, method="POST")),
        (
            401,
            "Log in",
            asked(locked.address, "/people", "Host: localhost", _BROWSER, method="POST"),
        ),
        (
            413,
            "the limit is",
            asked(unchanged.address, "/login", ours, _BROWSER, "Content-Length: 9999999", method="POST"),
        ),
    ]
    for status, expected, answer in refused:
        assert answer.status == status
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        page = answer.body.decode()
        assert expected in page
        assert "<h1>" in page
        # By a foreign name nothing else of ours is to be had.
        assert ("/static/" in page) == (status != 421)


def test_no_host_name_or_two_are_refused(onlooked: Website) -> None:
    assert asked(onlooked.address, "/people").status == 400
    assert asked(onlooked.address, "/people", "Host: localhost", "Host: evil.example").status == 400


@pytest.mark.parametrize(
    "target", [f"{FOREIGN}/people", "http://localhost/people", "*", "http://[/x", "people"]
)
def test_a_target_that_is_not_a_path_is_refused(onlooked: Website, target: str) -> None:
    assert asked(onlooked.address, target, "Host: localhost").status == 400


def test_the_name_of_a_machine_counts_only_where_others_reach_it() -> None:
    assert host_names(["photos.home"], of_machine=False) == {"localhost", "photos.home"}
    assert len(host_names([], of_machine=True)) > 1


def test_a_name_that_the_user_gave_is_answered(album_url: str, tmp_path: Path) -> None:
    with served(album_url, tmp_path, names=("Photos.Home",)) as website:
        assert asked(website.address, "/people", "Host: photos.home").status == 200
        page = asked(website.address, "/people", "Host: photos.home", "Origin: https://photos.home")
        assert page.status == 200


def _state(website: Website) -> list[tuple[int, int]]:
    """Count the changes, and a person's faces; the first change can be undone."""
    return website.rows("SELECT (SELECT count(*) FROM steps), count(person_id) FROM face_detections")


@pytest.fixture
def unchanged(onlooked: Website) -> Iterator[Website]:
    """A library which a test must not get to change."""
    before = _state(onlooked)
    yield onlooked
    assert _state(onlooked) == before


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-www-form-urlencoded", b"step=1"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="step"\r\n\r\n1\r\n--x--\r\n',
        ),
        ("text/plain", b'{"step": null, "x": "="}'),
        ("application/json", b"{}"),
        ("", b"{}"),
    ],
)
def test_a_form_of_another_site_changes_nothing(unchanged: Website, kind: str, body: bytes) -> None:
    with closing(unchanged.visitor()) as visitor:
        # A browser sends no token of ours for another site; the cookie it would not send either.
        del visitor.headers["x-csrf-token"]
        answer = visitor.post(_UNDO, content=body, headers={"content-type": kind})
    assert answer.status_code == 403


@pytest.mark.parametrize("token", [b"", b"wrong", b"\xe4\xff", b"x" * 10_000])
def test_a_change_needs_the_token_of_a_page(unchanged: Website, token: bytes) -> None:
    with closing(unchanged.visitor()) as visitor:
        answer = visitor.post(_UNDO, json={}, headers={b"x-csrf-token": token})
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
        "Another site sent this request, so nothing was changed. Open the page here and try again.",
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


def test_the_token_of_a_page_is_nothing_without_its_session_nor_is_a_password_for_all_sites(
    unchanged: Website,
) -> None:
    with closing(unchanged.visitor()) as visitor:
        visitor.cookies.clear()
        assert visitor.post(_UNDO, json={}).status_code == 403
    # Browsers send it for other sites, too.
    basic = base64.b64encode(f"x:{TOKEN}".encode()).decode()
    answer = httpx.post(unchanged.address + _UNDO, json={}, headers={"authorization": f"Basic {basic}"})
    assert answer.status_code == 403


def test_a_page_changes_things_and_so_does_a_program(website: Website) -> None:
    own = {"origin": website.address, "sec-fetch-site": "same-origin"}
    with closing(website.visitor()) as visitor:
        assert visitor.post(_UNDO, json={}, headers=own).status_code == 200
    assert _state(website)[0][1] == 0


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
    cookie = httpx.get(f"{onlooked.address}/people", headers={"accept": "text/html"}).headers["set-cookie"]
    assert cookie.split("; ")[1:] == ["Path=/", "HttpOnly", "SameSite=Strict"]
    by_tls = {"accept": "text/html", "x-forwarded-proto": "https"}
    cookie = httpx.get(f"{onlooked.address}/people", headers=by_tls).headers["set-cookie"]
    assert cookie.split("; ")[1:] == ["Path=/", "HttpOnly", "SameSite=Strict", "Secure"]


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


def test_a_session_is_valid_only_if_signed_complete_recent_and_logged_in() -> None:
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
