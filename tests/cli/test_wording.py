"""What errors name reaches the terminal as flags and commands, in text and as JSON."""

import json
from pathlib import Path

import pytest

from facesets.cli.wording import with_library
from facesets.result import Result
from facesets.results.placement import WITHOUT_ORIGINAL
from facesets.words import results as words
from tests.fixtures.program import run


def test_an_error_that_ends_a_command_names_the_command_as_it_is_typed(tmp_path: Path) -> None:
    cache = tmp_path / "{nothing}.npz"
    done = run("cluster", cache, tmp_path / "out")
    expected = f"facesets: Cache not found: {cache}. Create one with `facesets embed PHOTOS '{cache}'`.\n"
    assert (done.status, done.err) == (2, expected)


def test_commands_are_named_with_the_library_that_was_given(empty_url: str) -> None:
    done = run("stats", "--database", empty_url, as_printed=True)
    assert done.status == 2
    assert done.err.endswith(f"Run `facesets migrate --database '{empty_url}'`.\n")
    done = run("stats", env={"DATABASE_URL": empty_url})
    assert done.err.endswith("Run `facesets migrate`.\n")


def test_printed_commands_name_the_library(library_url: str) -> None:
    named = f"`facesets cluster --database '{library_url}'`"
    assert named in run("people", "list", "--database", library_url, as_printed=True).out
    assert "`facesets cluster`" in run("people", "list", env={"DATABASE_URL": library_url}).out


@pytest.mark.parametrize(
    ("database", "shown"),
    [
        ("postgresql://me@db:5432/photos", "postgresql://me@db:5432/photos"),
        ("service=photos", "service=photos"),
        ("host=db dbname=my", "'host=db dbname=my'"),
        ("postgresql://me:secret@db/photos", "URL"),
        ("postgresql://me:se@cr/et@db/photos", "URL"),
        ("postgresql://me@db/photos?password=secret", "URL"),
        ("postgresql://me@db/photos?oauth_client_secret=secret", "URL"),
        ("host=db password=secret", "URL"),
    ],
)
def test_a_library_is_named_without_its_password(database: str, shown: str) -> None:
    assert with_library("facesets migrate", database) == f"facesets migrate --database {shown}"


@pytest.mark.parametrize(
    ("line", "with_it"),
    [
        ("facesets people list", "facesets people list --database mine"),
        ("facesets index PHOTOS", "facesets index PHOTOS --database mine"),
        ("facesets models pull open", "facesets models pull open"),
        ("facesets run PHOTOS", "facesets run PHOTOS"),
        ("facesets check --database other", "facesets check --database other"),
        ("facesets db psql -c SQL", "facesets db psql -c SQL --database mine"),
    ],
)
def test_only_commands_on_a_library_are_given_one(line: str, with_it: str) -> None:
    assert with_library(line, "mine") == with_it
    assert with_library(line, "") == line


@pytest.mark.slow
def test_lists_of_problems_name_flags_and_commands_as_typed(tmp_path: Path) -> None:
    def output(*words: str) -> str:
        done = run(*words, cwd=tmp_path, env={**surroundings, "FACESETS_DATA": str(tmp_path)})
        return done.out + done.err

    broken = tmp_path / "models" / "broken"
    broken.mkdir(parents=True)
    (broken / "a.onnx").write_bytes(b"no model")
    again = "Download the pack again with `facesets models pull broken --force`."
    surroundings = {"FACESETS_MODELS": str(tmp_path)}
    assert again in output("models", "list")
    assert again in json.loads(output("models", "list", "--json"))["packs"][0]["problem"]
    assert f"Use one that is here: --pack {broken}." in output("models", "path", "other")
    surroundings = {"FACESETS_PACK": str(broken)}
    assert again in output("doctor")
    findings = json.loads(output("doctor", "--json"))["findings"]
    assert any(again in finding["state"] for finding in findings)


def test_an_undo_reports_moved_and_remaining_photos() -> None:
    folder = Result(
        folder="out",
        restored=["manifest.json"],
        removed=[],
        set_aside=["a.jpg"],
        stay_deleted=[],
        elsewhere=[],
        links=[],
    )
    done = Result(run="0002-extend", folders=[folder], dry_run=False)
    first, second = words.undo(done, aside=WITHOUT_ORIGINAL)
    assert first == "out: 1 file restored to the state before 0002-extend, 0 removed."
    assert second == (
        "1 photo without its original is kept in out/_without_original. Changes made by `relocate` are not "
        "undone."
    )
