"""Sidecars beside real files: writing, leaving, removing and undoing."""

import errno
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.fixtures.library_people import rows
from tests.fixtures.named_photos import (
    RATED,
    WIDTH,
    add,
    export,
    names,
    picture,
    shown,
    sidecar,
    undo,
)
from tests.fixtures.xmp_packets import listed, packet_of, region, regions

from facesets import files
from facesets.errors import CannotWrite, FacesetsError, WrongUsage
from facesets.file_records import FileRecord
from facesets.files import sha256_of
from facesets.formats.xmp.reading import read_named_regions
from facesets.imaging.metadata.reader import packet_in
from facesets.imaging.stored_frame import upright_box
from facesets.operations.ingest.relocate import forget_folder, relocate, writing
from facesets.operations.interchange import export_xmp as exporting
from facesets.operations.interchange import sidecar_files
from facesets.operations.people.corrections import correcting, naming
from facesets.operations.people.forgetting.forget import forget
from facesets.rights import SHARED
from facesets.store.postgres.library import Library
from facesets.work import Work

BY = "ben@home"
CARL = packet_of(listed("Iptc4xmpExt:PersonInImage", "Carl"))
"""A sidecar in which another program names another person."""


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


@pytest.fixture
def photo(library: Library, photos: Path) -> Path:
    """A photo of Anna."""
    return shown(library, photos / "a.jpg", "Anna")


class Killed(Exception):
    """Raised by a test in place of a kill."""


def face_of(library: Library, person: str) -> int:
    found = rows(
        library.database,
        f"""SELECT min(f.id) FROM face_detections f JOIN person_names n USING (person_id)
            WHERE n.name = '{person}'""",
    )
    return int(found[0][0])


def states(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return every file below a folder with its content and time."""
    return {str(p): (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.rglob("*") if p.is_file()}


def test_boxes_are_clipped_at_the_edge_and_not_written_again(library: Library, photos: Path) -> None:
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
        shown(library, photos / f"{n}.jpg", "Anna")
    (photos / "1.jpg.xmp").write_bytes(packet_of(listed("Iptc4xmpExt:PersonInImage", "Anna")))
    export(library)
    before = states(photos)
    again = export(library)
    assert (again.unchanged, again.new, again.changed, again.run) == (3, 0, 0, 0)
    assert states(photos) == before


@pytest.mark.usefixtures("photo")
def test_a_dry_run_reports_what_would_be_written(library: Library, photos: Path) -> None:
    before = states(photos)
    summary = export(library, dry_run=True)
    assert (summary.new, summary.run, summary.dry_run) == (1, 0, True)
    assert states(photos) == before
    assert rows(library.database, "SELECT count(*) FROM xmp_sidecars") == [(0,)]
    assert rows(library.database, "SELECT count(*) FROM runs WHERE command = 'export-xmp'") == [(0,)]


def test_a_rejection_removes_only_our_part(library: Library, photos: Path) -> None:
    size = '<mwg-rs:AppliedToDimensions stDim:w="240" stDim:h="180"/>'
    theirs = regions(region("Carl", 0.5, 0.5, 0.1, 0.1), size=size)
    theirs += listed("Iptc4xmpExt:PersonInImage", "Carl", "Ben")
    packet = packet_of(theirs, ' xmp:Rating="4"')
    photo = shown(library, photos / "a.jpg", "Anna", "Ben", beside=packet)
    assert export(library).changed == 1
    assert names(sidecar(photo)) == ["Carl", "Anna", "Ben"]
    correcting.move(library.database, [face_of(library, "Ben")], "nobody", by=BY)
    assert export(library).changed == 1
    # Another program also names Ben, without a place.
    assert names(sidecar(photo)) == ["Carl", "Anna", "Ben"]
    assert [each.box for each in read_named_regions(sidecar(photo).read_bytes())][2] is None
    correcting.move(library.database, [face_of(library, "Anna")], "nobody", by=BY)
    assert export(library).changed == 1
    assert names(sidecar(photo)) == ["Carl", "Ben"]
    assert b'xmp:Rating="4"' in sidecar(photo).read_bytes()


def test_a_sidecar_of_ours_alone_goes_with_the_last_name(library: Library, photo: Path) -> None:
    export(library)
    naming.set_hidden(library.database, "Anna", hidden=True, by=BY)
    assert export(library).removed == 1
    assert not sidecar(photo).exists()
    naming.set_hidden(library.database, "Anna", hidden=False, by=BY)
    assert export(library).new == 1


def test_requested_people_stay_up_to_date_and_others_are_left_out(library: Library, photos: Path) -> None:
    both = shown(library, photos / "both.jpg", "Anna", "Ben")
    ben = shown(library, photos / "ben.jpg", "Ben")
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


@pytest.mark.usefixtures("photo")
def test_people_without_a_name_are_refused(library: Library, photos: Path) -> None:
    with pytest.raises(WrongUsage, match="Person not found: Ben"):
        export(library, "Ben")
    naming.set_hidden(library.database, "Anna", hidden=True, by=BY)
    with pytest.raises(WrongUsage, match="Anna is hidden"):
        export(library, "Anna")
    assert not list(photos.glob("*.xmp"))


def test_names_that_xml_cannot_hold_are_skipped(library: Library, photos: Path) -> None:
    photo = shown(library, photos / "a.jpg", "A\x01b", "Ben & <Co>")
    assert export(library).unfit == ["A\x01b"]
    assert names(sidecar(photo)) == ["Ben & <Co>"]


def test_an_existing_sidecar_is_used(library: Library, photos: Path) -> None:
    alone, *others = (
        shown(library, photos / f"{name}.jpg", "Anna") for name in ("alone", "raw", "png", "live", "clip.mov")
    )
    for photo in (alone, *others):
        photo.with_suffix(".xmp").write_bytes(RATED)
    (photos / "raw.CR2").write_bytes(b"raw")
    (photos / "png.png").write_bytes(b"another picture")
    (photos / "live.MOV").write_bytes(b"a video")
    (photos / "clip.mov").write_bytes(b"a video, and its first picture beside it")
    export(library)
    assert names(alone.with_suffix(".xmp")) == ["Anna"]
    assert not sidecar(alone).exists()
    for photo in others:
        assert photo.with_suffix(".xmp").read_bytes() == RATED
        assert names(sidecar(photo)) == ["Anna"]


@pytest.mark.skipif(os.name == "nt", reason="modes protect nothing on Windows")
def test_a_sidecar_gives_no_right_that_its_photo_does_not(library: Library, photos: Path) -> None:
    photos.chmod(0o755)
    # Of the photo, of the sidecar before, and wanted: readers of the photo keep their rights.
    cases = [(0o644, 0, 0o600 | SHARED & 0o044), (0o600, 0, 0o600), (0o600, 0o644, 0o600)]
    cases += [(0o644, 0o664, 0o664), (0o640, 0o664, 0o660), (0o604, 0o664, 0o604), (0o600, 0o664, 0o600)]
    for number, (mode, before, _) in enumerate(cases):
        photo = shown(library, photos / f"{number}.jpg", "Anna", beside=RATED if before else b"")
        photo.chmod(mode)
        if before:
            sidecar(photo).chmod(before)
    assert (export(library).new, export(library).unchanged) == (2, 7)
    modes = [sidecar(photos / f"{number}.jpg").stat().st_mode & 0o777 for number in range(7)]
    assert modes == [wanted for _, _, wanted in cases]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
def test_a_sidecar_keeps_its_owner(library: Library, photo: Path) -> None:
    sidecar(photo).write_bytes(RATED)
    os.chown(sidecar(photo), 1000, 1001)
    sidecar(photo).chmod(0o600)
    assert export(library).changed == 1
    status = sidecar(photo).stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (1000, 1001, 0o600)


def test_a_sidecar_is_replaced_on_disks_without_owners(
    library: Library, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "chown")
    sidecar(photo).write_bytes(RATED)
    assert export(library).changed == 1
    assert names(sidecar(photo)) == ["Anna"]


def test_an_edit_of_ours_is_left_and_named(library: Library, photos: Path) -> None:
    photo = shown(library, photos / "a.jpg", "Anna")
    shown(library, photos / "b.jpg", "Anna")
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


def test_a_sidecar_that_was_deleted_is_written_again(library: Library, photo: Path) -> None:
    export(library)
    sidecar(photo).unlink()
    assert export(library).new == 1


def emptied(photo: Path, *, ago_s: float = 3600) -> Path:
    """The sidecar of a photo as a program leaves it that was cut off before it wrote a byte."""
    sidecar(photo).write_bytes(b"")
    when = time.time() - ago_s
    os.utime(sidecar(photo), (when, when))
    return sidecar(photo)


def test_an_empty_sidecar_is_written_like_a_missing_one_and_counted(library: Library, photos: Path) -> None:
    photo, other = (shown(library, photos / name, "Anna") for name in ("a.jpg", "b.jpg"))
    unnamed = shown(library, photos / "c.jpg")
    for each in (photo, other, unnamed):
        emptied(each)
    assert (export(library, dry_run=True).empty, sidecar(photo).read_bytes()) == (2, b"")
    summary = export(library)
    assert (summary.changed, summary.empty, summary.failures) == (2, 2, [])
    assert names(sidecar(photo)) == names(sidecar(other)) == ["Anna"]
    assert sidecar(unnamed).read_bytes() == b""
    assert (export(library).unchanged, undo(library).restored) == (2, 2)
    assert sidecar(photo).read_bytes() == b""


def test_an_emptied_sidecar_of_ours_is_written_again(library: Library, photo: Path) -> None:
    export(library)
    emptied(photo)
    assert (export(library).empty, names(sidecar(photo))) == (1, ["Anna"])
    emptied(photo)
    correcting.move(library.database, [face_of(library, "Anna")], "nobody", by=BY)
    assert (export(library).failures, sidecar(photo).read_bytes()) == ([], b"")


def test_an_empty_sidecar_being_written_or_without_a_photo_is_left(library: Library, photo: Path) -> None:
    emptied(photo, ago_s=1)
    (failure,) = export(library).failures
    assert "another program may be writing it" in failure.reason
    assert sidecar(photo).read_bytes() == b""
    sidecar(photo).unlink()
    export(library)
    emptied(photo)
    photo.unlink()
    summary = export(library)
    assert (summary.failures, summary.missing, sidecar(photo).read_bytes()) == ([], 1, b"")


def test_a_run_is_undone_byte_for_byte(library: Library, photos: Path) -> None:
    shown(library, photos / "new.jpg", "Anna")
    shown(library, photos / "theirs.jpg", "Anna", beside=RATED.decode().encode("utf-16"))
    before = {path: content for path, (content, _) in states(photos).items()}
    run = export(library).run
    tried = undo(library, run, dry_run=True)
    assert (tried.restored, tried.removed) == (1, 1)
    done = undo(library, run)
    assert (done.run, done.restored, done.removed) == (run, 1, 1)
    assert {path: content for path, (content, _) in states(photos).items()} == before
    with pytest.raises(WrongUsage, match="There is no run of export-xmp to undo"):
        undo(library)
    again = export(library)
    assert (again.new, again.changed) == (1, 1)
    assert again.run > run


def test_an_undo_leaves_later_changes(library: Library, photos: Path) -> None:
    photo, other = (shown(library, photos / name, "Anna") for name in ("a.jpg", "b.jpg"))
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
    # Our part is still known.
    correcting.move(library.database, [face_of(library, "Anna Berg")], "nobody", by=BY)
    assert export(library).photos == 2


def test_an_earlier_run_can_be_undone_after_the_later_one(library: Library, photo: Path) -> None:
    sidecar(photo).write_bytes(RATED)
    first = export(library).run
    naming.rename(library.database, "Anna", "Anna Berg", by=BY)
    export(library)
    (left,) = undo(library, first).edited
    assert "a later run wrote it" in left.reason
    assert undo(library).restored == 1
    assert undo(library).restored == 1
    assert sidecar(photo).read_bytes() == RATED


def test_sidecars_on_an_unmounted_disk_can_be_undone_later(
    library: Library, photos: Path, tmp_path: Path
) -> None:
    shown(library, photos / "new.jpg", "Anna")
    shown(library, photos / "theirs.jpg", "Anna", beside=RATED)
    before = {path: content for path, (content, _) in states(photos).items()}
    export(library)
    elsewhere = photos.rename(tmp_path / "elsewhere")
    photos.mkdir()
    done = undo(library)
    assert (done.as_before, done.edited, len(done.failures)) == (0, [], 2)
    photos.rmdir()
    elsewhere.rename(photos)
    # Our part there is still known, too.
    assert export(library).unchanged == 2
    done = undo(library)
    assert (done.restored, done.removed) == (1, 1)
    assert {path: content for path, (content, _) in states(photos).items()} == before


def test_a_permanently_emptied_folder_does_not_block_an_undo(library: Library, photos: Path) -> None:
    emptied = photos / "emptied"
    shown(library, emptied / "new.jpg", "Anna")
    theirs = shown(library, emptied / "theirs.jpg", "Anna", beside=RATED)
    shown(library, photos / "kept" / "other.jpg", "Anna")
    run = export(library).run
    for path in emptied.iterdir():
        path.unlink()
    done = undo(library)
    assert (done.removed, done.not_there, len(done.failures)) == (1, 2, 2)
    forget_folder(library, emptied, dry_run=False)
    done = undo(library)
    assert (done.run, done.as_before, done.not_there, done.failures) == (run, 1, 0, [])
    assert [(each.path, each.reason) for each in done.edited] == [
        (str(sidecar(theirs)), "its folder was emptied")
    ]
    assert done.gone == 2
    assert list(emptied.iterdir()) == []
    with pytest.raises(WrongUsage, match="no run"):
        undo(library)


def test_our_part_on_a_lost_disk_is_still_known(library: Library, photos: Path, tmp_path: Path) -> None:
    new = shown(library, photos / "new.jpg", "Anna")
    carl = packet_of(regions(region("Carl", 0.8, 0.2, 0.1, 0.1)))
    theirs = shown(library, photos / "theirs.jpg", "Anna", beside=carl)
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


def test_one_bad_photo_affects_no_other(library: Library, photos: Path) -> None:
    hostile, linked, gone, changed, _ = (
        shown(library, photos / f"{name}.jpg", "Anna")
        for name in ("hostile", "linked", "gone", "new", "good")
    )
    sidecar(hostile).write_bytes(b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>")
    sidecar(linked).symlink_to(photos / "elsewhere.xmp")
    gone.unlink()
    changed.write_bytes(changed.read_bytes() + b"more")
    summary = export(library)
    reasons = {Path(each.path).name: each.reason for each in summary.failures}
    assert (summary.new, summary.missing) == (1, 1)
    assert reasons.keys() == {"hostile.jpg.xmp", "linked.jpg.xmp", "new.jpg"}
    assert "DOCTYPE" in reasons["hostile.jpg.xmp"]
    assert "link" in reasons["linked.jpg.xmp"]
    assert "index it again" in reasons["new.jpg"]
    assert not (photos / "elsewhere.xmp").exists()


def test_a_sidecar_that_cannot_be_written_is_as_before(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, _ = (shown(library, photos / name, "Anna") for name in ("closed.jpg", "other.jpg"))

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


def test_a_folder_without_write_permission_is_reported_once_with_advice(
    library: Library, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sidecar(photo).write_bytes(RATED)

    def refuse(path: Path, **_: object) -> None:
        with files.writing(path):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    def refused() -> set[tuple[str, str]]:
        with monkeypatch.context() as patched:
            patched.setattr(sidecar_files, "atomic_write", refuse)
            is_first = not rows(library.database, "SELECT FROM xmp_changes")
            summary = export(library) if is_first else undo(library)
        return {(each.path, each.reason) for each in summary.failures}

    why = "cannot be written (Read-only file system): the photo's folder must be writable"
    assert refused() == {(str(sidecar(photo)), why)}
    assert export(library).changed == 1
    assert refused() == {(str(sidecar(photo)), why)}


def test_names_too_long_for_a_sidecar_affect_no_other(library: Library, photos: Path) -> None:
    shown(library, photos / f"{'a' * 250}.jpg", "Anna")
    assert "too long" in export(library).failures[0].reason


def test_a_sidecar_that_changes_while_we_write_stays(
    library: Library, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    announce = exporting._Export._announce

    def another_program_writes(*arguments: Any) -> None:
        sidecar(photo).write_bytes(RATED)
        announce(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(exporting._Export, "_announce", another_program_writes)
        summary = export(library)
    assert "just now" in summary.edited[0].reason
    # Nothing was written, so there is nothing to undo.
    assert summary.run == 0
    assert sidecar(photo).read_bytes() == RATED
    assert export(library).changed == 1


def test_sidecars_of_a_killed_run_are_known_as_ours(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = shown(library, photos / "a.jpg", "Anna", "Ben", beside=CARL)

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(exporting._Export, "_save", die)
        export(library)
    correcting.move(library.database, [face_of(library, "Ben")], "nobody", by=BY)
    assert export(library).changed == 1
    assert names(sidecar(photo)) == ["Anna", "Carl"]
    assert undo(library).restored == 1
    assert names(sidecar(photo)) == ["Anna", "Ben", "Carl"]
    # Our part in restored sidecars is still known.
    assert export(library).changed == 1
    assert names(sidecar(photo)) == ["Anna", "Carl"]
    assert undo(library).restored == 1
    assert undo(library).restored == 1
    assert sidecar(photo).read_bytes() == CARL


@pytest.mark.parametrize("again", [export, undo])
def test_half_written_files_of_a_killed_run_are_removed_by_the_next(
    again: Callable[[Library], object],
    library: Library,
    photos: Path,
    photo: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    theirs = photos / ".b.jpg.xmp.0a1b2c3d.tmp"
    theirs.write_bytes(b"another program's")

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


def test_an_erased_person_is_removed_from_sidecars_by_the_next_run(library: Library, photos: Path) -> None:
    photo = shown(library, photos / "a.jpg", "Änne Zwölfender", "Ben", beside=RATED)
    export(library)
    done = forget(library.database, "Änne Zwölfender", work=Work(by=BY))
    assert any("1 XMP sidecar names the person; `export-xmp` removes" in each for each in done.out_of_reach)
    assert done.proof.is_clean
    assert rows(library.database, "SELECT count(*) FROM xmp_changes") == [(0,)]
    done_again = export(library)
    assert (done_again.changed, done_again.run) == (1, 0)
    assert names(sidecar(photo)) == ["Ben"]
    # The former content of the sidecar names them, and is not stored.
    assert rows(library.database, "SELECT count(*) FROM xmp_changes") == [(0,)]


@pytest.mark.usefixtures("photo")
def test_our_part_is_known_after_photos_moved(library: Library, photos: Path, tmp_path: Path) -> None:
    export(library)
    moved = tmp_path / "moved"
    shutil.move(photos, moved)
    with writing(library, dry_run=False):
        relocate(library, photos, moved, dry_run=False)
    assert export(library).unchanged == 1
    correcting.move(library.database, [face_of(library, "Anna")], "nobody", by=BY)
    assert export(library).removed == 1
    assert not sidecar(moved / "a.jpg").exists()


def test_our_part_is_known_in_sidecars_moved_with_their_photos(
    library: Library, photos: Path, tmp_path: Path
) -> None:
    photo = shown(library, photos / "a.jpg", "Änne Zwölfender", "Ben", beside=RATED)
    other = shown(library, photos / "b.jpg", "Änne Zwölfender", "Ben")
    export(library)
    moved = photos.rename(tmp_path / "moved")
    sidecar(moved / "b.jpg").write_bytes(CARL)
    library.forget_paths([str(photo), str(other)])
    for path in (moved / "a.jpg", moved / "b.jpg"):
        status = path.stat()
        library.commit([FileRecord(str(path), status.st_size, status.st_mtime_ns, sha256_of(path))], [])
    forget(library.database, "Änne Zwölfender", work=Work(by=BY))
    done = export(library)
    assert (done.changed, done.edited) == (2, [])
    assert names(sidecar(moved / "a.jpg")) == ["Ben"]
    assert b'xmp:Rating="4"' in sidecar(moved / "a.jpg").read_bytes()
    # A sidecar from elsewhere is not ours, even beside the same photo.
    assert names(sidecar(moved / "b.jpg")) == ["Ben", "Carl"]
    assert rows(library.database, "SELECT before FROM xmp_changes WHERE path LIKE '%/a.jpg'") == []
    assert rows(library.database, "SELECT count(*) FROM xmp_sidecars") == [(3,)]
    assert export(library).unchanged == 2


def test_names_in_the_photo_itself_are_read_and_never_written(library: Library, photos: Path) -> None:
    photo = picture(photos / "a.jpg")
    image = Image.open(photo)
    image.save(photo, xmp=CARL)
    content = photo.read_bytes()
    add(library, photo, "Anna")
    export(library)
    assert photo.read_bytes() == content
    with photo.open("rb") as file:
        assert [each.name for each in read_named_regions(packet_in(file))] == ["Carl"]


def test_a_library_without_faces_has_nothing_to_write(library: Library) -> None:
    assert export(library).photos == 0


@pytest.mark.usefixtures("photo")
def test_an_unknown_run_cannot_be_undone(library: Library) -> None:
    run = export(library).run
    for unknown in ("0", "-1", f"{run + 1}", "x"):
        with pytest.raises(FacesetsError, match=f"Runs that can be undone: {run}"):
            undo(library, unknown)
