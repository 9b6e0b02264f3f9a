"""Damaged or manipulated manifests: one message, and nothing outside the folder changes."""

import json
import random
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fixtures.hostile import changed_json, hostile
from tests.fixtures.made_library import DrawnStore
from tests.fixtures.results import choose, export, make, sort

from facesets.errors import DamagedFile, FacesetsError
from facesets.operations.options.start import RefineOptions
from facesets.operations.reports.evaluation_sheet import sheet
from facesets.operations.reports.show import show_manifest
from facesets.operations.undo import known_runs, undo
from facesets.results.manifest import REFINE_MANIFEST
from facesets.results.run_records import JOURNAL
from facesets.work import Work

GATES = RefineOptions(min_faces=2, min_short=10, min_blur=1, sheet=False)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[DrawnStore, Path]:
    """A store, and the folder of its unchanged results."""
    folder = tmp_path_factory.mktemp("sound")
    store = DrawnStore(folder / "photos", random.Random(0))
    for shown in ((1,), (1,), (1,), (2,), (2,), (1, 2), (3,), ()):
        store.add(*shown)
    make(store, folder, GATES)
    export(store, folder)
    return store, folder


def outside(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not {"raw", "sets", "swap"} & set(path.relative_to(folder).parts)
    }


RECORDS = {
    "raw/manifest.json": "raw",
    f"sets/{REFINE_MANIFEST}": "sets",
    "swap/manifest.json": "swap",
    "swap/faceset_001/manifest.json": "swap",
    f"raw/{JOURNAL}/0001-cluster/run.json": "raw",
    f"raw/{JOURNAL}/0001-cluster/changes.jsonl": "raw",
}
"""What is changed, and its result."""


@pytest.mark.slow
@pytest.mark.parametrize("name", RECORDS)
@given(data=st.data())
@hostile
def test_a_manipulated_record_changes_nothing_outside_the_results(
    data: st.DataObject,
    name: str,
    sound: tuple[DrawnStore, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    store, results = sound
    folder = tmp_path_factory.mktemp("hostile")
    for result in ("raw", "sets", "swap"):
        shutil.copytree(results / result, folder / result, symlinks=True)
    text = (folder / name).read_text()
    lines = [json.loads(line) for line in (text.splitlines() if name.endswith("l") else [text])]
    row = data.draw(st.integers(0, len(lines) - 1))
    lines[row] = data.draw(changed_json(lines[row]))
    (folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "beside").mkdir()
    (folder / "beside" / ".canary.tmp").write_text("mine")
    (folder / "canary").write_text("mine")
    before = outside(folder)
    changed = folder / RECORDS[name]
    again: dict[str, Callable[[], object]] = {
        "raw": lambda: sort(store, changed),
        "sets": lambda: choose(store, changed, GATES),
        "swap": lambda: export(store, folder),
    }
    commands: list[Callable[[], object]] = [
        *(partial(show_manifest, folder / result) for result in ("raw", "sets", "swap")),
        again[RECORDS[name]],
        lambda: undo(changed, known_runs(changed).runs[0].run),
    ]
    for command in commands:
        try:
            command()
        except FacesetsError as error:
            assert str(error).isprintable()
        assert outside(folder) == before
    shutil.rmtree(folder)


@pytest.mark.parametrize("number", ["1e400", "-Infinity", "NaN", "1e308"])
def test_a_sheet_is_drawn_of_faces_without_possible_keypoints(
    number: str, sound: tuple[DrawnStore, Path], tmp_path: Path
) -> None:
    manifest = json.loads((sound[1] / "raw" / "manifest.json").read_text())
    manifest["persons"][0]["faces"][0]["kps"] = ["here"] * 10
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(manifest).replace('"here"', number))
    drawn = sheet(path, None, work=Work())
    assert [Path(page).read_bytes()[:4] for page in drawn.pages] == [b"\x89PNG"]


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
    assert known_runs(tmp_path).runs[0].replaced == 0  # It was killed before its first change.
    (run / "changes.jsonl").write_text(f"{_CHANGE}\n")
    assert known_runs(tmp_path).runs[0].replaced == 1
    (run / "run.json").write_text(record)
    (run / "changes.jsonl").write_text(f"{line}\n")
    with pytest.raises(DamagedFile, match="Remove that directory"):
        known_runs(tmp_path)
