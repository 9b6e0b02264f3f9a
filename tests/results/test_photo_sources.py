"""Photos that cannot be read for a while cost no result."""

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.made_library import DrawnStore, OneFaceEverywhere
from tests.fixtures.results import CROPS, GATES, export, grow, make, tree

from facesets.cli.wording import worded
from facesets.errors import SourceGone
from facesets.operations.face_sets import set_writer as export_set
from facesets.operations.face_sets.discover import discover
from facesets.operations.face_sets.eras.person import EraRequest
from facesets.operations.face_sets.eras.split_eras import probe_eras, split_eras
from facesets.operations.face_sets.folder_labels import SortedFolders
from facesets.operations.face_sets.import_folders import import_folders
from facesets.operations.face_sets.single_face_crop import single_face_crops
from facesets.operations.grouping.cluster import cluster
from facesets.operations.grouping.refine import refine
from facesets.operations.options.results import (
    DiscoverOptions,
    ExportSwapOptions,
    ExtendOptions,
    ImportFoldersOptions,
    SplitErasOptions,
)
from facesets.operations.options.start import ClusterOptions, RefineOptions
from facesets.results import photo_sources
from facesets.results.folder import ResultFolder
from facesets.results.photo_sources import unavailable_folders
from facesets.work import Work

Command = Callable[[DrawnStore, Path], object]


@pytest.fixture
def store(tmp_path: Path) -> DrawnStore:
    """Eight photos of person 1 and six of 2, and their results."""
    made = DrawnStore(tmp_path / "photos", random.Random(0))
    for person, count in ((1, 8), (2, 6)):
        for _ in range(count):
            made.add(person)
    make(made, tmp_path)
    export(made, tmp_path)
    return made


def loosely(store: DrawnStore, root: Path) -> None:
    """Cluster so that every face is alone: folders of people would go."""
    options = ClusterOptions(method="agglomerative", threshold=0.01, sheet=False)
    cluster(store, root / "raw", options, work=Work())


def strictly(store: DrawnStore, root: Path) -> None:
    """Refine so that no face set is large enough."""
    refine(store, root / "sets", RefineOptions(min_faces=50, sheet=False), work=Work())


def growing(store: DrawnStore, root: Path) -> None:
    grow(store, root / "raw", root / "sets", ExtendOptions(sheet=False))


def smaller(store: DrawnStore, root: Path) -> None:
    """Export with other options, so that every crop is made again."""
    export(
        store, root, ExportSwapOptions(**{f: getattr(CROPS, f) for f in CROPS.__slots__} | {"out_size": 128})
    )


def discovering(store: DrawnStore, root: Path) -> None:
    discover(store, root / "swap", [], OneFaceEverywhere(), DiscoverOptions(), GATES, CROPS, work=Work())


def importing(store: DrawnStore, root: Path) -> None:
    import_folders(
        store,
        SortedFolders(people=(("Anna", root / "photos"),)),
        root / "swap",
        OneFaceEverywhere(),
        ImportFoldersOptions(),
        CROPS,
        work=Work(),
    )


def request_of(root: Path) -> EraRequest:
    return EraRequest(root / "swap", "faceset_001", [], root / "years.json", 2026)


def splitting(store: DrawnStore, root: Path) -> None:
    split_eras(store, request_of(root), OneFaceEverywhere(), SplitErasOptions(), CROPS, work=Work())


def probing(store: DrawnStore, root: Path) -> None:
    probe_eras(store, request_of(root), SplitErasOptions(), work=Work())


COMMANDS = [loosely, strictly, growing, smaller, discovering, importing, splitting, probing]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("left", [0, 6])
def test_photos_of_which_less_than_half_is_there_change_no_result(
    store: DrawnStore, tmp_path: Path, command: Command, left: int
) -> None:
    away = tmp_path / "away"
    (tmp_path / "photos").rename(away)
    if left:
        (tmp_path / "photos").mkdir()
        for photo in sorted(away.iterdir())[:left]:
            photo.rename(tmp_path / "photos" / photo.name)
    before = tree(tmp_path)
    with pytest.raises(SourceGone, match="cannot be read") as refused:
        command(store, tmp_path)
    advice = worded(refused.value.sentence)
    assert re.search(r"cannot be read.*`facesets relocate \S+ NEW .*forget them: `facesets \w+ \S+", advice)
    assert refused.value.exit_status == 2
    assert tree(tmp_path) == before


@pytest.mark.parametrize("command", [loosely, strictly, smaller])
def test_photos_that_become_unavailable_during_a_run_are_waited_for(
    store: DrawnStore, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def vanishing(function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: object, **named: object) -> object:
            if (tmp_path / "photos").exists():
                (tmp_path / "photos").rename(tmp_path / "away")
            return function(*arguments, **named)

        return run

    before = {name for name in tree(tmp_path) if not name.startswith("photos/")}
    with monkeypatch.context() as patched:
        patched.setattr(ResultFolder, "announce", vanishing(ResultFolder.announce))
        patched.setattr(export_set, "single_face_crops", vanishing(single_face_crops))
        with pytest.raises(SourceGone):
            command(store, tmp_path)
    assert before <= set(tree(tmp_path))
    (tmp_path / "away").rename(tmp_path / "photos")
    command(store, tmp_path)


def test_one_source_of_two_is_missed_and_a_few_photos_are_not(tmp_path: Path) -> None:
    paths = [tmp_path / name / f"{i}.jpg" for name, n in (("here", 16), ("usb/album", 4)) for i in range(n)]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    known = [str(path) for path in paths]
    assert unavailable_folders(known) == []
    for path in paths[:3]:
        path.unlink()
    assert unavailable_folders(known) == []
    (tmp_path / "usb").rename(tmp_path / "unplugged")
    assert unavailable_folders(known) == [(str(tmp_path / "usb/album"), 4)]
    assert unavailable_folders([]) == []


def test_a_result_that_needs_no_photos_does_without(store: DrawnStore, tmp_path: Path) -> None:
    (tmp_path / "photos").rename(tmp_path / "away")
    options = ClusterOptions(materialize="none", sheet=False)
    for _ in range(2):
        done = cluster(store, tmp_path / "listed", options, work=Work())
        assert (done.persons, done.failed) == (2, 0)


def test_of_very_many_photos_only_some_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def look(path: str) -> bool:
        asked.append(path)
        return True

    monkeypatch.setattr(photo_sources, "_can_be_read", look)
    assert unavailable_folders(f"/nas/{i % 50}/{i}.jpg" for i in range(100_000)) == []
    assert len(asked) < 1000
