"""`facesets import-names` as somebody types it."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from facesets.formats.named_photos import NamedPhoto
from facesets.operations.interchange import name_sources
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from tests.fixtures.names_elsewhere import LEFT, RIGHT, add_photo_file, picasa_ini
from tests.fixtures.program import run


def test_names_are_brought_listed_and_taken_back(
    database: Database, library_url: str, tmp_path: Path
) -> None:
    library = Library(database)
    add_photo_file(library, tmp_path / "1.jpg", [LEFT])
    ini = picasa_ini({"1.jpg": [(LEFT, "a"), (RIGHT, "b")]}, {"a": "Anna", "b": "Ben\x1b[2J"})
    (tmp_path / ".picasa.ini").write_text(ini)
    at = ("--database", library_url)

    tried = run("import-names", tmp_path, "--dry-run", *at)
    assert tried.status == 0
    assert "1 photo with names: 1 person (1 new), 1 face named, 0 known. Nothing was stored." in tried.out
    done = run("import-names", tmp_path, "--from", "picasa", *at)
    assert "`facesets people undo` takes it back." in done.out
    assert "No name: Ben\\x1b[2J: " in done.out
    assert "\x1b" not in done.out
    assert run("import-names", "--conflicts", *at).out == "There are none.\n"

    (tmp_path / ".picasa.ini").write_text(picasa_ini({"1.jpg": [(RIGHT, "b")]}, {"b": "Ben"}))
    assert "1 name of places without a face, 0 of whole photos" in run("import-names", tmp_path, *at).out
    (line,) = run("import-names", "--unmatched", *at).out.splitlines()[1:]
    assert line.split()[:4] == ["Ben", "picasa", "-", "-"]
    (listed,) = json.loads(run("import-names", "--unmatched", "--json", *at).out)["names"]
    assert (listed["name"], listed["path"]) == ("Ben", str(tmp_path / "1.jpg"))


def test_what_cannot_be_read_is_told_and_shows_in_the_status(
    database: Database, library_url: str, tmp_path: Path
) -> None:
    add_photo_file(Library(database), tmp_path / "1.jpg", [LEFT])
    (tmp_path / "1.jpg.xmp").write_bytes(b"no XML")
    result = run("import-names", tmp_path, "--database", library_url)
    assert result.status == 3
    assert "1.jpg.xmp: Its XMP cannot be read" in result.out


def test_a_run_that_is_interrupted_says_so(
    database: Database, library_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_photo_file(Library(database), tmp_path / "1.jpg", [LEFT])
    (tmp_path / ".picasa.ini").write_text(picasa_ini({"1.jpg": [(LEFT, "a")]}, {"a": "Anna"}))
    read = name_sources.named_photos

    def interrupted(*arguments: Any) -> Iterator[NamedPhoto]:
        os.kill(os.getpid(), signal.SIGINT)
        yield from read(*arguments)

    monkeypatch.setattr(name_sources, "named_photos", interrupted)
    result = run("import-names", tmp_path, "--database", library_url)
    assert result.status == 128 + signal.SIGINT
    assert "Stopped early: run the same command again to go on." in result.out


def test_what_does_not_go_together_is_wrong_usage(library_url: str) -> None:
    for words, says in (
        ((), "Where are the names?"),
        (("--unmatched", "--conflicts"), "not both"),
        (("/tmp", "--unmatched"), "without a source and --dry-run"),
        (("--conflicts", "--dry-run"), "without a source and --dry-run"),
        (("/tmp", "--map", "nowhere"), "OLD=NEW"),
    ):
        result = run("import-names", *words, "--database", library_url)
        assert result.status == 2
        assert says in result.err
