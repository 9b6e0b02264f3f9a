"""`facesets people review` as a user sits before it, and as a script calls it."""

import base64
import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from facesets.cli.terminal import picture
from facesets.settings import inline_pictures, shows_windows
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from tests.fixtures.library_people import add_like, add_person, cluster, who_is
from tests.fixtures.program import Result
from tests.fixtures.terminal import Terminal
from tests.fixtures.waiting import wait_for

Call = Callable[..., Result]
Review = Callable[..., Terminal]
_PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def library(database: Database) -> Library:
    filled = Library(database)
    add_person(filled, "anna", 6)
    add_like(filled, "annie", "anna", 0.58, 3)
    add_person(filled, "ben", 2)
    cluster(filled, method="components")
    return filled


@pytest.fixture
def anna(library: Library) -> str:
    return who_is(library, "anna-0-0")


@pytest.fixture
def review(library: Library, library_url: str) -> Review:
    """Sits down before the questions."""
    assert library.settings is not None
    return lambda *words, **env: Terminal(
        "people", "review", *words, env={"DATABASE_URL": library_url, **env}
    )


def answer(screen: Terminal, keys: str) -> None:
    """Press keys once a question is asked to its end."""
    screen.expect(r"\[q\]uit")
    screen.press(keys)


def test_a_review_session_at_the_terminal(library: Library, review: Review, anna: str) -> None:
    with review() as screen:
        screen.expect(rf"Who is {anna[:8]} \(6 faces\)\?")
        sheet = Path(screen.expect(r"/\S+question\.png"))
        assert sheet.read_bytes().startswith(_PNG)
        answer(screen, "Anna\n")
        screen.expect("saved: Anna: named")
        screen.expect(r"Are \w+ and Anna the same person\?")
        answer(screen, "n")
        screen.expect("saved: .* no")
        answer(screen, "u")
        screen.expect("undid: ")
        screen.expect("the same person")
        answer(screen, "y")
        screen.expect("saved: .* yes")
        screen.expect("Who is ")
        answer(screen, "\n")
        answer(screen, "s")
        screen.expect(r"No suggestions left to review\. 2 answers saved, 1 skipped\.")
        screen.expect(r"To review 1 skipped suggestion, run `facesets people review --skipped`")
        assert screen.end() == 0
    assert not sheet.exists()
    assert who_is(library, "annie-0-0") == anna


@pytest.mark.slow
def test_ctrl_c_and_q_end_the_review_and_keep_answers(review: Review) -> None:
    for key, status in (("q", 0), ("\x03", 130)):
        with review() as screen:
            answer(screen, key)
            assert screen.end() == status


def test_a_script_reads_questions_as_lines_of_json_and_answers_them(
    library: Library, facesets: Call, anna: str
) -> None:
    def questions(*words: object) -> list[dict[str, str]]:
        lines = facesets("people", "review", "--json", *words).out.splitlines()
        return [json.loads(line) for line in lines]

    asked = questions()
    assert [each["kind"] for each in asked] == ["name", "same", "name"]
    assert len(questions("--limit", 1)) == 1
    assert "Saved: Anna: named" in facesets("people", "answer", asked[0]["id"], "--name", "Anna").out
    same = questions()[0]["id"]
    saved = facesets("people", "answer", same, "yes").out
    assert re.search(r"Saved: Are .* yes\. Undo change \d+ with `facesets people undo`", saved)
    assert who_is(library, "annie-0-0") == anna
    assert "Suggestion not open" in facesets("people", "answer", same, "no", status=2).err
    for words in ((same,), (same, "yes", "--name", "Anna")):
        facesets("people", "answer", *words, status=2)


@pytest.mark.slow
def test_a_name_that_begins_like_a_key_is_a_name(review: Review) -> None:
    with review() as screen:
        for name in ("hugo", "Susi", "qi", "明"):
            answer(screen, f"{name}\n")
            screen.expect(f"saved: {name}: named")
            answer(screen, "u")
            screen.expect("undid: ")
        answer(screen, "q")
        assert screen.end() == 0


@pytest.mark.slow
def test_a_question_answered_elsewhere_is_skipped(review: Review, facesets: Call, anna: str) -> None:
    with review() as screen:
        screen.expect("Who is ")
        screen.expect(r"\[q\]uit")
        facesets("people", "name", anna, "Anna")
        screen.press("Annabel\n")
        screen.expect("This was answered elsewhere in the meantime")
        screen.expect("the same person")
        answer(screen, "q")
        assert screen.end() == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked_for", "is_closed"), [("name", False), ("half a name", False), ("key", False), ("key", True)]
)
def test_a_kill_or_a_closed_terminal_leaves_no_picture_and_the_terminal_as_it_was(
    review: Review, asked_for: str, is_closed: bool
) -> None:
    with review() as screen:
        before = screen.modes()
        sheet = Path(screen.expect(r"/\S+question\.png"))
        screen.expect(r"\[q\]uit")
        wait_for(lambda: screen.modes() != before)
        if asked_for == "half a name":
            screen.press("Ann")
            screen.expect("name: Ann")
        elif asked_for == "key":
            screen.press("Anna\n")
            screen.expect("the same person")
            screen.expect(r"\[q\]uit")
        if is_closed:
            screen.close()
        else:
            screen.send(signal.SIGTERM)
        assert screen.end() == 128 + (signal.SIGHUP if is_closed else signal.SIGTERM)
        assert is_closed or screen.modes() == before
    assert not sheet.parent.exists()


def test_without_a_terminal_each_of_the_first_questions_is_a_line(facesets: Call, anna: str) -> None:
    listed = facesets("people", "review", "--limit", 2)
    head, *lines = listed.out.splitlines()
    assert head.split() == ["faces", "question", "id"]
    assert lines[0].split() == ["6", "Who", "is", anna[:8], "(6", "faces)?", f"name-{anna.replace('-', '')}"]
    assert len(lines) == 2
    assert "2 of 3 suggestions." in listed.err
    assert "facesets serve --open" in listed.err


def test_skipped_suggestions_stay_skipped_in_the_next_session(review: Review, facesets: Call) -> None:
    with review() as screen:
        for number in range(3):
            # Pressing Enter as well, as elsewhere, names no person "s".
            answer(screen, "s" if number else "s\n")
            assert number == 2 or screen.expect("skipped")
        screen.expect(r"0 answers saved, 3 skipped\. To review 3 skipped suggestions")
        assert screen.end() == 0
    with review() as screen:
        screen.expect(r"No suggestions left to review\. 0 answers saved\. To review 3 skipped")
        assert screen.end() == 0
    with review("--skipped") as screen:
        answer(screen, "s")
        screen.expect("skipped")
        answer(screen, "u")
        screen.expect(r"Who is .* \(6 faces\)")
        screen.press("q")
        assert screen.end() == 0
    assert "3 of 3 suggestions" in facesets("people", "review").err


def test_an_existing_name_asks_with_the_faces_of_both(
    library: Library, review: Review, facesets: Call
) -> None:
    facesets("people", "name", who_is(library, "ben-0-0"), "Anna")
    with review() as screen:
        screen.expect(r"\[q\]uit")
        # Letter by letter, with one that is taken back.
        for key in "Anb\x7fna":
            screen.press(key)
        screen.press("\n")
        screen.expect(r"faces: \S+question\.png")
        screen.expect(r"Are they the same person\?.*\[n\]o, choose another name")
        screen.press("\n")
        screen.expect("name: Anna")
        screen.press(" Berg\n")
        screen.expect("saved: Anna Berg: named")
        answer(screen, "q")
        assert screen.end() == 0


@pytest.mark.parametrize("command", ["name", "rename"])
def test_an_existing_name_is_confirmed_with_faces_and_enter_merges_no_one(
    library: Library, library_url: str, facesets: Call, anna: str, command: str
) -> None:
    ben = who_is(library, "ben-0-0")
    facesets("people", "name", anna, "Anna")
    facesets("people", command, ben, "anna", status=2)
    for key, status in (("\n", 2), ("y\n", 0)):
        with Terminal("people", command, ben, "anna", "--database", library_url) as screen:
            assert Path(screen.expect(r"/\S+\.png")).read_bytes().startswith(_PNG)
            screen.expect(r"Are they the same person\? \[y/N\]: ")
            assert who_is(library, "ben-0-0") == ben
            screen.press(key)
            assert screen.end() == status
    assert who_is(library, "ben-0-0") == anna


def test_a_key_opens_the_faces_in_the_desktops_viewer(review: Review, tmp_path: Path) -> None:
    opened = tmp_path / "opened"
    viewer = tmp_path / "bin" / "xdg-open"
    viewer.parent.mkdir()
    viewer.write_text(f'#!/bin/sh\nhead -c 4 "$1" > {opened}.part && mv {opened}.part {opened}\n')
    viewer.chmod(0o755)
    with review(DISPLAY=":7", PATH=f"{viewer.parent}:{os.environ['PATH']}") as screen:
        screen.expect("press o to open")
        screen.expect(r"\[o\]pen faces .*\[q\]uit")
        screen.press("o")
        wait_for(opened.exists)
        assert opened.read_bytes() == _PNG[:4]
        screen.press("q")
        assert screen.end() == 0


def test_there_is_no_viewer_beyond_a_desktop() -> None:
    assert not shows_windows({"PATH": "/usr/bin"})
    assert not shows_windows({"DISPLAY": ":0", "PATH": "/nonexistent"})


@pytest.mark.usefixtures("library")
def test_cron_reads_how_many_questions_wait(facesets: Call) -> None:
    done = facesets("cluster").out
    assert "1 suggestion to review: `facesets people review`." in done
    assert len(done.splitlines()) == 1


@pytest.mark.parametrize(
    ("variables", "protocol"),
    [
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "iterm2"),
        ({"TERM": "screen-256color", "KITTY_WINDOW_ID": "1"}, ""),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/tmux"}, ""),
        ({"TERM": "xterm-256color"}, ""),
    ],
)
def test_a_terminal_that_shows_pictures_gets_them(variables: dict[str, str], protocol: str) -> None:
    assert inline_pictures(variables) == protocol


def test_a_picture_arrives_whole_with_both_protocols() -> None:
    png = bytes(range(256)) * 40
    parts = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", picture(png, "kitty"))
    assert base64.b64decode("".join(content for _, content in parts)) == png
    assert [head for head, _ in parts] == ["a=T,f=100,m=1", "m=1", "m=1", "m=0"]
    assert max(len(content) for _, content in parts) <= 4096
    head, _, content = picture(png, "iterm2").partition(":")
    assert f"size={len(png)}" in head
    assert base64.b64decode(content.removesuffix("\a")) == png
    assert picture(png, "") == ""
