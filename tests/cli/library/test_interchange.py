"""`facesets import-names` and `export-xmp` as a user types them."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from facesets.formats.named_photos import NamedPhoto
from facesets.operations.interchange import name_sources
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from tests.fixtures.named_photos import add, names, picture, sidecar
from tests.fixtures.names_elsewhere import LEFT, RIGHT, add_photo_file, picasa_ini
from tests.fixtures.program import Result

Call = Callable[..., Result]


def test_names_are_imported_listed_and_undone(database: Database, facesets: Call, tmp_path: Path) -> None:
    add_photo_file(Library(database), tmp_path / "1.jpg", [LEFT])
    ini = picasa_ini({"1.jpg": [(LEFT, "a"), (RIGHT, "b")]}, {"a": "Anna", "b": "Ben\x1b[2J"})
    (tmp_path / ".picasa.ini").write_text(ini)

    tried = facesets("import-names", tmp_path, "--dry-run").out
    assert "1 photo with names: 1 person (1 new), 1 face named, 0 already known. Nothing was stored." in tried
    done = facesets("import-names", tmp_path, "--from", "picasa").out
    assert "Undo change 1 with `facesets people undo`." in done
    assert "Invalid name: Ben\\x1b[2J: " in done
    assert "\x1b" not in done
    assert facesets("import-names", "--conflicts").out == "Nothing to list.\n"

    (tmp_path / ".picasa.ini").write_text(picasa_ini({"1.jpg": [(RIGHT, "b")]}, {"b": "Ben"}))
    assert (
        "1 name for places without a detected face, 0 for whole photos"
        in facesets("import-names", tmp_path).out
    )
    (line,) = facesets("import-names", "--unmatched").out.splitlines()[1:]
    assert line.split()[:4] == ["Ben", "picasa", "-", "-"]
    (listed,) = json.loads(facesets("import-names", "--unmatched", "--json").out)["names"]
    assert (listed["name"], listed["path"]) == ("Ben", str(tmp_path / "1.jpg"))


def test_a_folder_given_as_a_person_is_reported(database: Database, facesets: Call, tmp_path: Path) -> None:
    add_photo_file(Library(database), tmp_path / "1.jpg", [LEFT])
    assert facesets("export-xmp", tmp_path, status=2).err == (
        f"facesets: {tmp_path} is a folder, not a person. For the photos in it, run "
        f"`facesets export-xmp --under {tmp_path}`.\n"
    )
    assert "Person not found: Ben" in facesets("export-xmp", "Ben", status=2).err


def test_an_interrupted_or_partly_unreadable_run_is_reported(
    database: Database, facesets: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_photo_file(Library(database), tmp_path / "1.jpg", [LEFT])
    (tmp_path / ".picasa.ini").write_text(picasa_ini({"1.jpg": [(LEFT, "a")]}, {"a": "Anna"}))
    (tmp_path / "1.jpg.xmp").write_bytes(b"no XML")
    result = facesets("import-names", tmp_path, status=3)
    assert "1.jpg.xmp: Cannot read the XMP" in result.out
    read = name_sources.named_photos

    def interrupted(*arguments: Any) -> Iterator[NamedPhoto]:
        os.kill(os.getpid(), signal.SIGINT)
        yield from read(*arguments)

    monkeypatch.setattr(name_sources, "named_photos", interrupted)
    result = facesets("import-names", tmp_path, status=128 + signal.SIGINT)
    assert "Stopped early. Run the same command again to resume." in result.out


def test_conflicting_options_are_wrong_usage(facesets: Call) -> None:
    for line, expected in (
        ("", "Missing source."),
        ("--unmatched --conflicts", "not both"),
        ("/tmp --unmatched", "Remove the source and --dry-run"),
        ("--conflicts --dry-run", "Remove the source and --dry-run"),
        ("/tmp --map nowhere", "OLD=NEW"),
    ):
        assert expected in facesets("import-names", *line.split(), status=2).err


@pytest.fixture
def photo(database: Database, tmp_path: Path) -> Path:
    photo = picture(tmp_path / "a.jpg")
    add(Library(database), photo, "Anna", "Ben")
    return photo


def test_names_are_written_and_removed_and_leftover_sidecars_reported(photo: Path, facesets: Call) -> None:
    def say(*words: object, status: int = 0) -> str:
        result = facesets("export-xmp", *words, status=status)
        return result.out + result.err

    assert "1 new sidecar, 0 changed, 0 removed, 0 unchanged. Nothing was written." in say("--dry-run")
    assert "The library has no photo below /empty." in say("--target", "/empty")
    assert not sidecar(photo).exists()
    output = say("anna", "--target", photo.parent)
    assert "1 person, 1 photo: 1 new sidecar" in output
    assert names(sidecar(photo)) == ["Anna"]
    number = output.split("--undo ")[1].split()[0]
    done = json.loads(say("--json"))
    assert (done["changed"], done["people"], done["failures"]) == (1, 2, [])
    assert "Run 99 not found" in say("--undo", "99", status=2)
    assert "can only be combined with --dry-run" in say("--undo", number, "--microsoft", status=2)
    assert "1 sidecar restored, 0 removed" in say("--undo", "last")
    assert "0 sidecars restored, 1 removed" in say("--undo", number)
    assert not sidecar(photo).exists()

    assert say("-q") == ""
    photo.unlink()
    rest = say()
    assert "0 new sidecars, 0 changed, 1 removed, 0 unchanged." in rest
    assert "Changed or removed 1 sidecar because its photo is missing or no longer in the library." in rest
    assert not sidecar(photo).exists()


def test_unchanged_sidecars_are_named_and_unreadable_ones_fail(photo: Path, facesets: Call) -> None:
    facesets("export-xmp")
    edited = sidecar(photo).read_bytes().replace(b">Anna<", b">Hannah<")
    sidecar(photo).write_bytes(edited)
    result = facesets("export-xmp")
    assert "1 sidecar was left unchanged. To rewrite the part made by facesets, add --replace." in result.err
    assert f"{sidecar(photo)}: someone edited what facesets wrote" in result.err
    assert sidecar(photo).read_bytes() == edited
    sidecar(photo).write_bytes(b"<html>")
    assert f"{sidecar(photo)}: it is not XML" in facesets("export-xmp", status=3).err


def test_without_named_people_the_command_for_naming_is_shown(facesets: Call) -> None:
    output = facesets("export-xmp").err
    assert "There are no named people to export. Name one with `facesets people name WHO NAME`." in output
