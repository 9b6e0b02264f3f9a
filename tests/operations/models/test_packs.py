"""Model packs: found by path and name, fetched whole or not at all."""

import http.server
import io
import shutil
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.fixtures.recording_progress import RecordingProgress
from tests.fixtures.waiting import wait_for

from facesets.errors import AlreadyRunning, DamagedFile, MissingModelPack, Unreachable, WrongUsage
from facesets.files import FileLock
from facesets.inference import catalog
from facesets.inference.catalog import PublishedPack
from facesets.inference.clip_packs import find_clip
from facesets.inference.packs import find_pack, read_pack
from facesets.operations.models.packs import list_packs, verify
from facesets.operations.models.pull import pull
from facesets.work import Stop, Work


class Server(http.server.ThreadingHTTPServer):
    """Answers with what a test puts here: status and body, one after the other; the last one repeats."""

    answers: list[tuple[int, bytes, int]]
    asked = 0

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is part of the test."""


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        status, body, length = self.server.answers[min(self.server.asked, len(self.server.answers) - 1)]
        self.server.asked += 1
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    instance = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=instance.serve_forever)
    thread.start()
    yield instance
    instance.shutdown()
    thread.join()
    instance.server_close()


@pytest.fixture
def archive(small_pack: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as bundle:
        for path in small_pack.glob("*.onnx"):
            bundle.write(path, f"some/folder/{path.name}")
        bundle.writestr("../../evil.onnx.txt", "no model")
    return buffer.getvalue()


@pytest.fixture
def publish(server: Server, archive: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    make_known(server, archive, monkeypatch)


ANY_ARCHIVE = b"PK of which nothing is ever unpacked"


@pytest.fixture
def publish_any(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    make_known(server, ANY_ARCHIVE, monkeypatch)


def make_known(server: Server, archive: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Publish an archive as the pack `small`."""
    import hashlib

    url = f"http://127.0.0.1:{server.server_address[1]}/small.zip"
    pack = PublishedPack("small", url, len(archive), hashlib.sha256(archive).hexdigest(), {})
    monkeypatch.setitem(catalog.PUBLISHED, "small", pack)
    monkeypatch.setattr("facesets.remote.download._FIRST_WAIT_S", 0.01)


def good(archive: bytes) -> tuple[int, bytes, int]:
    return (200, archive, len(archive))


@pytest.mark.usefixtures("publish")
def test_a_pulled_pack_works_and_its_licence_was_shown(
    server: Server, archive: bytes, tmp_path: Path
) -> None:
    server.answers = [good(archive)]
    progress = RecordingProgress()
    pulled = pull("small", [tmp_path], work=Work(progress=progress))
    assert Path(pulled.path) == tmp_path / "models" / "small"
    pack = read_pack(Path(pulled.path))
    assert sorted(p.name for p in pack.path.iterdir()) == sorted(m.path.name for m in pack.models.values())
    assert any("non-commercial" in line for line in progress.lines)
    assert [p.name for p in (tmp_path / "models").iterdir()] == ["small"]
    pull("small", [tmp_path], work=Work(progress=progress))
    assert server.asked == 1


@pytest.mark.usefixtures("publish")
def test_of_two_that_fetch_a_pack_one_waits_and_finds_it(
    server: Server, archive: bytes, tmp_path: Path
) -> None:
    server.answers = [good(archive)]
    heard = RecordingProgress()
    with ThreadPoolExecutor() as pool:
        with FileLock(tmp_path / "models" / ".small.lock", what="a test"):
            waiting = [
                pool.submit(pull, "small", [tmp_path], force=force, work=Work(progress=heard))
                for force in (False, True)
            ]
            wait_for(lambda: len(heard.lines) >= 2, every_s=0.01)
        found = {each.result().path for each in waiting}
    assert found == {str(tmp_path / "models" / "small")}
    assert server.asked == 1
    assert sum("waiting for it" in line for line in heard.lines) == 2


@pytest.mark.usefixtures("publish")
def test_who_waits_for_another_download_can_be_stopped(tmp_path: Path) -> None:
    stop = Stop()
    stop.request()
    with (
        FileLock(tmp_path / "models" / ".small.lock", what="a test"),
        pytest.raises(AlreadyRunning, match="the model pack small"),
    ):
        pull("small", [tmp_path], work=Work(stop=stop))


@pytest.mark.usefixtures("publish")
def test_a_transfer_that_breaks_off_is_tried_again(server: Server, archive: bytes, tmp_path: Path) -> None:
    server.answers = [(200, archive[:1000], len(archive)), (503, b"", 0), good(archive)]
    pull("small", [tmp_path], work=Work())
    assert server.asked == 3


@pytest.mark.usefixtures("publish_any")
def test_a_stop_is_heard_while_a_transfer_waits_to_be_tried_again(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facesets.remote.download._FIRST_WAIT_S", 100)
    server.answers = [(503, b"", 0)]
    stop = Stop()
    threading.Timer(0.3, stop.request).start()
    with pytest.raises(Unreachable, match="stopped"):
        pull("small", [tmp_path], work=Work(stop=stop))
    assert server.asked == 1


@pytest.mark.usefixtures("publish_any")
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((404, b"", 0), Unreachable),
        ((500, b"", 0), Unreachable),
        ((200, b"short", 5), Unreachable),
        ((200, None, 0), DamagedFile),
    ],
    ids=["missing", "broken server", "wrong length", "wrong content"],
)
def test_a_failed_pull_leaves_nothing(
    server: Server,
    tmp_path: Path,
    answer: tuple[int, bytes | None, int],
    error: type[Exception],
) -> None:
    status, body, length = answer
    content = bytes(len(ANY_ARCHIVE)) if body is None else body
    server.answers = [(status, content, len(content) if body is None else length)]
    with pytest.raises(error):
        pull("small", [tmp_path], work=Work())
    assert list((tmp_path / "models").iterdir()) == []


@pytest.mark.usefixtures("publish")
def test_a_stopped_pull_leaves_nothing(server: Server, archive: bytes, tmp_path: Path) -> None:
    server.answers = [good(archive)]
    stop = Stop()
    stop.request()
    with pytest.raises(Unreachable, match="stopped"):
        pull("small", [tmp_path], work=Work(stop=stop))
    assert list((tmp_path / "models").iterdir()) == []


def test_an_unknown_pack_names_those_that_exist(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="buffalo_l"):
        pull("nonsense", [tmp_path], work=Work())


def test_packs_are_found_by_path_and_by_name_in_order_of_the_roots(pack_dir: Path, tmp_path: Path) -> None:
    for root in ("first", "second"):
        shutil.copytree(pack_dir, tmp_path / root / "models" / "mine")
    roots = [tmp_path / "first", tmp_path / "second"]
    assert find_pack("mine", roots).path == tmp_path / "first" / "models" / "mine"
    assert find_pack(str(pack_dir), roots).path == pack_dir.absolute()
    (tmp_path / "first" / "models" / "linked").symlink_to(pack_dir)
    assert find_pack("linked", roots).name == "linked"
    (tmp_path / "first" / "models" / "linked").unlink()
    assert [line.path for line in list_packs(roots)] == [str(r / "models" / "mine") for r in roots]


def test_a_missing_pack_names_another_that_is_here(pack_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(pack_dir, tmp_path / "models" / "mine")
    with pytest.raises(MissingModelPack, match=r"models pull buffalo_l.*mine"):
        find_pack("buffalo_l", [tmp_path])


def test_tasks_are_read_off_the_graphs(small_pack: Path) -> None:
    models = read_pack(small_pack).models
    assert {task: model.path.name for task, model in models.items()} == {
        "detection": "det_500m.onnx",
        "recognition": "w600k_mbf.onnx",
        "landmark_2d_106": "2d106det.onnx",
        "genderage": "genderage.onnx",
    }


def test_a_damaged_model_is_named_with_the_way_to_mend_it(pack_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(pack_dir, tmp_path / "models" / "mine")
    (tmp_path / "models" / "mine" / "w600k_mbf.onnx").write_bytes(b"\x08\x07rubbish\xff\xff")
    with pytest.raises(DamagedFile, match=r"w600k_mbf\.onnx.*models pull"):
        find_pack("mine", [tmp_path])
    (line,) = list_packs([tmp_path])
    assert "w600k_mbf.onnx" in line.problem


def test_verify_tells_published_files_from_others(
    small_pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(small_pack, tmp_path / "models" / "small")
    detector = read_pack(small_pack).detector
    files = {"det_500m.onnx": detector.sha256, "w600k_mbf.onnx": "0" * 64}
    monkeypatch.setitem(catalog.PUBLISHED, "small", PublishedPack("small", "", None, None, files))
    verdicts = {check.file: check.verdict for check in verify("small", [tmp_path])}
    assert verdicts["det_500m.onnx"] == "ok"
    assert verdicts["w600k_mbf.onnx"] == "differs"
    assert verdicts["genderage.onnx"] == "unknown"


def test_a_pack_is_found_by_a_relative_path(
    pack_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(pack_dir, tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    for name in ("./mine", "mine/", "../" + tmp_path.name + "/mine"):
        found = find_pack(name, [tmp_path / "none"])
        assert (found.name, found.path.resolve()) == ("mine", (tmp_path / "mine").resolve())


def test_a_folder_without_models_is_not_called_missing(pack_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "my models"
    folder.mkdir()
    with pytest.raises(MissingModelPack, match=r"my models holds no models.* detector and a recogniser"):
        find_pack(str(folder), ())
    (folder / "pack").symlink_to(pack_dir)
    with pytest.raises(MissingModelPack, match=r"no models\. The folder pack in it does"):
        find_pack(str(folder), ())
    with pytest.raises(MissingModelPack, match="my models is no CLIP pack: "):
        find_clip(str(folder), ())
