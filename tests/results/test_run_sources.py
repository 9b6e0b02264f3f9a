"""The record of a run's photo folders follows moved folders."""

import json
from pathlib import Path

import pytest
from tests.fixtures.made_faces import SETTINGS, made_image
from tests.fixtures.program import run

from facesets.errors import DamagedFile
from facesets.file_records import FileRecord
from facesets.results.run_sources import relocate_sources, sources_of, write_sources
from facesets.store.npz.cache import Cache


def test_folders_of_moved_photos_are_updated_and_others_stay(tmp_path: Path) -> None:
    write_sources(tmp_path, ["/old", "/old/trip", "/older", "/new"])
    relocate_sources(tmp_path, "/old", "/new")
    assert sources_of(tmp_path) == ["/new", "/new/trip", "/older"]
    relocate_sources(tmp_path, "/", "/mnt")
    assert sources_of(tmp_path) == ["/mnt/new", "/mnt/new/trip", "/mnt/older"]


def test_a_folder_without_results_stays_as_it_is(tmp_path: Path) -> None:
    relocate_sources(tmp_path, "/old", "/new")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_record_is_not_written_over(tmp_path: Path) -> None:
    record = tmp_path / "facesets-run.json"
    record.write_text(json.dumps({"format": "facesets/run", "photos": [1]}))
    with pytest.raises(DamagedFile, match="cannot be read"):
        relocate_sources(tmp_path, "/old", "/new")
    assert json.loads(record.read_text())["photos"] == [1]


def test_renamed_photos_are_relocated_with_the_command_that_run_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    old, new, out = tmp_path / "old photos", tmp_path / "new", tmp_path / "facesets-out"
    out.mkdir()
    write_sources(out, [str(old)])
    old.mkdir()
    (old / "a.jpg").write_text("a")
    status, image = (old / "a.jpg").stat(), made_image("a")
    cache = Cache(out / "faces.npz")
    with cache.writing(SETTINGS):
        known = FileRecord(str(old / "a.jpg"), status.st_size, status.st_mtime_ns, image.sha256)
        cache.commit([known], [image])
    new.mkdir()
    refused = run("run", "new")
    assert (refused.status, "relocate" in refused.err) == (2, False), "the old folder is still there"
    new.rmdir()
    old.rename(new)
    refused = run("run", "new")
    advice = f"facesets relocate '{old}' new {out}/faces.npz"
    assert (refused.status, f"`{advice}`" in refused.err) == (2, True), refused.err
    assert run("relocate", str(old), "new", str(out / "faces.npz")).status == 0
    assert sources_of(out) == [str(new)]
    assert list(Cache(out / "faces.npz").files()) == [str(new / "a.jpg")]
    going_on = run("run", "new", "--dry-run")
    assert going_on.status == 0, going_on.err
