"""Staging from a failing server: a fault affects only its own photo."""

import contextlib
import random
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fixtures.immich_server import (
    KEY,
    STAGING_PERMISSIONS,
    Answer,
    ImmichServer,
    Request,
    Rule,
    error,
    killed,
    photo,
    photo_id,
    serving,
)
from tests.fixtures.program import command, environment
from tests.fixtures.recording_progress import RecordingProgress
from tests.fixtures.soak import soaking
from tests.fixtures.staging import access, queue, stage, staged_photos, tree

from facesets.errors import Unreachable, WrongUsage
from facesets.work import Stop

pytestmark = pytest.mark.slow

Fault = Callable[[Answer], Answer]
"""An answer with one thing wrong."""

FAULTS: dict[str, Fault] = {
    "an error of the server": lambda _: error(500),
    "a gateway without a server": lambda _: error(502),
    "too many requests": lambda _: error(429, retry_after="0"),
    "a dropped connection": lambda answer: replace(answer, drop=True),
    "a truncated download": lambda answer: replace(answer, sent=len(answer.body) // 2),
    "a length that is too large": lambda answer: replace(answer, declared_length=len(answer.body) + 10),
    "a length that is too small": lambda answer: replace(
        answer, declared_length=len(answer.body) - 10, sent=len(answer.body) - 10
    ),
    "other bytes": lambda answer: replace(answer, body=b"?" * len(answer.body)),
    "an empty answer": lambda answer: replace(answer, body=b""),
}


def wrong(path: str, fault: Fault, *, asset: str = "", times: float = float("inf")) -> Rule:
    """Make a number of answers wrong for paths with this end, about each asset or a single one."""
    met = Counter[str]()

    def rule(request: Request, answer: Answer) -> Answer | None:
        if not request.path.endswith(path) or asset not in ("", request.asset):
            return None
        met[request.asset] += 1
        return fault(answer) if met[request.asset] <= times else None

    return rule


def down_after(server: ImmichServer, limit: int, *, silent: bool) -> Rule:
    """Answer a number of requests, and later ones with an error, or not at all."""
    nothing = replace(error(503), drop=silent)
    return lambda *_: nothing if len(server.requests) > limit else None


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_that_passes_leaves_no_trace_and_one_that_stays_costs_its_photo_until_the_next_run(
    fault: Fault, tmp_path: Path
) -> None:
    with serving([photo(n) for n in range(1, 6)]) as server:
        stage(server, tmp_path / "calm")
        calm = tree(tmp_path / "calm")
        server.rules = [wrong("/original", fault, times=1)]
        summary = stage(server, tmp_path / "passing")
        assert (summary.staged, summary.failed) == (5, 0)
        assert tree(tmp_path / "passing") == calm
        server.rules = [wrong("/original", fault, asset=photo_id(3))]
        summary = stage(server, tmp_path / "rough")
        assert (summary.staged, summary.failed) == (4, 1)
        assert [failure.asset_id for failure in summary.failures] == [photo_id(3)]
        assert len(staged_photos(tmp_path / "rough")) == 4
        server.rules.clear()
        server.requests.clear()
        assert stage(server, tmp_path / "rough").staged == 1
        assert server.downloads == [photo_id(3)]
    assert tree(tmp_path / "rough") == calm


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_refused_original_is_requested_once_and_a_copy_is_staged(status: int, tmp_path: Path) -> None:
    same = b"same" * 50
    with serving([photo(1, content=same), photo(2, content=same), photo(3)]) as server:
        server.rules.append(wrong("/original", lambda _: error(status), asset=photo_id(1)))
        summary = stage(server, tmp_path)
        assert Counter(server.downloads) == {photo_id(n): 1 for n in (1, 2, 3)}
    assert (summary.staged, summary.failed, summary.gone) == (2, 1, 0)
    assert summary.failures[0].path == photo(1).path
    assert ("lacks the original" in summary.failures[0].reason) == (status == 404)


def test_an_asset_deleted_during_the_run_is_counted_as_gone(tmp_path: Path) -> None:
    def delete(request: Request, _: Answer) -> None:
        if request.path.endswith("/faces") and request.asset == photo_id(2):
            server.photos = [each for each in server.photos if each.id != photo_id(2)]

    with serving([photo(1), photo(2), photo(3)]) as server:
        server.rules.append(delete)
        summary = stage(server, tmp_path)
    assert (summary.staged, summary.gone, summary.failed) == (2, 1, 0)


def test_a_copy_waits_for_the_next_run_when_the_first_of_its_bytes_failed(tmp_path: Path) -> None:
    with serving([photo(n, content=b"the same" * 50) for n in (1, 2, 3)]) as server:
        stage(server, tmp_path / "calm")
        server.rules.append(wrong("/original", FAULTS["an error of the server"], asset=photo_id(1)))
        assert stage(server, tmp_path / "rough").failed == 3
        server.rules.clear()
        assert stage(server, tmp_path / "rough").aliases == 2
    assert tree(tmp_path / "rough") == tree(tmp_path / "calm")


def test_a_server_that_asks_for_a_pause_gets_it(tmp_path: Path) -> None:
    with serving([photo(1)]) as server:
        server.rules.append(wrong("/original", lambda _: error(429, retry_after="1"), times=1))
        began = time.monotonic()
        assert stage(server, tmp_path).staged == 1
    assert time.monotonic() - began >= 1.0


def test_a_request_without_an_answer_is_repeated(tmp_path: Path) -> None:
    with serving([photo(1)]) as server:
        server.rules.append(wrong("/faces", lambda answer: replace(answer, delay_s=4.0), times=1))
        assert stage(server, tmp_path, reach=access(server.url, timeout_s=1.0)).staged == 1
        assert len(server.to("/faces")) == 2


@pytest.mark.parametrize("kind", ["the same page number", "the same page under new numbers", "empty pages"])
def test_an_endless_list_ends_the_run_with_a_message(kind: str, tmp_path: Path) -> None:
    def circle(request: Request, _: Answer) -> Answer | None:
        if not request.path.endswith("/search/metadata"):
            return None
        page = request.body["page"]
        photos = [] if kind == "empty pages" and page > 1 else server.photos
        return server.answer_with(photos, "1" if kind == "the same page number" else str(page + 1))

    with serving([photo(1)]) as server:
        server.rules.append(circle)
        with pytest.raises(Unreachable, match="never ends"):
            stage(server, tmp_path)
        assert len(server.to("/search/metadata")) <= 3
    assert len(queue(tmp_path)) <= 1


def test_a_broken_list_ends_the_run_and_finished_photos_stay(tmp_path: Path) -> None:
    with serving([photo(n) for n in range(1, 9)], page_size=4) as server:
        server.rules = [lambda request, _: error(500) if (request.body or {}).get("page") == 2 else None]
        with pytest.raises(Unreachable, match="the server returned 500"):
            stage(server, tmp_path)
        server.rules.clear()
        before = len(server.downloads)
        assert len(queue(tmp_path)) == before
        assert stage(server, tmp_path).staged == 8 - before


def test_missing_required_permissions_of_a_key_are_named(tmp_path: Path) -> None:
    allowed = [name for name in STAGING_PERMISSIONS if name not in ("asset.download", "person.read")]
    with (
        serving([photo(1)], permissions=allowed) as server,
        pytest.raises(WrongUsage, match=r"lacks asset\.download, person\.read"),
    ):
        stage(server, tmp_path)
    assert not (tmp_path / "ana").exists()


def test_missing_optional_permissions_are_reported_and_the_key_is_used(tmp_path: Path) -> None:
    heard = RecordingProgress()
    allowed = [name for name in STAGING_PERMISSIONS if name not in ("user.read", "asset.statistics")]
    with serving([photo(1), photo(2, owner=photo_id(50))], permissions=allowed) as server:
        assert stage(server, tmp_path, progress=heard).staged == 2
    assert heard.lines == [
        "The API key lacks user.read: photos of partners cannot be recognised.",
        "The API key lacks asset.statistics: the remaining time cannot be shown.",
    ]


def test_an_unknown_key_ends_the_run_before_anything_is_written(tmp_path: Path) -> None:
    with serving([photo(1)]) as server, pytest.raises(WrongUsage, match="rejected the API key"):
        stage(server, tmp_path, reach=access(server.url, key="another-key"))
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_is_revoked_during_the_run_ends_it_at_once(tmp_path: Path) -> None:
    def revoke(request: Request, _: Answer) -> Answer | None:
        has_begun = len(server.downloads) > 3
        return error(401) if has_begun and request.path.endswith(("/original", "/faces")) else None

    with serving([photo(n) for n in range(1, 40)]) as server:
        server.rules.append(revoke)
        with pytest.raises(WrongUsage, match="rejected the API key"):
            stage(server, tmp_path, workers=2)
        assert len(server.requests) < 30
    assert 0 < len(queue(tmp_path)) <= 4


def test_a_redirect_is_not_followed_and_the_key_stays_with_its_server(tmp_path: Path) -> None:
    with serving([photo(1)]) as elsewhere, serving([photo(1)]) as server:
        target = f"{elsewhere.url}/api/assets/{photo_id(1)}/original"
        server.rules.append(wrong("/original", lambda _: error(302, location=target)))
        summary = stage(server, tmp_path)
        assert elsewhere.requests == []
    assert (summary.staged, summary.failed) == (0, 1)
    assert "not followed" in summary.failures[0].reason


@pytest.mark.parametrize(
    ("answer", "kind", "message", "times"),
    [
        (error(301, location="https://my.photos/api/server/version"), WrongUsage, "https://my.photos", 1),
        (error(302), WrongUsage, "redirects to another address", 1),
        (error(500), Unreachable, "the server returned 500", 4),
        (error(429, retry_after="0"), Unreachable, "the server returned 429", 4),
        (Answer(body=b"<html>"), WrongUsage, "is not an Immich server", 1),
        (Answer(body=b"[]"), WrongUsage, "is not an Immich server", 1),
        (Answer(body=b'{"major": "3"}'), WrongUsage, "is not an Immich server", 1),
        (Answer(), WrongUsage, "is not an Immich server", 1),
    ],
)
def test_other_or_failing_servers_are_reported_and_receive_no_key(
    answer: Answer, kind: type[Exception], message: str, times: int, tmp_path: Path
) -> None:
    with serving(is_checked=answer.status != 200) as server:
        server.rules.append(lambda *_: answer)
        with pytest.raises(kind, match=message):
            stage(server, tmp_path)
        assert len(server.requests) == len(server.to("/server/version")) == times
        assert all("x-api-key" not in request.headers for request in server.requests)


@pytest.mark.parametrize("fault", ["an error of the server", "too many requests", "a dropped connection"])
def test_the_first_request_is_tried_again_like_any_other(fault: str, tmp_path: Path) -> None:
    with serving([photo(1)]) as server:
        server.rules.append(wrong("/server/version", FAULTS[fault], times=2))
        assert stage(server, tmp_path).staged == 1


@pytest.mark.parametrize("url", ["", "photos", "ftp://host", "http://", "http://host:port"])
def test_an_invalid_address_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="address of the Immich server"):
        stage(url, tmp_path, reach=access(url))


@pytest.mark.parametrize("key", ["", "  ", "k\u00e9y-of-mine", "key of-mine", "key\r\nx-evil: of-mine"])
def test_an_invalid_key_is_refused_without_being_shown(key: str, tmp_path: Path) -> None:
    with pytest.raises(WrongUsage) as refusal:
        stage("", tmp_path, reach=access("http://127.0.0.1:9", key=key))
    assert "of-mine" not in str(refusal.value)


def test_an_unknown_version_is_reported(tmp_path: Path) -> None:
    heard = RecordingProgress()
    with serving([photo(1)], version=(4, 1, 0)) as server:
        assert stage(server, tmp_path, progress=heard).staged == 1
    assert "runs Immich 4.1.0" in heard.lines[0]


def test_twelve_errors_in_a_row_lead_to_a_probe_and_work_continues_if_it_is_answered(tmp_path: Path) -> None:
    with serving([photo(n) for n in range(1, 9)]) as server:
        server.rules.append(wrong("/faces", lambda _: error(503), asset=photo_id(1), times=12))
        # One worker: an answer to another, begun before the errors, would come between them.
        reach = access(server.url, attempts=20, first_wait_s=0.00005)
        summary = stage(server, tmp_path, reach=reach, workers=1)
        assert len(server.to("/server/version")) == 2
    assert (summary.staged, summary.failed) == (8, 0)


def test_a_server_that_answers_only_its_version_is_given_up(tmp_path: Path) -> None:
    with serving([photo(n) for n in range(1, 60)]) as server:
        server.rules.append(wrong("/faces", FAULTS["an error of the server"]))
        with pytest.raises(Unreachable, match="responds, but every request fails"):
            stage(server, tmp_path)
        assert len(server.to("/faces")) <= 4 * 12 + 8


def test_an_outage_ends_the_run_and_the_next_one_fetches_nothing_twice(tmp_path: Path) -> None:
    served: Counter[str] = Counter()

    def count(request: Request, answer: Answer) -> None:
        if request.path.endswith("/original") and answer.status == 200:
            served[request.asset] += 1

    photos = [photo(n, faces=[] if n % 3 == 0 else photo(n).faces) for n in range(1, 41)]
    with serving(photos) as server:
        stage(server, tmp_path / "calm")
        for limit in (7, 30, 55, 80):
            server.requests.clear()
            server.rules = [down_after(server, limit, silent=limit in (30, 80)), count]
            with contextlib.suppress(Unreachable):
                stage(server, tmp_path / "rough", workers=8)
        assert len(queue(tmp_path / "rough")) > 0
        server.rules = [count]
        stage(server, tmp_path / "rough")
    assert served == {each.id: 1 for each in photos if each.faces}
    assert tree(tmp_path / "rough") == tree(tmp_path / "calm")


def test_a_request_to_stop_ends_the_run_and_finished_photos_stay(tmp_path: Path) -> None:
    stop = Stop()

    def ask(_: Request, __: Answer) -> None:
        if len(server.downloads) == 10:
            stop.request()

    with serving([photo(n) for n in range(1, 60)]) as server:
        stage(server, tmp_path / "calm")
        server.requests.clear()
        server.rules = [ask]
        summary = stage(server, tmp_path / "rough", stop=stop)
        assert summary.stopped
        assert 0 < summary.staged < 59
        assert len(queue(tmp_path / "rough")) == summary.staged
        server.rules = []
        stage(server, tmp_path / "rough")
    assert tree(tmp_path / "rough") == tree(tmp_path / "calm")


def test_a_request_to_stop_works_before_the_first_photo(tmp_path: Path) -> None:
    stop = Stop()
    with serving([photo(1)]) as server:
        server.rules = [wrong("/api-keys/me", lambda _: error(503)), lambda *_: stop.request()]
        summary = stage(server, tmp_path, stop=stop)
    assert (summary.stopped, summary.listed) == (True, 0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.soak
def test_the_next_run_completes_any_part_of_a_journal(tmp_path: Path) -> None:
    photos = [photo(n, faces=[] if n == 2 else photo(n).faces) for n in (1, 2, 3)]
    with serving(photos) as server:
        stage(server, tmp_path / "calm", workers=1)
        # The journal of that run, as it was before it was folded.
        state = (tmp_path / "calm/ana/state.json").read_bytes()
        heading, *rows = state.removesuffix(b"\n]}\n").splitlines()
        journal = (
            heading.removesuffix(b', "assets": [') + b"}\n" + b"".join(r.rstrip(b",") + b"\n" for r in rows)
        )
        for length in range(0, len(journal) + 1, soaking(1, else_=71)):
            folder = tmp_path / str(length) / "ana"
            shutil.copytree(tmp_path / "calm/ana/data", folder / "data")
            (folder / "stage.journal").write_bytes(journal[:length])
            (folder / "stage.partial").mkdir()
            (folder / "stage.partial" / photo_id(3)).write_bytes(b"half a pho")
            server.requests.clear()
            stage(server, tmp_path / str(length), workers=1)
            assert server.downloads == []
            assert tree(tmp_path / str(length)) == tree(tmp_path / "calm")


def test_a_full_disk_ends_the_command_with_a_message_and_finished_photos_stay(tmp_path: Path) -> None:
    with serving([photo(1), photo(2, content=bytes(300_000)), photo(3)]) as server:
        line = command("immich-stage", "--user", "ana", "--out", tmp_path, "--url", server.url)
        process = subprocess.run(
            ["bash", "-c", 'ulimit -f 100; exec "$@"', "-", *line],
            env=environment({"IMMICH_API_KEY": KEY}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.returncode == 1
        assert "No space left to write" in process.stderr
        before = len(server.downloads)
        assert stage(server, tmp_path).settled_before >= 1
        assert len(server.downloads) - before <= 2
    assert len(queue(tmp_path)) == 3


@pytest.mark.soak
def test_killed_at_any_moment_the_files_end_up_as_those_of_an_undisturbed_run(tmp_path: Path) -> None:
    photos = [photo(n, faces=[] if n % 4 == 0 else photo(n).faces) for n in range(1, 91)]
    photos += [photo(n, content=photos[0].content) for n in range(91, 96)]
    with serving(photos, latency_s=0.003) as server:
        stage(server, tmp_path / "calm", workers=8)
        for seed in soaking(range(30), else_=range(1)):
            shutil.rmtree(tmp_path / "rough", ignore_errors=True)
            server.requests.clear()
            for kill in range(3):
                until = len(server.requests) + random.Random(3 * seed + kill).randrange(25, 55)
                assert killed(
                    server,
                    lambda: stage(server, tmp_path / "rough", workers=8),
                    lambda _: len(server.requests) >= until,  # noqa: B023
                )
            stage(server, tmp_path / "rough", workers=8)
            assert tree(tmp_path / "rough") == tree(tmp_path / "calm")
            served = Counter(server.downloads)
            # Eight workers have eight downloads in flight at most.
            assert sum(served.values()) - len(served) <= 8 * 3
