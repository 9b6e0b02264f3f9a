"""A result belongs to the cache or library that it was made from."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fixtures.made_library import DrawnStore, OneFaceEverywhere
from tests.fixtures.results import CROPS, GATES, export, grow, make, tree

from facesets.errors import WrongUsage
from facesets.operations.face_sets.discover import discover
from facesets.operations.face_sets.eras.person import EraRequest
from facesets.operations.face_sets.eras.split_eras import split_eras
from facesets.operations.face_sets.folder_labels import SortedFolders
from facesets.operations.face_sets.import_folders import import_folders
from facesets.operations.grouping.cluster import cluster
from facesets.operations.grouping.refine import refine
from facesets.operations.options.results import (
    DiscoverOptions,
    ExtendOptions,
    ImportFoldersOptions,
    SplitErasOptions,
)
from facesets.operations.options.start import ClusterOptions
from facesets.results.manifest_json import read_any_manifest
from facesets.work import Work

Command = Callable[[DrawnStore, Path, bool], object]


@pytest.fixture
def store(tmp_path: Path) -> DrawnStore:
    """Eight photos of person 1, and their results."""
    made = DrawnStore(tmp_path / "photos", random.Random(0))
    for _ in range(8):
        made.add(1)
    make(made, tmp_path)
    export(made, tmp_path)
    return made


@pytest.fixture
def other(store: DrawnStore, tmp_path: Path) -> DrawnStore:
    """A store of the same person, and of somebody else."""
    made = DrawnStore(tmp_path / "more", random.Random(1), identity="another")
    made.shown = list(store.shown)
    for _ in range(6):
        made.add(2)
    return made


def clustering(store: DrawnStore, root: Path, take: bool) -> None:
    options = ClusterOptions(sheet=False, replace=take)
    cluster(store, root / "raw", options, work=Work())


def refining(store: DrawnStore, root: Path, take: bool) -> None:
    refine(store, root / "sets", replace(GATES, replace=take), work=Work())


def growing(store: DrawnStore, root: Path, take: bool) -> None:
    grow(store, root / "raw", root / "sets", ExtendOptions(sheet=False, replace=take))


def exporting(store: DrawnStore, root: Path, take: bool) -> None:
    export(store, root, replace(CROPS, replace=take))


def discovering(store: DrawnStore, root: Path, take: bool) -> None:
    discover(
        store,
        root / "swap",
        [],
        OneFaceEverywhere(),
        DiscoverOptions(),
        GATES,
        replace(CROPS, replace=take),
        work=Work(),
    )


def importing(store: DrawnStore, root: Path, take: bool) -> None:
    import_folders(
        store,
        SortedFolders(people=(("Anna", root / "photos"),)),
        root / "swap",
        OneFaceEverywhere(),
        ImportFoldersOptions(),
        replace(CROPS, replace=take),
        work=Work(),
    )


def splitting(store: DrawnStore, root: Path, take: bool) -> None:
    split_eras(
        store,
        EraRequest(root / "swap", "faceset_001", [], root / "years.json", 2026, force=True),
        OneFaceEverywhere(),
        SplitErasOptions(),
        replace(CROPS, replace=take),
        work=Work(),
    )


COMMANDS = [clustering, refining, growing, exporting, discovering, importing, splitting]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_result_of_another_cache_is_taken_over_only_if_the_user_says_so(
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
def test_a_result_of_before_there_were_ids_is_anybodys_until_the_next_run(
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


def test_whoever_adds_to_an_export_does_not_own_it(
    store: DrawnStore, other: DrawnStore, tmp_path: Path
) -> None:
    discovering(other, tmp_path, True)
    assert read_any_manifest(tmp_path / "swap").made.store == store.identity
    assert (tmp_path / "swap/faceset_002").is_dir()
    exporting(store, tmp_path, False)
    assert (tmp_path / "swap/faceset_002").is_dir()


class Elsewhere(DrawnStore):
    """A store of another name."""

    @property
    def label(self) -> str:
        return "elsewhere"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_cache_of_a_few_of_the_photos_is_another_though_it_begins_with_the_same(
    store: DrawnStore, tmp_path: Path, command: Command
) -> None:
    few = Elsewhere(tmp_path / "photos", random.Random(0), shown=store.shown[:1], digests=store.digests)
    assert few.identity == store.identity
    before = tree(tmp_path)
    with pytest.raises(WrongUsage, match=r"holds a result of made-up people, not of elsewhere.*with replace"):
        command(few, tmp_path, False)
    assert tree(tmp_path) == before
    copy = Elsewhere(tmp_path / "photos", random.Random(0), shown=store.shown[:6], digests=store.digests)
    clustering(copy, tmp_path, False)
