"""Corrections of a result folder equal the same moves in a file manager."""

import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from tests.fixtures.kills import changes_of, in_a_child
from tests.fixtures.made_library import MadeStore
from tests.fixtures.results import (
    Again,
    cluster_stopping_after,
    groups,
    grow,
    make,
    result,
    sort_again,
)
from tests.fixtures.trees import tree

from facesets.errors import AlreadyRunning, CannotWrite, Changed, NotFound, WrongUsage
from facesets.operations.grouping import current_result
from facesets.operations.grouping.current_result import read_result
from facesets.operations.grouping.folder_corrections import (
    UNASSIGNED,
    FolderTaken,
    Seen,
    merge,
    move_faces,
    rename,
    undo_change,
)
from facesets.operations.options.start import ClusterOptions
from facesets.operations.undo import known_runs, undo
from facesets.results.edits.recorded_moves import NOTES
from facesets.results.folder_runs import locked
from facesets.results.manifest_json import Manifest, read_any_manifest

pytestmark = pytest.mark.slow


def photos_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    """The files in the folders of people, without the program's own records."""
    found = {name: put for name, put in tree(folder).items() if "/." not in f"/{name}"}
    return {name: (0 if name.endswith(".json") else time, content) for name, (time, content) in found.items()}


def own_face(root: Path, folder: str) -> str:
    """A face of a person on a photo of their own."""
    now = read_result(root)
    return next(face.face for face in now.groups[folder] if len(now.of_image[face.image]) == 1)


def by_program(root: Path) -> None:
    move_faces(root, Seen("person_001"), [own_face(root, "person_001")], "person_002")
    move_faces(root, Seen("person_001"), [own_face(root, "person_001")], "Dora")
    move_faces(root, Seen("person_002"), [own_face(root, "person_002")], "")
    rename(root, Seen("person_003"), "Cara")


def by_file_manager(root: Path) -> None:
    def carry(left: str, target: str) -> None:
        image = own_face(root, left).partition("#")[0]
        (place,) = read_result(root).places(left, image)
        (root / target).mkdir(exist_ok=True)
        (root / place).rename(root / target / Path(place).name)

    carry("person_001", "person_002")
    carry("person_001", "Dora")
    carry("person_002", UNASSIGNED)
    (root / "person_003").rename(root / "Cara")


def test_corrections_equal_the_same_moves_in_a_file_manager(
    company: MadeStore, tmp_path: Path, again: Again
) -> None:
    for name, correct in (("program", by_program), ("hand", by_file_manager)):
        raw, sets = make(company, tmp_path / name)
        correct(raw)
        again(company, raw, sets)
    assert photos_of(tmp_path / "program" / "raw") == photos_of(tmp_path / "hand" / "raw")
    found = groups(tmp_path / "program" / "raw")
    assert len(found["Dora"]) == 1
    assert "Cara" in found


def test_the_shown_state_is_what_the_next_run_applies(
    company: MadeStore, tmp_path: Path, again: Again
) -> None:
    raw, sets = make(company, tmp_path)
    by_program(raw)
    shown = {name: {face.face for face in faces} for name, faces in read_result(raw).groups.items()}
    again(company, raw, sets)
    assert groups(raw) == shown
    assert not read_result(raw).learned


def test_face_sets_are_corrected_like_people(company: MadeStore, tmp_path: Path, again: Again) -> None:
    raw, sets = make(company, tmp_path)
    gone = own_face(sets, "faceset_001")
    move_faces(sets, Seen("faceset_001"), [gone], "faceset_002")
    rename(sets, Seen("faceset_001"), "Anna")
    again(company, raw, sets)
    assert gone in groups(sets)["faceset_002"]
    assert gone not in groups(sets)["Anna"]


def test_single_faces_are_given_to_people(company: MadeStore, tmp_path: Path, again: Again) -> None:
    raw, sets = make(company, tmp_path)
    (single,) = read_result(raw).single
    move_faces(raw, Seen("_singletons"), [single.face], "person_003")
    again(company, raw, sets)
    assert single.face in groups(raw)["person_003"]


def test_two_folders_of_one_person_become_one(company: MadeStore, tmp_path: Path, again: Again) -> None:
    raw, sets = make(company, tmp_path)
    alone = [own_face(raw, "person_001")]
    move_faces(raw, Seen("person_001"), alone, "Dora")
    again(company, raw, sets)
    with pytest.raises(FolderTaken, match="is already in use"):
        rename(raw, Seen("Dora"), "PERSON_001")
    merge(raw, Seen("Dora"), Seen("person_001"))
    again(company, raw, sets)
    assert alone[0] in groups(raw)["person_001"]
    assert "Dora" not in groups(raw)


def test_a_person_without_remaining_faces_leaves_no_trace(
    company: MadeStore, tmp_path: Path, again: Again
) -> None:
    raw, sets = make(company, tmp_path)
    everybody = groups(raw)["person_002"]
    move_faces(raw, Seen("person_002"), everybody, "")
    again(company, raw, sets)
    assert {face.face for face in result(raw).set_aside} == everybody
    assert not (raw / "person_002").exists()
    assert not result(raw).hidden


def test_changes_are_undone_exactly_the_last_first(company: MadeStore, tmp_path: Path) -> None:
    raw, _ = make(company, tmp_path)
    before = photos_of(raw)
    first = rename(raw, Seen("person_001"), "Anna")
    second = move_faces(raw, Seen("Anna"), groups(raw)["person_001"], "person_002")
    with pytest.raises(Changed, match="must be undone first"):
        undo_change(raw, first.change)
    assert undo_change(raw, second.change).change == second.change
    assert undo_change(raw).what == "person_001 renamed to Anna"
    assert photos_of(raw) == before
    with pytest.raises(NotFound):
        undo_change(raw)


def test_a_manifest_is_read_once_until_a_run_writes_another(
    company: MadeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw, sets = make(company, tmp_path)
    read: list[Path] = []

    def counted(path: Path) -> Manifest:
        read.append(path)
        return read_any_manifest(path)

    monkeypatch.setattr(current_result, "read_any_manifest", counted)
    for _ in range(2):
        move_faces(raw, Seen("person_001"), [own_face(raw, "person_001")], "person_002")
    undo_change(raw)
    assert len(read) == 1
    before = {name: len(faces) for name, faces in read_result(raw).groups.items()}
    assert read_result(raw).learned
    grow(company, raw, sets)
    assert {name: len(faces) for name, faces in read_result(raw).groups.items()} == before
    assert not read_result(raw).learned
    assert len(read) == 2


def test_changes_that_a_run_applied_are_undone_by_undo(company: MadeStore, tmp_path: Path) -> None:
    raw, sets = make(company, tmp_path)
    rename(raw, Seen("person_001"), "Anna")
    grow(company, raw, sets)
    with pytest.raises(NotFound):
        undo_change(raw)
    undo(raw, known_runs(raw).runs[0].run)
    assert "Anna" in read_result(raw).groups
    assert undo_change(raw).what == "person_001 renamed to Anna"
    assert "person_001" in read_result(raw).groups


def test_ambiguous_changes_are_refused_and_nothing_is_moved(company: MadeStore, tmp_path: Path) -> None:
    raw, _ = make(company, tmp_path)
    now = read_result(raw)
    image = next(image for image, faces in now.of_image.items() if len(faces) == 2)
    (one, face), (other, others) = now.of_image[image]
    move_faces(raw, Seen(one), [face.face], "Dora")
    before = photos_of(raw)
    with pytest.raises(WrongUsage, match="would be ambiguous"):
        move_faces(raw, Seen(other), [others.face], "Emil")
    with pytest.raises(WrongUsage, match="already there"):
        move_faces(raw, Seen(other), [others.face], other)
    assert photos_of(raw) == before


def test_a_photo_never_takes_the_place_of_another(company: MadeStore, tmp_path: Path, again: Again) -> None:
    raw, sets = make(company, tmp_path)
    now = read_result(raw)
    image = next(image for image, faces in now.of_image.items() if len(faces) == 2)
    (one, face), (other, _) = now.of_image[image]
    count = len(photos_of(raw))
    move_faces(raw, Seen(one), [face.face], other)
    assert len(photos_of(raw)) == count
    again(company, raw, sets)
    assert face.face in groups(raw)[other]


def test_invalid_folder_names_are_refused(company: MadeStore, tmp_path: Path) -> None:
    raw, _ = make(company, tmp_path)
    marks = ("\u200d", "a\u202eb")
    for name in ("", " ", "a/b", "..", ".hidden", "_noface", "con", "a\0b", "a:b", "x" * 300, *marks):
        with pytest.raises(WrongUsage):
            rename(raw, Seen("person_001"), name)
    assert "person_001" in read_result(raw).groups


def test_names_with_joined_letters_are_valid_folder_names(
    company: MadeStore, tmp_path: Path, again: Again
) -> None:
    raw, sets = make(company, tmp_path)
    persian, family = "\u0645\u06cc\u200c\u0646\u0627", "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    rename(raw, Seen("person_001"), persian)
    rename(raw, Seen("person_002"), family)
    again(company, raw, sets)
    assert {persian, family} <= groups(raw).keys()


def test_a_folder_of_the_users_is_not_taken_for_a_person(company: MadeStore, tmp_path: Path) -> None:
    raw, _ = make(company, tmp_path)
    (raw / "holiday").mkdir()
    with pytest.raises(WrongUsage, match="is not a person"):
        rename(raw, Seen("person_001"), "Holiday")


def test_a_decision_on_an_outdated_folder_is_refused(company: MadeStore, tmp_path: Path) -> None:
    raw, _ = make(company, tmp_path)
    seen = Seen("person_001", read_result(raw).version("person_001"))
    move_faces(raw, seen, [own_face(raw, "person_001")], "Dora")
    before = photos_of(raw)
    with pytest.raises(Changed, match="changed in the meantime"):
        move_faces(raw, seen, [own_face(raw, "person_001")], "Dora")
    assert photos_of(raw) == before


def test_nothing_is_changed_while_a_run_writes(company: MadeStore, tmp_path: Path) -> None:
    raw, _ = make(company, tmp_path)
    with locked(raw), pytest.raises(AlreadyRunning):
        rename(raw, Seen("person_001"), "Anna")


@pytest.mark.parametrize("stops_after", [2, 20])
def test_a_folder_with_an_interrupted_run_is_shown_but_not_changed(
    company: MadeStore, tmp_path: Path, stops_after: int
) -> None:
    raw, sets = make(company, tmp_path)
    for _ in range(3):
        company.add(1)
    cluster_stopping_after(company, raw, ClusterOptions(sheet=False), stops_after)
    assert "was interrupted" in read_result(raw).sealed
    with pytest.raises(WrongUsage, match="was interrupted"):
        rename(raw, Seen("person_001"), "Anna")
    sort_again(company, raw, sets)
    assert not read_result(raw).sealed


def test_files_behind_a_link_are_not_moved(company: MadeStore, tmp_path: Path) -> None:
    raw, _ = make(company, tmp_path)
    (raw / "person_001").rename(tmp_path / "disk")
    (raw / "person_001").symlink_to(tmp_path / "disk")
    before = sorted(path.name for path in (tmp_path / "disk").iterdir())
    face = own_face(raw, "person_001")
    with pytest.raises((Changed, CannotWrite)):
        move_faces(raw, Seen("person_001"), [face], "Dora")
    assert sorted(path.name for path in (tmp_path / "disk").iterdir()) == before


def test_a_killed_change_is_undone_by_the_next(company: MadeStore, tmp_path: Path) -> None:
    raw, _ = make(company, tmp_path)
    own = [face.face for face in read_result(raw).groups["person_001"]][:2]
    start = shutil.copytree(raw, tmp_path / "start")
    before = photos_of(raw)

    def change() -> None:
        move_faces(raw, Seen("person_001"), own, "person_002")

    for kill_at in range(1, changes_of(change) + 1):
        shutil.rmtree(raw)
        shutil.copytree(start, raw)
        assert in_a_child(change, kill_at)
        with suppress(NotFound):  # There is something to undo if only the lock was left.
            undo_change(raw)
        assert photos_of(raw) == before, kill_at


def test_a_damaged_record_is_reported(company: MadeStore, tmp_path: Path) -> None:
    raw, _ = make(company, tmp_path)
    (raw / NOTES).write_bytes(b'{"change": "x"}\n')
    with pytest.raises(Exception, match="cannot be read"):
        rename(raw, Seen("person_001"), "Anna")
