"""People in folders, by each method."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from tests.fixtures import program
from tests.fixtures.photo_library import PEOPLE, Library
from tests.fixtures.trees import files_in
from tests.fixtures.vectors import People

from facesets.clustering import evaluate
from facesets.errors import CannotWrite, WrongUsage
from facesets.operations.grouping import cluster as grouping
from facesets.operations.grouping.cluster import cluster, group_faces
from facesets.operations.grouping.refine import refine
from facesets.operations.options.grouping import Method
from facesets.operations.options.start import ClusterOptions, RefineOptions
from facesets.result import Result
from facesets.results.edits.group_marks import mark_of
from facesets.results.manifest import ClusterManifest
from facesets.results.manifest_json import read_manifest
from facesets.work import SilentProgress, Stop, Work


def run(library: Library, out: Path, options: ClusterOptions | None = None) -> Result:
    return cluster(library.store, out, options or ClusterOptions(), work=Work())


@contextmanager
def without(photo: Path, hidden: Path) -> Iterator[None]:
    photo.rename(hidden)
    try:
        yield
    finally:
        hidden.rename(photo)


@pytest.fixture(scope="module")
def raw(pristine: Library, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library's people in folders, which no test changes."""
    out = tmp_path_factory.mktemp("clustered") / "raw"
    run(pristine, out)
    return out


@pytest.fixture(scope="module")
def folders(raw: Path) -> dict[str, set[str]]:
    """Names of the photos in each folder."""
    found = [folder for folder in raw.glob("[!.]*") if folder.is_dir()]
    return {folder.name: {photo.name for photo in folder.glob("[!.]*")} for folder in found}


def test_every_person_has_a_folder_and_the_largest_comes_first(
    raw: Path, folders: dict[str, set[str]]
) -> None:
    photos = [folders[f"person_{n:03d}"] for n in range(1, len(PEOPLE) + 1)]
    owners = [{person for person in PEOPLE if any(person in photo for photo in of)} for of in photos]
    assert sorted(owners, key=min) == [{person} for person in sorted(PEOPLE)]
    sizes = [len(person.faces) for person in read_manifest(raw, ClusterManifest).persons]
    assert sizes == sorted(sizes, reverse=True)
    assert min(sizes) >= 2


def test_a_photo_of_two_people_is_in_both_folders_and_every_alias_is_there(
    folders: dict[str, set[str]],
) -> None:
    holding = [f for f, files in folders.items() if any(n.endswith("+two people.png") for n in files)]
    assert len(holding) == 2
    with_alias = [files for files in folders.values() if any("the same bytes" in n for n in files)]
    assert all(any(n.endswith("Hugo_Chavez_0001.jpg") for n in files) for files in with_alias)
    assert [n.rpartition("+")[2] for n in folders["_noface"]] == ["nobody.png"]


def test_the_manifest_accounts_for_every_face_and_every_file(pristine: Library, raw: Path) -> None:
    manifest = read_manifest(raw / "manifest.json", ClusterManifest)
    faces = [face.face for person in manifest.persons for face in person.faces]
    faces += [face.face for face in manifest.singletons]
    assert sorted(faces) == sorted(pristine.store.load().face_ids())
    lying_there = {str(path.relative_to(raw)) for path in files_in(raw)}
    marks = map(mark_of, manifest.marks)
    assert lying_there == {*manifest.files, *manifest.sheets, *marks, "manifest.json"}
    assert manifest.made.options["method"] == "auto"
    assert manifest.made.models == pristine.store.load().settings


@pytest.mark.slow
def test_an_image_fails_only_when_none_of_its_paths_can_be_read(library: Library, tmp_path: Path) -> None:
    first, alias = library.photos / "Hugo_Chavez_0001.jpg", library.photos / "album" / "the same bytes.jpg"
    out = tmp_path / "raw"
    with without(first, tmp_path / "first"):
        summary = run(library, out)
        manifest = read_manifest(out, ClusterManifest)
        assert (summary.failed, manifest.failed) == (0, ())
        assert [failure.path for failure in manifest.missing] == [str(first)]
        assert str(alias) in {placed.source for placed in manifest.files.values()}
        assert run(library, out).failed == 0
        with without(alias, tmp_path / "alias"):
            assert {failure.path for failure in run(library, out).failures} == {str(first), str(alias)}
    again = run(library, out)
    assert (again.failed, read_manifest(out, ClusterManifest).missing) == (0, ())


def test_running_again_changes_no_byte(library: Library, tmp_path: Path) -> None:
    out = tmp_path / "raw"
    run(library, out)
    before = {p: (p.stat().st_ino, p.read_bytes()) for p in files_in(out) if p.name != "manifest.json"}
    manifest = (out / "manifest.json").read_bytes()
    again = run(library, out)
    assert (again.copied, again.removed) == (0, 0)
    assert {p: (p.stat().st_ino, p.read_bytes()) for p in before} == before
    assert (out / "manifest.json").read_bytes() == manifest


class Stopped(SilentProgress):
    """Requests a stop when a stage begins, and records the stages."""

    def __init__(self) -> None:
        self.stop = Stop()
        self.stages: list[str] = []

    def begin(self, what: str, total: int | None = None, *, in_bytes: bool = False) -> None:
        super().begin(what, total, in_bytes=in_bytes)
        self.stages.append(what)
        self.stop.request()


@pytest.mark.parametrize("method", ["auto", "hdbscan"])
def test_a_run_stopped_while_grouping_ends_at_once_and_writes_nothing(
    library: Library, tmp_path: Path, method: Method
) -> None:
    asked = Stopped()
    summary = cluster(
        library.store,
        tmp_path / "raw",
        ClusterOptions(method=method),
        work=Work(progress=asked, stop=asked.stop),
    )
    assert (summary.stopped, summary.persons) == (True, 0)
    assert asked.stages == [f"Clustering {summary.faces} faces"]
    assert not (tmp_path / "raw").exists()


@pytest.mark.parametrize(
    ("options", "keys"),
    [
        (ClusterOptions(method="agglomerative", threshold=None), {"threshold", "same_image_ok"}),
        (
            ClusterOptions(method="auto"),
            {"core_cosine_similarity", "link_cosine_similarity", "same_image_ok"},
        ),
        (ClusterOptions(method="components"), {"min_cosine_similarity", "same_image_ok"}),
        (ClusterOptions(method="dbscan"), {"eps", "min_samples", "same_image_ok"}),
        (ClusterOptions(method="hdbscan"), {"min_cluster_size", "min_samples", "same_image_ok"}),
    ],
)
def test_the_manifest_records_the_values_that_were_used_and_why(
    library: Library, tmp_path: Path, options: ClusterOptions, keys: set[str]
) -> None:
    summary = run(library, tmp_path / "raw", replace(options, materialize="none", sheet=False))
    manifest = read_manifest(tmp_path / "raw", ClusterManifest)
    assert manifest.made.options.keys() == {"method", "materialize"} | keys
    assert None not in manifest.made.options.values()
    assert list(manifest.reasons) == summary.reasons
    assert bool(manifest.reasons) == (options.threshold is None or options.method == "auto")
    if options.threshold is None:
        again = replace(options, threshold=manifest.made.options["threshold"], sheet=False)
        run(library, tmp_path / "again", replace(again, materialize="none"))
        assert read_manifest(tmp_path / "again", ClusterManifest).persons == manifest.persons


@pytest.mark.parametrize("method", get_args(Method))
def test_two_faces_of_one_photo_are_two_people_unless_that_is_allowed(method: Method) -> None:
    rng = np.random.default_rng(0)
    person = np.repeat(rng.standard_normal((3, 4096)), 12, axis=0)
    # A stranger resembles the faces of a person by 0.475, below what one person's faces share.
    spread = np.r_[1.5, np.full(35, 0.6)][:, None]
    faces = person + spread * rng.standard_normal((36, 4096))
    unit = (faces / np.linalg.norm(faces, axis=1, keepdims=True)).astype(np.float32)
    image = np.r_[0, 0, np.arange(1, 35)]
    options = ClusterOptions(method=method, min_cosine_similarity=0.4, min_cluster_size=3)
    labels = group_faces(unit, image, options).labels
    assert labels[0] != labels[1] or labels[0] < 0
    together = group_faces(unit, image, replace(options, same_image_ok=True)).labels
    assert together[0] == together[1] >= 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "again",
    [ClusterOptions(), ClusterOptions(method="agglomerative", threshold=0.99), ClusterOptions(sheet=False)],
)
def test_a_dry_run_writes_nothing_and_counts_what_the_run_writes_and_removes(
    library: Library, tmp_path: Path, again: ClusterOptions
) -> None:
    out = tmp_path / "raw"
    planned = run(library, out, ClusterOptions(dry_run=True))
    assert not out.exists()
    assert planned.copied == run(library, out).copied == len(read_manifest(out, ClusterManifest).files)
    planned = run(library, out, replace(again, dry_run=True))
    done = run(library, out, again)
    assert (planned.copied, planned.unchanged, planned.removed) == (done.copied, done.unchanged, done.removed)
    assert (done.removed > 0) == (again != ClusterOptions())


def test_a_request_to_stop_leaves_a_folder_that_the_next_run_completes(
    library: Library, tmp_path: Path
) -> None:
    stop = Stop()
    stop.request()
    out = tmp_path / "raw"
    summary = cluster(library.store, out, ClusterOptions(), work=Work(stop=stop))
    assert summary.stopped
    assert not (out / "manifest.json").exists()
    assert not run(library, out).stopped
    assert (out / "manifest.json").exists()


def test_a_folder_of_another_command_is_refused(library: Library, tmp_path: Path) -> None:
    refine(library.store, tmp_path / "fs", RefineOptions(sheet=False), work=Work())
    (tmp_path / "fs" / "refine_manifest.json").rename(tmp_path / "fs" / "manifest.json")
    with pytest.raises(WrongUsage, match="another command"):
        run(library, tmp_path / "fs")


def test_results_among_the_photos_are_refused_in_any_spelling(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("link").symlink_to(library.photos)
    for out in (library.photos, Path(os.path.relpath(library.photos)), Path("link")):
        with pytest.raises(WrongUsage, match="contains photos of the cache"):
            run(library, out, ClusterOptions(dry_run=True))


def test_a_sheet_of_the_user_is_refused_before_anything_is_written(library: Library, tmp_path: Path) -> None:
    out = tmp_path / "raw"
    out.mkdir()
    (out / "contact_sheet.png").write_bytes(b"mine")
    with pytest.raises(CannotWrite, match="not written by facesets"):
        run(library, out)
    assert [p.name for p in out.iterdir()] == ["contact_sheet.png"]
    assert run(library, out, ClusterOptions(sheet=False)).copied


@pytest.mark.parametrize("wrong", [{"threshold": 3}, {"min_cluster_size": 1}, {"min_cosine_similarity": 2}])
def test_options_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(WrongUsage, match="must be"):
        ClusterOptions(**wrong)  # type: ignore[arg-type]


def test_an_interrupted_grouping_reports_the_state_of_the_folder(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "raw"

    def interrupted(*asked: Any, **how: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return group_faces(*asked, **how)

    def reasons() -> list[str]:
        monkeypatch.setattr(grouping, "group_faces", interrupted)
        done = program.run("cluster", library.cache, out)
        monkeypatch.undo()
        assert done.status == 128 + signal.SIGINT
        return done.out.splitlines()

    again = "Stopped early. Run the same command again to resume."
    collection = library.store.load()
    what = f"Interrupted while grouping {len(collection.faces)} faces in {len(collection.images)} photos."
    assert reasons() == [f"{what} Nothing was written to {out}.", again]
    assert not any(out.glob("person_*"))
    run(library, out)
    before = {path: path.stat().st_mtime_ns for path in files_in(out)}
    assert reasons() == [f"{what} Nothing was changed in {out}.", again]
    assert {path: path.stat().st_mtime_ns for path in files_in(out)} == before


Vectors = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def some_people(real_people: People) -> Vectors:
    """Vectors of people with several photos each."""
    names, counts = np.unique(real_people.name, return_counts=True)
    chosen = np.isin(real_people.name, names[counts >= 5][:60])
    return real_people.embedding[chosen], real_people.name[chosen]


@pytest.mark.parametrize(
    ("method", "least_f1"),
    [("agglomerative", 0.98), ("components", 0.8), ("hdbscan", 0.9), ("dbscan", 0.98), ("auto", 0.99)],
)
def test_every_method_finds_the_people(some_people: Vectors, method: Method, least_f1: float) -> None:
    vectors, names = some_people
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    grouping = group_faces(unit, np.arange(len(unit)), ClusterOptions(method=method))
    assert evaluate(grouping.labels, names).pairwise_f1 > least_f1


def test_a_measured_threshold_is_reported(some_people: Vectors) -> None:
    vectors, names = some_people
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    grouping = group_faces(unit, np.arange(len(unit)), ClusterOptions(method="agglomerative", threshold=None))
    assert "cosine distance of" in grouping.reasons[0]
    assert evaluate(grouping.labels, names).pairwise_f1 > 0.98


@pytest.mark.slow
@pytest.mark.usefixtures("insightface_pack")
def test_the_command_prints_the_measured_threshold_and_refuses_invalid_ones(
    pack_dir: Path, lfw_dir: Path, tmp_path: Path
) -> None:
    cache, raw = tmp_path / "c.npz", tmp_path / "raw"
    program.run("embed", lfw_dir / "Andre_Agassi", cache, "--pack", pack_dir)
    report = json.loads(program.run("cluster", cache, raw, "--method", "auto", "--json", "--no-sheet").out)
    assert report["persons"] >= 1
    assert any("similar" in reason for reason in report["reasons"])
    measured = program.run("cluster", cache, raw, "--threshold", "auto", "--dry-run", "-v")
    assert "measured for w600k_mbf on news photos: too few people" in measured.err
    refused = program.run("cluster", cache, raw, "--threshold", "much")
    assert (refused.status, "neither a number nor auto" in refused.err) == (2, True)
