"""A person who is forgotten goes from the results of caches, too, when that is asked for."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from tests.fixtures.corrections import BY
from tests.fixtures.library_people import cluster as cluster_library
from tests.fixtures.library_people import rows
from tests.fixtures.photo_library import Library as Photos
from tests.fixtures.photo_library import with_own_cache
from tests.fixtures.postgres import Server
from tests.fixtures.postgres import filled as filled_database

from facesets.files import RUN_RECORD
from facesets.interfaces import Embedder
from facesets.operations.face_sets.export_swap import export_swap
from facesets.operations.grouping.cluster import cluster
from facesets.operations.grouping.refine import refine
from facesets.operations.library.transfer import import_cache
from facesets.operations.options.results import ExportSwapOptions
from facesets.operations.options.start import ClusterOptions, RefineOptions
from facesets.operations.people.corrections import naming
from facesets.operations.people.exchange.import_people import import_people
from facesets.operations.people.exchange.result_names import people_of_result
from facesets.operations.people.forgetting.forget import forget
from facesets.operations.people.forgetting.forget_proof import names_in, near_sets
from facesets.operations.people.forgetting.person_to_erase import plan_forget
from facesets.operations.people.forgetting.written_names import holds_name
from facesets.result import Result
from facesets.results.earlier_export import EarlierExport
from facesets.results.export_manifest import ExportManifest
from facesets.results.manifest import EXPORT_MANIFEST, ClusterManifest, every_face
from facesets.results.manifest_json import read_manifest
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.people.face_details import FaceVectors
from facesets.work import Work

pytestmark = pytest.mark.slow

NAME = "Zwölfender"
SETS = RefineOptions(min_faces=5, min_short=60, min_blur=70)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The place of results in each test: a folder that moves would be another one."""
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def template(
    server: Server, empty_template: str, pristine: Photos, checker: Embedder, root: Path
) -> Iterator[str]:
    """Photos in a cache and a library; folders, sets and an export, in which one person has a name."""

    def fill(database: Database) -> None:
        photos = with_own_cache(pristine, root)
        raw, sets, export = (root / name for name in ("raw", "sets", "export"))
        make_results(photos, root)
        (hugo,) = (
            folder for folder in raw.iterdir() if any("Hugo_Chavez_0002" in p.name for p in folder.glob("*"))
        )
        hugo.rename(raw / NAME)
        make_results(photos, root)
        options = ExportSwapOptions(min_face_short=60, top_n=5, out_size=128)
        export_swap(photos.store, sets, export, checker, options, work=Work())
        library = Library(database)
        library.require(photos.store.load().settings)
        import_cache(photos.store, library, work=Work())
        cluster_library(library)
        brought = people_of_result(library, raw)
        import_people(database, brought.file, "raw", by=BY, members=brought.members)
        root.rename(stored(root))

    yield from filled_database(server, empty_template, fill)


class Made(NamedTuple):
    """Real photos with a cache, a library of them, and results in folders beside the cache."""

    library: Library
    photos: Photos
    root: Path


@pytest.fixture
def made(root: Path, pristine: Photos, database: Database) -> Iterator[Made]:
    """These, for one test."""
    shutil.copytree(stored(root), root, symlinks=True)
    photos, library = Photos(pristine.photos, root / "cache.npz"), Library(database)
    library.require(photos.store.load().settings)
    yield Made(library, photos, root)
    shutil.rmtree(root)


def stored(root: Path) -> Path:
    return root.with_name("kept")


def make_results(photos: Photos, root: Path) -> None:
    cluster(photos.store, root / "raw", ClusterOptions(), work=Work())
    refine(photos.store, root / "sets", SETS, work=Work())


def forgotten(made: Made, name: str = NAME, *, exports: bool = True) -> Result:
    return forget(made.library.database, name, [made.photos.store], exports=exports, work=Work(by=BY))


def shown(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*.jpg") if "Hugo_Chavez" in path.name}


def test_results_of_the_library_are_searched_without_being_named(made: Made) -> None:
    own, gone, others = (made.root / name for name in ("own", "gone", "others"))
    for folder in (own, gone):
        cluster(made.library, folder, ClusterOptions(), work=Work())
    shutil.rmtree(gone)
    # By now it holds results of something else.
    cluster(made.photos.store, others, ClusterOptions(), work=Work())
    rows(made.library, f"INSERT INTO result_folders (path) VALUES ('{others}') RETURNING path")
    assert shown(own)
    plan = plan_forget(made.library.database, NAME, [], [])
    assert [Path(result.folder).name for result in plan.results] == ["own"]
    summary = forget(made.library.database, NAME, exports=True, work=Work(by=BY))
    assert summary.searched == [str(own)]
    assert [result.removed for result in summary.results] == [True]
    assert summary.proof.is_clean
    assert shown(own) == set()
    assert shown(others)


def test_a_dry_run_reports_exactly_what_is_erased(made: Made) -> None:
    before = shown(made.root), len(made.photos.store.load().faces), len(made.library.load().faces)
    plan = plan_forget(made.library.database, NAME, [made.photos.store], exports=True)
    assert before == (shown(made.root), len(made.photos.store.load().faces), len(made.library.load().faces))
    done = forgotten(made)
    figures = [
        (
            (each.faces, each.loose_faces, each.searched),
            [(cache.faces, cache.of_others, cache.names) for cache in each.caches],
            [(result.folder, result.groups, result.faces, result.files) for result in each.results],
        )
        for each in (plan, done)
    ]
    assert figures[0] == figures[1]
    assert plan.photos == plan.faces > 0


def test_the_results_inside_the_folder_of_a_run_are_searched_and_a_wrong_folder_is_reported(
    made: Made,
) -> None:
    run, nowhere = made.root / "run", made.root / "nowhere"
    shutil.copytree(made.root / "raw", run / "people")
    (run / RUN_RECORD).write_text("{}")
    plan = plan_forget(made.library.database, NAME, folders=[run, nowhere], exports=True)
    assert [(result.folder, result.faces > 0) for result in plan.results] == [(str(run / "people"), True)]
    assert plan.searched == [str(run / "people")]
    assert f"Manifest not found: {nowhere}" in plan.out_of_reach[0]
    forget(made.library.database, NAME, folders=[run], exports=True, work=Work(by=BY))
    assert shown(run) == set()


def test_means_of_sets_are_compared_with_the_persons_vectors(made: Made) -> None:
    export = made.root / "export"
    manifest = read_manifest(export / EXPORT_MANIFEST, ExportManifest)
    name = manifest.sets[0].name
    centroid = EarlierExport(export, manifest).sets.read(name).centroid
    alike, nothing = np.array([centroid], np.float32), np.zeros(1, np.int64)
    vectors = [
        FaceVectors(nothing, nothing, alike, 1, "recognizer"),
        # Of another recognizer, with shorter vectors.
        FaceVectors(nothing, nothing, alike[:, :4], 2, "recognizer"),
    ]
    assert near_sets(export, vectors) == [f"{export}/{name}"]
    assert near_sets(export, vectors[1:]) == []
    assert near_sets(made.root / "raw", vectors) == []


def test_no_file_of_the_results_shows_or_names_the_person_and_the_others_stay(made: Made) -> None:
    raw, results = made.root / "raw", [made.root / name for name in ("raw", "sets", "export")]
    others = {path for path in made.root.rglob("*.jpg") if "Ariel" in path.name or "Colin" in path.name}
    # Anything but a file of the folder is neither read nor followed.
    outside = made.root / "outside.json"
    outside.write_text(NAME)
    for name, target in (("nowhere.json", made.root / "nothing"), ("elsewhere.json", outside)):
        (raw / name).symlink_to(target)
    (raw / "folder.json").mkdir()
    os.mkfifo(raw / "pipe.json")
    summary = forgotten(made)
    assert summary.proof.is_clean, summary.proof
    assert not any(shown(folder) for folder in results)
    everything = [path for folder in results for path in folder.rglob("*")]
    assert not any(NAME in str(path.relative_to(made.root)) for path in everything)
    files = [path for path in everything if path.is_file() and not path.is_symlink()]
    assert [path for path in files if holds_name(path.read_bytes(), [NAME])] == []
    assert outside.read_text() == NAME
    assert others
    assert all(path.exists() for path in others)
    assert NAME.encode() not in made.photos.store.names_file.read_bytes()
    assert len(made.photos.store.load().faces) == len(rows(made.library, "SELECT FROM face_detections"))
    ids = set(made.photos.store.load().face_ids())
    for manifest in (made.root / "export").rglob("manifest.json"):
        assert set(re.findall(r"[0-9a-f]{64}#[0-9]+", manifest.read_text())) <= ids
    (both,) = raw.rglob("*two people*")
    assert both.parent.name in {group.name for group in read_manifest(raw, ClusterManifest).persons}
    both.parent.rename(raw / "Ariel")
    make_results(made.photos, made.root)
    assert (raw / "Ariel" / both.name).exists()
    assert (made.root / "sets" / "Ariel").is_dir()
    assert not (raw / NAME).exists()


@pytest.mark.parametrize("name", ["Max", "Ariel"])
def test_program_words_and_photo_names_do_not_count_as_the_person(made: Made, name: str) -> None:
    naming.rename(made.library.database, NAME, name, by=BY)
    summary = forgotten(made, name)
    assert summary.proof.is_clean, summary.proof
    raw = f"{made.root / 'raw'}: manifest.json"
    assert (raw in summary.proof.names_of_others) == (name == "Ariel")


def test_a_name_left_in_a_manifest_is_found_also_in_that_of_a_set(made: Made) -> None:
    forgotten(made)
    export = made.root / "export"
    assert names_in(export, [NAME], set()) == ([], [])
    manifest = next(iter(sorted(export.glob("faceset_*/manifest.json"))))
    manifest.write_text(manifest.read_text().replace('"name"', f'"called": "{NAME}", "name"', 1))
    place = str(manifest.relative_to(export))
    assert names_in(export, [NAME], set()) == ([place], [])
    (export / f"{NAME} junior").mkdir()
    assert names_in(export, [NAME], {f"{NAME} junior".casefold()}) == ([place], [f"{NAME} junior"])


@pytest.mark.parametrize("cut_off_at", ["cache", "library"])
def test_an_interrupted_erasing_is_completed_and_no_other_person_is_touched(
    made: Made, monkeypatch: pytest.MonkeyPatch, cut_off_at: str
) -> None:
    class CutOff(Exception):
        """In place of a kill."""

    def cut_off(*_: object, **__: object) -> None:
        raise CutOff

    (both,) = (p for p in (made.root / "raw").rglob("*two people*") if p.parent.name != NAME)
    of_library = [made.root / "raw"] if cut_off_at == "library" else []
    caches = [made.photos.store] if cut_off_at == "cache" else []
    before = len(made.library.load().faces)
    with monkeypatch.context() as patched, pytest.raises(CutOff):
        if cut_off_at == "cache":
            patched.setattr(type(made.photos.store), "drop_faces", cut_off)
        else:
            patched.setattr("facesets.operations.people.forgetting.forget.changing", cut_off)
        forget(made.library.database, NAME, caches, of_library, exports=True, work=Work(by=BY))
    assert both.exists()
    once = read_manifest(made.root / "raw", ClusterManifest)
    assert len(made.library.load().faces) == before
    summary = forget(made.library.database, NAME, caches, of_library, exports=True, work=Work(by=BY))
    assert summary.proof.is_clean
    assert both.exists()
    assert read_manifest(made.root / "raw", ClusterManifest) == once
    if caches:
        ids = set(made.photos.store.load().face_ids())
        assert {face.face for group in once.persons for face in group.faces} <= ids


def test_results_are_only_listed_unless_requested_and_corrections_of_others_hold(
    made: Made,
) -> None:
    raw = made.root / "raw"
    (photo,) = [path for path in raw.rglob("*two people*") if path.parent.name != NAME]
    elsewhere = next(raw / name for name in ("person_003", "person_004") if name != photo.parent.name)
    photo.rename(elsewhere / photo.name)
    make_results(made.photos, made.root)
    (reported,) = [each for each in read_manifest(raw, ClusterManifest).statements if each.kind == "is"]
    before, folders = shown(made.root), {"raw", "sets", "export"}
    plan = plan_forget(made.library.database, NAME, [made.photos.store], [])
    assert {Path(result.folder).name for result in plan.results} == folders
    summary = forgotten(made, exports=False)
    assert {Path(result.folder).name for result in summary.results} == folders
    assert not any(result.removed for result in summary.results)
    assert shown(made.root) == before
    assert any("unchanged without exports" in line for line in summary.out_of_reach)
    make_results(made.photos, made.root)
    now = read_manifest(raw, ClusterManifest)
    (still,) = [each for each in now.statements if each.kind == "is"]
    # The other one of the two is forgotten: of those that are left on the photo this is the first.
    assert (still.group, still.face) == (reported.group, f"{reported.face.partition('#')[0]}#0")
    assert (elsewhere / photo.name).exists()
    assert NAME not in {group.name for group in now.persons}
    ids = set(made.photos.store.load().face_ids())
    assert {face.face for face in every_face(now)} <= ids
