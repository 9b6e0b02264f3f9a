"""The secret that opens `serve`: logging in by it, links that carry it, and the file that holds it."""

import os
import re
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from playwright.sync_api import Browser

from facesets.cli.library import serve as opening
from facesets.web.access import Access, Attempts, TooManyTries, client_of, exposed, given_token, kept_token
from facesets.web.api.result_folder import ResultSite
from facesets.web.app import create_app, create_results_app
from facesets.web.crops import CropStore
from tests.fixtures.chromium import opened
from tests.fixtures.result_site import served_result
from tests.fixtures.website import BASE, KEPT_IN, TOKEN, Website, served

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


def test_another_site_cannot_try_passwords_by_our_visitors(locked: Website) -> None:
    answer = httpx.post(f"{locked.address}/login", data={"password": TOKEN}, headers={"origin": FOREIGN})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_a_form_of_a_million_fields_is_no_work(locked: Website) -> None:
    answer = httpx.post(f"{locked.address}/login", content=b"a&" * 400_000)
    assert answer.status_code == 403


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
        assert "There were too many wrong passwords. Wait 1 second" in late.text
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
def test_who_guesses_is_known_behind_a_proxy_too(peer: str, forwarded: str, client: str) -> None:
    headers = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
    assert client_of({"type": "http", "client": (peer, 1), "headers": headers}) == client


_PAGE = {"accept": "text/html"}
_OPEN = {"/health", "/login"}


def _calls(app: FastAPI) -> set[tuple[str, str]]:
    """Every call and page of an application, with a number for each id."""
    return {
        (method, re.sub(r"\{[^}]+\}", "1", str(route.path)))
        for route in iter_route_contexts(app.routes)
        for method in getattr(route, "methods", None) or ()
    }


def _closed(address: str, app: FastAPI) -> int:
    """Make sure that nobody without the token gets through to a call or a page; how many there are."""
    calls = {(method, path) for method, path in _calls(app) if path not in _OPEN}
    with httpx.Client(base_url=address) as stranger:
        for method, path in calls:
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


def test_a_password_is_taken_by_no_link_and_shown_in_no_address(locked: Website) -> None:
    answer = httpx.get(f"{locked.address}/people?token={TOKEN}", headers=_PAGE)
    assert (answer.status_code, answer.headers["location"]) == (303, "/people")
    assert "set-cookie" not in answer.headers


def test_a_token_in_an_address_is_for_pages_alone(tokened: Website) -> None:
    for method, path in (("GET", "/persons"), ("POST", "/undo")):
        answer = httpx.request(method, f"{tokened.address}{BASE}{path}?token={TOKEN}")
        assert answer.status_code == 401
    assert httpx.post(f"{tokened.address}{BASE}/undo?token={TOKEN}", headers=_PAGE).status_code == 401


def test_who_lacks_the_token_hears_where_it_is(tokened: Website, locked: Website) -> None:
    for headers in ({}, {"authorization": "Bearer wrong"}):
        detail = httpx.get(f"{tokened.address}{BASE}/persons", headers=headers).json()["detail"]
        assert detail.endswith(f" The token is in {KEPT_IN}.")
    page = httpx.get(f"{tokened.address}/login", headers=_PAGE).text
    assert KEPT_IN in page.replace("<wbr>", "")
    assert "Token\n<input" in page
    assert "token is in" not in httpx.get(f"{locked.address}{BASE}/persons").json()["detail"]
    assert "Password\n<input" in httpx.get(f"{locked.address}/login", headers=_PAGE).text


def test_wrong_tokens_of_another_account_keep_nobody_out(tokened: Website) -> None:
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
def test_a_damaged_token_is_made_anew_with_a_word(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "serve-token"
    said: list[str] = []
    path.write_bytes(content)
    path.chmod(0o644)
    token = kept_token(path, said.append)
    assert len(token) >= 40
    assert len(said) == 1
    assert "There is a new one now" in said[0]
    assert kept_token(path, said.append) == token
    assert len(said) == 1
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
def test_a_file_of_roots_that_is_read_through_its_group_is_only_closed_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "token"
    path.write_text("a password of a service")
    path.chmod(0o640)
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    assert exposed(path) == ""
    path.chmod(0o644)
    assert f"`chmod o= {path}`" in exposed(path)
