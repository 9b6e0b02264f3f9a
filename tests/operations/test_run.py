"""One command from photos to people: its results, repeated runs, and interruptions."""

import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest

from facesets.errors import CannotWrite, DamagedFile, MissingModelPack, SourceGone, WrongUsage
from facesets.file_records import FoundFile
from facesets.inference.local import LocalEmbedder
from facesets.interfaces import Embedder, Source
from facesets.operations.ingest.stages import Stage
from facesets.operations.options.start import ClusterOptions, EmbedOptions, RefineOptions
from facesets.operations.run import RunOptions, default_out, run
from facesets.operations.undo import known_runs, undo
from facesets.result import Result
from facesets.results.manifest import ClusterManifest, RefineManifest
from facesets.results.manifest_json import read_manifest
from facesets.results.ownership import ANNOUNCEMENT
from facesets.results.run_records import read_runs
from facesets.results.safe_folder import SafeFolder
from facesets.sources.folders import FolderSource
from facesets.store.npz.cache import Cache
from facesets.work import Work
from tests.fixtures.html import parsed
from tests.fixtures.kills import changes_of, in_a_child, moments
from tests.fixtures.photo_library import PEOPLE, Library
from tests.fixtures.photos import copy_photos

pytestmark = pytest.mark.slow

PLAIN = RunOptions(
    cluster=ClusterOptions(method="auto", sheet=False), refine=RefineOptions(sheet=False), workers=2
)


def no_models(_cache: Cache, _source: Source) -> tuple[Embedder, Sequence[Stage], EmbedOptions]:
    """Stand in for models; fail if anything is embedded."""
    raise AssertionError("models were loaded though there is nothing new")


def go(photos: Path, out: Path, embedder: LocalEmbedder | None, options: RunOptions = PLAIN) -> Result:
    def prepare(cache: Cache, source: Source) -> tuple[Embedder, Sequence[Stage], EmbedOptions]:
        return (embedder, (), EmbedOptions(workers=2)) if embedder else no_models(cache, source)

    return run(photos, out, options, prepare, work=Work())


def tree(root: Path) -> dict[str, bytes]:
    """Every file but the journals, which tell when something was done."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".facesets-journal" not in path.parts
    }


def times(root: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}


def linked(root: Path) -> Iterator[tuple[Path, Path]]:
    """Each page, and each file that it refers to."""
    for page in root.rglob("*.html"):
        for link in parsed(page.read_bytes()).links:
            if not link.startswith("#"):
                yield page, page.parent / os.fsdecode(unquote_to_bytes(link))


def people_of(out: Path) -> dict[str, set[str]]:
    manifest = read_manifest(out / "people" / "manifest.json", ClusterManifest)
    return {group.name: {face.face for face in group.faces} for group in manifest.persons}


@pytest.fixture
def embedded(library: Library, tmp_path: Path) -> Path:
    """Results so far: the photos are embedded, and that is all."""
    out = tmp_path / "out"
    out.mkdir()
    record = f'{{"format": "facesets/run", "version": 1, "photos": ["{library.photos}"]}}\n'
    (out / "facesets-run.json").write_text(record)
    shutil.copy2(library.cache, out / "faces.npz")
    return out


def test_photos_become_people_sets_and_pages(
    library: Library, tmp_path: Path, embedder: LocalEmbedder
) -> None:
    photos, out = library.photos, tmp_path / "out"
    before = tree(photos)
    options = replace(PLAIN, cluster=ClusterOptions(method="auto"), refine=RefineOptions())
    summary = go(photos, out, embedder, options)
    assert (summary.failed, summary.stopped) == (0, False)
    assert summary.persons >= len(PEOPLE) <= summary.facesets
    assert summary.images == len(set(before.values()))
    assert Path(summary.index) == out / "index.html"
    assert (out / "people" / "contact_sheet.png").is_file()
    assert Path(summary.sheet) == out / "people" / "contact_sheet.png"
    for folder in ("person_001", "_noface"):
        assert any((out / "people" / folder).iterdir())
    assert read_manifest(out / "facesets", RefineManifest).made.options["min_faces"] == 3
    missing = [target for _, target in linked(out) if not target.exists()]
    assert not missing
    start = parsed((out / "index.html").read_bytes())
    assert len(start.pictures) == summary.persons
    assert "nobody.png" in (out / "pages" / "no-face.html").read_text()
    assert tree(photos) == before


def test_photos_are_listed_once_and_those_that_left_are_counted(
    lfw_photos: list[Path], embedder: LocalEmbedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: list[Path] = []
    files = FolderSource.files

    def counting(source: FolderSource) -> Iterator[FoundFile]:
        listed.append(tmp_path)
        yield from files(source)

    monkeypatch.setattr(FolderSource, "files", counting)
    photos, out = copy_photos(lfw_photos[:3], tmp_path / "photos"), tmp_path / "out"
    assert go(photos, out, embedder).gone == 0
    assert len(listed) == 1
    first, second, _ = sorted(photos.iterdir())
    first.rename(photos / "called otherwise.jpg")
    second.unlink()
    summary = go(photos, out, embedder)
    assert (summary.gone, summary.images) == (1, 3)
    shutil.rmtree(out / "people")
    shutil.rmtree(out / "facesets")
    summary = go(photos, out, None)
    assert (summary.gone, summary.images) == (0, 2)


def test_newly_excluded_photos_are_not_new(library: Library, embedded: Path) -> None:
    go(library.photos, embedded, None, replace(PLAIN, exclude=("*.png",)))
    assert go(library.photos, embedded, None, replace(PLAIN, include=("*.png",))).to_do == 0


def require_alike(one: Path, other: Path) -> None:
    """Check that two results differ only in their place."""
    ours, theirs = tree(one), tree(other)
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert ours[name].replace(bytes(one), b"OUT") == theirs[name].replace(bytes(other), b"OUT"), name


@pytest.mark.soak
def test_a_killed_run_ends_like_an_undisturbed_one(library: Library, embedded: Path, tmp_path: Path) -> None:
    calm = shutil.copytree(embedded, tmp_path / "calm" / "out")
    changes = changes_of(lambda: go(library.photos, calm, None))
    assert changes > 100
    for kill_at in moments(changes, 4):
        out = shutil.copytree(embedded, tmp_path / str(kill_at) / "out")
        assert in_a_child(lambda out=out: go(library.photos, out, None), kill_at)  # type: ignore[misc]
        go(library.photos, out, None)
        require_alike(out, calm)


@pytest.mark.parametrize(("folder", "is_withdrawn"), [("people", False), ("facesets", True)])
def test_a_run_killed_before_its_journal_is_removed_ends_like_an_undisturbed_one(
    library: Library,
    embedded: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    folder: str,
    is_withdrawn: bool,
) -> None:
    calm, out = (shutil.copytree(embedded, tmp_path / name / "out") for name in ("calm", "killed"))
    go(library.photos, calm, None)
    remove = SafeFolder.remove

    def kill(self: SafeFolder, name: str) -> None:
        is_last = name == ANNOUNCEMENT and self.root.name == folder
        if is_last and not is_withdrawn:
            os.kill(os.getpid(), signal.SIGKILL)
        remove(self, name)
        if is_last:
            os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patched:
        patched.setattr(SafeFolder, "remove", kill)
        assert in_a_child(lambda: go(library.photos, out, None), 0)
    go(library.photos, out, None)
    require_alike(out, calm)
    assert [[run.name for run in read_runs(out / name)] for name in ("people", "facesets")] == [
        [run.name for run in read_runs(calm / name)] for name in ("people", "facesets")
    ]


def test_new_photos_join_existing_people_and_names_stay(
    library: Library, tmp_path: Path, embedder: LocalEmbedder, lfw_dir: Path
) -> None:
    album = sorted(library.photos.glob("*Hugo*.jpg"))[:8] + sorted(library.photos.glob("*Sharon*.jpg"))[:5]
    photos, out = copy_photos(album, tmp_path / "album"), tmp_path / "out"
    go(photos, out, embedder)
    first = people_of(out)
    (out / "people" / "person_001").rename(out / "people" / 'Hugo & "Co" #1')
    for photo in sorted((lfw_dir / "Hugo_Chavez").glob("*.jpg"))[12:15]:
        shutil.copy2(photo, photos)
    for photo in sorted((lfw_dir / "Celine_Dion").glob("*.jpg"))[:3]:
        shutil.copy2(photo, photos)
    summary = go(photos, out, embedder)
    now = people_of(out)
    assert now["person_002"] == first["person_002"]
    assert now['Hugo & "Co" #1'] > first["person_001"]
    assert len(now['Hugo & "Co" #1']) == len(first["person_001"]) + 3
    assert "person_003" in now
    assert "person_001" not in now
    assert (summary.new_images, summary.joined >= 3) == (6, True)
    assert 'Hugo & "Co" #1' in parsed((out / "index.html").read_bytes()).text
    assert not [target for _, target in linked(out) if not target.exists()]
    assert not list((out / "pages" / "person").glob("person_001*"))


def test_results_among_the_photos_are_no_photos_and_photos_beside_them_are(
    library: Library, tmp_path: Path, embedder: LocalEmbedder
) -> None:
    out = tmp_path / "trip"
    photos = copy_photos(sorted(library.photos.glob("*Hugo*.jpg"))[:3], out / "photos")
    for place in (photos / "sorted", out):
        assert go(photos, place, embedder).images == 3
        assert go(photos, place, None).to_do == 0
    for results in (out / "people", out):
        with pytest.raises(WrongUsage, match="is a result folder"):
            go(results, tmp_path / "other", None)
    with pytest.raises(WrongUsage, match="is inside the result folder of another run"):
        go(photos, out / "people" / "again", None)


def test_a_folder_of_the_user_is_never_taken_for_results(library: Library, tmp_path: Path) -> None:
    photos = copy_photos(sorted(library.photos.glob("*Hugo*.jpg"))[:2], tmp_path / "album")
    with pytest.raises(WrongUsage, match="is the photo folder"):
        go(photos, photos, None)
    inside = copy_photos(sorted(library.photos.glob("*Hugo*.jpg"))[:1], photos / "2019")
    with pytest.raises(WrongUsage, match="already contains"):
        go(photos, inside, None)
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "index.html").write_text("mine")
    with pytest.raises(WrongUsage, match="already contains"):
        go(photos, taken, None)
    assert [path.name for path in taken.iterdir()] == ["index.html"]


def test_a_later_page_of_the_user_stays(library: Library, embedded: Path) -> None:
    (embedded / "index.html").write_text("mine")
    with pytest.raises(CannotWrite, match="not written by facesets"):
        go(library.photos, embedded, None)
    assert (embedded / "index.html").read_text() == "mine"


@pytest.mark.parametrize(
    "links", [("thumbnails",), (*(f"thumbnails/{digit:02x}" for digit in range(256)), "thumbnails/.new")]
)
def test_nothing_behind_a_link_is_put_replaced_or_removed(
    library: Library, embedded: Path, tmp_path: Path, links: tuple[str, ...]
) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "ab").mkdir(parents=True)
    (elsewhere / "ab" / "mine.jpg").write_bytes(b"mine")
    for link in links:
        (embedded / "pages" / link).parent.mkdir(parents=True, exist_ok=True)
        (embedded / "pages" / link).symlink_to(elsewhere)
    with pytest.raises(CannotWrite, match=r"not ours|thumbnails"):
        go(library.photos, embedded, None)
    assert tree(elsewhere) == {"ab/mine.jpg": b"mine"}


@pytest.mark.parametrize("name", ["person/person_999.html", "thumbnails/ab/old.jpg"])
def test_a_page_that_cannot_be_removed_is_named(
    library: Library, embedded: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    leftover = embedded / "pages" / name
    leftover.parent.mkdir(parents=True)
    leftover.write_text("<!doctype html>\n<!-- made by facesets -->\n")
    remove = os.unlink

    def refuse(path: str | Path, *, dir_fd: int | None = None) -> None:
        if Path(path).name == leftover.name:
            raise PermissionError(13, "Permission denied")
        remove(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(CannotWrite, match="pages"):
        go(library.photos, embedded, None)


def test_without_copies_pages_lead_to_the_photos_themselves(library: Library, embedded: Path) -> None:
    bare = replace(
        PLAIN,
        cluster=replace(PLAIN.cluster, materialize="none"),
        refine=replace(PLAIN.refine, materialize="none"),
    )
    go(library.photos, embedded, None, bare)
    targets = [target for _, target in linked(embedded)]
    assert not [target for target in targets if not target.exists()]
    assert any(target.resolve().is_relative_to(library.photos) for target in targets)


def test_a_dry_run_and_one_without_models_or_photos_leave_nothing(library: Library, tmp_path: Path) -> None:
    out = tmp_path / "out"
    summary = go(library.photos, out, None, replace(PLAIN, dry_run=True))
    assert summary.to_do == sum(path.suffix in (".jpg", ".png") for path in library.photos.rglob("*"))

    def refuse(_cache: Cache, _source: Source) -> tuple[Embedder, Sequence[Stage], EmbedOptions]:
        raise MissingModelPack("The user wants no other.")

    with pytest.raises(MissingModelPack):
        run(library.photos, out, PLAIN, refuse, work=Work())
    (tmp_path / "empty").mkdir()
    with pytest.raises(WrongUsage, match="No photos"):
        go(tmp_path / "empty", out, None)
    with pytest.raises(SourceGone):
        go(tmp_path / "typo", out, None)
    assert not out.exists()


def test_photos_that_were_moved_name_the_command_that_follows_them(embedded: Path, tmp_path: Path) -> None:
    moved, cache = tmp_path / "my photos", Cache(embedded / "faces.npz")
    known = {path: str(moved / Path(path).name) for path in cache.files()}
    cache.relocate_paths(os.path.commonpath(known), str(moved), known)
    with pytest.raises(SourceGone, match=f"`relocate '{moved}' NEW {embedded}/faces.npz`"):
        go(moved, embedded, None)
    moved.mkdir()
    with pytest.raises(SourceGone, match=f"No photos found in {moved}, which held {len(known)} photos. If"):
        go(moved, embedded, None)


def test_a_damaged_cache_of_a_run_names_the_run(embedded: Path, tmp_path: Path) -> None:
    out = embedded.rename(tmp_path / "her people")
    (out / "faces.npz").write_bytes(b"PK")
    with pytest.raises(DamagedFile, match=f"move it away and run `run PHOTOS '{out}'` again"):
        go(tmp_path, out, None)


def test_a_file_that_cannot_be_read_is_shown_and_affects_no_other(
    library: Library, tmp_path: Path, embedder: LocalEmbedder
) -> None:
    photos = copy_photos(sorted(library.photos.glob("*Hugo*.jpg"))[:2], tmp_path / "album")
    (photos / os.fsdecode(b"br\xe9ken #1?.jpg")).write_bytes(b"no picture")
    shutil.copy2(library.photos / "nobody.png", photos / os.fsdecode(b"no\xffbody #2?.png"))
    out = tmp_path / "out"
    summary = go(photos, out, embedder)
    assert (summary.failed, summary.unreadable, summary.images) == (1, 1, 3)
    assert "br\\udce9ken #1?.jpg" in parsed((out / "pages" / "failed.html").read_bytes()).text
    assert not [target for _, target in linked(out) if not target.exists()]
    assert go(photos, out, None).failed == 0
    shutil.copy2(max(library.photos.glob("*Hugo*.jpg")), photos / "later.jpg")
    again = go(photos, out, embedder)
    assert (again.failed, again.failures, again.unreadable, again.new_images) == (0, [], 1, 1)


def test_photos_without_faces_have_pages_too(
    library: Library, tmp_path: Path, embedder: LocalEmbedder
) -> None:
    photos = copy_photos([library.photos / "nobody.png"], tmp_path / "album")
    summary = go(photos, tmp_path / "out", embedder)
    assert (summary.persons, summary.no_face, summary.facesets) == (0, 1, 0)
    assert (tmp_path / "out" / "pages" / "no-face.html").is_file()


def test_results_go_here_and_never_among_the_photos() -> None:
    here = Path("/home/ann/work")
    assert default_out(Path("/home/ann/Pictures"), here) == here / "facesets-out"
    assert default_out(here, here) == here.parent / "facesets-out"
    assert default_out(here.parent, here) == Path("/home/facesets-out")
    assert default_out(here / "trip" / "..", here) == here.parent / "facesets-out"


@pytest.mark.parametrize("named", ["people/person_001", "facesets/faceset_001"])
def test_a_name_given_in_one_folder_is_everywhere_after_one_run_and_the_next_changes_no_byte(
    library: Library, embedded: Path, named: str
) -> None:
    go(library.photos, embedded, None)
    (embedded / named).rename((embedded / named).with_name("Anna"))
    assert len(go(library.photos, embedded, None).learned) == 2
    assert "Anna" in people_of(embedded)
    assert "Anna" in {group.name for group in read_manifest(embedded / "facesets", RefineManifest).facesets}
    assert not (embedded / named).exists()
    assert "Anna" in parsed((embedded / "index.html").read_bytes()).text
    assert not [target for _, target in linked(embedded) if not target.exists()]
    before, when = tree(embedded), times(embedded)
    again = go(library.photos, embedded, None)
    assert (again.learned, again.to_do, again.new_images, again.joined) == ([], 0, 0, 0)
    assert (tree(embedded), times(embedded)) == (before, when)


def test_runs_are_listed_and_undone_by_the_folder_of_all_results(library: Library, embedded: Path) -> None:
    go(library.photos, embedded, None)
    sets, first = tree(embedded / "facesets"), ["facesets/0001-refine", "people/0001-cluster"]
    (embedded / "people" / "person_001").rename(embedded / "people" / "Anna")
    renamed = tree(embedded / "people")
    go(library.photos, embedded, None)
    assert [run.run for run in known_runs(embedded).runs] == ["people/0002-extend", *first]
    assert tree(embedded / "facesets") != sets
    with pytest.raises(WrongUsage, match="several runs 1 "):
        undo(embedded, "1")
    undo(embedded, "2")
    assert (tree(embedded / "people"), tree(embedded / "facesets")) == (renamed, sets)
    assert [run.run for run in known_runs(embedded).runs] == first
    with pytest.raises(WrongUsage, match="no run 0002-extend "):
        undo(embedded, "0002-extend")


def test_a_lost_cache_is_made_again_and_names_stay(
    library: Library, embedded: Path, embedder: LocalEmbedder
) -> None:
    go(library.photos, embedded, None)
    (embedded / "people" / "person_001").rename(embedded / "people" / "Anna")
    go(library.photos, embedded, None)
    before = people_of(embedded)
    assert "Anna" in before
    moved = embedded.with_name("moved")
    embedded.rename(moved)
    (moved / "faces.npz").unlink()
    go(library.photos, moved, embedder)
    assert people_of(moved) == before
