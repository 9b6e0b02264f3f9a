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
from tests.fixtures.program import run
from tests.fixtures.terminal import Terminal
from tests.fixtures.waiting import wait_for

_PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def library(database: Database) -> Library:
    filled = Library(database)
    add_person(filled, "anna", 6)
    add_like(filled, "annie", "anna", 0.58, 3)
    add_person(filled, "ben", 2)
    cluster(filled, method="components")
    return filled


def test_an_evening_at_the_terminal(library: Library, library_url: str) -> None:
    anna = who_is(library, "anna-0-0")
    with Terminal("people", "review", "--database", library_url) as screen:
        screen.expect(rf"Who is {anna[:8]} \(6 faces\)\?")
        sheet = Path(re.search(r"faces: (\S+)", screen.expect(r"faces: \S+")).group(1))  # type: ignore[union-attr]
        screen.expect(r"\[q\]uit")
        assert sheet.read_bytes().startswith(_PNG)
        screen.press("Anna\n")
        screen.expect("kept: Anna: named")
        screen.expect(r"Are \w+ and Anna one person\?")
        screen.expect(r"\[q\]uit")
        screen.press("n")
        screen.expect("kept: .* no")
        screen.expect(r"\[q\]uit")
        screen.press("u")
        screen.expect("taken back: ")
        screen.expect("one person")
        screen.expect(r"\[q\]uit")
        screen.press("y")
        screen.expect("kept: .* yes")
        screen.expect("Who is ")
        screen.expect(r"\[q\]uit")
        screen.press("\n")
        screen.expect(r"\[q\]uit")
        screen.press("s")
        screen.expect(r"No question is open\. 2 answers kept, 1 skipped\.")
        screen.expect(r"1 question was skipped: `facesets people review --skipped`")
        assert screen.end() == 0
    assert not sheet.exists()
    assert who_is(library, "annie-0-0") == anna


@pytest.mark.slow
@pytest.mark.usefixtures("library")
def test_ctrl_c_and_q_end_it_with_what_was_answered(library_url: str) -> None:
    for key, status in (("q", 0), ("\x03", 130)):
        with Terminal("people", "review", "--database", library_url) as screen:
            screen.expect(r"\[q\]uit")
            screen.press(key)
            assert screen.end() == status


def test_a_script_reads_questions_as_lines_of_json_and_answers_them(
    library: Library, library_url: str
) -> None:
    asked = run("people", "review", "--json", "--database", library_url)
    assert asked.status == 0, asked.err
    questions = [json.loads(line) for line in asked.out.splitlines()]
    assert [each["kind"] for each in questions] == ["name", "same", "name"]
    assert run("people", "review", "--json", "--limit", 1, "--database", library_url).out.count("\n") == 1

    def answer(*words: object) -> str:
        result = run("people", "answer", *words, "--database", library_url)
        assert result.status == 0, result.err
        return result.out

    assert "Kept: Anna: named" in answer(questions[0]["id"], "--name", "Anna")
    same = json.loads(run("people", "review", "--json", "--database", library_url).out.splitlines()[0])
    assert re.search(r"Kept: Are .* yes\. Step \d+: `facesets people undo`", answer(same["id"], "yes"))
    assert who_is(library, "annie-0-0") == who_is(library, "anna-0-0")
    again = run("people", "answer", same["id"], "no", "--database", library_url)
    assert (again.status, "is open" in again.err) == (2, True)
    for words in ((same["id"],), (same["id"], "yes", "--name", "Anna")):
        assert run("people", "answer", *words, "--database", library_url).status == 2


@pytest.mark.slow
@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("name", ["hugo", "Susi", "qi", "明"])
def test_a_name_that_begins_like_a_key_is_a_name(library_url: str, name: str) -> None:
    with Terminal("people", "review", "--database", library_url) as screen:
        screen.expect(r"\[q\]uit")
        screen.press(f"{name}\n")
        screen.expect(f"kept: {name}: named")
        screen.expect(r"\[q\]uit")
        screen.press("q")
        assert screen.end() == 0


@pytest.mark.slow
def test_a_question_that_was_answered_elsewhere_is_passed_over(library: Library, library_url: str) -> None:
    with Terminal("people", "review", "--database", library_url) as screen:
        screen.expect("Who is ")
        screen.expect(r"\[q\]uit")
        run("people", "name", who_is(library, "anna-0-0"), "Anna", "--database", library_url)
        screen.press("Annabel\n")
        screen.expect("That was answered elsewhere meanwhile")
        screen.expect("one person")
        screen.expect(r"\[q\]uit")
        screen.press("q")
        assert screen.end() == 0


@pytest.mark.slow
@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    ("end", "number"),
    [
        pytest.param(lambda screen: screen.send(signal.SIGTERM), signal.SIGTERM, id="killed"),
        pytest.param(lambda screen: screen.close(), signal.SIGHUP, id="terminal closed"),
    ],
)
@pytest.mark.parametrize("asked_for", ["line", "key"])
def test_a_kill_or_a_closed_terminal_leaves_no_picture(
    library_url: str, end: Callable[[Terminal], None], number: signal.Signals, asked_for: str
) -> None:
    with Terminal("people", "review", "--database", library_url) as screen:
        sheet = Path(screen.expect(r"/\S+question\.png"))
        screen.expect(r"\[q\]uit")
        if asked_for == "key":
            screen.press("Anna\n")
            screen.expect("one person")
            screen.expect(r"\[q\]uit")
        end(screen)
        assert screen.end() == 128 + number
    assert not sheet.parent.exists()


def test_without_a_terminal_a_line_stands_for_each_of_the_first_questions(
    library: Library, library_url: str
) -> None:
    listed = run("people", "review", "--limit", 2, "--database", library_url)
    assert listed.status == 0, listed.err
    head, *lines = listed.out.splitlines()
    anna = who_is(library, "anna-0-0")
    assert head.split() == ["faces", "question", "id"]
    assert lines[0].split() == ["6", "Who", "is", anna[:8], "(6", "faces)?", f"name-{anna.replace('-', '')}"]
    assert len(lines) == 2
    assert "2 of 3 questions." in listed.err
    assert "facesets serve --open" in listed.err


@pytest.mark.usefixtures("library")
def test_what_is_skipped_stays_so_at_the_next_sitting(library_url: str) -> None:
    def sitting(*words: str) -> Terminal:
        return Terminal("people", "review", *words, "--database", library_url)

    with sitting() as screen:
        for number in range(3):
            screen.expect(r"\[q\]uit")
            # Who presses Enter as well, as elsewhere, names nobody "s".
            screen.press("s" if number else "s\n")
            assert number == 2 or screen.expect("skipped")
        screen.expect(r"0 answers kept, 3 skipped\. 3 questions were skipped")
        assert screen.end() == 0
    with sitting() as screen:
        screen.expect(r"No question is open\. 0 answers kept\. 3 questions were skipped")
        assert screen.end() == 0
    with sitting("--skipped") as screen:
        screen.expect(r"\[q\]uit")
        screen.press("s")
        screen.expect("skipped")
        screen.expect(r"\[q\]uit")
        screen.press("u")
        screen.expect(r"Who is .* \(6 faces\)")
        screen.press("q")
        assert screen.end() == 0
    assert "3 of 3 questions" in run("people", "review", "--database", library_url).err


def test_a_name_that_is_taken_asks_with_the_faces_of_both(library: Library, library_url: str) -> None:
    run("people", "name", who_is(library, "ben-0-0"), "Anna", "--database", library_url)
    with Terminal("people", "review", "--database", library_url) as screen:
        screen.expect(r"\[q\]uit")
        # Letter by letter, with one that is taken back.
        for key in "Anb\x7fna":
            screen.press(key)
        screen.press("\n")
        screen.expect(r"faces: \S+question\.png")
        screen.expect(r"Are they one person\?.*\[n\]o, another name")
        screen.press("\n")
        screen.expect("name: Anna")
        screen.press(" Berg\n")
        screen.expect("kept: Anna Berg: named")
        screen.expect(r"\[q\]uit")
        screen.press("q")
        assert screen.end() == 0


@pytest.mark.parametrize("command", ["name", "rename"])
def test_a_name_that_exists_is_asked_about_with_faces_and_enter_merges_nobody(
    library: Library, library_url: str, command: str
) -> None:
    named = ("--database", library_url)
    anna, ben = who_is(library, "anna-0-0"), who_is(library, "ben-0-0")
    run("people", "name", anna, "Anna", *named)
    refused = run("people", command, ben, "anna", *named)
    assert refused.status == 2
    for key, status in (("\n", 2), ("y\n", 0)):
        with Terminal("people", command, ben, "anna", *named) as screen:
            sheet = Path(re.search(r"/\S+\.png", screen.expect(r"faces: \S+\.png")).group())  # type: ignore[union-attr]
            assert sheet.read_bytes().startswith(_PNG)
            screen.expect(r"Are they one person\? \[y/N\]: ")
            assert who_is(library, "ben-0-0") == ben
            screen.press(key)
            assert screen.end() == status
    assert who_is(library, "ben-0-0") == anna


@pytest.mark.usefixtures("library")
def test_a_key_opens_the_faces_in_the_desktops_viewer(library_url: str, tmp_path: Path) -> None:
    opened = tmp_path / "opened"
    viewer = tmp_path / "bin" / "xdg-open"
    viewer.parent.mkdir()
    viewer.write_text(f'#!/bin/sh\nhead -c 4 "$1" > {opened}.part && mv {opened}.part {opened}\n')
    viewer.chmod(0o755)
    desktop = {"DISPLAY": ":7", "PATH": f"{viewer.parent}:{os.environ['PATH']}"}
    with Terminal("people", "review", "--database", library_url, env=desktop) as screen:
        screen.expect("o opens it")
        screen.expect(r"\[o\]pen faces .*\[q\]uit")
        screen.press("o")
        wait_for(opened.exists)
        assert opened.read_bytes() == _PNG[:4]
        screen.press("q")
        assert screen.end() == 0


def test_there_is_no_viewer_beyond_a_desktop() -> None:
    assert not shows_windows({"PATH": "/usr/bin"})
    assert not shows_windows({"DISPLAY": ":0", "PATH": "/nonexistent"})


@pytest.mark.slow
@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("moment", ["key", "name"])
def test_the_terminal_is_as_it_was_however_it_ends(library_url: str, moment: str) -> None:
    with Terminal("people", "review", "--database", library_url) as screen:
        before = screen.modes()
        screen.expect(r"\[q\]uit")
        wait_for(lambda: screen.modes() != before)
        if moment == "name":
            screen.press("Ann")
            screen.expect("name: Ann")
        screen.send(signal.SIGTERM)
        assert screen.end() == 128 + signal.SIGTERM
        assert screen.modes() == before


@pytest.mark.usefixtures("library")
def test_cron_reads_how_many_questions_wait(library_url: str) -> None:
    done = run("cluster", "--database", library_url)
    assert "1 question waits: `facesets people review`." in done.out
    assert len(done.out.splitlines()) == 1


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


def test_a_picture_arrives_whole_by_either_protocol() -> None:
    png = bytes(range(256)) * 40
    parts = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", picture(png, "kitty"))
    assert base64.b64decode("".join(content for _, content in parts)) == png
    assert [head for head, _ in parts] == ["a=T,f=100,m=1", "m=1", "m=1", "m=0"]
    assert max(len(content) for _, content in parts) <= 4096
    head, _, content = picture(png, "iterm2").partition(":")
    assert f"size={len(png)}" in head
    assert base64.b64decode(content.removesuffix("\a")) == png
    assert picture(png, "") == ""
