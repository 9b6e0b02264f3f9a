"""Staging from a server that fails: every fault costs what it must, and nothing else."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
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

CHANGES: dict[str, Answer | str] = {
    "an error of the server": error(500),
    "a gateway without a server": error(502),
    "too many requests": error(429, retry_after="0"),
    "a dropped connection": "drop",
    "a truncated download": "truncate",
    "a length that is too large": "longer",
    "a length that is too small": "shorter",
    "other bytes": "corrupt",
    "an empty answer": "empty",
}


def changed(answer: Answer, how: Answer | str) -> Answer:
    """An answer with one thing wrong."""
    if isinstance(how, Answer):
        return how
    size = len(answer.body)
    return {
        "drop": replace(answer, drop=True),
        "truncate": replace(answer, sent=size // 2),
        "longer": replace(answer, declared_length=size + 10),
        "shorter": replace(answer, declared_length=size - 10, sent=size - 10),
        "corrupt": replace(answer, body=b"?" * size),
        "empty": replace(answer, body=b""),
    }[how]


def once_each(path: str, how: Answer | str) -> Rule:
    """The first answer for each asset is wrong."""
    met: set[str] = set()

    def rule(request: Request, answer: Answer) -> Answer | None:
        if not request.path.endswith(path) or request.asset in met:
            return None
        met.add(request.asset)
        return changed(answer, how)

    return rule


def always(path: str, how: Answer | str, asset: str = "") -> Rule:
    """Every answer, for one asset or all, is wrong."""

    def rule(request: Request, answer: Answer) -> Answer | None:
        matches = request.path.endswith(path) and (not asset or request.asset == asset)
        return changed(answer, how) if matches else None

    return rule


def down_after(server: ImmichServer, limit: int) -> Rule:
    """So many requests are answered, and none after them."""

    def rule(_: Request, __: Answer) -> Answer | None:
        return error(503) if len(server.requests) > limit else None

    return rule


@pytest.mark.parametrize("how", CHANGES.values(), ids=CHANGES)
def test_a_fault_that_passes_leaves_no_trace(how: Answer | str, tmp_path: Path) -> None:
    with serving([photo(n) for n in range(1, 6)]) as server:
        stage(server, tmp_path / "calm")
        server.rules.append(once_each("/original", how))
        summary = stage(server, tmp_path / "rough")
    assert (summary.staged, summary.failed) == (5, 0)
    assert tree(tmp_path / "rough") == tree(tmp_path / "calm")


@pytest.mark.parametrize("how", CHANGES.values(), ids=CHANGES)
def test_an_asset_that_keeps_failing_costs_itself_only_and_is_tried_by_the_next_run(
    how: Answer | str, tmp_path: Path
) -> None:
    with serving([photo(n) for n in range(1, 6)]) as server:
        stage(server, tmp_path / "calm")
        server.rules.append(always("/original", how, photo_id(3)))
        summary = stage(server, tmp_path / "rough")
        assert (summary.staged, summary.failed) == (4, 1)
        assert [failure.asset_id for failure in summary.failures] == [photo_id(3)]
        assert len(staged_photos(tmp_path / "rough")) == 4
        server.rules.clear()
        server.requests.clear()
        assert stage(server, tmp_path / "rough").staged == 1
        assert server.downloads == [photo_id(3)]
    assert tree(tmp_path / "rough") == tree(tmp_path / "calm")


@pytest.mark.parametrize("status", [403, 404, 400])
def test_what_the_server_refuses_is_not_asked_for_again_in_the_same_run(status: int, tmp_path: Path) -> None:
    with serving([photo(1), photo(2)]) as server:
        server.rules.append(always("/original", error(status), photo_id(1)))
        summary = stage(server, tmp_path)
        assert Counter(server.downloads) == {photo_id(1): 1, photo_id(2): 1}
    assert (summary.staged, summary.failed + summary.gone) == (1, 1)


def test_an_asset_that_is_deleted_during_the_run_is_counted_as_gone(tmp_path: Path) -> None:
    def delete(request: Request, _: Answer) -> None:
        if request.path.endswith("/faces") and request.asset == photo_id(2):
            server.photos = [each for each in server.photos if each.id != photo_id(2)]

    with serving([photo(1), photo(2), photo(3)]) as server:
        server.rules.append(delete)
        summary = stage(server, tmp_path)
    assert (summary.staged, summary.gone, summary.failed) == (2, 1, 0)


def test_a_copy_waits_for_the_next_run_when_the_first_of_its_bytes_failed(tmp_path: Path) -> None:
    photos = [photo(n, content=b"the same" * 50) for n in (1, 2, 3)]
    with serving(photos) as server:
        stage(server, tmp_path / "calm")
        server.rules.append(always("/original", error(500), photo_id(1)))
        assert stage(server, tmp_path / "rough").failed == 3
        server.rules.clear()
        assert stage(server, tmp_path / "rough").aliases == 2
    assert tree(tmp_path / "rough") == tree(tmp_path / "calm")


def test_a_copy_takes_the_place_of_one_that_the_server_refuses(tmp_path: Path) -> None:
    with serving([photo(1, content=b"same" * 50), photo(2, content=b"same" * 50)]) as server:
        server.rules.append(always("/original", error(403), photo_id(1)))
        summary = stage(server, tmp_path)
    assert (summary.staged, summary.failed) == (1, 1)


def test_a_server_that_asks_for_a_pause_gets_it(tmp_path: Path) -> None:
    with serving([photo(1)]) as server:
        server.rules.append(once_each("/original", error(429, retry_after="1")))
        began = time.monotonic()
        assert stage(server, tmp_path).staged == 1
    assert time.monotonic() - began >= 1.0


@pytest.mark.slow
def test_a_server_that_is_silent_too_long_is_asked_again(tmp_path: Path) -> None:
    met: list[str] = []

    def slow(request: Request, answer: Answer) -> Answer | None:
        if not request.path.endswith("/faces") or met:
            return None
        met.append(request.asset)
        return replace(answer, delay_s=5.0)

    with serving([photo(1)]) as server:
        server.rules.append(slow)
        assert stage(server, tmp_path, reach=access(server.url, timeout_s=2.0)).staged == 1
        assert len(server.to("/faces")) == 2


@pytest.mark.parametrize("kind", ["the same page number", "the same page under new numbers", "empty pages"])
def test_a_list_that_never_ends_ends_the_run_with_a_sentence(kind: str, tmp_path: Path) -> None:
    def circle(request: Request, _: Answer) -> Answer | None:
        if not request.path.endswith("/search/metadata"):
            return None
        page = request.body["page"]
        photos = [] if kind == "empty pages" and page > 1 else server.photos
        return server.answer_with(photos, "1" if kind == "the same page number" else str(page + 1))

    with serving([photo(1)]) as server:
        server.rules.append(circle)
        with pytest.raises(Unreachable, match="round in a circle"):
            stage(server, tmp_path)
        assert len(server.to("/search/metadata")) <= 3
    assert len(queue(tmp_path)) <= 1


def test_a_list_that_breaks_off_ends_the_run_and_keeps_what_is_done(tmp_path: Path) -> None:
    def second_page(request: Request, _: Answer) -> Answer | None:
        return error(500) if (request.body or {}).get("page") == 2 else None

    with serving([photo(n) for n in range(1, 9)], page_size=4) as server:
        server.rules.append(second_page)
        with pytest.raises(Unreachable, match="the server answers 500"):
            stage(server, tmp_path)
        server.rules.clear()
        before = len(server.downloads)
        assert len(queue(tmp_path)) == before
        assert stage(server, tmp_path).staged == 8 - before


def test_a_key_that_lacks_what_is_needed_is_told_what(tmp_path: Path) -> None:
    allowed = [name for name in STAGING_PERMISSIONS if name not in ("asset.download", "person.read")]
    with (
        serving([photo(1)], permissions=allowed) as server,
        pytest.raises(WrongUsage, match=r"lacks asset\.download, person\.read"),
    ):
        stage(server, tmp_path)
    assert not (tmp_path / "ana").exists()


def test_a_key_that_lacks_what_only_helps_is_told_so_and_used(tmp_path: Path) -> None:
    heard = RecordingProgress()
    allowed = [name for name in STAGING_PERMISSIONS if name not in ("user.read", "asset.statistics")]
    with serving([photo(1)], permissions=allowed) as server:
        assert stage(server, tmp_path, progress=heard).staged == 1
    assert heard.lines == [
        "The API key lacks user.read: it stays unknown which photos are those of partners.",
        "The API key lacks asset.statistics: the time left stays unknown.",
    ]


def test_a_key_that_is_not_the_servers_ends_the_run_before_anything_is_written(tmp_path: Path) -> None:
    with serving([photo(1)]) as server, pytest.raises(WrongUsage, match="does not accept the API key"):
        stage(server, tmp_path, reach=access(server.url, key="another-key"))
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_is_revoked_during_the_run_ends_it_at_once(tmp_path: Path) -> None:
    def revoke(request: Request, _: Answer) -> Answer | None:
        return error(401) if len(server.downloads) > 3 and request.asset else None

    with serving([photo(n) for n in range(1, 40)]) as server:
        server.rules.append(
            lambda request, answer: (
                revoke(request, answer) if request.path.endswith(("/original", "/faces")) else None
            )
        )
        with pytest.raises(WrongUsage, match="does not accept the API key"):
            stage(server, tmp_path, workers=2)
        assert len(server.requests) < 30
    assert 0 < len(queue(tmp_path)) <= 4


def test_a_redirect_is_not_followed_and_the_key_stays_with_its_server(tmp_path: Path) -> None:
    with serving([photo(1)]) as elsewhere, serving([photo(1)]) as server:
        target = f"{elsewhere.url}/api/assets/{photo_id(1)}/original"
        server.rules.append(always("/original", error(302, location=target)))
        summary = stage(server, tmp_path)
        assert elsewhere.requests == []
    assert (summary.staged, summary.failed) == (0, 1)
    assert "not followed" in summary.failures[0].reason


def test_a_server_that_sends_everything_elsewhere_is_named_with_its_place(tmp_path: Path) -> None:
    with serving([photo(1)]) as server:
        server.rules.append(lambda *_: error(301, location="https://photos.example.org/api/server/version"))
        with pytest.raises(WrongUsage, match=r"https://photos\.example\.org"):
            stage(server, tmp_path)
        assert all("x-api-key" not in request.headers for request in server.requests)


def test_a_redirect_that_names_no_place_ends_the_run_with_a_sentence(tmp_path: Path) -> None:
    with serving([photo(1)]) as server:
        server.rules.append(lambda *_: error(302))
        with pytest.raises(WrongUsage, match="sends requests on to another place"):
            stage(server, tmp_path)


@pytest.mark.parametrize("how", [error(500), error(429, retry_after="0"), error(503), "drop"])
def test_the_first_request_is_tried_again_like_any_other(how: Answer | str, tmp_path: Path) -> None:
    answers = iter([how, how])

    def rule(request: Request, answer: Answer) -> Answer | None:
        is_first = request.path.endswith("/server/version")
        return changed(answer, next(answers)) if is_first and len(server.requests) <= 2 else None

    with serving([photo(1)]) as server:
        server.rules.append(rule)
        assert stage(server, tmp_path).staged == 1


@pytest.mark.parametrize("status", [500, 429])
def test_a_server_that_goes_on_failing_at_first_is_said_to_fail_and_not_to_be_another(
    status: int, tmp_path: Path
) -> None:
    with serving([photo(1)]) as server:
        server.rules.append(lambda *_: error(status, retry_after="0"))
        with pytest.raises(Unreachable, match=f"the server answers {status}"):
            stage(server, tmp_path)
        assert len(server.to("/server/version")) == 4


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"major": "3"}', b""])
def test_what_is_no_immich_server_is_said_to_be_none(body: bytes, tmp_path: Path) -> None:
    with ImmichServer(is_checked=False) as server:
        server.start()
        server.rules.append(lambda *_: Answer(body=body))
        with pytest.raises(WrongUsage, match="is no Immich server"):
            stage(server, tmp_path)
        server.stop()


@pytest.mark.parametrize("url", ["", "photos", "ftp://host", "http://", "http://host:port"])
def test_an_address_that_is_none_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="address of the Immich server"):
        stage(url, tmp_path, reach=access(url))


@pytest.mark.parametrize("key", ["", "  ", "k\u00e9y-of-mine", "key of mine", "key\r\nx-evil: of mine"])
def test_a_key_that_can_be_none_is_refused_without_being_shown(key: str, tmp_path: Path) -> None:
    with pytest.raises(WrongUsage) as refusal:
        stage("", tmp_path, reach=access("http://127.0.0.1:9", key=key))
    assert "of-mine" not in str(refusal.value)
    assert "of mine" not in str(refusal.value)


def test_a_version_that_is_not_known_is_said(tmp_path: Path) -> None:
    heard = RecordingProgress()
    with serving([photo(1)], version=(4, 1, 0)) as server:
        assert stage(server, tmp_path, progress=heard).staged == 1
    assert "runs Immich 4.1.0" in heard.lines[0]


@pytest.mark.slow
def test_twelve_errors_in_a_row_lead_to_one_probe_and_a_server_that_answers_it_is_worked_with(
    tmp_path: Path,
) -> None:
    failed: list[str] = []

    def down(request: Request, _: Answer) -> Answer | None:
        has_begun = request.path.endswith("/faces") or failed
        if has_begun and len(failed) < 12 and not request.path.endswith("/version"):
            failed.append(request.path)
            return error(503)
        return None

    with serving([photo(n) for n in range(1, 9)]) as server:
        server.rules.append(down)
        heard = RecordingProgress()
        # One worker: an answer to another, begun before the errors, would come between them.
        reach = access(server.url, attempts=20, first_wait_s=0.0005)
        summary = stage(server, tmp_path, progress=heard, reach=reach, workers=1)
        assert len(server.to("/server/version")) == 2
    assert (summary.staged, summary.failed) == (8, 0)


def test_a_server_that_answers_its_version_and_nothing_else_is_given_up(tmp_path: Path) -> None:
    with serving([photo(n) for n in range(1, 60)]) as server:
        server.rules.append(always("/faces", error(500)))
        with pytest.raises(Unreachable, match="answers, but fails at all that it is asked for"):
            stage(server, tmp_path)
        assert len(server.to("/faces")) <= 4 * 12 + 8


def test_an_outage_ends_the_run_after_one_probe_and_the_next_goes_on_without_repeating(
    tmp_path: Path,
) -> None:
    photos = [photo(n, faces=[] if n % 3 == 0 else photo(n).faces) for n in range(1, 41)]
    with serving(photos) as server:
        stage(server, tmp_path / "calm")
        for limit in (7, 30, 55, 80):
            server.requests.clear()
            server.rules = [down_after(server, limit)]
            with contextlib.suppress(Unreachable):
                stage(server, tmp_path / "rough", workers=8)
        server.rules = []
        server.requests.clear()
        settled = 40 - len(queue(tmp_path / "rough"))
        summary = stage(server, tmp_path / "rough")
        assert len(server.downloads) == summary.staged <= settled
    assert tree(tmp_path / "rough") == tree(tmp_path / "calm")


def test_nothing_is_fetched_twice_over_an_outage_but_what_was_in_flight(tmp_path: Path) -> None:
    served: Counter[str] = Counter()

    def count(request: Request, answer: Answer) -> None:
        if request.path.endswith("/original") and answer.status == 200 and not answer.drop:
            served[request.asset] += 1

    with serving([photo(n) for n in range(1, 31)]) as server:
        server.rules = [down_after(server, 40), count]
        with pytest.raises(Unreachable):
            stage(server, tmp_path, workers=8)
        assert 0 < len(queue(tmp_path)) < 30
        server.rules = [count]
        stage(server, tmp_path, workers=8)
    assert served == {photo_id(n): 1 for n in range(1, 31)}


@pytest.mark.slow
def test_a_server_that_went_away_altogether_ends_the_run(tmp_path: Path) -> None:
    def vanish(_: Request, __: Answer) -> None:
        if len(server.downloads) == 50:
            server.rules.clear()
            threading.Thread(target=server.stop).start()

    server = ImmichServer([photo(n) for n in range(1, 200)], latency_s=0.005)
    server.rules.append(vanish)
    server.start()
    with pytest.raises(Unreachable):
        stage(server, tmp_path)
    done = len(queue(tmp_path))
    again = ImmichServer(server.photos, port=server.server_address[1])
    again.start()
    summary = stage(again, tmp_path)
    again.stop()
    assert (summary.staged, len(again.downloads)) == (199 - done, 199 - done)


def test_a_wish_to_stop_ends_the_run_and_keeps_what_is_done(tmp_path: Path) -> None:
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


@pytest.mark.slow
def test_whatever_is_left_of_a_journal_the_next_run_makes_whole(tmp_path: Path) -> None:
    photos = [photo(n, faces=[] if n == 2 else photo(n).faces) for n in (1, 2, 3)]
    with serving(photos) as server:
        stage(server, tmp_path / "calm", workers=1)
        # The journal of that run, as it was before it was folded.
        state = (tmp_path / "calm/ana/state.json").read_bytes()
        heading, *rows = state.removesuffix(b"\n]}\n").splitlines()
        journal = (
            heading.removesuffix(b', "assets": [') + b"}\n" + b"".join(r.rstrip(b",") + b"\n" for r in rows)
        )
        for length in range(0, len(journal) + 1, 23):
            folder = tmp_path / str(length) / "ana"
            shutil.copytree(tmp_path / "calm/ana/data", folder / "data")
            (folder / "stage.journal").write_bytes(journal[:length])
            (folder / "stage.partial").mkdir()
            (folder / "stage.partial" / photo_id(3)).write_bytes(b"half a pho")
            server.requests.clear()
            stage(server, tmp_path / str(length), workers=1)
            assert server.downloads == []
            assert tree(tmp_path / str(length)) == tree(tmp_path / "calm")


@pytest.mark.slow
def test_a_full_disk_ends_the_command_with_a_sentence_and_keeps_what_is_done(tmp_path: Path) -> None:
    photos = [photo(1), photo(2, content=bytes(300_000)), photo(3)]
    with serving(photos) as server:
        process = subprocess.run(
            ["bash", "-c", 'ulimit -f 100; exec "$@"', "-", *command(*arguments(server, tmp_path))],
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


def arguments(server: ImmichServer, out: Path) -> list[object]:
    return ["immich-stage", "--user", "ana", "--out", out, "--url", server.url, "--backoff", "0.01"]


def test_a_wish_to_stop_is_heard_before_there_is_anything_to_do(tmp_path: Path) -> None:
    stop = Stop()
    with serving([photo(1)]) as server:
        server.rules = [
            lambda request, _: error(503) if request.path.endswith("/api-keys/me") else None,
            lambda *_: stop.request(),
        ]
        summary = stage(server, tmp_path, stop=stop)
    assert (summary.stopped, summary.listed) == (True, 0)
    assert list(tmp_path.iterdir()) == []


def killed(server: ImmichServer, out: Path, after: int) -> bool:
    """Stage in a process of its own that is killed after so many requests; whether it was."""
    until = len(server.requests) + after
    process = os.fork()
    if process == 0:
        stage(server, out, workers=8)
        os._exit(0)

    def kill(_: Request, __: Answer) -> None:
        if len(server.requests) >= until:
            os.kill(process, signal.SIGKILL)

    server.rules = [kill]
    _, status = os.waitpid(process, 0)
    server.wait_until_alone()
    server.rules = []
    return os.WIFSIGNALED(status)


@pytest.mark.slow
@pytest.mark.soak
def test_killed_at_any_moment_the_files_end_up_as_those_of_an_undisturbed_run(tmp_path: Path) -> None:
    photos = [photo(n, faces=[] if n % 4 == 0 else photo(n).faces) for n in range(1, 91)]
    photos += [photo(n, content=photos[0].content) for n in range(91, 96)]
    with serving(photos, latency_s=0.003) as server:
        stage(server, tmp_path / "calm", workers=8)
        server.requests.clear()
        for seed in soaking(range(30), else_=range(1)):
            shutil.rmtree(tmp_path / "rough", ignore_errors=True)
            server.requests.clear()
            for kill in range(3):
                chance = random.Random(3 * seed + kill)
                assert killed(server, tmp_path / "rough", 25 + chance.randrange(30))
            stage(server, tmp_path / "rough", workers=8)
            assert tree(tmp_path / "rough") == tree(tmp_path / "calm")
            served = Counter(server.downloads)
            # Eight workers have eight downloads in flight at most.
            assert sum(served.values()) - len(served) <= 8 * 3
