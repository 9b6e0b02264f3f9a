"""The queue of `immich-stage` as a source of photos."""

import json
import shutil
from pathlib import Path

import pytest

from facesets.errors import DamagedFile, NewerFormat, SourceGone
from facesets.sources.queue import QueueSource


def write(folder: Path, paths: list[object], **heading: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    content = {"format": "facesets/immich-queue", "version": 1, **heading}
    content["files"] = [{"path": path, "asset_id": str(n)} for n, path in enumerate(paths)]
    queue = folder / "queue.json"
    queue.write_text(json.dumps(content))
    return queue


def test_files_come_in_the_order_of_their_names_with_size_and_time(tmp_path: Path) -> None:
    queue = write(tmp_path / "q", ["b.jpg", "a/c.jpg"])
    (tmp_path / "q" / "a").mkdir()
    for name in ("a/c.jpg", "b.jpg"):
        (tmp_path / "q" / name).write_bytes(b"1234")
    found = list(QueueSource(queue).files())
    assert [file.path for file in found] == [str(tmp_path / "q" / name) for name in ("a/c.jpg", "b.jpg")]
    assert [file.size for file in found] == [4, 4]
    assert found[0].mtime_ns == (tmp_path / "q" / "a/c.jpg").stat().st_mtime_ns


def test_a_folder_that_was_moved_with_its_queue_is_found_where_it_is(tmp_path: Path) -> None:
    queue = write(tmp_path / "here", ["a.jpg"])
    (tmp_path / "here" / "a.jpg").write_bytes(b"1")
    shutil.move(tmp_path / "here", tmp_path / "there")
    assert not QueueSource(queue).is_there()
    [file] = QueueSource(tmp_path / "there" / "queue.json").files()
    assert (file.path, file.size) == (str(tmp_path / "there" / "a.jpg"), 1)


def test_a_missing_photo_comes_out_as_one_that_cannot_be_read(tmp_path: Path) -> None:
    [file] = QueueSource(write(tmp_path, ["gone.jpg"])).files()
    assert (file.size, file.mtime_ns) == (-1, -1)


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../x.jpg",
        "a/../../x.jpg",
        "..\\x.jpg",
        "C:\\x.jpg",
        "C:x.jpg",
        "\\\\s\\x",
        "",
        None,
        7,
        "a\0",
    ],
)
def test_a_queue_that_leads_out_of_its_folder_is_refused(path: object, tmp_path: Path) -> None:
    with pytest.raises(DamagedFile):
        list(QueueSource(write(tmp_path, ["ok.jpg", path])).files())


def test_a_queue_of_a_later_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NewerFormat):
        list(QueueSource(write(tmp_path, [], version=2)).files())


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", "\xff", '{"format": "facesets/immich-queue", "version": 1}']
)
def test_files_that_are_no_queue_are_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "queue.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(DamagedFile):
        list(QueueSource(tmp_path / "queue.json").files())


def test_a_missing_queue_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SourceGone, match="immich-stage"):
        list(QueueSource(tmp_path / "queue.json").files())
