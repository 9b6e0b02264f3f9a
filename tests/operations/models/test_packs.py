"""Model packs of faces and of CLIP, and body models: fetched whole or not at all, found and verified."""

import hashlib
import io
import re
import shutil
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.fixtures.body_networks import Made, make_body_network
from tests.fixtures.clip import make_clip
from tests.fixtures.recording_progress import RecordingProgress
from tests.fixtures.waiting import wait_for

from facesets.errors import (
    AlreadyRunning,
    DamagedFile,
    FacesetsError,
    MissingModelPack,
    Unreachable,
    WrongUsage,
)
from facesets.files import FileLock
from facesets.inference import catalog
from facesets.inference.bodies import BodyDetector
from facesets.inference.body_models import find_body_model
from facesets.inference.catalog import (
    DEFAULT_BODY,
    DEFAULT_CLIP,
    PUBLISHED_BODY,
    PUBLISHED_CLIP,
    PublishedBody,
    PublishedClip,
    PublishedPack,
)
from facesets.inference.clip_packs import find_clip, read_clip
from facesets.inference.packs import find_pack, read_pack
from facesets.operations.models.packs import find, list_packs, verify
from facesets.operations.models.pull import plan_pull, pull
from facesets.work import Stop, Work


class Server(ThreadingHTTPServer):
    """Answers with what a test puts here: status and body, one after the other; the last one repeats."""

    answers: list[tuple[int, bytes, int]]
    asked = 0

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is part of the test."""


class Handler(BaseHTTPRequestHandler):
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


@pytest.fixture(scope="module")
def archive(small_pack: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as bundle:
        for path in small_pack.glob("*.onnx"):
            bundle.write(path, f"some/folder/{path.name}")
        bundle.writestr("../../evil.onnx.txt", "no model")
    return buffer.getvalue()


def good(archive: bytes) -> tuple[int, bytes, int]:
    return (200, archive, len(archive))


@pytest.fixture
def server(archive: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Publishes the archive as the pack `small`."""
    instance = Server(("127.0.0.1", 0), Handler)
    instance.answers = [good(archive)]
    thread = threading.Thread(target=instance.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    url = f"http://127.0.0.1:{instance.server_address[1]}/small.zip"
    pack = PublishedPack("small", url, len(archive), hashlib.sha256(archive).hexdigest(), {})
    monkeypatch.setitem(catalog.PUBLISHED, "small", pack)
    monkeypatch.setattr("facesets.remote.download._FIRST_WAIT_S", 0.01)
    yield instance
    instance.shutdown()
    thread.join()
    instance.server_close()


def test_a_pulled_pack_works_and_its_licence_is_shown(server: Server, tmp_path: Path) -> None:
    progress = RecordingProgress()
    pulled = pull("small", [tmp_path], work=Work(progress=progress))
    assert Path(pulled.path) == tmp_path / "models" / "small"
    pack = read_pack(Path(pulled.path))
    assert sorted(p.name for p in pack.path.iterdir()) == sorted(m.path.name for m in pack.models.values())
    # What is downloaded and its license come before anything else.
    assert re.match(r"Downloading small\b.*\. .*non-commercial", progress.lines[0])
    assert [p.name for p in (tmp_path / "models").iterdir()] == ["small"]
    pull("small", [tmp_path], work=Work(progress=progress))
    assert server.asked == 1


def test_of_two_that_fetch_a_pack_one_waits_for_it(server: Server, tmp_path: Path) -> None:
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
    assert sum("Waiting for another command" in line for line in heard.lines) == 2


def test_a_transfer_that_breaks_off_is_tried_again(server: Server, archive: bytes, tmp_path: Path) -> None:
    server.answers = [(200, archive[:1000], len(archive)), (503, b"", 0), good(archive)]
    pull("small", [tmp_path], work=Work())
    assert server.asked == 3


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


@pytest.mark.parametrize(
    ("status", "content", "error"),
    [
        (404, b"", Unreachable),
        (500, b"", Unreachable),
        (200, b"short", Unreachable),
        (200, None, DamagedFile),
    ],
    ids=["missing", "broken server", "wrong length", "wrong content"],
)
def test_a_failed_pull_of_a_pack_of_faces_leaves_nothing(
    server: Server, archive: bytes, tmp_path: Path, status: int, content: bytes | None, error: type[Exception]
) -> None:
    content = bytes(len(archive)) if content is None else content
    server.answers = [(status, content, len(content))]
    with pytest.raises(error):
        pull("small", [tmp_path], work=Work())
    assert list((tmp_path / "models").iterdir()) == []


@pytest.mark.usefixtures("server")
def test_a_stopped_pull_leaves_nothing_and_does_not_wait(tmp_path: Path) -> None:
    stop = Stop()
    stop.request()
    with (
        FileLock(tmp_path / "models" / ".small.lock", what="a test"),
        pytest.raises(AlreadyRunning, match="the model pack small"),
    ):
        pull("small", [tmp_path], work=Work(stop=stop))
    with pytest.raises(Unreachable, match="stopped"):
        pull("small", [tmp_path], work=Work(stop=stop))
    assert list((tmp_path / "models").iterdir()) == []


def test_packs_are_found_by_path_and_by_name_in_order_of_the_roots(
    pack_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for root in ("first", "second"):
        shutil.copytree(pack_dir, tmp_path / root / "models" / "mine")
    roots = [tmp_path / "first", tmp_path / "second"]
    mine = tmp_path / "first" / "models" / "mine"
    assert find_pack("mine", roots).path == mine
    assert find_pack(str(pack_dir), roots).path == pack_dir.absolute()
    monkeypatch.chdir(mine.parent)
    for name in ("./mine", "mine/", "../models/mine"):
        found = find_pack(name, [tmp_path / "none"])
        assert (found.name, found.path.resolve()) == ("mine", mine.resolve())
    mine.with_name("linked").symlink_to(pack_dir)
    assert find_pack("linked", roots).name == "linked"
    mine.with_name("linked").unlink()
    assert [line.path for line in list_packs(roots)] == [str(r / "models" / "mine") for r in roots]
    with pytest.raises(MissingModelPack, match=r"models pull buffalo_l.*mine"):
        find_pack("buffalo_l", roots)
    with pytest.raises(WrongUsage, match="buffalo_l"):
        pull("nonsense", roots, work=Work())


def test_tasks_are_read_off_the_graphs(small_pack: Path) -> None:
    models = read_pack(small_pack).models
    assert {task: model.path.name for task, model in models.items()} == {
        "detection": "det_500m.onnx",
        "recognition": "w600k_mbf.onnx",
        "landmark_2d_106": "2d106det.onnx",
        "genderage": "genderage.onnx",
    }


def test_a_damaged_model_is_named_with_its_repair(pack_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(pack_dir, tmp_path / "models" / "mine")
    (tmp_path / "models" / "mine" / "w600k_mbf.onnx").write_bytes(b"\x08\x07rubbish\xff\xff")
    with pytest.raises(DamagedFile, match=r"w600k_mbf\.onnx.*models pull"):
        find_pack("mine", [tmp_path])
    (line,) = list_packs([tmp_path])
    assert "w600k_mbf.onnx" in line.problem


def test_verify_distinguishes_published_files_of_faces_from_others(
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


def test_a_folder_without_models_is_not_called_missing(pack_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "my models"
    folder.mkdir()
    with pytest.raises(
        MissingModelPack, match=r"my models holds no models.* detector and a recognition model"
    ):
        find_pack(str(folder), ())
    (folder / "pack").symlink_to(pack_dir)
    with pytest.raises(MissingModelPack, match=r"no models\. Its subfolder pack does"):
        find_pack(str(folder), ())
    with pytest.raises(MissingModelPack, match="my models is not a CLIP pack: "):
        find_clip(str(folder), ())


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A CLIP pack and a body model on a server under the names of the default ones; files may be changed."""
    clip, body = make_clip(tmp_path / "served" / "pack"), tmp_path / "served" / "yolox.onnx"
    make_body_network(body, Made(layout="yolox"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(body.parent)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    names = PUBLISHED_CLIP[DEFAULT_CLIP].sha256
    hashes = {name: hashlib.sha256((clip / name).read_bytes()).hexdigest() for name in names}
    pack = PublishedClip(DEFAULT_CLIP, f"{url}/pack", "A licence.", hashes | {"config.json": None})
    monkeypatch.setitem(catalog.PUBLISHED_CLIP, DEFAULT_CLIP, pack)
    content = body.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    model = PublishedBody(DEFAULT_BODY, f"{url}/yolox.onnx", len(content), digest, "A licence.")
    monkeypatch.setitem(catalog.PUBLISHED_BODY, DEFAULT_BODY, model)
    monkeypatch.setattr("facesets.remote.download._FIRST_WAIT_S", 0.01)
    yield body.parent
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("name", "verified"), [("buffalo_l", True), ("buffalo_s", False), ("open", True), (DEFAULT_BODY, True)]
)
def test_only_published_files_of_a_pack_are_verified(tmp_path: Path, name: str, *, verified: bool) -> None:
    digests = plan_pull(name, [tmp_path]).digests
    assert bool(digests) == bool(re.search(r"sha256 [0-9a-f]{64}", digests)) == verified


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize(
    ("name", "place"),
    [(DEFAULT_CLIP, f"clip/{DEFAULT_CLIP}"), (DEFAULT_BODY, "models/body/yolox_s.onnx")],
    ids=["clip", "body"],
)
def test_a_pulled_pack_is_at_the_announced_path_and_found_by_name(
    tmp_path: Path, name: str, place: str
) -> None:
    root = tmp_path / "root"
    planned = plan_pull(name, [root])
    assert (planned.licence, planned.path, root.exists()) == ("A licence.", str(root / place), False)
    progress = RecordingProgress()
    pulled = pull(name, [root], work=Work(progress=progress))
    assert progress.lines == [f"Downloading {name}. A licence.", "Checksums verified."]
    assert pulled.path == planned.path
    assert [entry.name for entry in (root / place).parent.iterdir()] == [(root / place).name]
    assert find(name, [root]) == pulled
    assert plan_pull(name, [root]).url == ""


def test_a_pulled_clip_pack_is_whole_verified_and_fetched_again_where_that_is_asked(
    served: Path, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    pack = read_clip(Path(pull(DEFAULT_CLIP, [root], work=Work()).path))
    assert pack.knows_texts
    assert pack.model.sha256 == read_clip(served / "pack").model.sha256
    mine = pack.path / "config.json"
    mine.write_text("{}")
    pull(DEFAULT_CLIP, [root], work=Work())
    assert mine.read_text() == "{}"
    pull(DEFAULT_CLIP, [root], force=True, work=Work())
    assert mine.read_text() == (served / "pack" / "config.json").read_text()
    (pack.path / "textual" / "tokenizer.json").write_text("{}")
    verdicts = {check.file: check.verdict for check in verify(DEFAULT_CLIP, [root])}
    assert verdicts["visual/model.onnx"] == "ok"
    assert verdicts["textual/tokenizer.json"] == "differs"
    assert verdicts["config.json"] == "unknown"


@pytest.mark.usefixtures("served")
def test_a_pulled_body_model_is_used_and_distinguished_from_a_changed_one(tmp_path: Path) -> None:
    root, published = tmp_path / "root", PUBLISHED_BODY[DEFAULT_BODY]
    planned = plan_pull(DEFAULT_BODY, [root])
    assert (planned.url, planned.digests) == (published.url, f"sha256 {published.sha256}")
    path = Path(pull(DEFAULT_BODY, [root], work=Work()).path)
    assert find_body_model([root]) == path
    assert "YOLOX" in BodyDetector(path).describe()
    assert [(line.name, line.tasks) for line in list_packs([root])] == [("yolox_s", ("bodies",))]
    assert [check.verdict for check in verify(DEFAULT_BODY, [root])] == ["ok"]
    with path.open("ab") as file:
        file.write(b"\0")
    assert [check.verdict for check in verify(DEFAULT_BODY, [root])] == ["differs"]


@pytest.mark.parametrize(
    ("name", "file", "error"),
    [
        (DEFAULT_CLIP, "pack/textual/model.onnx", DamagedFile),
        (DEFAULT_CLIP, "pack/textual/tokenizer.json", Unreachable),
        (DEFAULT_BODY, "yolox.onnx", DamagedFile),
    ],
    ids=["clip that differs", "clip that lacks a file", "body that differs"],
)
def test_a_failed_pull_leaves_nothing(
    served: Path, tmp_path: Path, name: str, file: str, error: type[FacesetsError]
) -> None:
    content = bytearray((served / file).read_bytes())
    content[-1] ^= 1
    (served / file).unlink()
    if error is DamagedFile:
        (served / file).write_bytes(content)
    with pytest.raises(error):
        pull(name, [tmp_path / "root"], work=Work())
    assert [path for path in (tmp_path / "root").rglob("*") if path.is_file()] == []
    assert list((tmp_path / "root").glob("*/*")) in ([], [tmp_path / "root" / "models" / "body"])


def test_packs_of_both_kinds_are_listed(pack_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "faces").symlink_to(pack_dir)
    make_clip(tmp_path / "clip" / "tiny")
    broken = make_clip(tmp_path / "clip" / "broken")
    (broken / "visual" / "preprocess_cfg.json").unlink()
    lines = {line.name: line for line in list_packs([tmp_path])}
    assert "detection" in lines["faces"].tasks
    assert lines["tiny"].tasks == ("clip textual", "clip visual")
    assert "preprocess_cfg.json" in lines["broken"].problem


def test_a_packs_own_body_model_comes_before_those_beside_packs(tmp_path: Path) -> None:
    with pytest.raises(MissingModelPack, match="models pull yolox_s"):
        find(DEFAULT_BODY, [tmp_path])
    beside = make_body_network(tmp_path / "models" / "body" / "a.onnx")
    assert find_body_model([tmp_path], tmp_path / "models" / "pack") == beside
    own = make_body_network(tmp_path / "models" / "pack" / "body" / "z.onnx")
    assert find_body_model([tmp_path], tmp_path / "models" / "pack") == own


def test_weights_under_the_agpl_are_not_fetched_and_the_licence_is_named(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match=r"AGPL.*models pull yolox_s"):
        pull("yolo11n", [tmp_path], work=Work())
    assert list(tmp_path.iterdir()) == []
