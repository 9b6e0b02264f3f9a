"""Manifests that were damaged, or made to do harm: one sentence, and nothing outside the folder changes."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fixtures.hostile import changed_json, hostile
from tests.fixtures.made_library import DrawnStore, MadeStore, OneFaceEverywhere

from facesets.errors import DamagedFile, FacesetsError
from facesets.operations.face_sets.export_swap import export_swap
from facesets.operations.grouping.cluster import cluster
from facesets.operations.grouping.refine import refine
from facesets.operations.options.results import ExportSwapOptions
from facesets.operations.options.start import ClusterOptions, RefineOptions
from facesets.operations.reports.evaluation_sheet import sheet
from facesets.operations.reports.show import show_manifest
from facesets.operations.undo import known_runs, undo
from facesets.results.manifest import REFINE_MANIFEST
from facesets.results.run_records import JOURNAL
from facesets.work import Work

GATES = RefineOptions(min_faces=2, min_short=10, min_blur=1, sheet=False)


def sort_into(store: MadeStore, out: Path) -> None:
    cluster(store, out / "raw", ClusterOptions(sheet=False), work=Work())
    refine(store, out / "sets", GATES, work=Work())


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[MadeStore, Path]:
    folder = tmp_path_factory.mktemp("sound")
    store = MadeStore(folder / "photos", random.Random(0))
    for shown in ((1,), (1,), (1,), (2,), (2,), (1, 2), (3,), ()):
        store.add(*shown)
    sort_into(store, folder)
    return store, folder


def export(store: MadeStore, sets: Path, out: Path) -> None:
    options = ExportSwapOptions(min_face_short=10, out_size=64, sheet=False)
    export_swap(store, sets / REFINE_MANIFEST, out, OneFaceEverywhere(), options, work=Work())


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[MadeStore, Path]:
    folder = tmp_path_factory.mktemp("exported")
    store = DrawnStore(folder / "photos", random.Random(0))
    for shown in ((1,), (1,), (1,), (2,), (2,), (1, 2)):
        store.add(*shown)
    sort_into(store, folder)
    export(store, folder / "sets", folder / "swap")
    return store, folder


def outside(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not {"raw", "sets"} & set(path.relative_to(folder).parts)
    }


def work_with(store: MadeStore, folder: Path) -> None:
    """Do with the results what commands do; whatever they say, nothing beside the results changes."""
    (folder / "beside").mkdir()
    (folder / "beside" / ".canary.tmp").write_text("mine")
    (folder / "canary").write_text("mine")
    before = outside(folder)
    commands: list[Callable[[], object]] = [
        lambda: show_manifest(folder / "raw"),
        lambda: show_manifest(folder / "sets"),
        lambda: sort_into(store, folder),
        lambda: undo(folder / "raw", "last"),
    ]
    for command in commands:
        try:
            command()
        except FacesetsError as error:
            assert str(error).isprintable()
        assert outside(folder) == before


@pytest.mark.slow
@pytest.mark.parametrize("name", ["raw/manifest.json", f"sets/{REFINE_MANIFEST}"])
@given(data=st.data())
@hostile
def test_changed_manifests(
    data: st.DataObject,
    name: str,
    sound: tuple[MadeStore, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    store, results = sound
    folder = tmp_path_factory.mktemp("hostile")
    for result in ("raw", "sets"):
        shutil.copytree(results / result, folder / result, symlinks=True)
    manifest = data.draw(changed_json(json.loads((folder / name).read_bytes())))
    (folder / name).write_text(json.dumps(manifest))
    work_with(store, folder)
    shutil.rmtree(folder)


@given(data=st.data())
@hostile
def test_changed_exports(
    data: st.DataObject,
    exported: tuple[MadeStore, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    store, results = exported
    folder = tmp_path_factory.mktemp("hostile")
    shutil.copytree(results / "swap", folder / "raw", symlinks=True)
    name = data.draw(st.sampled_from(sorted(p.relative_to(folder) for p in folder.rglob("manifest.json"))))
    manifest = data.draw(changed_json(json.loads((folder / name).read_bytes())))
    (folder / name).write_text(json.dumps(manifest))
    (folder / "canary").write_text("mine")
    for command in (
        lambda: show_manifest(folder / "raw"),
        lambda: export(store, results / "sets", folder / "raw"),
        lambda: undo(folder / "raw", "last"),
    ):
        try:
            command()
        except FacesetsError as error:
            assert str(error).isprintable()
        assert outside(folder) == {"canary": b"mine"}
    shutil.rmtree(folder)


@pytest.mark.parametrize("number", ["1e400", "-Infinity", "NaN", "1e308"])
def test_a_sheet_is_drawn_of_faces_without_possible_keypoints(
    number: str, exported: tuple[MadeStore, Path], tmp_path: Path
) -> None:
    manifest = json.loads((exported[1] / "raw" / "manifest.json").read_text())
    manifest["persons"][0]["faces"][0]["kps"] = ["here"] * 10
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(manifest).replace('"here"', number))
    drawn = sheet(path, None, work=Work())
    assert [Path(page).read_bytes()[:4] for page in drawn.pages] == [b"\x89PNG"]


@pytest.mark.slow
@pytest.mark.parametrize("record", ["run.json", "changes.jsonl"])
@given(data=st.data())
@hostile
def test_changed_journals(
    data: st.DataObject,
    record: str,
    sound: tuple[MadeStore, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    store, results = sound
    folder = tmp_path_factory.mktemp("hostile")
    for result in ("raw", "sets"):
        shutil.copytree(results / result, folder / result, symlinks=True)
    (path,) = (folder / "raw" / JOURNAL).glob(f"*/{record}")
    texts = [path.read_text()] if record == "run.json" else path.read_text().splitlines()
    lines = [json.loads(text) for text in texts]
    row = data.draw(st.integers(0, len(lines) - 1))
    lines[row] = data.draw(changed_json(lines[row]))
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    work_with(store, folder)
    shutil.rmtree(folder)


_RECORD = '{"command": "x", "began": "2026-01-01T00:00:00+00:00", "state": "done", "also": []}'
_CHANGE = '["a/b.jpg", 0, [1, 2], null]'


@pytest.mark.parametrize(
    ("record", "line"),
    [
        ("[" * 100_000, _CHANGE),
        ("[]", _CHANGE),
        (_RECORD.replace('"done"', "[]"), _CHANGE),
        (_RECORD.replace("[]", '"abc"'), _CHANGE),
        (_RECORD.replace("[]", r'["\u0000"]'), _CHANGE),
        (_RECORD.replace("[]", r'["\ud800"]'), _CHANGE),
        (_RECORD.replace('"2026-01-01T00:00:00+00:00"', "5"), _CHANGE),
        (_RECORD.replace("2026-01-01T00:00:00+00:00", r"\u001b[31m"), _CHANGE),
        (_RECORD.replace("2026-01-01T00:00:00+00:00", "0001-01-01T00:00:00+14:00"), _CHANGE),
        (_RECORD, "[" * 100_000),
        (_RECORD, "{}"),
        (_RECORD, _CHANGE.replace("0", "1e400")),
        (_RECORD, _CHANGE.replace("1", "1e400")),
        (_RECORD, _CHANGE.replace('"a/b.jpg"', "[]")),
        (_RECORD, _CHANGE.replace("[1, 2]", "{}")),
    ],
)
def test_a_journal_of_wrong_types_is_damaged(record: str, line: str, tmp_path: Path) -> None:
    run = tmp_path / JOURNAL / "0001-x"
    run.mkdir(parents=True)
    (run / "run.json").write_text(_RECORD)
    (run / "changes.jsonl").write_text(f"{_CHANGE}\n")
    assert known_runs(tmp_path).runs
    (run / "run.json").write_text(record)
    (run / "changes.jsonl").write_text(f"{line}\n")
    with pytest.raises(DamagedFile, match="Remove that directory"):
        known_runs(tmp_path)
