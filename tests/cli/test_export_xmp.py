"""`facesets export-xmp` as a user types it."""

import json
from pathlib import Path

import pytest

from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from tests.fixtures.named_photos import add, names, picture, sidecar
from tests.fixtures.program import run


@pytest.fixture
def photo(database: Database, tmp_path: Path) -> Path:
    photo = picture(tmp_path / "a.jpg")
    add(Library(database), photo, "Anna", "Ben")
    return photo


def test_names_go_out_and_come_back(photo: Path, library_url: str) -> None:
    def say(*words: object, status: int = 0) -> str:
        result = run("export-xmp", *words, "--database", library_url)
        assert result.status == status, result.err
        return result.out + result.err

    assert "1 sidecar new, 0 changed, 0 removed, 0 unchanged. Nothing was written." in say("--dry-run")
    assert not sidecar(photo).exists()
    said = say("anna", "--target", photo.parent)
    assert "1 person, 1 photo: 1 sidecar new" in said
    assert names(sidecar(photo)) == ["Anna"]
    number = said.split("--undo ")[1].split()[0]
    done = json.loads(say("--json"))
    assert (done["changed"], done["people"], done["failures"]) == (1, 2, [])
    assert "There is no run 99" in say("--undo", "99", status=2)
    assert "goes with --dry-run alone" in say("--undo", number, "--microsoft", status=2)
    assert "1 sidecar restored, 0 removed" in say("--undo", "last")
    assert "0 sidecars restored, 1 removed" in say("--undo", number)
    assert not sidecar(photo).exists()


def test_what_was_left_behind_by_photos_is_told(photo: Path, library_url: str) -> None:
    run("export-xmp", "--database", library_url)
    photo.unlink()
    result = run("export-xmp", "--database", library_url)
    assert "0 sidecars new, 0 changed, 1 removed, 0 unchanged." in result.out
    assert (
        "1 sidecar changed or removed because its photo is gone or not in the library any more." in result.out
    )
    assert not sidecar(photo).exists()


def test_what_stays_as_it_is_is_named_and_what_cannot_be_read_fails(photo: Path, library_url: str) -> None:
    assert run("export-xmp", "-q", "--database", library_url).out == ""
    edited = sidecar(photo).read_bytes().replace(b">Anna<", b">Hannah<")
    sidecar(photo).write_bytes(edited)
    result = run("export-xmp", "--database", library_url)
    assert result.status == 0
    assert "1 sidecar stays as it is. --replace writes again what is ours there." in result.err
    assert f"{sidecar(photo)}: somebody changed what facesets wrote there" in result.err
    assert sidecar(photo).read_bytes() == edited
    sidecar(photo).write_bytes(b"<html>")
    result = run("export-xmp", "--database", library_url)
    assert result.status == 3
    assert f"{sidecar(photo)}: it is no XML" in result.err


def test_a_folder_without_photos_is_named(photo: Path, library_url: str, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    result = run("export-xmp", "--target", empty, "--database", library_url)
    assert f"The library has no photo below {empty}." in result.err
    assert not sidecar(photo).exists()


@pytest.mark.usefixtures("database")
def test_who_named_nobody_is_told_how(library_url: str) -> None:
    result = run("export-xmp", "--database", library_url)
    assert result.status == 0
    assert "Nobody has a name to write: give somebody one with `facesets people name WHO NAME`." in result.err
