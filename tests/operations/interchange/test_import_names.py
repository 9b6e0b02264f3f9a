"""Names of other programs in the library: which faces get them, and that corrections here stay."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.fixtures.library_people import cluster, heart_of, rows
from tests.fixtures.named_photos import RATED
from tests.fixtures.names_elsewhere import (
    LEFT,
    RIGHT,
    add_photo_file,
    bring,
    contacts_xml,
    digikam_database,
    osxphotos_photo,
    picasa_ini,
    takeout_json,
)
from tests.fixtures.xmp_packets import listed, packet_of, region, regions

from facesets.errors import SourceGone, WrongUsage
from facesets.formats.named_photos import Box
from facesets.imaging.stored_frame import stored_box
from facesets.operations.interchange.name_sources import NamesFrom, mapped, read_places
from facesets.operations.people.corrections import correcting, history, naming
from facesets.operations.people.forgetting.forget import forget
from facesets.operations.people.review.answering import answer
from facesets.operations.people.review.open_questions import open_questions, waiting
from facesets.operations.people.review.questions import Question, next_questions
from facesets.store.postgres.library import Library
from facesets.store.postgres.people.imported_names import conflicting_names, unmatched_names
from facesets.work import Work

BY = "anna@home"


def with_a_face(library: Library, folder: Path, count: int) -> list[int]:
    """Add photos with one face each, `0.jpg` and so on; return the faces."""
    return [add_photo_file(library, folder / f"{n}.jpg", [LEFT])[0] for n in range(count)]


def say(folder: Path, *names: str) -> None:
    """Sidecars that name the faces of such photos."""
    for number, name in enumerate(names):
        (folder / f"{number}.jpg.xmp").write_bytes(mwg((name, LEFT)))


def name_of(library: Library, face: int) -> str:
    """The name of a face's person; empty if it has none."""
    found = rows(
        library.database,
        f"""SELECT n.name FROM face_detections f JOIN person_names n ON n.person_id = f.person_id
            WHERE f.id = {face} ORDER BY n.id LIMIT 1""",
    )
    return str(found[0][0]) if found else ""


def everything(library: Library) -> dict[str, list[Any]]:
    """All rows of steps, and the person of each face."""
    tables = ("persons", "person_names", "person_corrections", "face_corrections", "imported_names")
    found = {
        each: rows(library.database, f"SELECT to_jsonb(t) - 'updated_at' FROM {each} t ORDER BY 1")
        for each in tables
    }
    faces = """SELECT id, person_id, CASE WHEN person_id IS NOT NULL THEN assigned_by END
        FROM face_detections ORDER BY id"""
    return found | {"faces": rows(library.database, faces)}


def imports(library: Library) -> list[Question]:
    """The questions about names of other programs."""
    found = library.database.run(open_questions)
    names = sum(each.kind == "name" for each in found)
    assert waiting(library.database).questions == len(found) - names
    return [each for each in next_questions(library.database) if each.kind == "import"]


def mwg(*named: tuple[str, Box]) -> bytes:
    """A packet with regions by the Metadata Working Group."""
    each = (region(name, (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1) for name, (x1, y1, x2, y2) in named)
    return packet_of(regions(*each))


def test_names_of_picasa_come_on_faces_and_are_undone_as_one_step(library: Library, tmp_path: Path) -> None:
    anna, ben = add_photo_file(library, tmp_path / "a" / "IMG_1.jpg", [LEFT, RIGHT])
    ini = picasa_ini({"img_1.JPG": [(RIGHT, "0b"), (LEFT, "a")]}, {"a": "Anna Berg", "b": "Zoë"})
    (tmp_path / "a" / ".picasa.ini").write_text(ini, encoding="utf-8")
    before = everything(library)

    found = bring(library, tmp_path)
    assert (found.photos, found.people, found.new_people, found.named, found.asked) == (1, 2, 2, 2, 0)
    assert (name_of(library, anna), name_of(library, ben)) == ("Anna Berg", "Zoë")
    assert rows(library.database, "SELECT count(*) FROM face_corrections WHERE is_person") == [(2,)]
    assert rows(library.database, "SELECT DISTINCT assigned_by FROM face_detections") == [("imported",)]
    assert found.step is not None

    history.undo(library.database, found.step, by=BY)
    assert everything(library) == before
    history.redo(library.database, by=BY)
    assert name_of(library, anna) == "Anna Berg"


def test_neither_a_dry_run_nor_a_second_time_changes_anything(library: Library, tmp_path: Path) -> None:
    add_photo_file(library, tmp_path / "1.jpg", [LEFT, RIGHT])
    (tmp_path / "1.jpg.xmp").write_bytes(mwg(("Anna", LEFT), ("Nobody here", (0.9, 0.9, 0.95, 0.95))))
    nothing = everything(library)
    tried = bring(library, tmp_path, dry_run=True)
    assert (tried.named, tried.dry_run, tried.step) == (1, True, None)
    assert everything(library) == nothing
    bring(library, tmp_path)
    before = everything(library), rows(library.database, "SELECT count(*) FROM steps")
    again = bring(library, tmp_path)
    assert (again.step, again.named, again.known, again.without_face) == (None, 0, 1, 1)
    assert (everything(library), rows(library.database, "SELECT count(*) FROM steps")) == before


def test_places_are_found_in_photos_of_any_orientation(library: Library, tmp_path: Path) -> None:
    faces = {}
    for turned in range(1, 9):
        path = tmp_path / f"{turned}.jpg"
        packet = mwg((f"Person {turned}", stored_box(LEFT, turned)))
        # Of every second one the names are in the photo.
        faces[turned] = add_photo_file(
            library, path, [LEFT, RIGHT], orientation=turned, xmp=packet if turned % 2 else None
        )
        if not turned % 2:
            path.with_suffix(".jpg.xmp").write_bytes(packet)
    found = bring(library, tmp_path)
    assert (found.named, found.without_face) == (8, 0)
    assert {turned: name_of(library, left) for turned, (left, _) in faces.items()} == {
        turned: f"Person {turned}" for turned in faces
    }


def test_names_in_another_case_or_form_are_of_one_person(library: Library, tmp_path: Path) -> None:
    faces = with_a_face(library, tmp_path, 3)
    say(tmp_path, "Zoë Berg", "zoe\u0308  berg", "ZOË BERG")
    found = bring(library, tmp_path)
    assert (found.people, found.named) == (1, 3)
    assert {name_of(library, each) for each in faces} == {"Zoë Berg"}


def test_names_that_the_server_treats_as_equal_are_of_one_person(library: Library, tmp_path: Path) -> None:
    names = ("İrem", "irem", "IREM", "ǅ", "ǆ", "ẞ", "ss")
    faces = with_a_face(library, tmp_path, len(names))
    say(tmp_path, *names[:5])
    assert bring(library, tmp_path).named == 5
    say(tmp_path, *names)
    bring(library, tmp_path)
    assert all(name_of(library, face) for face in faces)
    assert bring(library, tmp_path).step is None


def photos_of_anna(library: Library, folder: Path, count: int) -> list[int]:
    """The faces of photos that show one person alone, each by its number."""
    rng = np.random.default_rng(0)
    return [
        add_photo_file(
            library,
            folder / f"{n}.jpg",
            [LEFT],
            vectors=[heart_of("anna") + rng.standard_normal(512) * 0.02],
        )[0]
        for n in range(count)
    ]


def test_a_person_found_by_a_run_gets_the_name_and_keeps_other_faces(
    library: Library, tmp_path: Path
) -> None:
    faces = photos_of_anna(library, tmp_path, 6)
    cluster(library, method="components", threshold=0.5)
    say(tmp_path, "Anna", "Anna")
    found = bring(library, tmp_path)
    assert (found.new_people, found.named) == (1, 2)
    assert {name_of(library, face) for face in faces} == {"Anna"}


def test_corrections_here_stay_and_the_other_name_is_for_review(library: Library, tmp_path: Path) -> None:
    faces = with_a_face(library, tmp_path, 3)
    for face in faces:
        naming.name(library.database, str(face), "Ben", into=True, face=True, by=BY)
    say(tmp_path, "Anna", "Anna", "Anna")
    found = bring(library, tmp_path)
    assert (found.named, found.asked) == (0, 3)
    assert found.also_called == ["Anna: 3 faces are Ben here"]
    assert {name_of(library, face) for face in faces} == {"Ben"}
    assert [(each.face, each.name, each.here) for each in library.database.run(conflicting_names)] == [
        (face, "Anna", "Ben") for face in faces
    ]

    (question,) = imports(library)
    assert question.text == "Are these 3 faces Anna, as named by other programs?"
    assert [item.note for item in question.items] == ["XMP has this name; here it is Ben"] * 3
    answered = answer(library.database, question.id, "yes", by=BY, but=[2])
    assert [name_of(library, face) for face in faces] == ["Anna", "Ben", "Anna"]
    assert imports(library) == []
    again = bring(library, tmp_path)
    assert (again.step, again.asked, again.answered, again.known) == (None, 0, 1, 2)
    assert imports(library) == []

    assert answered.step is not None
    history.undo(library.database, answered.step, by=BY)
    assert len(imports(library)) == 1
    assert found.step is not None
    history.undo(library.database, found.step, by=BY)
    assert imports(library) == []


def test_a_name_is_replaced_only_by_its_own_program(library: Library, tmp_path: Path) -> None:
    (face,) = add_photo_file(library, tmp_path / "1.jpg", [LEFT])
    sidecar = tmp_path / "1.jpg.xmp"
    sidecar.write_bytes(mwg(("Anna", LEFT)))
    bring(library, tmp_path)
    sidecar.write_bytes(mwg(("Berta", LEFT)))
    assert bring(library, tmp_path).named == 1
    assert name_of(library, face) == "Berta"

    (tmp_path / ".picasa.ini").write_text(picasa_ini({"1.jpg": [(LEFT, "a")]}, {"a": "Carla"}))
    found = bring(library, tmp_path)
    assert (found.known, found.asked, name_of(library, face)) == (1, 1, "Berta")
    assert imports(library)[0].text == f"Is face {face} Carla? Picasa has this name; here it is Berta."
    # An earlier import from Picasa does not make the name its own.
    again = bring(library, tmp_path, kind="picasa")
    assert (again.step, again.asked, name_of(library, face)) == (None, 1, "Berta")
    # A correction here does not count as the program's name.
    naming.name(library.database, str(face), "Dora", into=False, face=True, by=BY)
    assert (bring(library, tmp_path).asked, name_of(library, face)) == (2, "Dora")


@pytest.mark.parametrize(("content", "empty"), [(RATED, 0), (b"", 1)], ids=["without names", "empty"])
def test_a_sidecar_without_names_does_not_hide_another_one(
    library: Library, tmp_path: Path, content: bytes, empty: int
) -> None:
    (face,) = add_photo_file(library, tmp_path / "1.jpg", [LEFT])
    (tmp_path / "1.jpg.xmp").write_bytes(content)
    (tmp_path / "1.xmp").write_bytes(mwg(("Anna", LEFT)))
    summary = bring(library, tmp_path)
    assert (summary.named, summary.failed, summary.empty) == (1, [], empty)
    assert name_of(library, face) == "Anna"


def test_an_empty_sidecar_of_two_photos_is_one(library: Library, tmp_path: Path) -> None:
    for name in ("1.jpg", "1.png"):
        add_photo_file(library, tmp_path / name, [LEFT])
    (tmp_path / "1.xmp").write_bytes(b"")
    assert bring(library, tmp_path).empty == 1


@pytest.mark.parametrize(
    ("given", "path", "here"),
    [
        ("/Volumes/x=/", "/Volumes/x/2019/1.jpg", "/2019/1.jpg"),
        ("C:\\Pictures\\=/srv/photos/", "C:\\Pictures\\2019\\1.jpg", "/srv/photos/2019/1.jpg"),
        ("/a=/b", "/ab/1.jpg", "/ab/1.jpg"),
    ],
)
def test_paths_of_another_machine_are_whole_paths_here(given: str, path: str, here: str) -> None:
    assert mapped(path, read_places([given])) == here


def test_places_without_a_face_and_names_of_whole_photos_are_listed(library: Library, tmp_path: Path) -> None:
    add_photo_file(library, tmp_path / "1.jpg", [LEFT, RIGHT])
    (tmp_path / "1.jpg.xmp").write_bytes(mwg(("Anna", (0.4, 0.7, 0.5, 0.9))))
    add_photo_file(library, tmp_path / "2.jpg", [LEFT, RIGHT])
    (tmp_path / "2.jpg.json").write_text(takeout_json("2.jpg", "Ben"), encoding="utf-8")
    add_photo_file(library, tmp_path / "3.jpg", [])
    (tmp_path / "3.jpg.xmp").write_bytes(mwg(("Carla", LEFT)))
    found = bring(library, tmp_path)
    assert (found.people, found.named, found.without_face, found.without_place) == (0, 0, 2, 1)
    printed = [
        (Path(each.path).name, each.program, each.name, each.box)
        for each in library.database.run(unmatched_names)
    ]
    assert printed == [
        ("1.jpg", "mwg", "Anna", (0.4, 0.7, 0.5, 0.9)),
        ("2.jpg", "takeout", "Ben", None),
        ("3.jpg", "mwg", "Carla", LEFT),
    ]
    assert rows(library.database, "SELECT count(*) FROM persons") == [(0,)]
    # The program has another mind now.
    (tmp_path / "1.jpg.xmp").write_bytes(mwg(("Anna", LEFT)))
    bring(library, tmp_path)
    assert [each.name for each in library.database.run(unmatched_names)] == ["Ben", "Carla"]


def test_a_name_of_a_whole_photo_goes_to_the_face_similar_to_its_others(
    library: Library, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    faces = []
    for number in range(4):
        who = "ben" if number == 3 else "anna"
        vector = heart_of(who) + rng.standard_normal(512) * 0.02
        faces += add_photo_file(library, tmp_path / f"{number}.jpg", [LEFT], vectors=[vector])
        (tmp_path / f"{number}.jpg.json").write_text(takeout_json(f"{number}.jpg", "Anna"), encoding="utf-8")
    (alone,) = add_photo_file(library, tmp_path / "alone.jpg", [LEFT], vectors=[heart_of("carla")])
    (tmp_path / "alone.jpg.json").write_text(takeout_json("alone.jpg", "Carla"), encoding="utf-8")
    found = bring(library, tmp_path)
    assert (found.named, found.asked) == (3, 2)
    assert [name_of(library, face) for face in faces] == ["Anna", "Anna", "Anna", ""]
    assert {each.text for each in imports(library)} == {
        f"Is face {faces[3]} Anna? Google Photos has this name; here it is unassigned.",
        f"Is face {alone} Carla? Google Photos has this name; here it is unassigned.",
    }


def test_digikam_s_database_is_read_and_its_folders_found_here(library: Library, tmp_path: Path) -> None:
    here = tmp_path / "here" / "2019" / "summer"
    faces = [
        add_photo_file(library, here / f"{turned}.jpg", [LEFT, RIGHT], orientation=turned)
        for turned in (1, 6)
    ]
    elsewhere = add_photo_file(library, tmp_path / "moved" / "unique.jpg", [LEFT, RIGHT])
    photos: list[dict[str, Any]] = [
        {
            "name": f"{turned}.jpg",
            "orientation": turned,
            "people": [(f"Anna {turned}", np.multiply(LEFT, size * 2)), ("Whole", None)],
        }
        for turned, size in ((1, (60, 40)), (6, (40, 60)))
    ]
    size = (tmp_path / "moved" / "unique.jpg").stat().st_size
    photos.append({"name": "unique.jpg", "size": size, "people": [("Ben", np.multiply(RIGHT, (60, 40) * 2))]})
    photos.append({**photos[0], "name": "gone.jpg"})
    digikam_database(tmp_path / "digikam4.db", Path("/home/old/Pictures"), photos)
    found = bring(library, tmp_path / "digikam4.db", places=[f"/home/old/Pictures={tmp_path / 'here'}"])
    assert (found.photos, found.photos_not_here, found.named, found.without_place) == (3, 1, 3, 2)
    assert [name_of(library, left) for left, _ in faces] == ["Anna 1", "Anna 6"]
    assert name_of(library, elsewhere[1]) == "Ben"


def test_apple_s_photos_are_found_by_path_or_by_name_and_size(library: Library, tmp_path: Path) -> None:
    by_path = add_photo_file(library, tmp_path / "IMG_1.jpg", [LEFT, RIGHT])
    by_name = add_photo_file(library, tmp_path / "exported" / "IMG_2.jpg", [LEFT, RIGHT])
    size = (tmp_path / "exported" / "IMG_2.jpg").stat().st_size
    photos = [
        osxphotos_photo(str(tmp_path / "IMG_1.jpg"), 60, 40, {"Anna": LEFT, "Ben": RIGHT, "Whole": None}),
        osxphotos_photo(
            "/Users/anna/Pictures/Photos Library.photoslibrary/originals/A/UUID.jpeg",
            60,
            40,
            {"Carla": RIGHT},
            original_filename="IMG_2.jpg",
            original_filesize=size,
        ),
        osxphotos_photo("/Users/anna/other.jpeg", 60, 40, {"Carla": RIGHT}),
    ]
    (tmp_path / "photos.json").write_text(json.dumps(photos))
    found = bring(library, tmp_path / "photos.json")
    assert (found.photos, found.photos_not_here, found.named, found.without_place) == (2, 1, 3, 1)
    assert [name_of(library, face) for face in by_path] == ["Anna", "Ben"]
    assert [name_of(library, face) for face in by_name] == ["", "Carla"]


def test_copies_of_photos_elsewhere_are_known_by_their_content(library: Library, tmp_path: Path) -> None:
    (face,) = add_photo_file(library, tmp_path / "library" / "1.jpg", [LEFT])
    copy = tmp_path / "takeout" / "renamed.jpg"
    copy.parent.mkdir()
    copy.write_bytes((tmp_path / "library" / "1.jpg").read_bytes())
    copy.with_suffix(".jpg.xmp").write_bytes(mwg(("Anna", LEFT)))
    bring(library, copy.parent)
    assert name_of(library, face) == "Anna"


@pytest.mark.parametrize("odd", ["a\0b", "\ud800", "\U0010fe80", "/" * 5000, "x" * 9000, "", "\x1b[2J"])
def test_invalid_paths_are_not_found(library: Library, tmp_path: Path, odd: str) -> None:
    (face,) = add_photo_file(library, tmp_path / "1.jpg", [LEFT])
    photos = [
        osxphotos_photo(odd, 60, 40, {"Anna": LEFT}, original_filename=odd, original_filesize=2**62 - 1),
        osxphotos_photo("/elsewhere", 60, 40, {"Anna": LEFT}, original_filename=odd, original_filesize=2**70),
        osxphotos_photo(str(tmp_path / "1.jpg"), 60, 40, {"Ben": LEFT}, path_edited=odd),
    ]
    (tmp_path / "photos.json").write_text(json.dumps(photos))
    found = bring(library, tmp_path / "photos.json")
    assert (found.photos, found.photos_not_here) == (1, 2 + bool(odd))
    assert name_of(library, face) in ("", "Ben")


def test_contacts_without_a_name_are_counted_until_a_list_has_them(library: Library, tmp_path: Path) -> None:
    (face,) = add_photo_file(library, tmp_path / "photos" / "1.jpg", [LEFT])
    ini = picasa_ini({"1.jpg": [(LEFT, "00ab")]}, {}, own=False)
    (tmp_path / "photos" / ".picasa.ini").write_text(ini)
    (tmp_path / "contacts.xml").write_text(contacts_xml({"ab": "Anna"}), encoding="utf-8")
    assert (bring(library, tmp_path / "photos").nameless, name_of(library, face)) == (1, "")
    found = bring(library, tmp_path / "photos", tmp_path / "contacts.xml")
    assert (found.nameless, name_of(library, face)) == (0, "Anna")


def test_invalid_names_and_damaged_files_affect_only_themselves(library: Library, tmp_path: Path) -> None:
    faces = with_a_face(library, tmp_path, 4)
    people = [{"name": name} for name in ("Evil\x1b[2J", "nobody", "Anna\ud800", "x" * 300)]
    (tmp_path / "0.jpg.json").write_text(json.dumps({"people": people}))
    (tmp_path / "1.jpg.xmp").write_bytes(b"<x:xmpmeta")
    (tmp_path / "2.jpg.json").write_text("[" * 100_000)
    (tmp_path / "3.jpg.xmp").write_bytes(mwg(("Anna", LEFT)))
    (tmp_path / ".picasa.ini").write_bytes(bytes(range(256)))
    found = bring(library, tmp_path)
    assert len(found.no_names) == 4
    assert len(found.failed) == 3
    assert all("\x1b" not in each and each.isprintable() for each in (*found.no_names, *found.failed))
    assert [name_of(library, face) for face in faces] == ["", "", "", "Anna"]


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        (b"SQLite format 3\0 and no more", "auto", "digikam4.db"),
        (b"hello", "digikam", "not an SQLite database"),
        (b"hello", "auto", "is not a known source of names"),
        (b'{"people": []}', "osxphotos", "osxphotos query --json"),
        (b"hello", "picasa", "Give the photo folder"),
    ],
)
def test_an_invalid_source_is_reported(
    library: Library, tmp_path: Path, content: bytes, kind: NamesFrom, message: str
) -> None:
    add_photo_file(library, tmp_path / "1.jpg", [LEFT])
    (tmp_path / "source").write_bytes(content)
    with pytest.raises(WrongUsage, match=message):
        bring(library, tmp_path / "source", kind=kind)
    with pytest.raises(SourceGone, match="File or folder not found"):
        bring(library, tmp_path / "gone", kind=kind)


def test_names_for_a_library_without_faces_are_refused(library: Library, tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="There are no faces"):
        bring(library, tmp_path)


def test_an_erased_person_is_in_no_name_of_another_program(library: Library, tmp_path: Path) -> None:
    add_photo_file(library, tmp_path / "1.jpg", [LEFT])
    add_photo_file(library, tmp_path / "2.jpg", [])
    for number in (1, 2):
        (tmp_path / f"{number}.jpg.xmp").write_bytes(mwg(("Annabella Bergmann", LEFT), ("Ben", RIGHT)))
    bring(library, tmp_path)
    summary = forget(library.database, "Annabella Bergmann", work=Work(by=BY))
    assert summary.proof.is_clean
    assert {name for (name,) in rows(library.database, "SELECT name FROM imported_names")} == {"Ben"}
    stored = rows(library.database, "SELECT before::text || after::text FROM step_rows")
    assert not any("Annabella" in str(each) for each in stored)


def test_corrections_through_other_faces_stay(library: Library, tmp_path: Path) -> None:
    first, second = with_a_face(library, tmp_path, 2)
    correcting.different(library.database, str(first), str(second), faces=True, by=BY)
    say(tmp_path, "Anna", "Anna")
    found = bring(library, tmp_path)
    assert (found.named, found.asked) == (1, 1)
    assert [name_of(library, first), name_of(library, second)] == ["Anna", ""]
    assert bring(library, tmp_path).step is None


def test_people_of_keywords_count_only_without_a_region(library: Library, tmp_path: Path) -> None:
    (face,) = add_photo_file(library, tmp_path / "1.jpg", [LEFT])
    inner = regions(region("Anna", 0.2, 0.35, 0.2, 0.3)) + listed("Iptc4xmpExt:PersonInImage", "Anna", "Ben")
    (tmp_path / "1.jpg.xmp").write_bytes(packet_of(inner))
    found = bring(library, tmp_path)
    assert (found.names, found.named, found.without_place) == (2, 1, 1)
    assert name_of(library, face) == "Anna"


def guessed_to_be_anna(library: Library, folder: Path) -> list[int]:
    """Eight faces of a person that a run found and a user named."""
    faces = photos_of_anna(library, folder, 8)
    cluster(library, method="components", threshold=0.5)
    ((person,),) = rows(
        library.database, f"SELECT person_id::text FROM face_detections WHERE id = {faces[0]}"
    )
    naming.name(library.database, person, "Anna", into=False, face=False, by=BY)
    assert len(corrected_faces(library)) < 8
    return faces


def corrected_faces(library: Library) -> set[int]:
    """The faces that a human assigned."""
    return {face for (face,) in rows(library.database, "SELECT face_id FROM face_corrections")}


def test_agreement_of_xmp_with_a_run_is_no_correction(library: Library, tmp_path: Path) -> None:
    guessed_to_be_anna(library, tmp_path)
    before = corrected_faces(library)
    # As `export-xmp` writes it: the person named Anna here.
    say(tmp_path, *["Anna"] * 8)
    found = bring(library, tmp_path)
    assert (found.named, found.known) == (0, 8)
    assert corrected_faces(library) == before


def test_names_that_digikam_read_from_our_sidecars_are_no_correction(
    library: Library, tmp_path: Path
) -> None:
    folder = tmp_path / "2019" / "summer"
    faces = guessed_to_be_anna(library, folder)
    before = corrected_faces(library)
    ours = np.multiply(LEFT, (60, 40) * 2)
    # Half of them as digiKam draws them itself.
    photos = [
        {"name": f"{n}.jpg", "people": [("Anna", ours + (0.4 if n % 2 else [-4, -3, 4, 1]))]}
        for n in range(8)
    ]
    digikam_database(tmp_path / "digikam4.db", tmp_path, photos)
    found = bring(library, tmp_path / "digikam4.db")
    new = set(faces[::2]) - before
    assert (found.named, found.known) == (len(new), 8 - len(new))
    assert corrected_faces(library) == before | new


def test_a_person_with_another_name_elsewhere_is_reported_and_merged(
    library: Library, tmp_path: Path
) -> None:
    for face in with_a_face(library, tmp_path, 3):
        naming.name(library.database, str(face), "Anna", into=True, face=True, by=BY)
    say(tmp_path, *["Anna Berg"] * 3)
    assert bring(library, tmp_path).also_called == ["Anna Berg: 3 faces are Anna here"]
    correcting.merge(library.database, ["Anna Berg"], "Anna", drop_names=False, by=BY)
    assert imports(library) == []
    found = bring(library, tmp_path)
    assert (found.known, found.asked, found.also_called) == (3, 0, [])


def test_a_folder_with_digikam_s_database_is_read_as_a_whole(library: Library, tmp_path: Path) -> None:
    left, right = add_photo_file(library, tmp_path / "2019" / "summer" / "1.jpg", [LEFT, RIGHT])
    (tmp_path / "2019" / "summer" / "1.jpg.xmp").write_bytes(mwg(("Anna", LEFT)))
    people = [("Anna B.", np.multiply(LEFT, (60, 40) * 2)), ("Ben", np.multiply(RIGHT, (60, 40) * 2))]
    digikam_database(tmp_path / "digikam4.db", tmp_path, [{"name": "1.jpg", "people": people}])
    found = bring(library, tmp_path)
    # Of two names the sidecar's counts, and the other is asked about.
    assert (found.named, found.asked) == (2, 1)
    assert [name_of(library, face) for face in (left, right)] == ["Anna", "Ben"]
    with pytest.raises(WrongUsage, match=r"There is no digikam4\.db"):
        bring(library, tmp_path / "2019", kind="digikam")
