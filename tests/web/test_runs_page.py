"""The page of runs in a real browser."""

import re
import threading
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from facesets.errors import typed
from facesets.installation import adding
from facesets.jobs.queueing import Order, cancel, put
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.queue.notes import note_progress, note_start
from facesets.store.postgres.queue.schema import install
from facesets.web.api.jobs import pace
from facesets.web.background import Job, JobProgress
from facesets.work import Stop
from tests.fixtures.chromium import DESK, PHONE, WORDS_ON_TWO_LINES, accessibility_findings, fits, opened
from tests.fixtures.queued import work
from tests.fixtures.website import TOKEN, Website, served

pytestmark = pytest.mark.slow


def begin(website: Website) -> None:
    """Begin a job that goes on until it is stopped."""

    def work(progress: JobProgress, stop: Stop) -> None:
        progress.begin("Comparing faces", 4)
        progress.advance()
        progress.say("One folder is away.")
        while not stop.requested:
            threading.Event().wait(0.01)

    website.site.jobs.start("index", work)


def test_clustering_is_started_followed_and_reported(website: Website, browser: Browser) -> None:
    website.change("UPDATE face_detections SET person_id = NULL")
    with opened(browser, f"{website.address}/runs") as page:
        expect(page.get_by_text("Nothing is running.")).to_be_visible()
        form = page.get_by_role("form", name="Cluster")
        form.get_by_label("Minimum faces of a new person").fill("3")
        form.get_by_role("button", name="Cluster").press("Enter")
        message = page.locator("#messages").get_by_text(re.compile(r"^Cluster: done\. 24 faces: "))
        expect(message).to_be_visible(timeout=20_000)
        latest = page.locator("#history li").first
        expect(latest).to_contain_text("Done")
        expect(latest).to_contain_text("form 4 new people")
        # The form keeps its input for the next time.
        expect(form.get_by_label("Minimum faces of a new person")).to_have_value("3")
    assert website.rows("SELECT count(DISTINCT person_id) FROM face_detections") == [(4,)]


@pytest.mark.parametrize(("size", "dark"), [(PHONE, False), (DESK, True)])
def test_a_run_shows_how_far_it_is_and_is_stopped(
    website: Website, browser: Browser, size: tuple[int, int], dark: bool
) -> None:
    begin(website)
    with opened(browser, f"{website.address}/runs", size, dark=dark) as page:
        now = page.locator("#now")
        bar = now.get_by_role("progressbar", name="Index")
        expect(bar).to_have_js_property("value", 1)
        expect(bar).to_have_js_property("max", 4)
        expect(now.get_by_text("Comparing faces")).to_be_visible()
        expect(now.get_by_text("1 of 4")).to_be_visible()
        expect(now.get_by_text("One folder is away.")).to_be_visible()
        expect(page.get_by_role("button", name="Cluster")).to_be_disabled()
        assert fits(page)
        assert not accessibility_findings(page)
        now.get_by_role("button", name="Stop").click()
        expect(page.get_by_text("Nothing is running.")).to_be_visible()
        expect(page.locator("#history li").first).to_contain_text("Stopped")
        expect(page.get_by_role("button", name="Cluster")).to_be_enabled()
        expect(page.locator(".message")).to_be_visible()
        assert not accessibility_findings(page)
        # News are asked for only while something runs.
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.wait_for_timeout(2000)
        assert not asked


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        (Job("1", "index", stage="Reading", done=0, total=50_000), "0 of 50,000"),
        (
            Job("1", "index", stage="Reading", done=1_200, total=50_000),
            "1,200 of 50,000, 20 a second, about 41 min left",
        ),
        (Job("1", "index", stage="Reading", done=10, total=20), "10 of 20, 10 a minute, about 1 min left"),
        (Job("1", "index", stage="Looking", done=7), "7 so far, 7 a minute"),
        (
            Job("1", "index", stage="Fetching", done=60_000_000, total=90_000_000, in_bytes=True),
            "60 MB of 90 MB, 1.0 MB a second, about 30 s left",
        ),
        (Job("1", "index", stage="Sorting"), ""),
        (Job("1", "index", done=7), ""),
    ],
)
def test_a_run_shows_progress_rate_and_remaining_time(job: Job, expected: str) -> None:
    assert pace(job, job.stage_at + 60) == expected
    assert "about" not in pace(job, job.stage_at + 1)


def test_a_job_is_shown_while_its_run_is_not_listed_yet(website: Website) -> None:
    end = threading.Event()

    def work(progress: JobProgress, _: Stop) -> None:
        with website.site.sessions.own() as session:
            session.recorded.append(4_711)
            progress.of_session(session)
        end.wait(20)

    job = website.site.jobs.start("index", work)
    while not website.site.jobs.find(job.id).runs:
        threading.Event().wait(0.01)
    assert f'data-job="{job.id}"' in website.client.get("/runs").text
    end.set()


def test_a_lost_login_is_reported_once(album_url: str, tmp_path: Path, browser: Browser) -> None:
    with served(album_url, tmp_path / "crops", must_log_in=True) as website:
        begin(website)
        with opened(browser, f"{website.address}/runs") as page:
            page.get_by_label("Password").fill(TOKEN)
            page.keyboard.press("Enter")
            expect(page.locator("#now").get_by_role("progressbar")).to_be_visible()
            page.context.clear_cookies()
            output = page.locator(".message.error")
            expect(output).to_contain_text("You are no longer logged in.")
            asked: list[str] = []
            page.on("request", lambda request: asked.append(request.url))
            page.wait_for_timeout(2000)
            assert not asked
            # The page itself is asked for, and the one to log in comes in its place.
            with page.expect_response(re.compile("/login")):
                page.keyboard.press("r")
            page.wait_for_timeout(1000)
            assert not [address for address in asked if "/jobs/" in address]
            expect(output).to_have_count(1)
            expect(page.locator("#now").get_by_role("progressbar")).to_be_visible()
            output.get_by_role("button", name="Log in").click()
            page.get_by_role("heading", name="Log in").wait_for()


def test_after_a_lost_login_no_login_page_appears_in_the_grid(locked: Website, browser: Browser) -> None:
    with opened(browser, f"{locked.address}/people") as page:
        page.get_by_label("Password").fill(TOKEN)
        page.keyboard.press("Enter")
        cards = page.locator("#people a.card")
        expect(cards).to_have_count(4)
        page.wait_for_load_state("networkidle")
        page.context.clear_cookies()
        page.locator("#find").fill("x")
        page.locator("#messages").get_by_text("You are no longer logged in.").wait_for()
        expect(cards).to_have_count(4)


def test_a_queued_job_is_watched_to_its_end(website: Website, album: Library, browser: Browser) -> None:
    install(album.database)
    put(album.database, Order("cluster"))
    with opened(browser, f"{website.address}/runs") as page:
        job = page.locator("#queue li")
        expect(job).to_contain_text("Waiting")
        work(album.database)
        expect(job).to_contain_text("Done")


def test_no_line_ends_inside_a_word_of_a_command(onlooked: Website, browser: Browser) -> None:
    for width in (320, 360, 1000, 1280):
        with opened(browser, f"{onlooked.address}/runs", (width, 800)) as page:
            assert fits(page)
            command = page.locator("code", has_text="facesets index").first
            expect(command).to_have_text("facesets index PHOTOS")
            assert page.evaluate(WORDS_ON_TWO_LINES) == [], width


def test_a_cancelled_job_ends_at_once(website: Website, album: Library) -> None:
    install(album.database)
    cancelled, going = (put(album.database, Order(each)) for each in ("cluster", "assign"))
    cancel(album.database, cancelled)

    def work(connection: Connection) -> None:
        note_start(connection, going, "here")
        note_progress(connection, going, "Comparing", 1_200, 50_000)

    album.database.run(work)
    page = website.page("/runs")
    assert page.count("Waiting for a worker") == 1
    assert page.count("Not started") == 1
    assert "1\u202f200 of 50\u202f000" in page


def test_nothing_sticks_out_of_a_form_not_even_the_name_of_a_folder(
    website: Website, album: Library, browser: Browser
) -> None:
    folders = [f"/photos/{name}" for name in ("short", "a" * 120, "many words " * 12)]
    with album.recorded_run("index", {"targets": folders}):
        pass
    # Every folder is indexed unless it is left out.
    html = website.page("/runs")
    assert len(re.findall(r'name="folderIds" value="\w+" checked>', html)) == html.count('"folderIds"') == 3
    for size in (PHONE, DESK):
        with opened(browser, f"{website.address}/runs", size) as page:
            assert fits(page)
            assert not page.evaluate(
                """() => [...document.querySelectorAll(".starts form")].flatMap((form) =>
                    [...form.querySelectorAll("*")].filter((each) =>
                        each.getBoundingClientRect().right > form.getBoundingClientRect().right
                    ).map((each) => each.textContent))"""
            )


def test_runs_that_cannot_start_are_reported(
    website: Website, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[str | None] = [None]
    monkeypatch.setattr("facesets.installation.find_spec", lambda _: found[0])
    with opened(browser, f"{website.address}/runs") as page:
        train = page.get_by_role("form", name="Train").get_by_role("button")
        latest = page.locator("#history li").first
        train.click()
        expect(page.locator(".message.error")).to_contain_text(typed(adding("train")))
        expect(latest).to_contain_text("Cluster")
        found[0] = "the extra"
        train.click()
        expect(page.locator(".message.error").last).to_contain_text("Training needs 5 named people")
        expect(latest).to_contain_text("Failed")
        expect(latest).to_contain_text("Training needs 5 named people")


def test_older_runs_are_a_page_away(website: Website, album: Library) -> None:
    for number in range(25):
        with album.recorded_run("relocate", {"number": number}):
            pass
    first = website.page("/runs")
    (older,) = re.findall(r'href="(/runs\?before=\d+)"', first)
    second = website.page(older)
    assert first.count("<h3>Relocate</h3>") == 20
    assert second.count("<h3>Relocate</h3>") == 5
    assert second.count("<h3>Cluster</h3>") == 1
    assert 'rel="next"' not in second
