"""Runs that would destroy a result: it is of another cache, or its photos are unavailable."""

import json
import random
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.made_library import DrawnStore, OneFaceEverywhere
from tests.fixtures.results import (
    CROPS,
    GATES,
    PLAIN,
    QUIET,
    choose,
    discover_in,
    export,
    grow,
    import_in,
    make,
    sort,
)
from tests.fixtures.trees import tree

from facesets.cli.wording import worded
from facesets.errors import SourceGone, WrongUsage
from facesets.operations.face_sets import set_writer as export_set
from facesets.operations.face_sets.eras.person import EraRequest
from facesets.operations.face_sets.eras.split_eras import probe_eras, split_eras
from facesets.operations.face_sets.single_face_crop import single_face_crops
from facesets.operations.options.results import SplitErasOptions
from facesets.results import photo_sources
from facesets.results.folder import ResultFolder
from facesets.results.manifest_json import read_any_manifest
from facesets.results.photo_sources import unavailable_folders
from facesets.work import Work

Command = Callable[[DrawnStore, Path, bool], object]
"""Writes a result below a folder; whether it may take over that of another cache."""


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


@pytest.fixture
def other(store: DrawnStore, tmp_path: Path) -> DrawnStore:
    """A store of the same people and another one."""
    made = DrawnStore(tmp_path / "more", random.Random(1), identity="another")
    made.shown = list(store.shown)
    for _ in range(6):
        made.add(3)
    return made


def clustering(store: DrawnStore, root: Path, take: bool) -> None:
    sort(store, root / "raw", replace(PLAIN, replace=take))


def refining(store: DrawnStore, root: Path, take: bool) -> None:
    choose(store, root / "sets", replace(GATES, replace=take))


def growing(store: DrawnStore, root: Path, take: bool) -> None:
    grow(store, root / "raw", root / "sets", replace(QUIET, replace=take))


def exporting(store: DrawnStore, root: Path, take: bool) -> None:
    export(store, root, replace(CROPS, replace=take))


def discovering(store: DrawnStore, root: Path, take: bool) -> None:
    discover_in(store, root, replace(CROPS, replace=take))


def importing(store: DrawnStore, root: Path, take: bool) -> None:
    import_in(store, root, "Anna", replace(CROPS, replace=take))


def request_of(root: Path) -> EraRequest:
    return EraRequest(root / "swap", "faceset_001", [], root / "years.json", 2026, force=True)


def splitting(store: DrawnStore, root: Path, take: bool) -> None:
    options = replace(CROPS, replace=take)
    split_eras(store, request_of(root), OneFaceEverywhere(), SplitErasOptions(), options, work=Work())


COMMANDS = [clustering, refining, growing, exporting, discovering, importing, splitting]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_result_of_another_cache_is_replaced_only_on_request(
    store: DrawnStore, other: DrawnStore, tmp_path: Path, command: Command
) -> None:
    before = tree(tmp_path)
    with pytest.raises(WrongUsage, match=r"holds a result of made-up people.*with replace"):
        command(other, tmp_path, False)
    assert tree(tmp_path) == before
    command(other, tmp_path, True)
    assert tree(tmp_path) != before
    command(store, tmp_path, command in (clustering, refining, growing, exporting))


@pytest.mark.parametrize("command", COMMANDS)
def test_any_cache_may_continue_a_result_without_id(
    store: DrawnStore, other: DrawnStore, tmp_path: Path, command: Command
) -> None:
    for manifest in (
        tmp_path / "raw/manifest.json",
        tmp_path / "sets/refine_manifest.json",
        tmp_path / "swap/manifest.json",
    ):
        raw = json.loads(manifest.read_bytes())
        del raw["made"]["store"]
        manifest.write_text(json.dumps(raw))
    command(other, tmp_path, False)
    owners = {read_any_manifest(tmp_path / name).made.store for name in ("raw", "sets", "swap")}
    assert owners == {"", "another"}
    with pytest.raises(WrongUsage, match="with replace"):
        command(store, tmp_path, False)


def test_adding_to_an_export_does_not_change_its_owner(
    store: DrawnStore, other: DrawnStore, tmp_path: Path
) -> None:
    discovering(other, tmp_path, True)
    assert read_any_manifest(tmp_path / "swap").made.store == store.identity
    assert (tmp_path / "swap/faceset_003").is_dir()
    exporting(store, tmp_path, False)
    assert (tmp_path / "swap/faceset_003").is_dir()


class Elsewhere(DrawnStore):
    """A store of another name."""

    @property
    def label(self) -> str:
        return "elsewhere"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_cache_of_a_few_of_the_photos_is_another_cache(
    store: DrawnStore, tmp_path: Path, command: Command
) -> None:
    few = Elsewhere(tmp_path / "photos", random.Random(0), shown=store.shown[:1], digests=store.digests)
    assert few.identity == store.identity
    before = tree(tmp_path)
    with pytest.raises(WrongUsage, match=r"holds a result of made-up people, not of elsewhere.*with replace"):
        command(few, tmp_path, False)
    assert tree(tmp_path) == before
    copy = Elsewhere(tmp_path / "photos", random.Random(0), shown=store.shown[:11], digests=store.digests)
    clustering(copy, tmp_path, False)


def loosely(store: DrawnStore, root: Path, _: bool) -> None:
    """Cluster so that every face is alone: folders of people would go."""
    sort(store, root / "raw", replace(PLAIN, method="agglomerative", threshold=0.01))


def strictly(store: DrawnStore, root: Path, _: bool) -> None:
    """Refine so that no face set is large enough."""
    choose(store, root / "sets", replace(GATES, min_faces=50))


def smaller(store: DrawnStore, root: Path, _: bool) -> None:
    """Export with other options, so that every crop is made again."""
    export(store, root, replace(CROPS, out_size=128))


def probing(store: DrawnStore, root: Path, _: bool) -> None:
    probe_eras(store, request_of(root), SplitErasOptions(), work=Work())


@pytest.mark.parametrize(
    "command", [loosely, strictly, growing, smaller, discovering, importing, splitting, probing]
)
@pytest.mark.parametrize("left", [0, 6])
def test_a_folder_with_less_than_half_of_its_photos_changes_no_result(
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
        command(store, tmp_path, False)
    advice = worded(refused.value.sentence)
    assert re.search(
        r"cannot be read.*`facesets relocate \S+ NEW .*on purpose, run `facesets \w+ \S+", advice
    )
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
            command(store, tmp_path, False)
    assert before <= set(tree(tmp_path))
    (tmp_path / "away").rename(tmp_path / "photos")
    command(store, tmp_path, False)


def test_a_missing_source_is_noticed_and_a_few_missing_photos_are_not(tmp_path: Path) -> None:
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


def test_a_result_without_copies_needs_no_photos(store: DrawnStore, tmp_path: Path) -> None:
    (tmp_path / "photos").rename(tmp_path / "away")
    for _ in range(2):
        done = sort(store, tmp_path / "listed", replace(PLAIN, materialize="none"))
        assert (done.persons, done.failed) == (2, 0)


def test_only_a_sample_of_very_many_photos_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def look(path: str) -> bool:
        asked.append(path)
        return True

    monkeypatch.setattr(photo_sources, "_can_be_read", look)
    assert unavailable_folders(f"/nas/{i % 50}/{i}.jpg" for i in range(100_000)) == []
    assert len(asked) < 1000
