"""From an Immich server to a cache, through the real command: unattended, resumable, silent about the key."""

import hashlib
import json
import os
import shutil
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.forked import forked
from tests.fixtures.immich_server import KEY, Face, ImmichServer, Photo, error, photo, serving
from tests.fixtures.made_faces import SETTINGS, made_file, made_image
from tests.fixtures.program import Result, run, run_apart
from tests.fixtures.staging import queue, tree
from tests.fixtures.waiting import PATIENCE_S, wait_for

from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("networks_once")]


def stage(
    server: ImmichServer,
    out: Path,
    *more: object,
    env: Mapping[str, str] | None = None,
    runner: Callable[..., Result] = run,
) -> Result:
    """Run `immich-stage` to its end."""
    quick = ("--backoff", "0.01", "--patience", "0")
    return runner(
        *("immich-stage", "--user", "ana", "--out", out, *quick, *more),
        env={"IMMICH_URL": server.url, "IMMICH_API_KEY": KEY, **(env or {})},
    )


def real(photos: list[Path], *, large: int) -> list[Photo]:
    """Assets with the bytes of real photos; so many of them have a face that is large enough."""
    return [
        photo(
            n,
            f"/data/library/ana/{path.parent.name}/{path.name}",
            content=path.read_bytes(),
            faces=[Face((60, 60, 190, 190) if n <= large else (0, 0, 20, 20), (250, 250))],
            width=250,
            height=250,
        )
        for n, path in enumerate(photos, start=1)
    ]


def test_photos_of_a_server_are_staged_embedded_and_known_the_next_time(
    lfw_photos: list[Path], pack_dir: Path, tmp_path: Path
) -> None:
    photos = real(lfw_photos[:8], large=6)
    cache = tmp_path / "faces.npz"
    with serving(photos) as server:
        staged = stage(server, tmp_path / "out", "--json")
        assert staged.status == 0, staged.err
        summary = json.loads(staged.out)
        assert (summary["staged"], summary["small_faces"]) == (6, 2)

        # The folder goes to the machine with the GPU.
        shutil.move(tmp_path / "out", tmp_path / "worker")
        embed = ("embed", "--queue", tmp_path / "worker/ana/queue.json", cache, "--pack", pack_dir)
        done = run(*embed, "--provider", "cpu", "--json")
        assert done.status == 0, done.err
        assert json.loads(done.out)["embedded"] == 6
        assert json.loads(run(*embed, "--provider", "cpu", "--json").out)["unchanged"] == 6
        with np.load(cache) as arrays:
            assert len(arrays["face_embedding"]) >= 6

        server.photos.append(photo(100, content=lfw_photos[8].read_bytes(), width=None))
        again = stage(server, tmp_path / "elsewhere", "--known", cache, "--json")
        summary = json.loads(again.out)
    assert (summary["known"], summary["staged"]) == (6, 1)
    assert len(queue(tmp_path / "elsewhere")) == 1


def test_embed_takes_a_folder_or_a_queue_and_not_both(tmp_path: Path) -> None:
    assert run("embed", "--queue", "q.json", tmp_path, tmp_path / "c.npz").status == 2
    missing = run("embed", tmp_path)
    assert missing.status == 2
    assert "CACHE" in missing.err


def test_ctrl_c_ends_the_command_cleanly_and_nothing_is_lost(tmp_path: Path) -> None:
    with serving([photo(n) for n in range(1, 101)], latency_s=0.02) as server:
        line = ("immich-stage", "--user", "ana", "--out", tmp_path, "--url", server.url)
        with forked(*line, env={"IMMICH_API_KEY": KEY}) as process:
            wait_for(lambda: len(server.downloads) >= 20, every_s=0.01)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 130
        done = len(queue(tmp_path))
        assert 12 <= done < 100
        server.requests.clear()
        assert stage(server, tmp_path).status == 0
        assert len(server.downloads) == 100 - done


@pytest.mark.parametrize(
    ("fault", "status", "reported"),
    [
        ("none", 0, ""),
        ("refused key", 2, "rejected the API key"),
        ("outage", 2, "run the same command again"),
        ("broken download", 3, "IMG_00001.jpg: the server returned 500"),
    ],
)
def test_an_error_is_reported_with_its_status_and_never_shows_the_key(
    fault: str, status: int, reported: str, tmp_path: Path
) -> None:
    """In no file, no output, and no list of processes."""
    answers = {"refused key": error(401), "outage": error(503), "broken download": error(500)}
    broken = f"{photo(1).id}/original" if fault == "broken download" else "/faces"
    seen: list[bytes] = []

    def look(*_: object) -> None:
        # While the command runs: the command lines of all processes.
        if len(server.requests) == 6:
            own = Path(f"/proc/{os.getpid()}/cmdline")
            seen.extend(_read(line) for line in Path("/proc").glob("[0-9]*/cmdline") if line != own)

    (tmp_path / "key").write_text(KEY + "\n")
    with serving([photo(n) for n in range(1, 21)]) as server:
        server.rules = [look]
        if fault != "none":
            server.rules.append(lambda request, _: answers[fault] if request.path.endswith(broken) else None)
        result = stage(
            server,
            tmp_path / "out",
            *("--debug", "--api-key-file", tmp_path / "key"),
            env={"IMMICH_API_KEY": "", "PYTHONDEVMODE": "0"},
            # A process of its own has a command line of its own.
            runner=run_apart if fault == "none" else run,
        )
        plain = stage(server, tmp_path / "again")
    # With `--debug` the error that ends a run is shown as raised.
    assert (result.status == 0) == (fault == "none")
    assert (plain.status, reported in plain.err) == (status, True), plain.err
    assert KEY not in result.out + result.err
    assert all(KEY.encode() not in content for content in tree(tmp_path / "out").values())
    assert seen
    assert fault != "none" or any(b"immich-stage" in line for line in seen)
    assert not any(KEY.encode() in line for line in seen)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_settings_and_access_show_no_key() -> None:
    from facesets.remote.access import Access
    from facesets.settings import load

    settings = load({"IMMICH_API_KEY": KEY, "IMMICH_URL": "http://host"})
    assert settings.immich_api_key is not None
    assert settings.immich_api_key.reveal() == KEY
    assert KEY not in f"{settings} {settings!r} {Access('http://host', KEY)!r}"


@pytest.mark.parametrize(("env", "word"), [({}, "--url"), ({"IMMICH_URL": "http://host"}, "IMMICH_API_KEY")])
def test_a_missing_address_or_key_is_asked_for(env: dict[str, str], word: str, tmp_path: Path) -> None:
    result = run("immich-stage", "--user", "ana", "--out", tmp_path, env=env)
    assert result.status == 2
    assert word in result.err


def test_what_the_library_holds_is_not_staged_unless_asked_for(
    database: Database, library_url: str, tmp_path: Path
) -> None:
    photos = [photo(1), photo(2)]
    image = replace(made_image("x"), sha256=hashlib.sha256(photos[0].content).hexdigest())
    library = Library(database)
    with library.writing(SETTINGS):
        library.commit([made_file("/x.jpg", image)], [image])
    with serving(photos) as server:
        known = stage(server, tmp_path / "a", "--database", library_url, "--json")
        assert known.status == 0, known.err
        assert json.loads(known.out)["known"] == 1
        ignoring = stage(server, tmp_path / "b", "--database", library_url, "--ignore-library", "--json")
        assert json.loads(ignoring.out)["known"] == 0


def test_staging_makes_no_library_where_there_is_none(data_home: dict[str, str], tmp_path: Path) -> None:
    with serving([photo(1)]) as server:
        assert stage(server, tmp_path / "out", env=data_home).status == 0
    assert list(Path(data_home["FACESETS_DATA"]).iterdir()) == []
