"""CLIP packs: fetched file by file, whole or not at all, listed and verified beside those of faces."""

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.fixtures.clip import make_clip
from tests.fixtures.recording_progress import RecordingProgress

from facesets.errors import DamagedFile, FacesetsError, Unreachable
from facesets.inference import catalog
from facesets.inference.catalog import DEFAULT_CLIP, PUBLISHED_CLIP, PublishedClip
from facesets.inference.clip_packs import read_clip
from facesets.operations.models.packs import find, list_packs, verify
from facesets.operations.models.pull import pull, would_pull
from facesets.work import Work


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A pack on a server under the name of the default one; its files may be changed."""
    path = make_clip(tmp_path / "served" / "pack")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(path.parent)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    names = PUBLISHED_CLIP[DEFAULT_CLIP].sha256
    hashes: dict[str, str | None] = {
        name: hashlib.sha256((path / name).read_bytes()).hexdigest() for name in names
    }
    url = f"http://127.0.0.1:{server.server_address[1]}/pack"
    pack = PublishedClip(DEFAULT_CLIP, url, "A licence.", hashes | {"config.json": None})
    monkeypatch.setitem(catalog.PUBLISHED_CLIP, DEFAULT_CLIP, pack)
    monkeypatch.setattr("facesets.remote.download._FIRST_WAIT_S", 0.01)
    yield path
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_pulled_pack_is_whole_and_found_by_its_name(published: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    planned = would_pull(DEFAULT_CLIP, [root])
    assert not root.exists()
    progress = RecordingProgress()
    pulled = pull(DEFAULT_CLIP, [root], work=Work(progress=progress))
    assert pulled.path == planned.path == str(root / "clip" / DEFAULT_CLIP)
    assert "A licence." in progress.lines
    pack = read_clip(Path(pulled.path))
    assert pack.knows_texts
    assert pack.model.sha256 == read_clip(published).model.sha256
    assert [entry.name for entry in (root / "clip").iterdir()] == [DEFAULT_CLIP]
    assert find(DEFAULT_CLIP, [root]) == pulled
    assert would_pull(DEFAULT_CLIP, [root]).url == ""


def test_what_is_there_is_not_fetched_again_unless_asked(published: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    pull(DEFAULT_CLIP, [root], work=Work())
    mine = root / "clip" / DEFAULT_CLIP / "config.json"
    mine.write_text("{}")
    pull(DEFAULT_CLIP, [root], work=Work())
    assert mine.read_text() == "{}"
    pull(DEFAULT_CLIP, [root], force=True, work=Work())
    assert mine.read_text() == (published / "config.json").read_text()


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("textual/model.onnx", b"not what was published", DamagedFile),
        ("textual/tokenizer.json", None, Unreachable),
    ],
)
def test_a_failed_pull_leaves_what_was_there(
    published: Path, tmp_path: Path, name: str, content: bytes | None, error: type[FacesetsError]
) -> None:
    root = tmp_path / "root"
    (published / name).unlink()
    if content is not None:
        (published / name).write_bytes(content)
    with pytest.raises(error):
        pull(DEFAULT_CLIP, [root], work=Work())
    assert list((root / "clip").iterdir()) == []


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


@pytest.mark.usefixtures("published")
def test_verify_tells_published_files_from_others(tmp_path: Path) -> None:
    root = tmp_path / "root"
    pull(DEFAULT_CLIP, [root], work=Work())
    (root / "clip" / DEFAULT_CLIP / "textual" / "tokenizer.json").write_text("{}")
    verdicts = {check.file: check.verdict for check in verify(DEFAULT_CLIP, [root])}
    assert verdicts["visual/model.onnx"] == "ok"
    assert verdicts["textual/tokenizer.json"] == "differs"
    assert verdicts["config.json"] == "unknown"
