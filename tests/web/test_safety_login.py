"""The door leads to no other site, and guessing its password is slow."""

import time
from pathlib import Path

import httpx
import pytest

from facesets.web.access import Access, Attempts, TooManyTries, client_of
from tests.fixtures.website import BASE, TOKEN, Website, served

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
