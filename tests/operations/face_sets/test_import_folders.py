import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.fixtures.photos import copy_photos, wide_picture
from tests.fixtures.program import run as run_program
from tests.fixtures.trees import contents, files_in

from facesets.errors import RecognizerMismatch, WrongUsage
from facesets.formats.bundle import read_bundle
from facesets.inference.local import LocalEmbedder
from facesets.interfaces import Embedder
from facesets.operations.face_sets.folder_labels import SortedFolders
from facesets.operations.face_sets.import_folders import import_folders
from facesets.operations.ingest.embed import embed
from facesets.operations.options.declaration import for_recognizer
from facesets.operations.options.results import ExportSwapOptions, ImportFoldersOptions
from facesets.operations.options.start import EmbedOptions
from facesets.records import CacheSettings
from facesets.result import Result
from facesets.results.export_manifest import ExportManifest, SetManifest
from facesets.results.manifest_json import read_manifest
from facesets.sources.folders import FolderSource
from facesets.store.npz.cache import Cache
from facesets.work import Work

pytestmark = pytest.mark.slow

TASTE = ExportSwapOptions(min_face_short=60, top_n=4, out_size=128, sheet=False)
HUGO, ARIEL = "Hugo Chávez", "ariel: *sharon*"


@dataclass(frozen=True)
class Sorted:
    """Sorted photos, and the cache that they are embedded in."""

    root: Path
    store: Cache

    @property
    def folders(self) -> SortedFolders:
        return SortedFolders(each_in=(self.root / "people",), mixed=(self.root / "party",))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory, lfw_dir: Path, embedder: LocalEmbedder) -> Sorted:
    root = tmp_path_factory.mktemp("sorted")
    hugo, ariel = (sorted((lfw_dir / name).glob("*.jpg")) for name in ("Hugo_Chavez", "Ariel_Sharon"))
    bob = sorted((lfw_dir / "Bob_Hope").glob("*.jpg"))
    copy_photos([*hugo[:7], *bob[:2]], root / "people" / HUGO)
    copy_photos(ariel[:7], root / "people" / ARIEL)
    wide_picture([hugo[8], bob[2]], 600, 300).save(root / "people" / HUGO / "with a friend.png")
    (root / "party").mkdir()
    wide_picture([hugo[7], ariel[7]], 600, 300).save(root / "party" / "both.png")
    shutil.copy2(hugo[9], root / "party")
    shutil.copy2(ariel[9], root / "nobody asked.jpg")
    store = Cache(root / "faces.npz")
    store.require(embedder.settings)
    with store.writing(embedder.settings):
        embed(FolderSource(root), store, embedder, EmbedOptions(), work=Work())
    return Sorted(root, store)


Run = Callable[..., Result]


@pytest.fixture(scope="module")
def run(photos: Sorted, checker: Embedder) -> Run:
    def run(out: Path, folders: SortedFolders | None = None, export: ExportSwapOptions = TASTE) -> Result:
        return import_folders(
            photos.store, folders or photos.folders, out, checker, ImportFoldersOptions(), export, work=Work()
        )

    return run


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory, run: Run) -> Path:
    """An export that no test changes."""
    out = tmp_path_factory.mktemp("export") / "swap"
    run(out)
    return out


@pytest.fixture
def out(tmp_path: Path, imported: Path) -> Path:
    """A copy of it, for one test."""
    return shutil.copytree(imported, tmp_path / "swap")


def sources(out: Path, name: str) -> list[str]:
    return sorted(Path(item.face.paths[0]).name for item in read_manifest(out / name, SetManifest).faces)


@pytest.mark.usefixtures("real_lfw")  # only real people show that a misfiled photo is noticed
def test_each_folder_becomes_a_set_of_its_person_alone(imported: Path) -> None:
    export = read_manifest(imported, ExportManifest)
    safe = "ariel%3A %2Asharon%2A"
    assert {(entry.name, entry.kind) for entry in export.sets} == {(HUGO, "imported"), (safe, "imported")}
    assert all(name.startswith(("Hugo", "with a", "both")) for name in sources(imported, HUGO))
    assert {"both.png", "with a friend.png"} < set(sources(imported, HUGO))
    assert "both.png" in sources(imported, safe)
    assert "nobody asked.jpg" not in sources(imported, safe)


def test_a_set_has_the_name_of_its_folder_and_records_its_source(imported: Path, photos: Sorted) -> None:
    folder = imported / HUGO
    assert {path.name for path in folder.iterdir() if path.suffix != ".png"} == {
        f"{HUGO}.txt",
        f"{HUGO}_top4.fsz",
        f"{HUGO}_all.fsz",
        "manifest.json",
    }
    assert str(photos.root / "people" / HUGO) in (folder / f"{HUGO}.txt").read_text("utf-8")
    pictures, problems = read_bundle(folder / f"{HUGO}_all.fsz")
    assert (len(pictures), problems) == (len(sources(imported, HUGO)), [])


def test_a_dry_run_shows_what_a_run_does_and_writes_nothing(tmp_path: Path, run: Run) -> None:
    out = tmp_path / "swap"
    reported = run(out, export=replace(TASTE, dry_run=True))
    assert not out.exists()
    done = run(out)
    assert reported.people == done.people
    assert {person.state for person in done.people} == {"new"}


def test_a_taken_name_gets_a_number_and_other_sets_stay_unchanged(
    out: Path, run: Run, photos: Sorted
) -> None:
    before = {path: (path.read_bytes(), path.stat().st_ino) for path in files_in(out) if path.parent != out}
    other = SortedFolders(people=((HUGO.upper(), photos.root / "people" / ARIEL),))
    for state in ("new", "unchanged"):
        (person,) = run(out, other).people
        assert (person.set, person.state) == (f"{HUGO.upper()}_2", state)
    assert (out / f"{HUGO.upper()}_2" / f"{HUGO.upper()}.txt").is_file()
    assert {path: (path.read_bytes(), path.stat().st_ino) for path in before} == before
    assert len(read_manifest(out, ExportManifest).sets) == 3


def test_a_folder_that_grew_changes_its_set_in_place(
    out: Path, imported: Path, run: Run, photos: Sorted
) -> None:
    without_party = SortedFolders(each_in=photos.folders.each_in)
    people = {person.label: person for person in run(out, without_party).people}
    assert {person.state for person in people.values()} == {"changed"}
    assert "both.png" not in sources(out, HUGO)
    run(out)
    assert contents(out) == contents(imported)


def test_a_deleted_set_is_made_again_on_request_and_reported(out: Path, imported: Path, run: Run) -> None:
    shutil.rmtree(out / HUGO)
    summary = run(out)
    assert summary.export.learned == [f"{HUGO} was deleted: it is exported again, as requested."]
    assert contents(out / HUGO) == contents(imported / HUGO)
    assert run(out).export.learned == []


def test_no_folder_is_wrong_usage_and_writes_nothing(tmp_path: Path, run: Run) -> None:
    out = tmp_path / "swap"
    with pytest.raises(WrongUsage, match="No folders given"):
        run(out, SortedFolders(mixed=(tmp_path,)))
    with pytest.raises(WrongUsage, match="embed it first"):
        run(out, SortedFolders(people=(("x", tmp_path),)))
    assert not out.exists()


def test_faces_of_another_recognizer_are_refused(photos: Sorted, checker: Embedder, tmp_path: Path) -> None:
    class Other:
        settings: CacheSettings = replace(checker.settings, recognizer_sha256="f" * 64)
        embed = checker.embed

    with pytest.raises(RecognizerMismatch):
        options, out = ImportFoldersOptions(), tmp_path / "swap"
        import_folders(photos.store, photos.folders, out, Other(), options, TASTE, work=Work())


def test_the_command_takes_a_list_and_flags_win(photos: Sorted, tmp_path: Path, pack_dir: Path) -> None:
    listed = tmp_path / "folders.toml"
    folder = photos.root / "people" / HUGO
    listed.write_text(
        f"[people]\nHugo = '{folder}'\n[options]\nmin-face-short = 60\ntop-n = 3\nmin-norm = 1\n", "utf-8"
    )
    arguments = (photos.root / "faces.npz", tmp_path / "out", "--folders", listed, "--pack", pack_dir)
    done = run_program("import-folders", *arguments, "--top-n", 2, "--no-sheet")
    assert done.status == 0, done.err
    assert (tmp_path / "out" / "Hugo" / "Hugo_top2.fsz").is_file()
    manifest = read_manifest(tmp_path / "out" / "Hugo", SetManifest)
    usual = for_recognizer(ImportFoldersOptions(), manifest.made.models.recognizer)
    assert manifest.made.options["route_threshold"] == usual.route_threshold
    assert manifest.made.options["min_face_short"] == 60
    assert manifest.made.options["min_norm"] == 1
    listed.write_text("[options]\nmin-face-shrt = 60\n", "utf-8")
    wrong = run_program("import-folders", *arguments)
    assert wrong.status == 2
    assert "unknown setting options.min-face-shrt" in wrong.err
