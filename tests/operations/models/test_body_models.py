"""A published body model is fetched whole and verified, and found where it goes."""

import hashlib
import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.fixtures.body_networks import Made, make_body_network
from tests.fixtures.recording_progress import RecordingProgress

from facesets.errors import DamagedFile, MissingModelPack, WrongUsage
from facesets.inference import catalog
from facesets.inference.bodies import BodyDetector
from facesets.inference.body_models import find_body_model
from facesets.inference.catalog import DEFAULT_BODY, PUBLISHED_BODY, PublishedBody
from facesets.operations.models.packs import find, list_packs, verify
from facesets.operations.models.pull import pull, would_pull
from facesets.work import Work


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A body model on a server under the name of the published one; the file may be changed."""
    file = make_body_network(tmp_path / "served" / "yolox.onnx", Made(layout="yolox"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(file.parent)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    content = file.read_bytes()
    url = f"http://127.0.0.1:{server.server_address[1]}/yolox.onnx"
    digest = hashlib.sha256(content).hexdigest()
    model = PublishedBody(DEFAULT_BODY, url, len(content), digest, "A licence.")
    monkeypatch.setitem(catalog.PUBLISHED_BODY, DEFAULT_BODY, model)
    monkeypatch.setattr("facesets.remote.download._FIRST_WAIT_S", 0.01)
    yield file
    server.shutdown()
    thread.join()
    server.server_close()


def fetch(root: Path) -> Path:
    return Path(pull(DEFAULT_BODY, [root], work=Work()).path)


@pytest.mark.parametrize(
    ("name", "verified"), [("buffalo_l", True), ("buffalo_s", False), ("open", True), (DEFAULT_BODY, True)]
)
def test_only_what_is_known_of_a_pack_is_said_to_be_verified(
    tmp_path: Path, name: str, *, verified: bool
) -> None:
    digests = would_pull(name, [tmp_path]).digests
    assert bool(digests) == bool(re.search(r"sha256 [0-9a-f]{64}", digests)) == verified


@pytest.mark.usefixtures("published")
def test_a_pulled_body_model_is_whole_used_and_verified(tmp_path: Path) -> None:
    root = tmp_path / "root"
    planned = would_pull(DEFAULT_BODY, [root])
    published = PUBLISHED_BODY[DEFAULT_BODY]
    assert (planned.url, root.exists()) == (published.url, False)
    assert (planned.licence, planned.digests) == ("A licence.", f"sha256 {published.sha256}")
    progress = RecordingProgress()
    pulled = pull(DEFAULT_BODY, [root], work=Work(progress=progress))
    path = root / "models" / "body" / "yolox_s.onnx"
    assert progress.lines[-2:] == ["A licence.", f"It is what was published: sha256 {published.sha256}."]
    assert pulled.path == planned.path == str(path)
    assert find_body_model([root]) == path
    assert "YOLOX" in BodyDetector(path).describe()
    assert find(DEFAULT_BODY, [root]) == pulled
    assert [check.verdict for check in verify(DEFAULT_BODY, [root])] == ["ok"]
    assert [(line.name, line.tasks) for line in list_packs([root])] == [("yolox_s", ("bodies",))]
    assert [each.name for each in path.parent.glob("*")] == ["yolox_s.onnx"]
    assert would_pull(DEFAULT_BODY, [root]).url == ""


def test_what_is_not_the_published_file_is_refused(published: Path, tmp_path: Path) -> None:
    content = bytearray(published.read_bytes())
    content[-1] ^= 1
    published.write_bytes(content)
    with pytest.raises(DamagedFile):
        fetch(tmp_path / "root")
    assert find_body_model([tmp_path / "root"]) is None


@pytest.mark.usefixtures("published")
def test_a_changed_file_is_told_from_the_published_one(tmp_path: Path) -> None:
    with fetch(tmp_path / "root").open("ab") as file:
        file.write(b"\0")
    assert [check.verdict for check in verify(DEFAULT_BODY, [tmp_path / "root"])] == ["differs"]


def test_a_model_that_is_not_here_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(MissingModelPack, match="models pull yolox_s"):
        find(DEFAULT_BODY, [tmp_path])


def test_a_packs_own_model_comes_before_those_beside_packs(tmp_path: Path) -> None:
    beside = make_body_network(tmp_path / "models" / "body" / "a.onnx")
    assert find_body_model([tmp_path], tmp_path / "models" / "pack") == beside
    own = make_body_network(tmp_path / "models" / "pack" / "body" / "z.onnx")
    assert find_body_model([tmp_path], tmp_path / "models" / "pack") == own


def test_weights_under_the_agpl_are_not_fetched_and_the_licence_is_named(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match=r"AGPL.*models pull yolox_s"):
        pull("yolo11n", [tmp_path], work=Work())
    assert list(tmp_path.iterdir()) == []
