"""`facesets people` as a user types it."""

import json
import os
import re
import shlex
from collections.abc import Callable
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
from tests.fixtures.program import Result, run
from tests.fixtures.terminal import Terminal

Call = Callable[..., Result]
Say = Callable[..., str]


def fill(database: Database) -> None:
    grouped(anna=4, ben=3)(database)
    forget_prototypes(Library(database))


template = template_by(fill)


@pytest.fixture
def library(database: Database) -> Library:
    return Library(database)


@pytest.fixture
def anna(library: Library) -> str:
    """The number of a person with four faces, as lists show it."""
    return who_is(library, "anna-0-0")[:8]


@pytest.fixture
def ben(library: Library) -> str:
    """The number of a person with three faces."""
    return who_is(library, "ben-0-0")[:8]


@pytest.fixture
def say(facesets: Call) -> Say:
    """What a command of `people` prints."""
    return lambda *words: facesets("people", *words).out


def test_people_are_named_merged_and_moved(
    library: Library, facesets: Call, say: Say, anna: str, ben: str, tmp_path: Path
) -> None:
    # What names a person is an id; numbers in tables are counts.
    assert say("list").split()[0] == say("show", anna).split()[0] == "id"
    assert [line.split()[:3] for line in say("list").splitlines()[1:]] == [[anna, "-", "4"], [ben, "-", "3"]]
    assert f"Anna ({anna}): named; 4 faces in total. Undo change" in say("name", anna, "Anna")
    assert "7 faces" in say("name", ben, "anna", "--into")
    totals = facesets("stats").out
    assert re.search(r"^people +1 \(1 named\)$", totals, re.MULTILINE)
    assert re.search(r"^for review +0 suggestions, 0 undecided faces$", totals, re.MULTILINE)
    assert "Undid change" in say("undo")
    assert "Redid change" in say("redo")
    assert "Undid change" in say("undo")
    face = face_of(library, "ben-0-0")
    assert "1 face moved to Anna" in say("move", face, "--to", "Anna")
    assert "Saved: Anna and" in say("different", "Anna", ben)
    assert "Anna and" in say("undo")
    different = say("different", "Anna", ben)
    assert re.search(r"two people\. Undo change \d+ with `facesets people undo`", different)
    shown = json.loads(say("show", "Anna", "--faces", 2, "--json"))
    assert (shown["person"]["names"], len(shown["shown"])) == (["Anna"], 2)
    assert f"face {face} is Anna" in shown["statements"]
    assert say("log", "--limit", 2).count("\n") == 3
    sheet = tmp_path / "anna.png"
    drawn = facesets("people", "show", "Anna", "--sheet", sheet)
    assert f"Contact sheet: {sheet}" in drawn.out
    assert sheet.read_bytes().startswith(b"\x89PNG")
    assert "5 of 5 faces are empty: their photos cannot be read. Check that the drive" in drawn.err


def test_a_further_name_is_reported_and_unknown_values_are_dashes(
    facesets: Call, say: Say, anna: str
) -> None:
    assert say("hide", anna).startswith(f"{anna}: hidden; 4 faces in total.")
    say("undo")
    say("name", anna, "Anna")
    further = facesets("people", "label", anna, "Mother")
    assert "Anna stays the main name. To replace all names, run `facesets people rename`." in further.err
    assert f"Anna ({anna}): also named Mother; 4 faces in total. Undo change" in further.out
    log = say("log").splitlines()
    assert log[0].split() == ["change", "when", "faces", "who", "what"]
    assert say("undo").endswith(f"({log[1].split()[3]} faces).\n")
    say("redo")
    assert say("list").splitlines()[1].split() == [anna, "Anna,", "Mother", "4", "4", "4", "-", "-"]
    renamed = say("rename", anna, "Annie")
    assert f"Annie ({anna}): renamed from Anna, Mother; 4 faces in total." in renamed


def test_an_existing_name_shows_the_commands_for_one_person_and_for_two(
    facesets: Call, say: Say, anna: str, ben: str
) -> None:
    say("name", anna, "Anna Berg")
    taken = facesets("people", "name", ben, "Anna Berg", status=2)
    lines = re.findall("`facesets ([^`]+)`", taken.err)
    assert lines == [f"people name {ben} 'Anna Berg' --into", f"people name {ben} 'Anna Berg 2'"]
    renamed = facesets("people", "rename", ben, "Anna Berg", status=2)
    assert re.findall("`facesets ([^`]+)`", renamed.err) == [
        f"people merge {ben} --to {anna}",
        f"people rename {ben} 'Anna Berg 2'",
    ]
    assert facesets(*shlex.split(lines[1])).out.startswith(f"Anna Berg 2 ({ben}): named;")


def test_a_name_as_search_text_leads_to_the_person_without_a_clip_model(
    facesets: Call, say: Say, anna: str
) -> None:
    say("name", anna, "Anna Berg")
    found = facesets("search", "anna berg", status=2)
    assert "anna berg is a person in the library: `facesets search --person 'anna berg'`." in found.err
    assert "somebody" not in facesets("search", "a beach", status=2).err
    # A variable of the environment holds the whole name of one person.
    unknown = facesets("search", status=2, FACESETS_SEARCH_PERSON="Anna Ben")
    assert "Person not found: Anna Ben." in unknown.err


def test_statistics_are_in_one_column(facesets: Call) -> None:
    facesets("export-xmp")
    lines = facesets("stats").out.splitlines()
    widths = {len(found[0]) for line in lines if (found := re.match(r"(photos|last export-xmp) +", line))}
    assert len(widths) == 1, lines
    [model] = [line for line in lines if line.startswith("face models ")]
    assert re.search(r" at \d+, minimum score [\d.]+: 7 photos, 7 faces$", model)


def test_exemplars_are_listed_fixed_and_dropped(
    library: Library, facesets: Call, say: Say, anna: str
) -> None:
    say("name", anna, "Anna")
    listed = [line.split() for line in say("prototypes", "Anna").splitlines()[1:]]
    assert [words[1:-6] for words in listed] == [["reference", "face"]] * 3 + [["centroid"]]
    dropped = int(listed[0][3])
    text = say("prototypes", "Anna", "--drop", dropped)
    assert "1 reference face dropped for Anna. Undo change" in text
    found = json.loads(say("prototypes", "Anna", "--json"))
    assert dropped not in [line["face"] for line in found["prototypes"]]
    say("undo")
    assert [line.split() for line in say("prototypes", "Anna").splitlines()[1:]] == listed
    made = say("centroids")
    assert "Recomputed 8 reference embeddings of 2 people; those of 1 person changed." in made
    assert [line.split()[4] for line in say("list").splitlines()[1:]] == ["4", "4"]
    of_ben = face_of(library, "ben-0-0")
    assert (
        "does not belong to Anna" in facesets("people", "prototypes", "Anna", "--pin", of_ben, status=2).err
    )


def test_faces_are_assigned_from_the_command_line(library: Library, facesets: Call, say: Say) -> None:
    add_person(library, "anna", 3, seed=1)
    add_person(library, "cleo", 1)
    assert json.loads(facesets("assign", "--dry-run", "--json").out)["assigned"] == 3
    done = facesets("assign").out
    assert (
        "4 unassigned faces: 3 assigned to 1 person, 0 for review, 1 without a match among 2 people." in done
    )
    assert "with `facesets people undo`" in done
    assert "3 faces assigned" in say("log")
    say("undo")
    measured = facesets("assign", "--threshold", "auto").out
    assert re.search(r"\nThreshold 0\.\d\d: .*too few people with several faces to measure", measured)
    assert "neither a number nor auto" in facesets("assign", "--threshold", "much", status=2).err


def test_the_log_is_no_wider_than_the_terminal_and_one_line_a_step_elsewhere(
    library: Library, say: Say, anna: str
) -> None:
    say("name", anna, "Anna Maria Theresia Katharina von und zu Hohenlohe-Langenburg")
    steps = history.log(library.database)
    wide, narrow = log_table(steps, None).splitlines(), log_table(steps, 80).splitlines()
    assert len(wide) == 1 + len(steps) < len(narrow)
    assert max(map(len, narrow)) <= 80 < max(map(len, wide))
    assert " ".join(" ".join(narrow).split()) == " ".join(" ".join(wide).split())


def test_a_name_is_no_longer_than_a_line(facesets: Call, anna: str) -> None:
    facesets("people", "name", anna, "a" * 200)
    assert "at most 200 characters" in facesets("people", "name", anna, "a" * 201, status=2).err


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("people move x --to nobody", "'FACE...': give a whole number, such as 12."),
        ("people undo abc", "'[CHANGE]': give a whole number, such as 12."),
        ("people show Anna --faces 1.5", "'--limit': give a whole number, such as 12."),
        ("assign --margin much", "'--margin': give a number, such as 0.5."),
    ],
)
def test_invalid_numbers_are_refused_in_plain_words(line: str, advice: str) -> None:
    refused = run(*line.split())
    assert refused.status == 2
    assert f"Invalid value for {advice}" in refused.err


def test_corrections_are_exported_to_a_file_and_imported(say: Say, anna: str, tmp_path: Path) -> None:
    file = tmp_path / "people.json"
    say("name", anna, "Anna")
    assert re.search(
        r"Exported 1 person with 3 corrections for 3 faces to .*people\.json\.", say("export", file)
    )
    assert os.name == "nt" or file.stat().st_mode & 0o077 == 0
    assert "0 new corrections, 3 already known" in say("import", file)
    say("undo")
    assert "1 new name" in say("import", file, "--dry-run")
    assert "Anna" not in say("list")
    assert re.search(r"3 new corrections.* Undo change \d+ with `facesets people undo`", say("import", file))
    assert "Anna" in say("list")


def test_a_person_is_split_only_with_apply(say: Say, anna: str, tmp_path: Path) -> None:
    assert "4 faces look like one person" in say("split", anna)
    too_few = say("split", anna, "--parts", 2)
    assert "4 faces cannot be split into 2 parts of at least 3 faces. A lower --min-size" in too_few
    sheet = tmp_path / "parts.png"
    shown = say("split", anna, "--parts", 2, "--min-size", 1, "--sheet", sheet)
    assert "Nothing was changed. Add --apply to make" in shown
    assert sheet.exists()
    assert len(say("list").splitlines()) == 3
    assert "Split into 2 parts. Undo change" in say("split", anna, "--parts", 2, "--min-size", 1, "--apply")
    assert len(say("list").splitlines()) == 4


def test_forgetting_a_person_needs_confirmation(
    library: Library, library_url: str, facesets: Call, say: Say, anna: str
) -> None:
    planned = say("forget", anna, "--dry-run")
    assert "4 faces on 4 photos, with names and corrections. The photos stay." in planned
    assert "Nothing was erased." in planned
    assert json.loads(facesets("people", "forget", anna, "--dry-run", "--json").out)["photos"] == 4
    assert len(rows(library.database, "SELECT FROM persons")) == 2
    assert "4 faces for good. Add --yes" in facesets("people", "forget", anna, status=2).err
    for answer, status, left in (("n", 2, 2), ("y", 0, 1)):
        with Terminal("people", "forget", anna, "--database", library_url) as screen:
            screen.press(f"{answer}\n")
            screen.expect("This cannot be undone")
            assert screen.end() == status, screen.text
        assert len(rows(library.database, "SELECT FROM persons")) == left
    done = say("forget", who_is(library, "ben-0-0"), "--yes")
    assert "Erased: 3 faces" in done
    assert "no embedding or name of this person found" in done
    assert "Not erased: backups" in done


def test_interrupted_forgetting_resumes_without_confirmation(
    library: Library, facesets: Call, say: Say, anna: str
) -> None:
    naming.name(library.database, anna, "Anna", into=False, face=False, by="me")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("facesets.operations.people.forgetting.forget.finish", lambda *_: None)
        forget(library.database, "Anna", work=Work(by="me"))
    reported = facesets("check", status=1).out
    assert "people whose deletion was interrupted before the tables were rewritten: 1" in reported
    done = say("forget", "anna")
    assert "the rest is done now" in done
    assert "Searched tables: no name of this person found." in done
    facesets("check")


def test_age_and_sex_are_shown_as_estimates_and_only_on_request(
    library: Library, facesets: Call, say: Say, anna: str, ben: str
) -> None:
    look(library, "anna", 1960, male=0.95)
    look(library, "ben", 1960, [8, 30, 61])
    assert re.search(r"^looks born uncertain, from 3 dated faces", say("show", ben), re.MULTILINE)
    assert "male" not in say("show", anna)
    guesses = say("show", anna, "--guesses")
    assert re.search(r"^sex +male, estimated from the faces$", guesses, re.MULTILINE)
    photo = facesets("show", "/ben-0-0.jpg").out
    assert not re.search(r"about|male|sex", photo)
    guessed = facesets("show", "/ben-0-0.jpg", "--guesses").out.partition("estimated by a model")[2]
    assert re.match(r"\s+face \d+ +about 8, sex male\n", guessed)
