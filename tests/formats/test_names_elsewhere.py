"""Names are read from files of other programs, and from damaged or hostile ones."""

import json
import math
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fixtures.hostile import changed_json, damaged_bytes, hostile
from tests.fixtures.names_elsewhere import (
    LEFT,
    RIGHT,
    contacts_xml,
    digikam_database,
    osxphotos_photo,
    picasa_ini,
    rect64,
    takeout_json,
)

from facesets.errors import FacesetsError, WrongUsage
from facesets.formats.digikam import read_digikam
from facesets.formats.named_photos import NamedPhoto, NamedRegion, box_within
from facesets.formats.osxphotos import BrokenJson, elements, read_osxphotos
from facesets.formats.picasa import read_contacts, read_picasa_ini
from facesets.formats.picasa import rect64 as box_of
from facesets.formats.takeout import read_takeout, takeout_file


def test_rect64_is_four_numbers_of_16_bits_without_zeros_in_front() -> None:
    assert box_of("3f845bcb59418507") == pytest.approx((0.24811, 0.35857, 0.34865, 0.51964), abs=1e-5)
    # 0168 0000 a5c2 6c82
    assert box_of("1680000a5c26c82") == pytest.approx((0.00549, 0.0, 0.6475, 0.42387), abs=1e-5)
    assert box_of("0") is None
    assert box_of(rect64(LEFT)[7:-1]) == pytest.approx(LEFT, abs=1e-4)


def test_unbounded_boxes_and_boxes_outside_the_picture_are_ignored() -> None:
    assert box_within(0.1, 0.1, math.inf, 0.5) is None
    assert box_within(1.1, 0.1, 1.5, 0.5) is None
    assert box_within(-1, 0.1, 0.5, 2) == (0, 0.1, 0.5, 1)


def test_picasa_s_names_come_from_the_folder_or_from_its_contacts() -> None:
    ini = picasa_ini(
        {"A.JPG": [(LEFT, "0a1b"), (RIGHT, "ffffffffffffffff")], "b.jpg": [(RIGHT, "c")]}, {"a1b": "Zoë"}
    )
    folder = read_picasa_ini(ini.encode())
    (zoe,) = folder.regions_of("a.jpg", {})
    assert (zoe.name, zoe.frame, zoe.program) == ("Zoë", "stored", "picasa")
    assert folder.regions_of("b.jpg", {}) == ()
    assert [
        each.name for each in folder.regions_of("b.jpg", read_contacts(contacts_xml({"0c": "Ben"}).encode()))
    ] == ["Ben"]
    assert (folder.nameless({}), folder.nameless({"c": "Ben"})) == (1, 0)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_picasa_s_files_are_read_in_whatever_windows_wrote(encoding: str) -> None:
    ini = picasa_ini({"Größe.jpg": [(LEFT, "a")]}, {"a": "Zoë"})
    assert [each.name for each in read_picasa_ini(ini.encode(encoding)).regions_of("größe.JPG", {})] == [
        "Zoë"
    ]


@pytest.mark.parametrize(
    ("photo", "file"),
    [
        ("IMG_1.jpg", "IMG_1.jpg.json"),
        ("IMG_1.jpg", "IMG_1.jpg.supplemental-metadata.json"),
        ("IMG_1(2).jpg", "IMG_1.jpg(2).json"),
        ("IMG_1(2).jpg", "IMG_1.jpg.supplemental-metadata(2).json"),
        ("IMG_1-edited.jpg", "IMG_1.jpg.json"),
        ("IMG_1-edited(2).jpg", "IMG_1.jpg(2).json"),
        ("IMG_1(2)-edited.jpg", "IMG_1.jpg.supplemental-metadata(2).json"),
        ("IMG_1-bearbeitet.jpg", "IMG_1.jpg.json"),
        ("IMG_1-modifi\u00e9.jpg", "IMG_1.jpg.supplemental-metadata.json"),
        ("IMG_1-modifie\u0301.jpg", "IMG_1.jpg.json"),
        ("IMG_1-modificato(1).jpg", "IMG_1.jpg.supplemental-metadata(1).json"),
        ("IMG_1-editado.jpg", "IMG_1.jpg.json"),
        ("IMG_1-ha editado.jpg", "IMG_1.jpg.json"),
        ("IMG_1-bewerkt.jpg", "IMG_1.jpg.json"),
        ("IMG_1-edytowane.jpg", "IMG_1.jpg.json"),
        ("IMG_1-\u7de8\u96c6\u6e08\u307f.jpg", "IMG_1.jpg.json"),
        ("Screenshot_2017-07-05-10-05-26.png", "Screenshot_2017-07-05-10-05-26.png.supplementa.json"),
        ("D7157814-D2D5-4A62-AFCE-9CF465CB7D66.jpeg", "D7157814-D2D5-4A62-AFCE-9CF465CB7D66.jpeg.supp.json"),
        (f"{'x' * 60}.jpg", f"{'x' * 46}.json"),
    ],
)
def test_takeout_s_file_of_a_photo_is_found_however_its_name_was_cut_off(photo: str, file: str) -> None:
    assert takeout_file(photo, {photo, file, "metadata.json", "IMG_11.jpg.json"}) == file
    assert takeout_file("other.jpg", {file}) == ""


def test_an_edited_photos_own_file_takes_precedence() -> None:
    names = {"IMG_1.jpg", "IMG_1.jpg.json", "IMG_1-bearbeitet.jpg.json"}
    assert takeout_file("IMG_1-bearbeitet.jpg", names) == "IMG_1-bearbeitet.jpg.json"


def test_takeout_names_people_without_a_place() -> None:
    found = read_takeout(takeout_json("1.jpg", "Anna", " Zoe\u0308 ", "Anna", "").encode())
    assert found == tuple(NamedRegion(name, None, "upright", "takeout") for name in ("Anna", "Zoë"))
    assert read_takeout(b'{"people": 5}') == ()


def photos_of_digikam(path: Path, **fields: Any) -> list[NamedPhoto]:
    photo = {"name": "1.jpg", "size": 9, "orientation": 1, "width": 100, "height": 50}
    people = [("Anna", (10, 10, 30, 25)), ("Ben", None)]
    digikam_database(path, Path("/home/me/Bilder & mehr"), [{**photo, "people": people}], **fields)
    return list(read_digikam(path))


@pytest.mark.parametrize("uuid", ["", "a2eb43b6-9a15"], ids=["by its path", "on a volume with a number"])
def test_digikam_s_confirmed_faces_and_people_are_read_and_nothing_else(tmp_path: Path, uuid: str) -> None:
    (photo,) = photos_of_digikam(tmp_path / "digikam4.db", uuid=uuid)
    assert photo.path == "/home/me/Bilder & mehr/2019/summer/1.jpg"
    assert (photo.name, photo.size) == ("1.jpg", 9)
    assert photo.regions == (
        NamedRegion("Anna", (0.1, 0.2, 0.3, 0.5), "upright", "digikam"),
        NamedRegion("Ben", None, "upright", "digikam"),
    )


def test_a_database_that_digikam_has_open_is_refused(tmp_path: Path) -> None:
    photos_of_digikam(tmp_path / "digikam4.db")
    (tmp_path / "digikam4.db-wal").write_bytes(b"frames")
    with pytest.raises(WrongUsage, match="Close digiKam"):
        list(read_digikam(tmp_path / "digikam4.db"))


@pytest.mark.parametrize(
    "change",
    [
        "DROP TABLE ImageTags",
        "ALTER TABLE Images RENAME COLUMN fileSize TO size",
        "ALTER TABLE Tags RENAME TO T; CREATE VIEW Tags AS SELECT * FROM T",
        """ALTER TABLE ImageTags RENAME TO T;
            CREATE VIEW ImageTags AS WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n)
            SELECT i AS imageid, 20 AS tagid FROM n""",
        "ALTER TABLE Albums RENAME TO T; CREATE VIRTUAL TABLE Albums USING fts5 (id, albumRoot)",
    ],
)
def test_a_database_with_other_tables_or_with_views_gets_a_sentence(tmp_path: Path, change: str) -> None:
    photos_of_digikam(tmp_path / "digikam4.db")
    with closing(sqlite3.connect(tmp_path / "digikam4.db")) as database:
        database.executescript(change)
    with pytest.raises(WrongUsage, match=r"as a digiKam database"):
        list(read_digikam(tmp_path / "digikam4.db"))


def test_a_database_is_read_without_leaving_a_trace_beside_it(tmp_path: Path) -> None:
    photos_of_digikam(tmp_path / "digikam4.db")
    with closing(sqlite3.connect(tmp_path / "digikam4.db")) as database:
        database.execute("PRAGMA journal_mode = WAL")
    before = (tmp_path / "digikam4.db").read_bytes()
    tmp_path.chmod(0o555)
    try:
        assert len(list(read_digikam(tmp_path / "digikam4.db"))) == 1
    finally:
        tmp_path.chmod(0o755)
    assert [each.name for each in tmp_path.iterdir()] == ["digikam4.db"]
    assert (tmp_path / "digikam4.db").read_bytes() == before


def test_apple_s_faces_are_measured_from_below(tmp_path: Path) -> None:
    square = (0.25, 0.2, 0.35, 0.4)
    photo = osxphotos_photo("/a/1.jpeg", 100, 50, {"Anna": square, "Ben": None})
    (tmp_path / "p.json").write_text(json.dumps([photo]))
    (found,) = read_osxphotos(tmp_path / "p.json")
    anna, ben = found.regions
    assert anna.box == pytest.approx(square)
    assert (anna.frame, ben) == ("upright", NamedRegion("Ben", None, "upright", "osxphotos"))
    assert (found.path, found.name, found.size) == ("/a/1.jpeg", "1.jpeg", 1)


def test_regions_of_edited_apple_photos_are_not_used_for_the_original(tmp_path: Path) -> None:
    photo = osxphotos_photo("/a/1.jpeg", 100, 50, {"Anna": LEFT}, path_edited="/a/1_edited.jpeg")
    (tmp_path / "p.json").write_text(json.dumps([photo]))
    edited, original = read_osxphotos(tmp_path / "p.json")
    assert (edited.path, edited.regions[0].box is None) == ("/a/1_edited.jpeg", False)
    assert (original.path, original.regions[0].box) == ("/a/1.jpeg", None)


def test_a_long_array_is_read_an_element_at_a_time(tmp_path: Path) -> None:
    some = [{"n": n, "text": "ä" * 1000} for n in range(3000)]
    path = tmp_path / "long.json"
    path.write_text(json.dumps(some, indent=1, ensure_ascii=False), encoding="utf-8")
    with path.open("rb") as file:
        assert list(elements(file)) == some
    path.write_bytes(path.read_bytes()[:-3])
    with path.open("rb") as file, pytest.raises(BrokenJson):
        list(elements(file))


def read_all(photos: Iterator[NamedPhoto]) -> None:
    for photo in photos:
        require_regions(photo.regions)


def require_regions(regions: tuple[NamedRegion, ...]) -> None:
    for each in regions:
        assert each.name == each.name.strip() != ""
        if each.box is not None:
            x1, y1, x2, y2 = each.box
            assert 0 <= x1 < x2 <= 1
            assert 0 <= y1 < y2 <= 1


def tried(read: Callable[[], object]) -> None:
    """Read something that may be refused with a sentence."""
    try:
        read()
    except FacesetsError as error:
        assert "\n" not in str(error)
        assert str(error).isprintable()


INI = picasa_ini(
    {"1.jpg": [(LEFT, "a"), (RIGHT, "b")], "2.jpg": [(LEFT, "b")]}, {"a": "Anna", "b": "Zoë"}
).encode()
CONTACTS = contacts_xml({"a": "Anna", "b": "Zoë"}).encode()
OSXPHOTOS = [osxphotos_photo("/a/1.jpeg", 100, 50, {"Anna": LEFT, "Ben": None})] * 2
TAKEOUT = json.loads(takeout_json("1.jpg", "Anna", "Ben"))


@cache
def database() -> bytes:
    """Make a digiKam database."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "digikam4.db"
        photos_of_digikam(path)
        return path.read_bytes()


def read_folder(path: Path) -> None:
    folder = read_picasa_ini(path.read_bytes())
    for photo in folder.faces:
        require_regions(folder.regions_of(photo, {}))


def changed(value: object) -> st.SearchStrategy[bytes]:
    """Return JSON with other values in it, or damaged."""
    return changed_json(value).map(lambda each: json.dumps(each).encode()) | damaged_bytes(
        json.dumps(value).encode()
    )


@pytest.mark.parametrize(
    ("content", "read"),
    [
        pytest.param(st.binary(max_size=300) | damaged_bytes(INI), read_folder, id="picasa.ini"),
        pytest.param(damaged_bytes(CONTACTS), lambda path: read_contacts(path.read_bytes()), id="contacts"),
        pytest.param(changed(OSXPHOTOS), lambda path: read_all(read_osxphotos(path)), id="osxphotos"),
        pytest.param(
            changed(TAKEOUT), lambda path: require_regions(read_takeout(path.read_bytes())), id="takeout"
        ),
        pytest.param(
            st.deferred(lambda: damaged_bytes(database())),
            lambda path: read_all(read_digikam(path)),
            id="digikam",
        ),
    ],
)
@given(data=st.data())
@hostile
def test_damaged_files_and_values_of_other_types_give_names_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
    content: st.SearchStrategy[bytes],
    read: Callable[[Path], object],
) -> None:
    path = tmp_path_factory.getbasetemp() / "digikam4.db"
    path.write_bytes(data.draw(content))
    tried(lambda: read(path))


@pytest.mark.parametrize(
    "content", [b"[" * 200_000, b'[{"persons": ' + b"[" * 200_000, b'{"a":' * 100_000, b"1" * 5000]
)
def test_deep_or_endless_json_is_reported(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "p.json").write_bytes(content)
    with pytest.raises(WrongUsage):
        list(read_osxphotos(tmp_path / "p.json"))
    with pytest.raises(WrongUsage):
        read_takeout(content)


TABLES = ("AlbumRoots", "Albums", "Images", "ImageInformation", "Tags", "TagProperties", "ImageTags")


@given(
    table=st.sampled_from((*TABLES, "ImageTagProperties")),
    column=st.integers(0, 9),
    value=st.one_of(
        st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.binary(max_size=9), st.text(max_size=9)
    ),
)
@hostile
def test_any_value_anywhere_in_a_database_gives_names_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, table: str, column: int, value: object
) -> None:
    changed = tmp_path_factory.getbasetemp() / "digikam4.db"
    changed.write_bytes(database())
    with closing(sqlite3.connect(changed)) as there:
        names = [name for _, name, *_ in there.execute(f"PRAGMA table_info({table})")]
        how = "CAST(? AS TEXT)" if isinstance(value, str) else "?"
        given = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
        # A value that the table itself refuses is skipped.
        with suppress(sqlite3.Error):
            there.execute(f"UPDATE OR IGNORE {table} SET {names[column % len(names)]} = {how}", (given,))
        there.commit()
    tried(lambda: read_all(read_digikam(changed)))
