"""Sidecars of missing photos, and of photos no longer in the library: only our part is removed."""

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from tests.fixtures.library_people import rows
from tests.fixtures.named_photos import add, export, names, shown, sidecar, undo
from tests.fixtures.xmp_packets import listed, packet_of

from facesets.operations.interchange import export_xmp as exporting
from facesets.operations.interchange import undo_xmp as undoing
from facesets.operations.people.corrections import naming
from facesets.operations.people.forgetting.forget import forget
from facesets.store.postgres.library import Library
from facesets.work import Work

BY = "ben@home"
THEIRS = packet_of(listed("Iptc4xmpExt:PersonInImage", "Carl"))


@pytest.fixture
def photos(library: Library, tmp_path: Path) -> Path:
    """Three photos of Anna with sidecars, that of the first one with something of others in it."""
    folder = tmp_path / "photos"
    for name, theirs in (("a", THEIRS), ("b", b""), ("c", b"")):
        shown(library, folder / f"{name}.jpg", "Anna", beside=theirs)
    assert export(library).run
    return folder


def plain(packet: bytes) -> str:
    """The meaning of a packet, independent of the order of its attributes."""
    return str(etree.canonicalize(packet.decode(), strip_text=True))


def remove_files(_: Library, paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink()


def forget_paths(library: Library, paths: Sequence[Path]) -> None:
    library.forget_paths([str(path) for path in paths])


def both(library: Library, paths: Sequence[Path]) -> None:
    remove_files(library, paths)
    forget_paths(library, paths)


@pytest.mark.parametrize("go", [remove_files, forget_paths, both])
def test_our_part_is_removed_with_the_photo_and_restored_by_undo(
    library: Library, photos: Path, go: Callable[[Library, Sequence[Path]], None]
) -> None:
    first, second, third = (photos / f"{name}.jpg" for name in "abc")
    before = {path: path.read_bytes() for path in photos.glob("*.xmp")}
    go(library, [first, second])
    tried = export(library, dry_run=True)
    assert (tried.changed, tried.removed, tried.left_behind, tried.unchanged) == (1, 1, 2, 1)
    assert {path: path.read_bytes() for path in photos.glob("*.xmp")} == before
    done = export(library)
    assert (done.changed, done.removed, done.left_behind, done.missing) == (1, 1, 2, 0)
    left = sidecar(first).read_bytes()
    assert plain(left) == plain(THEIRS)
    assert not sidecar(second).exists()
    assert names(sidecar(third)) == ["Anna"]
    again = export(library)
    assert (again.changed, again.removed, again.left_behind, again.run) == (0, 0, 0, 0)
    undo(library)
    assert {path: path.read_bytes() for path in photos.glob("*.xmp")} == before
    assert export(library).left_behind == 2


def test_edited_sidecars_stay_unless_replacing_is_requested(library: Library, photos: Path) -> None:
    edited = sidecar(photos / "b.jpg").read_bytes().replace(b"<mwg-rs:Name>Anna", b"<mwg-rs:Name>Hannah")
    sidecar(photos / "b.jpg").write_bytes(edited)
    both(library, [photos / "b.jpg"])
    for _ in range(2):
        (left,) = export(library).edited
        assert left.path == str(sidecar(photos / "b.jpg"))
        assert sidecar(photos / "b.jpg").read_bytes() == edited
    assert export(library, replace=True).left_behind == 1
    assert names(sidecar(photos / "b.jpg")) == ["Hannah"]


def test_sidecars_on_unmounted_disks_and_in_other_folders_stay_known(
    library: Library, photos: Path, tmp_path: Path
) -> None:
    forget_paths(library, [photos / f"{name}.jpg" for name in "abc"])
    elsewhere = photos.rename(tmp_path / "elsewhere")
    assert export(library).left_behind == 0
    elsewhere.rename(photos)
    assert export(library, target=(tmp_path / "other",)).left_behind == 0
    assert export(library, target=(photos / "b.jpg",)).left_behind == 1
    assert export(library).left_behind == 2


def test_a_photo_moved_without_its_sidecar_gets_one(library: Library, photos: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved" / "b.jpg"
    moved.parent.mkdir()
    shutil.move(photos / "b.jpg", moved)
    forget_paths(library, [photos / "b.jpg"])
    add(library, moved, "Anna")
    done = export(library)
    assert (done.new, done.left_behind) == (1, 1)
    assert not sidecar(photos / "b.jpg").exists()
    assert names(sidecar(moved)) == ["Anna"]


def test_a_sidecar_that_was_copied_with_its_photo_is_ours_at_both_places(
    library: Library, photos: Path, tmp_path: Path
) -> None:
    copied = shutil.copytree(photos, tmp_path / "copied") / "b.jpg"
    both(library, [photos / "b.jpg"])
    add(library, copied, "Anna")
    assert export(library).left_behind == 1
    assert not sidecar(photos / "b.jpg").exists()
    naming.set_hidden(library.database, "Anna", hidden=True, by=BY)
    assert export(library).removed == 2
    assert not sidecar(copied).exists()


def test_the_sidecar_of_a_renamed_photo_stays(library: Library, photos: Path, tmp_path: Path) -> None:
    one, copy = photos / "D.JPG", tmp_path / "copies" / "D.JPG"
    short = one.with_suffix(".xmp")
    shown(library, one, "Anna")
    short.write_bytes(THEIRS)
    assert export(library).changed == 1
    # Of the same photo, written last.
    copy.parent.mkdir()
    shutil.copy(one, copy)
    shutil.copy(short, copy.with_suffix(".xmp"))
    add(library, copy, "Anna")
    export(library)
    before = short.read_bytes()
    renamed = one.rename(photos / "D.jpg")
    forget_paths(library, [one])
    add(library, renamed, "Anna")
    for dry_run in (True, False, False):
        done = export(library, dry_run=dry_run)
        assert (done.left_behind, done.changed, done.edited) == (0, 0, [])
        assert short.read_bytes() == before
    naming.set_hidden(library.database, "Anna", hidden=True, by=BY)
    export(library)
    assert plain(short.read_bytes()) == plain(THEIRS)


@pytest.mark.parametrize("go", [remove_files, both])
def test_a_converted_photo_is_named_again_in_the_shared_sidecar(
    library: Library, photos: Path, go: Callable[[Library, Sequence[Path]], None]
) -> None:
    first, converted = photos / "d.jpg", photos / "d.jpeg"
    short = first.with_suffix(".xmp")
    shown(library, first, "Anna")
    short.write_bytes(THEIRS)
    export(library)
    go(library, [first])
    shown(library, converted, "Anna")
    assert export(library).left_behind == 1
    assert export(library).changed == 1
    assert names(short) == ["Anna", "Carl"]


def test_our_part_stays_known_while_a_moved_photo_is_unreadable(
    library: Library, photos: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "moved" / "b.jpg"
    moved.parent.mkdir()
    for path in (photos / "b.jpg", sidecar(photos / "b.jpg")):
        shutil.move(path, moved.parent / path.name)
    forget_paths(library, [photos / "b.jpg"])
    add(library, moved, "Anna")
    status = moved.stat()
    os.utime(moved, ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))
    assert len(export(library).failures) == 1
    os.utime(moved, ns=(status.st_atime_ns, status.st_mtime_ns))
    naming.set_hidden(library.database, "Anna", hidden=True, by=BY)
    export(library)
    assert not sidecar(moved).exists()


def test_sidecars_that_name_forgotten_people_are_reported_until_removed(
    library: Library, photos: Path
) -> None:
    both(library, [photos / "a.jpg", photos / "b.jpg"])
    forgotten = forget(library.database, "Anna", work=Work(by=BY)).out_of_reach
    assert any("3 XMP sidecars name the person; `export-xmp` removes" in each for each in forgotten)
    done = export(library)
    assert (done.left_behind, done.run) == (2, 0)
    assert [names(path) for path in photos.glob("*.xmp")] == [["Carl"]]
    assert rows(library.database, "SELECT count(*) FROM xmp_sidecars") == [(0,)]


def test_interrupted_forgetting_reports_sidecars_again(library: Library, photos: Path) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("facesets.operations.people.forgetting.forget.finish", lambda *_: None)
        forget(library.database, "Anna", work=Work(by=BY))
    forgotten = forget(library.database, "Anna", work=Work(by=BY))
    assert forgotten.was_cut_off
    assert any(
        "3 XMP sidecars name the person; `export-xmp` removes" in each for each in forgotten.out_of_reach
    )
    assert export(library).left_behind == 0
    assert [names(path) for path in photos.glob("*.xmp")] == [["Carl"]]


def test_large_sidecars_are_in_memory_a_few_at_a_time(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = packet_of(f"<own:a>{'x' * 50_000}</own:a>")
    for number in range(20):
        shown(library, photos / f"{number}.jpg", "Anna", beside=large)
    held: list[int] = []
    announce = exporting._Export._announce

    def weigh(self: Any, connection: Any, plans: Any) -> None:
        held.append(sum(len(plan.before or b"") + len(plan.after or b"") for plan in plans))
        announce(self, connection, plans)

    monkeypatch.setattr(exporting._Export, "_announce", weigh)
    monkeypatch.setattr(exporting, "MAX_PLANNED_BYTES", 400_000)
    done = export(library)
    assert (done.changed, done.unchanged) == (20, 3)
    # Each thread may hold one more than fits.
    assert max(held) <= 400_000 + (exporting.THREADS + 1) * 110_000
    monkeypatch.setattr(undoing, "MAX_HELD_BYTES", 200)
    assert undo(library).restored == 20
