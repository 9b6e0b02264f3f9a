"""`facesets people` as a user types it."""

import json
import os
import re
import shlex
from pathlib import Path

import pytest

from facesets.cli.people.lists import log_table
from facesets.operations.people.corrections import history, naming
from facesets.operations.people.forgetting.forget import forget
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.work import Work
from tests.fixtures.aged_people import look
from tests.fixtures.filled_library import grouped, template_by
from tests.fixtures.library_people import add_person, face_of, forget_prototypes, rows, who_is
from tests.fixtures.program import run
from tests.fixtures.terminal import Terminal


def fill(database: Database) -> None:
    grouped(anna=4, ben=3)(database)
    forget_prototypes(Library(database))


template = template_by(fill)


@pytest.fixture
def library(database: Database) -> Library:
    return Library(database)


def test_a_first_evening_with_people(library: Library, library_url: str, tmp_path: Path) -> None:
    def say(*words: object) -> str:
        result = run("people", *words, "--database", library_url)
        assert result.status == 0, result.err
        return result.out

    anna, ben = who_is(library, "anna-0-0")[:8], who_is(library, "ben-0-0")[:8]
    # What names a person is an id; numbers in tables are counts.
    assert say("list").split()[0] == say("show", anna).split()[0] == "id"
    assert [line.split()[:3] for line in say("list").splitlines()[1:]] == [[anna, "-", "4"], [ben, "-", "3"]]
    assert "Anna" in say("name", anna, "Anna")
    assert "7 faces" in say("name", ben, "anna", "--into")
    totals = run("stats", "--database", library_url).out
    assert re.search(r"^people +1 \(1 with a name\)$", totals, re.MULTILINE)
    assert re.search(r"^for review +0 questions, 0 faces without a decision$", totals, re.MULTILINE)
    assert "Taken back: step" in say("undo")
    assert "Done again: step" in say("redo")
    assert "Taken back: step" in say("undo")
    face = face_of(library, "ben-0-0")
    assert "1 face moved to Anna" in say("move", face, "--to", "Anna")
    assert "Kept: Anna and" in say("different", "Anna", ben)
    assert "Anna and" in say("undo")
    assert re.search(
        r"two people\. Step \d+: `facesets people undo` takes it back", say("different", "Anna", ben)
    )
    shown = json.loads(say("show", "Anna", "--faces", 2, "--json"))
    assert (shown["person"]["names"], len(shown["shown"])) == (["Anna"], 2)
    assert f"face {face} is Anna" in shown["statements"]
    assert say("log", "--limit", 2).count("\n") == 3
    sheet = tmp_path / "anna.png"
    assert f"Drawn into {sheet}." in say("show", "Anna", "--sheet", sheet)
    assert sheet.read_bytes().startswith(b"\x89PNG")


def test_a_further_name_is_told_as_such_and_what_is_unknown_is_a_dash(
    library: Library, library_url: str
) -> None:
    anna = who_is(library, "anna-0-0")[:8]
    named = ("--database", library_url)
    assert f"Anna ({anna}): named; 4 faces in all. Step" in run("people", "name", anna, "Anna", *named).out
    done = run("people", "label", anna, "Mother", *named)
    further = done.out
    assert "They still go by Anna: `facesets people rename` replaces names." in done.err
    assert f"Anna ({anna}): also called Mother, a further name; 4 faces in all. Step" in further
    log = run("people", "log", *named).out.splitlines()
    assert log[0].split() == ["step", "when", "changed", "who", "what"]
    assert run("people", "undo", *named).out.endswith(f"({log[1].split()[3]} faces changed).\n")
    assert run("people", "redo", *named).status == 0
    first = run("people", "list", *named).out.splitlines()[1]
    assert first.split() == [anna, "Anna,", "Mother", "4", "4", "4", "-", "-"]
    renamed = run("people", "rename", anna, "Annie", *named).out
    assert f"Annie ({anna}): renamed, in place of Anna, Mother; 4 faces in all." in renamed


def test_a_name_that_is_taken_shows_the_commands_for_one_person_and_for_two(
    library: Library, library_url: str
) -> None:
    anna, ben = who_is(library, "anna-0-0")[:8], who_is(library, "ben-0-0")[:8]
    named = ("--database", library_url)
    assert run("people", "name", anna, "Anna Berg", *named).status == 0
    taken = run("people", "name", ben, "Anna Berg", *named)
    lines = re.findall("`facesets ([^`]+)`", taken.err)
    assert lines == [f"people name {ben} 'Anna Berg' --into", f"people name {ben} 'Anna Berg 2'"]
    renamed = run("people", "rename", ben, "Anna Berg", *named)
    assert re.findall("`facesets ([^`]+)`", renamed.err) == [
        f"people merge {ben} --into {anna}",
        f"people rename {ben} 'Anna Berg 2'",
    ]
    assert run(*shlex.split(lines[1]), *named).out.startswith(f"Anna Berg 2 ({ben}): named;")


def test_words_that_are_a_name_lead_to_the_person_where_there_is_no_clip_model(
    library: Library, library_url: str
) -> None:
    named = ("--database", library_url)
    assert run("people", "name", who_is(library, "anna-0-0")[:8], "Anna Berg", *named).status == 0
    found = run("search", "anna berg", *named)
    assert found.status == 2
    assert "anna berg is somebody in the library: `facesets search --person 'anna berg'`." in found.err
    assert "somebody" not in run("search", "a beach", *named).err


def test_statistics_stand_in_one_column(library_url: str) -> None:
    named = ("--database", library_url)
    assert run("export-xmp", *named).status == 0
    lines = run("stats", *named).out.splitlines()
    widths = {len(found[0]) for line in lines if (found := re.match(r"(images|last export-xmp) +", line))}
    assert len(widths) == 1, lines
    [model] = [line for line in lines if line.startswith("found by ")]
    assert re.search(r" at \d+, from score [\d.]+: 7 images, 7 faces$", model)


def test_exemplars_are_listed_fixed_and_dropped(library: Library, library_url: str) -> None:
    def say(*words: object) -> str:
        result = run("people", *words, "--database", library_url)
        assert result.status == 0, result.err
        return result.out

    say("name", who_is(library, "anna-0-0"), "Anna")
    listed = [line.split() for line in say("prototypes", "Anna").splitlines()[1:]]
    assert [words[1] for words in listed] == ["exemplar"] * 3 + ["centroid"]
    dropped = int(listed[0][2])
    text = say("prototypes", "Anna", "--drop", dropped)
    assert "1 face dropped from the exemplars of Anna. Step" in text
    found = json.loads(say("prototypes", "Anna", "--json"))
    assert dropped not in [line["face"] for line in found["prototypes"]]
    say("undo")
    assert [line.split() for line in say("prototypes", "Anna").splitlines()[1:]] == listed
    assert "8 prototypes of 2 people made; 1 had others before." in say("centroids")
    assert [line.split()[4] for line in say("list").splitlines()[1:]] == ["4", "4"]
    refused = run(
        "people", "prototypes", "Anna", "--pin", face_of(library, "ben-0-0"), "--database", library_url
    )
    assert refused.status == 2
    assert "is not Anna" in refused.err


def test_faces_are_assigned_from_the_command_line(library: Library, library_url: str) -> None:
    add_person(library, "anna", 3, seed=1)
    add_person(library, "cleo", 1)
    named = ("--database", library_url)
    tried = run("assign", "--dry-run", "--json", *named)
    assert json.loads(tried.out)["assigned"] == 3
    done = run("assign", *named)
    assert (
        "4 faces without a person: 3 given to 1 person, 0 to be asked about, 1 like nobody of 2 people."
        in done.out
    )
    assert "`facesets people undo` takes it back" in done.out
    assert "3 faces assigned" in run("people", "log", *named).out
    run("people", "undo", *named)
    measured = run("assign", "--threshold", "auto", *named)
    assert re.search(r"\nThreshold 0\.\d\d: .*too few people with several faces to measure", measured.out)
    refused = run("assign", "--threshold", "much", *named)
    assert refused.status == 2
    assert "neither a number nor auto" in refused.err


def test_a_sheet_of_photos_that_cannot_be_read_says_so(
    library: Library, library_url: str, tmp_path: Path
) -> None:
    anna = who_is(library, "anna-0-0")
    result = run("people", "show", anna, "--sheet", tmp_path / "anna.png", "--database", library_url)
    assert result.status == 0
    assert "4 of 4 faces are empty: their photos cannot be read. Are they mounted?" in result.err


def test_the_log_is_no_wider_than_the_terminal_and_one_line_a_step_elsewhere(
    library: Library, library_url: str
) -> None:
    long = "Anna Maria Theresia Katharina von und zu Hohenlohe-Langenburg"
    run("people", "name", who_is(library, "anna-0-0"), long, "--database", library_url)
    steps = history.log(library.database)
    wide, narrow = log_table(steps, None).splitlines(), log_table(steps, 80).splitlines()
    assert len(wide) == 1 + len(steps) < len(narrow)
    assert max(map(len, narrow)) <= 80 < max(map(len, wide))
    assert " ".join(" ".join(narrow).split()) == " ".join(" ".join(wide).split())


def test_a_name_is_no_longer_than_a_line(library: Library, library_url: str) -> None:
    anna = who_is(library, "anna-0-0")
    kept = run("people", "name", anna, "a" * 200, "--database", library_url)
    refused = run("people", "name", anna, "a" * 201, "--database", library_url)
    assert (kept.status, refused.status) == (0, 2)
    assert "at most 200 characters" in refused.err


def test_somebody_without_a_name_is_called_by_the_number_once(library: Library, library_url: str) -> None:
    anna = who_is(library, "anna-0-0")[:8]
    hidden = run("people", "hide", anna, "--database", library_url)
    assert hidden.out.startswith(f"{anna}: hidden; 4 faces in all.")


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (("people", "move", "x", "--to", "nobody"), "'FACE...': give a whole number, such as 12."),
        (("people", "undo", "abc"), "'[STEP]': give a whole number, such as 12."),
        (("people", "show", "Anna", "--faces", "1.5"), "'--faces': give a whole number, such as 12."),
        (("assign", "--margin", "much"), "'--margin': give a number, such as 0.5."),
    ],
)
def test_what_is_no_number_is_refused_in_plain_words(words: tuple[str, ...], advice: str) -> None:
    refused = run(*words)
    assert refused.status == 2
    assert f"Invalid value for {advice}" in refused.err


def test_a_name_that_is_taken_is_asked_about_and_without_a_terminal_refused(
    library: Library, library_url: str
) -> None:
    anna, ben = (
        run("people", "name", who_is(library, label), "Anna", "--database", library_url)
        for label in ("anna-0-0", "ben-0-0")
    )
    assert (anna.status, ben.status) == (0, 2)
    assert "--into" in ben.err


def test_what_was_said_goes_into_a_file_and_comes_back(
    library: Library, library_url: str, tmp_path: Path
) -> None:
    def say(*words: object) -> str:
        result = run("people", *words, "--database", library_url)
        assert result.status == 0, result.err
        return result.out

    file = tmp_path / "people.json"
    say("name", who_is(library, "anna-0-0"), "Anna")
    assert re.search(r"people\.json: 1 person, 3 statements about 3 faces\.", say("export", file))
    assert os.name == "nt" or file.stat().st_mode & 0o077 == 0
    assert "0 new statements, 3 known" in say("import", file)
    say("undo")
    assert "1 new name" in say("import", file, "--dry-run")
    assert "Anna" not in say("list")
    assert re.search(r"3 new statements.* Step \d+: `facesets people undo`", say("import", file))
    assert "Anna" in say("list")


def test_somebody_is_split_only_when_that_is_said(library: Library, library_url: str, tmp_path: Path) -> None:
    def say(*words: object) -> str:
        result = run("people", *words, "--database", library_url)
        assert result.status == 0, result.err
        return result.out

    anna = who_is(library, "anna-0-0")
    assert "4 faces that hold together" in say("split", anna)
    too_few = say("split", anna, "--parts", 2)
    assert "do not fall into 2 parts of 3 faces or more. A lower --min-size" in too_few
    sheet = tmp_path / "parts.png"
    shown = say("split", anna, "--parts", 2, "--min-size", 1, "--sheet", sheet)
    assert "Nothing was changed: --apply makes people" in shown
    assert sheet.exists()
    assert len(say("list").splitlines()) == 3
    assert "Split into 2 parts. Step" in say("split", anna, "--parts", 2, "--min-size", 1, "--apply")
    assert len(say("list").splitlines()) == 4


def test_nobody_is_forgotten_without_being_asked_about(library: Library, library_url: str) -> None:
    anna = who_is(library, "anna-0-0")
    refused = run("people", "forget", anna, "--database", library_url)
    assert refused.status == 2
    assert "4 faces for good. Say --yes" in refused.err
    done = run("people", "forget", anna, "--yes", "--database", library_url)
    assert done.status == 0, done.err
    assert "Erased: 4 faces" in done.out
    assert "no vector and no name of the person is left" in done.out
    assert "Out of reach: backups" in done.out


def test_forgetting_that_was_cut_off_is_finished_without_being_asked_about(
    library: Library, library_url: str
) -> None:
    naming.name(library.database, who_is(library, "anna-0-0"), "Anna", into=False, face=False, by="me")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("facesets.operations.people.forgetting.forget.finish", lambda *_: None)
        forget(library.database, "Anna", work=Work(by="me"))
    reported = run("check", "--database", library_url)
    assert reported.status == 1
    assert "people whose forgetting was cut off before the tables were rewritten: 1" in reported.out
    done = run("people", "forget", "anna", "--database", library_url)
    assert done.status == 0, done.err
    assert "what was left of it is done now" in done.out
    assert "Searched tables: no name of the person is left there." in done.out
    assert run("check", "--database", library_url).status == 0


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "status", "left"), [("n", 2, 2), ("y", 0, 1)])
def test_on_a_terminal_forgetting_is_asked_about(
    library: Library, library_url: str, answer: str, status: int, left: int
) -> None:
    anna = who_is(library, "anna-0-0")
    with Terminal("people", "forget", anna, "--database", library_url) as screen:
        screen.press(f"{answer}\n")
        screen.expect("This cannot be undone")
        assert screen.end() == status, screen.text
    assert len(rows(library.database, "SELECT FROM persons")) == left


def test_what_a_model_guesses_of_age_and_sex_is_said_so_and_only_where_asked(
    library: Library, library_url: str
) -> None:
    def say(*words: object) -> str:
        return run(*words, "--database", library_url).out

    look(library, "anna", 1960, male=0.95)
    look(library, "ben", 1960, [8, 30, 61])
    anna, ben = (who_is(library, f"{name}-0-0") for name in ("anna", "ben"))
    assert re.search(r"^looks born uncertain, by 3 dated faces", say("people", "show", ben), re.MULTILINE)
    shown = say("people", "show", anna)
    assert "male" not in shown
    assert re.search(
        r"^sex +male, a model's guess by the faces$", say("people", "show", anna, "--guesses"), re.MULTILINE
    )
    photo = say("show", "/ben-0-0.jpg")
    assert not re.search(r"about|male|sex", photo)
    guessed = say("show", "/ben-0-0.jpg", "--guesses").partition("guessed by a model")[2]
    assert re.match(r"\s+face \d+ +about 8, sex male\n", guessed)


def test_a_variable_of_the_environment_holds_the_whole_name_of_one_person(library_url: str) -> None:
    found = run("search", "--database", library_url, env={"FACESETS_SEARCH_PERSON": "Anna Berg"})
    assert "Nobody is called Anna Berg." in found.err
