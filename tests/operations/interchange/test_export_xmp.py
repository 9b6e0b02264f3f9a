"""Sidecars beside real files: what is written, what stays, what goes, and what is taken back."""

import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.fixtures.library_people import rows
from tests.fixtures.named_photos import HEIGHT, LEFT, RIGHT, WIDTH, add, names, picture, sidecar
from tests.fixtures.xmp_packets import exiftool_reads, exiftool_reads_all, listed, packet_of, region, regions

from facesets import files
from facesets.errors import CannotWrite, FacesetsError, WrongUsage
from facesets.file_records import FileRecord
from facesets.files import sha256_of
from facesets.formats.xmp.reading import read_named_regions
from facesets.imaging.metadata.reader import packet_in
from facesets.imaging.stored_frame import stored_box, stored_frame, upright_box
from facesets.operations.ingest.relocate import forget_folder, relocate, writing
from facesets.operations.interchange import export_xmp as exporting
from facesets.operations.interchange import sidecar_files
from facesets.operations.interchange.export_xmp import export_xmp
from facesets.operations.interchange.import_names import import_names
from facesets.operations.interchange.name_sources import FilesRead, named_photos
from facesets.operations.interchange.undo_xmp import undo_xmp
from facesets.operations.options.library import ExportXmpOptions
from facesets.operations.people.corrections import correcting, naming
from facesets.operations.people.forgetting.forget import forget
from facesets.result import Result
from facesets.rights import SHARED
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.work import Work

BY = "ben@home"


@pytest.fixture
def library(database: Database) -> Library:
    return Library(database)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


def export(library: Library, *who: str, **options: Any) -> Result:
    chosen = ExportXmpOptions(**options)
    return export_xmp(library, who, chosen, work=Work())


def undo(library: Library, run: int | str = "last", *, dry_run: bool = False) -> Result:
    return undo_xmp(library.database, f"{run}", dry_run=dry_run, work=Work())


def face_of(library: Library, person: str) -> int:
    found = rows(
        library.database,
        f"""SELECT min(f.id) FROM face_detections f JOIN person_names n USING (person_id)
            WHERE n.name = '{person}'""",
    )
    return int(found[0][0])


def states(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file below a folder, what it holds and when it was written."""
    return {str(p): (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("suffix", [".jpg", ".heic"])
def test_names_and_boxes_come_back_from_every_orientation(
    library: Library, photos: Path, suffix: str
) -> None:
    made = {picture(photos / f"{n}{suffix}", n): n for n in range(1, 9)}
    for photo in made:
        add(library, photo, "Anna", "Ben Ångström")
    originals = states(photos)
    summary = export(library)
    assert (summary.new, summary.people, summary.photos) == (8, 2, 8)
    for photo in made:
        assert photo.read_bytes() == originals[str(photo)][0]
        frame = stored_frame(photo)
        found = read_named_regions(sidecar(photo).read_bytes())
        assert [each.name for each in found] == ["Anna", "Ben Ångström"]
        width, height = frame.upright_size
        for each, box in zip(found, (LEFT, RIGHT), strict=True):
            assert each.box is not None
            shown = np.array(upright_box(each.box, frame.orientation)) * np.array([width, height] * 2)
            assert np.abs(shown - np.array(box)).max() < 0.01


def test_exiftool_reads_the_sidecar_of_a_turned_photo(library: Library, photos: Path) -> None:
    photo = picture(photos / "a.jpg", 6)
    add(library, photo, "Anna")
    export(library)
    said = exiftool_reads(sidecar(photo))
    # A quarter turn to the left of the upright picture, as the camera stored it.
    assert said["RegionInfo"]["AppliedToDimensions"] == {"W": HEIGHT, "H": WIDTH, "Unit": "pixel"}
    (anna,) = said["RegionInfo"]["RegionList"]
    x1, y1, x2, y2 = LEFT
    assert anna["Area"]["X"] == pytest.approx((y1 + y2) / 2 / HEIGHT, abs=1e-5)
    assert anna["Area"]["Y"] == pytest.approx(1 - (x1 + x2) / 2 / WIDTH, abs=1e-5)
    assert anna["Area"]["W"] == pytest.approx((y2 - y1) / HEIGHT, abs=1e-5)
    assert said["PersonInImage"] == ["Anna"]


def test_a_server_that_imports_regions_gets_every_box_to_the_pixel(library: Library, photos: Path) -> None:
    made = [picture(photos / f"{n}.jpg", n) for n in range(1, 9)]
    for photo in made:
        add(library, photo, "Anna", "Ben")
    export(library)
    said = exiftool_reads_all([sidecar(photo) for photo in made])
    for orientation, tags in enumerate(said, start=1):
        found = {name: box for name, *box in _as_immich_imports(tags["RegionInfo"], orientation)}
        assert found.keys() == {"Anna", "Ben"}
        assert np.abs(np.array([found["Anna"], found["Ben"]]) - np.array([LEFT, RIGHT])).max() <= 1


def _as_immich_imports(info: dict[str, Any], orientation: int) -> Iterator[tuple[str, int, int, int, int]]:
    """Name and box in whole pixels of the upright picture, as Immich makes them of what exiftool reads."""
    width, height = info["AppliedToDimensions"]["W"], info["AppliedToDimensions"]["H"]
    is_on_its_side = orientation >= 5
    if is_on_its_side:
        width, height = height, width
    for each in info["RegionList"]:
        x, y, w, h = (each["Area"][key] for key in "XYWH")
        x, y = {
            1: (x, y),
            2: (1 - x, y),
            3: (1 - x, 1 - y),
            4: (x, 1 - y),
            5: (y, x),
            6: (1 - y, x),
            7: (1 - y, 1 - x),
            8: (y, 1 - x),
        }[orientation]
        if is_on_its_side:
            w, h = h, w
        left, top = int((x - w / 2) * width), int((y - h / 2) * height)
        yield each["Name"], left, top, int((x + w / 2) * width), int((y + h / 2) * height)


def test_what_a_server_imported_comes_home_with_every_name_and_box(
    library: Library, empty_database: Database, photos: Path
) -> None:
    home = Library(empty_database)
    made = [picture(photos / f"{n}.jpg", n) for n in range(1, 9)]
    for photo in made:
        add(library, photo, "Anna", "Ben Ångström")
        add(home, photo, "Anna", "Ben Ångström")
    export(library)
    forget_names = """UPDATE face_detections SET person_id = NULL, assigned_by = NULL, assigned_at = NULL;
        DELETE FROM person_names; DELETE FROM persons"""
    home.database.run(lambda connection: connection.execute(forget_names, prepare=False))
    for orientation, tags in enumerate(exiftool_reads_all([sidecar(photo) for photo in made]), start=1):
        frame = stored_frame(made[orientation - 1])
        width, height = frame.upright_size
        said = []
        for name, left, top, right, bottom in _as_immich_imports(tags["RegionInfo"], orientation):
            box = (left / width, top / height, right / width, bottom / height)
            x1, y1, x2, y2 = stored_box(box, orientation)
            said.append(region(name, (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1))
        size = f'<mwg-rs:AppliedToDimensions stDim:w="{frame.width}" stDim:h="{frame.height}"/>'
        sidecar(made[orientation - 1]).write_bytes(packet_of(regions(*said, size=size)))
    read = FilesRead()
    found = import_names(home, named_photos([photos], "auto", read), read, "names", work=Work(by=BY))
    assert (found.photos, found.people, found.named, found.without_face) == (8, 2, 16, 0)
    named = """SELECT p.path, f.x1, n.name FROM face_detections f JOIN person_names n USING (person_id)
        JOIN image_paths p USING (image_id) ORDER BY 1, 2"""
    assert rows(home.database, named) == rows(library.database, named)
    ((aside,),) = rows(
        home.database,
        """SELECT max(greatest(abs(n.box[1] * i.width - f.x1), abs(n.box[2] * i.height - f.y1),
                abs(n.box[3] * i.width - f.x2), abs(n.box[4] * i.height - f.y2)))
            FROM imported_names n JOIN face_detections f ON f.id = n.face_id
            JOIN images i ON i.id = n.image_id""",
    )
    assert aside <= 1.001


def test_what_is_beyond_the_edge_is_cut_off_and_not_written_again(library: Library, photos: Path) -> None:
    photo = picture(photos / "a.jpg", 8)
    add(library, photo, "Anna", "Ben")
    library.database.run(
        lambda connection: connection.execute(
            """UPDATE face_detections SET x1 = CASE ordinal WHEN 0 THEN -30 ELSE -80 END,
                x2 = CASE ordinal WHEN 0 THEN 60 ELSE -10 END"""
        )
    )
    assert export(library).new == 1
    (anna,) = read_named_regions(sidecar(photo).read_bytes())
    assert anna.box is not None
    assert upright_box(anna.box, 8)[:3:2] == pytest.approx((0, 60 / WIDTH), abs=1e-5)
    assert export(library, "Ben").unchanged == 1
    os.utime(sidecar(photo))
    assert export(library).unchanged == 1


def test_a_second_run_writes_nothing(library: Library, photos: Path) -> None:
    for n in range(3):
        add(library, picture(photos / f"{n}.jpg", colour=f"#{n}00000"), "Anna")
    (photos / "1.jpg.xmp").write_bytes(packet_of(listed("Iptc4xmpExt:PersonInImage", "Anna")))
    export(library)
    before = states(photos)
    again = export(library)
    assert (again.unchanged, again.new, again.changed, again.run) == (3, 0, 0, 0)
    assert states(photos) == before


def test_a_dry_run_says_what_would_be_written(library: Library, photos: Path) -> None:
    add(library, picture(photos / "a.jpg"), "Anna")
    before = states(photos)
    summary = export(library, dry_run=True)
    assert (summary.new, summary.run, summary.dry_run) == (1, 0, True)
    assert states(photos) == before
    assert rows(library.database, "SELECT count(*) FROM xmp_sidecars") == [(0,)]
    assert rows(library.database, "SELECT count(*) FROM runs WHERE command = 'export-xmp'") == [(0,)]


def test_a_rejection_removes_only_what_is_ours(library: Library, photos: Path) -> None:
    photo = picture(photos / "a.jpg")
    theirs = packet_of(
        regions(
            region("Carl", 0.5, 0.5, 0.1, 0.1),
            size='<mwg-rs:AppliedToDimensions stDim:w="240" stDim:h="180"/>',
        )
        + listed("Iptc4xmpExt:PersonInImage", "Carl", "Ben"),
        ' xmp:Rating="4"',
    )
    sidecar(photo).write_bytes(theirs)
    add(library, photo, "Anna", "Ben")
    assert export(library).changed == 1
    assert names(sidecar(photo)) == ["Carl", "Anna", "Ben"]
    correcting.move(library.database, [face_of(library, "Ben")], "nobody", by=BY)
    assert export(library).changed == 1
    # Ben was named by somebody else, too, without a place.
    assert names(sidecar(photo)) == ["Carl", "Anna", "Ben"]
    assert [each.box for each in read_named_regions(sidecar(photo).read_bytes())][2] is None
    correcting.move(library.database, [face_of(library, "Anna")], "nobody", by=BY)
    assert export(library).changed == 1
    assert names(sidecar(photo)) == ["Carl", "Ben"]
    assert b'xmp:Rating="4"' in sidecar(photo).read_bytes()


def test_a_sidecar_of_ours_alone_goes_with_the_last_name(library: Library, photos: Path) -> None:
    photo = picture(photos / "a.jpg")
    add(library, photo, "Anna")
    export(library)
    naming.set_hidden(library.database, "Anna", hidden=True, by=BY)
    assert export(library).removed == 1
    assert not sidecar(photo).exists()
    naming.set_hidden(library.database, "Anna", hidden=False, by=BY)
    assert export(library).new == 1


def test_who_was_asked_for_stays_up_to_date_and_others_stay_out(library: Library, photos: Path) -> None:
    both, ben = picture(photos / "both.jpg"), picture(photos / "ben.jpg", colour="red")
    add(library, both, "Anna", "Ben")
    add(library, ben, "Ben")
    assert export(library, "anna").new == 1
    assert names(sidecar(both)) == ["Anna"]
    naming.rename(library.database, "Anna", "Anna Berg", by=BY)
    assert export(library, "Ben", target=(photos / "both.jpg",)).changed == 1
    assert names(sidecar(both)) == ["Anna Berg", "Ben"]
    assert not sidecar(ben).exists()
    export(library)
    assert names(sidecar(ben)) == ["Ben"]
    assert b"MP:RegionInfo" not in sidecar(ben).read_bytes()
    export(library, "Ben", microsoft=True)
    assert b"MP:RegionInfo" in sidecar(ben).read_bytes()
    assert export(library).unchanged == 2


def test_people_without_a_name_to_tell_are_refused(library: Library, photos: Path) -> None:
    add(library, picture(photos / "a.jpg"), "Anna")
    with pytest.raises(WrongUsage, match="Nobody is called Ben"):
        export(library, "Ben")
    naming.set_hidden(library.database, "Anna", hidden=True, by=BY)
    with pytest.raises(WrongUsage, match="Anna is hidden"):
        export(library, "Anna")
    assert not list(photos.glob("*.xmp"))


def test_names_that_no_xml_can_hold_are_left_out(library: Library, photos: Path) -> None:
    photo = picture(photos / "a.jpg")
    add(library, photo, "A\x01b", "Ben & <Co>")
    assert export(library).unfit == ["A\x01b"]
    assert names(sidecar(photo)) == ["Ben & <Co>"]


def test_the_sidecar_that_is_there_is_used(library: Library, photos: Path) -> None:
    theirs = packet_of("", ' xmp:Rating="4"')
    alone, *others = (
        picture(photos / f"{name}.jpg", colour=name.removesuffix(".mov"))
        for name in ("red", "lime", "blue", "navy", "teal.mov")
    )
    for photo in (alone, *others):
        photo.with_suffix(".xmp").write_bytes(theirs)
        add(library, photo, "Anna")
    (photos / "lime.CR2").write_bytes(b"raw")
    (photos / "blue.png").write_bytes(b"another picture")
    (photos / "navy.MOV").write_bytes(b"a video")
    (photos / "teal.mov").write_bytes(b"a video, and its first picture beside it")
    export(library)
    assert names(alone.with_suffix(".xmp")) == ["Anna"]
    assert not sidecar(alone).exists()
    for photo in others:
        assert photo.with_suffix(".xmp").read_bytes() == theirs
        assert names(sidecar(photo)) == ["Anna"]


@pytest.mark.skipif(os.name == "nt", reason="modes protect nothing on Windows")
def test_a_sidecar_gives_no_right_that_its_photo_does_not(library: Library, photos: Path) -> None:
    shared, private, closed = (
        picture(photos / f"{name}.jpg", colour=name) for name in ("red", "lime", "blue")
    )
    photos.chmod(0o755)
    shared.chmod(0o644)
    for photo in (private, closed):
        photo.chmod(0o600)
    sidecar(closed).write_bytes(packet_of("", ' xmp:Rating="4"'))
    sidecar(closed).chmod(0o644)
    for photo in (shared, private, closed):
        add(library, photo, "Anna")
    assert export(library).new == 2
    modes = [sidecar(photo).stat().st_mode & 0o777 for photo in (shared, private, closed)]
    assert modes == [0o600 | SHARED & 0o044, 0o600, 0o600]


@pytest.mark.skipif(os.name == "nt", reason="modes protect nothing on Windows")
def test_a_group_that_may_read_the_photo_keeps_what_it_may_do_with_the_sidecar(
    library: Library, photos: Path
) -> None:
    wanted = {0o644: 0o664, 0o640: 0o660, 0o604: 0o604, 0o600: 0o600}
    for number, mode in enumerate(wanted):
        photo = picture(photos / f"{number}.jpg", colour=("red", "lime", "blue", "navy")[number])
        photo.chmod(mode)
        sidecar(photo).write_bytes(packet_of("", ' xmp:Rating="4"'))
        sidecar(photo).chmod(0o664)
        add(library, photo, "Anna")
    assert export(library).changed == 4
    modes = [sidecar(photos / f"{number}.jpg").stat().st_mode & 0o777 for number in range(4)]
    assert modes == list(wanted.values())


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
def test_a_sidecar_stays_its_owner_s(library: Library, photos: Path) -> None:
    photo = picture(photos / "a.jpg")
    sidecar(photo).write_bytes(packet_of("", ' xmp:Rating="4"'))
    os.chown(sidecar(photo), 1000, 1001)
    sidecar(photo).chmod(0o600)
    add(library, photo, "Anna")
    assert export(library).changed == 1
    status = sidecar(photo).stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (1000, 1001, 0o600)


def test_a_sidecar_is_replaced_where_files_have_no_owners(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "chown")
    photo = picture(photos / "a.jpg")
    sidecar(photo).write_bytes(packet_of("", ' xmp:Rating="4"'))
    add(library, photo, "Anna")
    assert export(library).changed == 1
    assert names(sidecar(photo)) == ["Anna"]


def test_an_edit_of_ours_is_left_and_named(library: Library, photos: Path) -> None:
    photo, other = picture(photos / "a.jpg"), picture(photos / "b.jpg", colour="red")
    add(library, photo, "Anna")
    add(library, other, "Anna")
    export(library)
    edited = sidecar(photo).read_bytes().replace(b"<mwg-rs:Name>Anna", b"<mwg-rs:Name>Hannah")
    sidecar(photo).write_bytes(edited)
    naming.rename(library.database, "Anna", "Anna Berg", by=BY)
    summary = export(library)
    assert (summary.changed, len(summary.edited)) == (1, 1)
    assert summary.edited[0].path == str(sidecar(photo))
    assert sidecar(photo).read_bytes() == edited
    assert export(library, replace=True).changed == 1
    assert names(sidecar(photo)) == ["Hannah", "Anna Berg"]
    assert export(library).unchanged == 2


def test_a_sidecar_that_was_deleted_is_written_again(library: Library, photos: Path) -> None:
    photo = picture(photos / "a.jpg")
    add(library, photo, "Anna")
    export(library)
    sidecar(photo).unlink()
    assert export(library).new == 1


def emptied(photo: Path, *, ago_s: float = 3600) -> Path:
    """The sidecar of a photo as a program leaves it that was cut off before it wrote a byte."""
    sidecar(photo).write_bytes(b"")
    when = time.time() - ago_s
    os.utime(sidecar(photo), (when, when))
    return sidecar(photo)


def test_an_empty_sidecar_is_written_like_a_missing_one_and_told_of(library: Library, photos: Path) -> None:
    photo, other = picture(photos / "a.jpg"), picture(photos / "b.jpg", colour="red")
    nobody = picture(photos / "c.jpg", colour="blue")
    for each, *people in ((photo, "Anna"), (other, "Anna"), (nobody,)):
        add(library, each, *people)
        emptied(each)
    assert (export(library, dry_run=True).empty, sidecar(photo).read_bytes()) == (2, b"")
    summary = export(library)
    assert (summary.changed, summary.empty, summary.failures) == (2, 2, [])
    assert names(sidecar(photo)) == names(sidecar(other)) == ["Anna"]
    assert sidecar(nobody).read_bytes() == b""
    assert (export(library).unchanged, undo(library).restored) == (2, 2)
    assert sidecar(photo).read_bytes() == b""


def test_what_was_ours_and_is_empty_now_is_written_again(library: Library, photos: Path) -> None:
    photo = picture(photos / "a.jpg")
    add(library, photo, "Anna")
    export(library)
    emptied(photo)
    assert (export(library).empty, names(sidecar(photo))) == (1, ["Anna"])
    emptied(photo)
    correcting.move(library.database, [face_of(library, "Anna")], "nobody", by=BY)
    assert (export(library).failures, sidecar(photo).read_bytes()) == ([], b"")


def test_an_empty_sidecar_that_somebody_may_be_writing_is_left_to_them(
    library: Library, photos: Path
) -> None:
    photo = picture(photos / "a.jpg")
    add(library, photo, "Anna")
    emptied(photo, ago_s=1)
    (failure,) = export(library).failures
    assert "another program may be at it" in failure.reason
    assert sidecar(photo).read_bytes() == b""


def test_an_empty_sidecar_of_a_photo_that_is_gone_is_none(library: Library, photos: Path) -> None:
    photo = picture(photos / "a.jpg")
    add(library, photo, "Anna")
    export(library)
    emptied(photo)
    photo.unlink()
    summary = export(library)
    assert (summary.failures, summary.missing, sidecar(photo).read_bytes()) == ([], 1, b"")


def test_a_run_is_taken_back_byte_for_byte(library: Library, photos: Path) -> None:
    new, theirs = picture(photos / "new.jpg"), picture(photos / "theirs.jpg", colour="red")
    for photo in (new, theirs):
        add(library, photo, "Anna")
    sidecar(theirs).write_bytes(packet_of("", ' xmp:Rating="4"').decode().encode("utf-16"))
    before = {path: content for path, (content, _) in states(photos).items()}
    run = export(library).run
    tried = undo(library, run, dry_run=True)
    assert (tried.restored, tried.removed) == (1, 1)
    done = undo(library, run)
    assert (done.run, done.restored, done.removed) == (run, 1, 1)
    assert {path: content for path, (content, _) in states(photos).items()} == before
    with pytest.raises(WrongUsage, match="There is no run of export-xmp to take back"):
        undo(library)
    again = export(library)
    assert (again.new, again.changed) == (1, 1)
    assert again.run > run


def test_taking_back_leaves_what_was_changed_since(library: Library, photos: Path) -> None:
    photo, other = picture(photos / "a.jpg"), picture(photos / "b.jpg", colour="red")
    for each in (photo, other):
        add(library, each, "Anna")
    first = export(library).run
    naming.rename(library.database, "Anna", "Anna Berg", by=BY)
    second = export(library).run
    mine = sidecar(photo).read_bytes() + b"<!-- mine -->"
    sidecar(photo).write_bytes(mine)
    done = undo(library, second)
    assert (done.restored, [each.path for each in done.edited]) == (1, [str(sidecar(photo))])
    assert sidecar(photo).read_bytes() == mine
    assert names(sidecar(other)) == ["Anna"]
    done = undo(library, first)
    assert (done.removed, len(done.edited)) == (1, 1)
    # What is ours is known still.
    correcting.move(library.database, [face_of(library, "Anna Berg")], "nobody", by=BY)
    assert export(library).photos == 2


def test_a_run_below_another_can_be_taken_back_once_that_one_is(library: Library, photos: Path) -> None:
    photo = picture(photos / "a.jpg")
    sidecar(photo).write_bytes(packet_of("", ' xmp:Rating="4"'))
    before = sidecar(photo).read_bytes()
    add(library, photo, "Anna")
    first = export(library).run
    naming.rename(library.database, "Anna", "Anna Berg", by=BY)
    export(library)
    (left,) = undo(library, first).edited
    assert "a later run wrote it" in left.reason
    assert undo(library).restored == 1
    assert undo(library).restored == 1
    assert sidecar(photo).read_bytes() == before


def test_what_lies_on_a_disk_that_is_not_mounted_can_be_taken_back_later(
    library: Library, photos: Path, tmp_path: Path
) -> None:
    new, theirs = picture(photos / "new.jpg"), picture(photos / "theirs.jpg", colour="red")
    for photo in (new, theirs):
        add(library, photo, "Anna")
    sidecar(theirs).write_bytes(packet_of("", ' xmp:Rating="4"'))
    before = states(photos)
    export(library)
    elsewhere = photos.rename(tmp_path / "elsewhere")
    photos.mkdir()
    done = undo(library)
    assert (done.as_before, done.edited, len(done.failures)) == (0, [], 2)
    photos.rmdir()
    elsewhere.rename(photos)
    # What is ours there is known still, too.
    assert export(library).unchanged == 2
    done = undo(library)
    assert (done.restored, done.removed) == (1, 1)
    assert {path: content for path, (content, _) in states(photos).items()} == {
        path: content for path, (content, _) in before.items()
    }


def test_a_folder_that_was_emptied_for_good_holds_up_no_undo(library: Library, photos: Path) -> None:
    emptied, kept = photos / "emptied", photos / "kept"
    emptied.mkdir()
    kept.mkdir()
    made = [picture(emptied / "new.jpg"), picture(emptied / "theirs.jpg", colour="red")]
    made.append(picture(kept / "other.jpg", colour="blue"))
    for photo in made:
        add(library, photo, "Anna")
    sidecar(made[1]).write_bytes(packet_of("", ' xmp:Rating="4"'))
    run = export(library).run
    for path in emptied.iterdir():
        path.unlink()
    done = undo(library)
    assert (done.removed, done.not_there, len(done.failures)) == (1, 2, 2)
    forget_folder(library, emptied, dry_run=False)
    done = undo(library)
    assert (done.run, done.as_before, done.not_there, done.failures) == (run, 1, 0, [])
    assert [(each.path, each.reason) for each in done.edited] == [
        (str(sidecar(made[1])), "its folder was emptied")
    ]
    assert done.gone == 2
    assert list(emptied.iterdir()) == []
    with pytest.raises(WrongUsage, match="no run"):
        undo(library)


def test_of_a_disk_that_was_taken_for_gone_what_is_ours_is_known_still(
    library: Library, photos: Path, tmp_path: Path
) -> None:
    new, theirs = picture(photos / "new.jpg"), picture(photos / "theirs.jpg", colour="red")
    for photo in (new, theirs):
        add(library, photo, "Anna")
    sidecar(theirs).write_bytes(packet_of(regions(region("Carl", 0.8, 0.2, 0.1, 0.1))))
    export(library)
    elsewhere = photos.rename(tmp_path / "elsewhere")
    forget_folder(library, photos, dry_run=False)
    done = undo(library)
    assert (done.gone, done.as_before, len(done.edited), done.failures) == (2, 1, 1, [])
    elsewhere.rename(photos)
    found = export(library)
    assert (found.left_behind, found.removed, found.changed) == (2, 1, 1)
    assert not sidecar(new).exists()
    assert names(sidecar(theirs)) == ["Carl"]


def test_one_bad_photo_costs_that_photo_only(library: Library, photos: Path) -> None:
    made = {
        name: picture(photos / f"{name}.jpg", colour=name) for name in ("red", "lime", "blue", "navy", "teal")
    }
    for photo in made.values():
        add(library, photo, "Anna")
    sidecar(made["red"]).write_bytes(b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>")
    sidecar(made["lime"]).symlink_to(photos / "elsewhere.xmp")
    made["blue"].unlink()
    made["navy"].write_bytes(made["navy"].read_bytes() + b"more")
    summary = export(library)
    reasons = {Path(each.path).name: each.reason for each in summary.failures}
    assert (summary.new, summary.missing) == (1, 1)
    assert reasons.keys() == {"red.jpg.xmp", "lime.jpg.xmp", "navy.jpg"}
    assert "DOCTYPE" in reasons["red.jpg.xmp"]
    assert "link" in reasons["lime.jpg.xmp"]
    assert "index it again" in reasons["navy.jpg"]
    assert not (photos / "elsewhere.xmp").exists()


def test_a_sidecar_that_cannot_be_written_is_as_before(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, other = picture(photos / "closed.jpg"), picture(photos / "other.jpg", colour="red")
    for photo in (closed, other):
        add(library, photo, "Anna")

    def put(path: Path, *contents: Any) -> None:
        if path == sidecar(closed):
            raise CannotWrite(f"Cannot write {path} (Read-only file system).")
        sidecar_files.put(path, *contents)

    with monkeypatch.context() as patched:
        patched.setattr(exporting, "put", put)
        summary = export(library)
    assert (summary.new, len(summary.failures)) == (1, 1)
    assert "Read-only" in summary.failures[0].reason
    assert undo(library).removed == 1
    assert export(library).new == 2


def test_a_folder_that_may_not_be_written_is_named_once_and_with_what_to_do(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = picture(photos / "a.jpg")
    sidecar(photo).write_bytes(packet_of("", ' xmp:Rating="4"'))
    add(library, photo, "Anna")

    def refuse(path: Path, **_: object) -> None:
        with files.writing(path):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    def said() -> set[tuple[str, str]]:
        with monkeypatch.context() as patched:
            patched.setattr(sidecar_files, "atomic_write", refuse)
            is_first = not rows(library.database, "SELECT FROM xmp_changes")
            some: list[Any] = [export(library) if is_first else undo(library)]
        return {(each.path, each.reason) for summary in some for each in summary.failures}

    why = (
        "cannot be written (Read-only file system): let yourself write in the photo's folder, or mount it so"
    )
    assert said() == {(str(sidecar(photo)), why)}
    assert export(library).changed == 1
    assert said() == {(str(sidecar(photo)), why)}


def test_names_too_long_for_a_sidecar_cost_that_sidecar(library: Library, photos: Path) -> None:
    long = picture(photos / f"{'a' * 250}.jpg")
    add(library, long, "Anna")
    assert "too long" in export(library).failures[0].reason


def test_a_sidecar_that_changes_while_we_write_stays(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = picture(photos / "a.jpg")
    add(library, photo, "Anna")
    theirs = packet_of("", ' xmp:Rating="4"')
    announce = exporting._Export._announce

    def somebody_writes(*arguments: Any) -> None:
        sidecar(photo).write_bytes(theirs)
        announce(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(exporting._Export, "_announce", somebody_writes)
        summary = export(library)
    assert "just now" in summary.edited[0].reason
    # Nothing was written, so there is nothing to take back.
    assert summary.run == 0
    assert sidecar(photo).read_bytes() == theirs
    assert export(library).changed == 1


def test_what_a_killed_run_wrote_is_known_as_ours(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = picture(photos / "a.jpg")
    theirs = packet_of(listed("Iptc4xmpExt:PersonInImage", "Carl"))
    sidecar(photo).write_bytes(theirs)
    add(library, photo, "Anna", "Ben")

    class Killed(Exception):
        pass

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(exporting._Export, "_keep", die)
        export(library)
    correcting.move(library.database, [face_of(library, "Ben")], "nobody", by=BY)
    assert export(library).changed == 1
    assert names(sidecar(photo)) == ["Anna", "Carl"]
    assert undo(library).restored == 1
    assert names(sidecar(photo)) == ["Anna", "Ben", "Carl"]
    # Of what is there again we know that it is ours.
    assert export(library).changed == 1
    assert names(sidecar(photo)) == ["Anna", "Carl"]
    assert undo(library).restored == 1
    assert undo(library).restored == 1
    assert sidecar(photo).read_bytes() == theirs


@pytest.mark.parametrize("again", [export, undo])
def test_what_a_killed_run_left_half_written_goes_with_the_next(
    again: Callable[[Library], object], library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = picture(photos / "a.jpg")
    add(library, photo, "Anna")
    theirs = photos / ".b.jpg.xmp.0a1b2c3d.tmp"
    theirs.write_bytes(b"another program's")

    class Killed(Exception):
        pass

    def die(sidecar: Path, *_: object) -> None:
        sidecar.with_name(f".{sidecar.name}.0a1b2c3d.tmp").write_bytes(b"<x:xmp")
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(exporting, "put", die)
        export(library)
    export(library, dry_run=True)
    assert len(states(photos)) == 3
    again(library)
    assert set(states(photos)) - {str(sidecar(photo))} == {str(photo), str(theirs)}


def test_whoever_is_forgotten_goes_from_the_sidecars_with_the_next_run(
    library: Library, photos: Path
) -> None:
    photo = picture(photos / "a.jpg")
    sidecar(photo).write_bytes(packet_of("", ' xmp:Rating="4"'))
    add(library, photo, "Änne Zwölfender", "Ben")
    export(library)
    done = forget(library.database, "Änne Zwölfender", work=Work(by=BY))
    assert any("1 XMP sidecar names them: run `export-xmp`" in each for each in done.out_of_reach)
    assert done.proof.is_clean
    assert rows(library.database, "SELECT count(*) FROM xmp_changes") == [(0,)]
    done_again = export(library)
    assert (done_again.changed, done_again.run) == (1, 0)
    assert names(sidecar(photo)) == ["Ben"]
    # What the sidecar held before names them, and is not kept.
    assert rows(library.database, "SELECT count(*) FROM xmp_changes") == [(0,)]


def test_what_is_ours_is_known_where_photos_moved(library: Library, photos: Path, tmp_path: Path) -> None:
    photo = picture(photos / "a.jpg")
    add(library, photo, "Anna")
    export(library)
    moved = tmp_path / "moved"
    shutil.move(photos, moved)
    with writing(library, dry_run=False):
        relocate(library, photos, moved, dry_run=False)
    assert export(library).unchanged == 1
    correcting.move(library.database, [face_of(library, "Anna")], "nobody", by=BY)
    assert export(library).removed == 1
    assert not sidecar(moved / "a.jpg").exists()


def test_what_is_ours_is_known_where_the_user_moved_photos_with_their_sidecars(
    library: Library, photos: Path, tmp_path: Path
) -> None:
    photo, other = picture(photos / "a.jpg"), picture(photos / "b.jpg", colour="red")
    sidecar(photo).write_bytes(packet_of("", ' xmp:Rating="4"'))
    theirs = packet_of(listed("Iptc4xmpExt:PersonInImage", "Carl"))
    for each in (photo, other):
        add(library, each, "Änne Zwölfender", "Ben")
    export(library)
    moved = photos.rename(tmp_path / "moved")
    sidecar(moved / "b.jpg").write_bytes(theirs)
    library.forget_paths([str(photo), str(other)])
    here = [moved / each.name for each in (photo, other)]
    status = [each.stat() for each in here]
    library.commit(
        [
            FileRecord(str(path), said.st_size, said.st_mtime_ns, sha256_of(path))
            for path, said in zip(here, status, strict=True)
        ],
        [],
    )
    forget(library.database, "Änne Zwölfender", work=Work(by=BY))
    done = export(library)
    assert (done.changed, done.edited) == (2, [])
    assert names(sidecar(moved / "a.jpg")) == ["Ben"]
    assert b'xmp:Rating="4"' in sidecar(moved / "a.jpg").read_bytes()
    # What came there from elsewhere is not ours, though it lies beside the same photo.
    assert names(sidecar(moved / "b.jpg")) == ["Ben", "Carl"]
    held = rows(library.database, "SELECT before FROM xmp_changes WHERE path LIKE '%/a.jpg'")
    assert held == []
    assert rows(library.database, "SELECT count(*) FROM xmp_sidecars") == [(3,)]
    assert export(library).unchanged == 2


def test_names_in_the_photo_itself_are_read_and_never_written(library: Library, photos: Path) -> None:
    photo = picture(photos / "a.jpg")
    image = Image.open(photo)
    image.save(photo, xmp=packet_of(listed("Iptc4xmpExt:PersonInImage", "Carl")))
    content = photo.read_bytes()
    add(library, photo, "Anna")
    export(library)
    assert photo.read_bytes() == content
    with photo.open("rb") as file:
        assert [each.name for each in read_named_regions(packet_in(file))] == ["Carl"]


def test_a_library_without_faces_has_nothing_to_write(library: Library) -> None:
    assert export(library).photos == 0


def test_a_run_that_nobody_knows_cannot_be_taken_back(library: Library, photos: Path) -> None:
    add(library, picture(photos / "a.jpg"), "Anna")
    run = export(library).run
    for said in ("0", "-1", f"{run + 1}", "x"):
        with pytest.raises(FacesetsError, match=f"There are {run}"):
            undo(library, said)
