"""Results of photos never give more rights than the photos."""

import logging
import os
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from facesets.errors import FacesetsError
from facesets.files import atomic_write
from facesets.operations.face_sets.export_swap import export_swap
from facesets.operations.grouping.cluster import cluster
from facesets.operations.grouping.extend import extend
from facesets.operations.grouping.refine import refine
from facesets.operations.options.results import ExportSwapOptions, ExtendOptions
from facesets.operations.options.start import ClusterOptions, RefineOptions
from facesets.operations.reports.evaluation_sheet import sheet
from facesets.results import Materialize
from facesets.results.names.names_file import PeopleNames, update_names
from facesets.results.rollback import apply_undo, undoing
from facesets.results.run_records import JOURNAL
from facesets.rights import SHARED, narrow, rights_of, tighten_access
from facesets.store.npz.cache import Cache
from facesets.work import Work
from tests.fixtures.made_faces import SETTINGS, made_file, made_image
from tests.fixtures.made_library import DrawnStore, OneFaceEverywhere
from tests.fixtures.photos import copy_photos
from tests.fixtures.program import run, run_apart

pytestmark = pytest.mark.skipif(os.name == "nt", reason="modes protect nothing on Windows")

READ = SHARED & 0o044
"""Rights of others to shared photos, as far as the umask of these tests allows."""
QUIET: dict[str, Any] = {"work": Work()}


def let(folder: Path, of_file: int, of_folder: int) -> None:
    """Give a folder of photos these modes."""
    for path in folder.rglob("*"):
        path.chmod(of_folder if path.is_dir() else of_file)
    folder.chmod(of_folder)


def rights(root: Path) -> dict[str, int]:
    """Return the rights of groups and others to a folder and its contents, without links."""
    there = [root, *(path for path in root.rglob("*") if not path.is_symlink())]
    return {str(path.relative_to(root)): path.stat().st_mode & 0o077 for path in there}


def open_ones(root: Path) -> list[str]:
    """Return the files that others may use in any way."""
    return [name for name, given in rights(root).items() if given]


@pytest.fixture
def store(tmp_path: Path) -> DrawnStore:
    """Two people of five photos each, and one photo of another person."""
    made = DrawnStore(tmp_path / "photos", random.Random(1))
    for person in (1, 2) * 5 + (3,):
        made.add(person)
    let(made.root, 0o600, 0o700)
    return made


def make(store: DrawnStore, root: Path, how: Materialize = "copy") -> None:
    """All results, each in a folder below `root`."""
    cluster(store, root / "raw", ClusterOptions(materialize=how), **QUIET)
    refine(store, root / "sets", RefineOptions(min_faces=4, materialize=how), **QUIET)
    options = ExportSwapOptions(
        outlier_threshold=2, verify_max_distance=2, min_face_short=1, out_size=64, formats=("fsz", "images")
    )
    export_swap(store, root / "sets", root / "swap", OneFaceEverywhere(), options, **QUIET)
    sheet(root / "raw", root / "sheet.png", **QUIET)


@pytest.mark.parametrize(
    ("private", "how"),
    [
        ("all photos", "copy"),
        ("all photos", "hardlink"),
        ("all photos", "symlink"),
        ("one photo", "copy"),
        ("their folder", "copy"),
    ],
)
def test_results_of_a_private_photo_are_private(
    store: DrawnStore, tmp_path: Path, private: str, how: Materialize
) -> None:
    if private != "all photos":
        let(store.root, 0o644, 0o755)
        closed, mode = (Path(store.shown[3][0]), 0o600) if private == "one photo" else (store.root, 0o700)
        closed.chmod(mode)
    make(store, tmp_path, how)
    for place in ("raw", "sets", "swap"):
        assert open_ones(tmp_path / place) == []
        assert len(rights(tmp_path / place)) > 5
    assert open_ones(tmp_path / "sheet.png") == []


def test_results_of_shared_photos_are_shared_within_the_umask(store: DrawnStore, tmp_path: Path) -> None:
    let(store.root, 0o644, 0o755)
    make(store, tmp_path)
    for place in ("raw", "sets", "swap"):
        for name, given in rights(tmp_path / place).items():
            if JOURNAL in name:
                assert given == 0
            else:
                is_folder = (tmp_path / place / name).is_dir()
                assert given == (READ | READ >> 2 if is_folder else READ), name
    assert rights(tmp_path / "sheet.png") == {".": READ}


def test_links_leave_photos_as_they_are_and_a_copy_can_be_worked_on(
    store: DrawnStore, tmp_path: Path
) -> None:
    let(store.root, 0o444, 0o700)
    ways: tuple[Materialize, ...] = ("hardlink", "symlink", "copy")
    for how in ways:
        cluster(store, tmp_path / how, ClusterOptions(materialize=how, sheet=False), **QUIET)
        extend(store, tmp_path / how, ExtendOptions(sheet=False), **QUIET)
        assert {Path(path).stat().st_mode & 0o777 for path, _ in store.shown} == {0o444}
    copies = (tmp_path / "copy").glob("person_*/*.jpg")
    assert {copy.stat().st_mode & 0o777 for copy in copies} == {0o600}


def test_an_open_result_is_tightened_and_reported_once(
    store: DrawnStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    raw = tmp_path / "raw"
    cluster(store, raw, ClusterOptions(), **QUIET)
    let(raw, 0o644, 0o755)
    caplog.set_level(logging.WARNING, "facesets")
    for _ in range(2):
        extend(store, raw, ExtendOptions(), **QUIET)
        reported = [record.getMessage() for record in caplog.records]
        assert reported == [
            f"Restricted the permissions of {raw}: others now have no more access to it than to its photos."
        ]
        assert [name for name in open_ones(raw) if JOURNAL not in name] == []
        assert rights(raw)[JOURNAL] == 0


@pytest.mark.parametrize("mode", [0o2775, 0o700])
def test_a_folder_that_the_user_made_for_a_result_keeps_its_rights(
    store: DrawnStore, tmp_path: Path, mode: int, caplog: pytest.LogCaptureFixture
) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    raw.chmod(mode)
    let(store.root, 0o600 if mode & 0o077 else 0o644, 0o755)
    for _ in range(2):
        cluster(store, raw, ClusterOptions(sheet=False), **QUIET)
        assert raw.stat().st_mode & 0o7777 == mode
    assert (raw / "person_001").stat().st_mode & 0o077 == (0 if mode & 0o077 else READ | READ >> 2)
    assert not caplog.records


def test_the_user_s_own_files_in_a_result_and_their_folder_keep_their_rights(
    store: DrawnStore, tmp_path: Path
) -> None:
    raw = tmp_path / "raw"
    cluster(store, raw, ClusterOptions(sheet=False), **QUIET)
    let(raw, 0o644, 0o755)
    own = [raw / "notes.txt", raw / "person_001" / "mine.txt"]
    for path in own:
        path.touch()
        path.chmod(0o644)
    store.add(1)
    extend(store, raw, ExtendOptions(sheet=False), **QUIET)
    assert [name for name in open_ones(raw) if JOURNAL not in name] == [
        ".",
        *(str(path.relative_to(raw)) for path in own),
    ]


def test_results_closed_by_the_user_stay_closed_to_new_photos_too(store: DrawnStore, tmp_path: Path) -> None:
    let(store.root, 0o644, 0o755)
    cluster(store, tmp_path / "raw", ClusterOptions(), **QUIET)
    let(tmp_path / "raw", 0o600, 0o700)
    store.add(7)
    store.add(7)
    let(store.root, 0o644, 0o755)
    extend(store, tmp_path / "raw", ExtendOptions(), **QUIET)
    assert (tmp_path / "raw" / "person_003").is_dir()
    assert open_ones(tmp_path / "raw") == []


def test_an_undo_brings_folders_back_with_the_rights_that_they_had(store: DrawnStore, tmp_path: Path) -> None:
    let(store.root, 0o644, 0o755)
    raw = tmp_path / "raw"
    cluster(store, raw, ClusterOptions(sheet=False), **QUIET)
    before = {name: given for name, given in rights(raw).items() if JOURNAL not in name}
    del store.shown[1::2]
    cluster(store, raw, ClusterOptions(sheet=False), **QUIET)
    assert not (raw / "person_002").exists()
    with undoing(raw, "2") as plans:
        apply_undo(plans)
    assert {name: given for name, given in rights(raw).items() if JOURNAL not in name} == before


def test_caches_and_names_are_their_owner_s_alone_and_existing_ones_become_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = Cache(tmp_path / "faces.npz")
    image = made_image("a", 1)
    with cache.writing(SETTINGS):
        cache.commit([made_file("/photos/a.jpg", image)], [image])
        assert sorted(open_ones(tmp_path)) == ["faces.npz.lock"]
        assert (tmp_path / "faces.npz.journal").is_dir()
    update_names(cache.names_file, lambda _: PeopleNames("a"))
    assert open_ones(tmp_path) == []
    for path in (cache.path, cache.names_file):
        path.chmod(0o644)
    caplog.set_level(logging.WARNING, "facesets")
    for _ in range(2):
        with cache.writing(SETTINGS):
            pass
    assert open_ones(tmp_path) == []
    reported = [record.getMessage() for record in caplog.records]
    assert reported == [f"Only you can read {cache.path} now; before, others could."]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
def test_a_cache_is_one_account_s_and_only_root_writes_it_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def state() -> tuple[int, int, int]:
        status = Path("faces.npz").stat()
        return status.st_uid, status.st_gid, status.st_mode & 0o777

    def write(name: str) -> None:
        image = made_image(name, 1)
        with Cache(Path("faces.npz")).writing(SETTINGS):
            cache = Cache(Path("faces.npz"))
            cache.require(SETTINGS)
            cache.commit([made_file(f"/photos/{name}.jpg", image)], [image])

    tmp_path.chmod(0o777)
    # By relative names another account needs no right to the folders above.
    monkeypatch.chdir(tmp_path)
    write("a")
    os.chown("faces.npz", 1000, 1001)
    for mode, sentence in (
        (0o666, "faces.npz belongs to .+, and only that account can write it"),
        (0o600, "Cannot read faces.npz .*: only its owner may read it"),
    ):
        Path("faces.npz").chmod(mode)
        os.seteuid(65534)
        try:
            with pytest.raises(FacesetsError, match=sentence):
                write("b")
        finally:
            os.seteuid(0)
        assert state() == (1000, 1001, mode)
    write("c")
    assert state() == (1000, 1001, 0o600)


@pytest.mark.parametrize("flags", [(), ("-q",)])
def test_reduced_rights_are_reported_on_standard_error(tmp_path: Path, flags: tuple[str, ...]) -> None:
    cache = Cache(tmp_path / "faces.npz")
    image = made_image("a", 1)
    with cache.writing(SETTINGS):
        cache.commit([made_file("/gone/a.jpg", image)], [image])
    cache.path.chmod(0o644)
    done = run("relocate", "/gone", "--forget", cache.path, *flags)
    assert done.status == 0
    assert done.err == f"Only you can read {cache.path} now; before, others could.\n"


def test_a_replaced_file_gets_no_more_rights_than_before(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    given = []
    for mode in (None, 0o640, 0o600):
        if mode is not None:
            path.chmod(mode)
        with atomic_write(path, rights=READ) as file:
            file.write(b"{}")
        given.append(path.stat().st_mode & 0o777)
    assert given == [0o600 | READ, 0o600 | READ & 0o040, 0o600]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A photo readable by all users, in a folder of a home that all may enter."""
    path = tmp_path / "home" / "pictures" / "a.jpg"
    path.parent.mkdir(parents=True)
    path.touch()
    let(tmp_path / "home", 0o644, 0o755)
    return path


@pytest.mark.parametrize(
    ("of_file", "of_folder", "most"),
    [
        (0o644, 0o755, 0o044),
        (0o640, 0o755, 0o040),
        (0o644, 0o750, 0o040),
        (0o644, 0o711, 0),
        (0o644, 0o744, 0),
        (0o600, 0o755, 0),
        (0o604, 0o755, 0),
    ],
)
def test_rights_are_those_that_both_photo_and_folder_give(
    photo: Path, tmp_path: Path, of_file: int, of_folder: int, most: int
) -> None:
    photo.chmod(of_file)
    photo.parent.chmod(of_folder)
    assert rights_of([photo], tmp_path) == most & SHARED


def test_a_private_folder_above_the_photos_makes_results_elsewhere_private(
    photo: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.chmod(0o700)
    assert rights_of([photo], tmp_path / "share") == 0
    assert rights_of([photo], home / "results") == READ
    link = tmp_path / "a.jpg"
    link.symlink_to(photo)
    assert rights_of([link], tmp_path / "share") == 0


def test_a_missing_photo_makes_new_results_private_and_leaves_earlier_ones(
    photo: Path, tmp_path: Path
) -> None:
    gone = tmp_path / "gone" / "b.jpg"
    assert rights_of([photo, gone], tmp_path) == rights_of([gone], tmp_path) == rights_of([], tmp_path) == 0
    for earlier in (0, 0o040 & READ, READ):
        assert rights_of([photo, gone], tmp_path, earlier=earlier) == earlier
        assert rights_of([gone], tmp_path, earlier=earlier) == earlier
    photo.chmod(0o600)
    assert rights_of([gone, photo], tmp_path, earlier=READ) == 0


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
def test_the_group_of_the_photos_gets_no_rights_to_files_of_another_group(
    photo: Path, tmp_path: Path
) -> None:
    photo.chmod(0o640)
    os.chown(photo, -1, 4321)
    assert rights_of([photo], tmp_path) == 0
    photo.chmod(0o644)
    assert rights_of([photo], tmp_path) == READ


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="access lists are read on Linux")
def test_a_mask_of_an_access_list_is_no_right_of_the_group(photo: Path, tmp_path: Path) -> None:
    entries = [(1, 7, -1), (2, 7, 4321), (4, 0, -1), (16, 7, -1), (32, 0, -1)]
    packed = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
    try:
        os.setxattr(photo.parent, "system.posix_acl_access", packed)
    except OSError:
        pytest.skip("no access lists here")
    assert photo.parent.stat().st_mode & 0o070
    assert rights_of([photo], tmp_path) == 0


def test_only_open_files_are_restricted_and_never_those_with_other_names(tmp_path: Path) -> None:
    plain, linked, link, folder = (tmp_path / name for name in ("plain", "linked", "link", "folder"))
    for path in (plain, linked):
        path.touch()
        path.chmod(0o644)
    (tmp_path / "other").hardlink_to(linked)
    link.symlink_to(plain)
    folder.mkdir()
    folder.chmod(0o2755)
    assert [narrow(path) for path in (linked, link, tmp_path / "none")] == [False] * 3
    assert [narrow(path) for path in (plain, plain, folder)] == [True, False, True]
    assert [path.stat().st_mode & 0o7777 for path in (linked, plain, folder)] == [0o644, 0o600, 0o2700]


def test_a_disk_without_modes_is_not_reported_as_tightened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "faces.npz"
    path.touch()
    path.chmod(0o644)
    monkeypatch.setattr(os, "fchmod", lambda *_: None)
    assert not narrow(path)
    tighten_access(path)
    assert not caplog.records


@pytest.fixture(scope="module")
def private_photos(tmp_path_factory: pytest.TempPathFactory, lfw_dir: Path) -> Path:
    root = tmp_path_factory.mktemp("private")
    root.chmod(0o755)
    people = ("Colin_Powell", "Hugo_Chavez")
    copy_photos([p for name in people for p in sorted((lfw_dir / name).glob("*.jpg"))[:8]], root / "photos")
    let(root / "photos", 0o600, 0o700)
    return root / "photos"


@pytest.mark.slow
def test_no_command_leaves_a_file_more_open_than_private_photos(
    private_photos: Path, pack_dir: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir(0o700)
    at: Callable[[str], Path] = out.joinpath
    cache, pack = at("faces.npz"), ("--pack", pack_dir)
    for line in (
        ("run", private_photos, at("run"), *pack),
        ("embed", private_photos, cache, *pack),
        ("cluster", cache, at("raw")),
        ("refine", cache, at("sets"), "--min-faces", 5, "--min-short", 60),
        ("export-swap", cache, at("sets"), at("swap"), "--min-face-short", 60, "--formats", "fsz,npz", *pack),
        ("sheet", at("raw"), at("sheet.png")),
        ("evaluate", cache, "--sheet", at("errors.png")),
        ("dedup", cache),
    ):
        done = run(*line)
        assert done.status == 0, done.err
    assert open_ones(out) == []
    assert len(rights(out)) > 100
    let(at("run"), 0o644, 0o755)
    again = [run_apart("run", private_photos, at("run"), *pack).err for _ in range(2)]
    assert [err.count("Restricted the permissions of") for err in again] == [4, 0]
    assert [err.count("Only you can read") for err in again] == [1, 0]
    assert [name for name in open_ones(at("run")) if f"{JOURNAL}/" not in name] == []
