"""Files appear whole or not at all, and locks keep a second run out."""

import errno
import fcntl
import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facesets.errors import AlreadyRunning, CannotWrite
from facesets.files import FileLock, atomic_write, json_bytes, printable, read_regular_file, sweep_temporaries

_JOINERS = re.compile("(?<=[^ -~])[\u200c\u200d](?=[^ -~])")
"""Invisible characters of a line, allowed only beside others written with them."""


def test_a_failed_write_leaves_the_old_file_and_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), atomic_write(path) as file:
        file.write(b"new")
        raise ZeroDivisionError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_leftovers_of_a_killed_write_are_swept(tmp_path: Path) -> None:
    path = tmp_path / "strange[name]*.npz"
    (tmp_path / f".{path.name}.abc.tmp").touch()
    (tmp_path / ".another.abc.tmp").touch()
    sweep_temporaries(path)
    assert [p.name for p in tmp_path.iterdir()] == [".another.abc.tmp"]


def test_a_place_that_cannot_be_written_to_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CannotWrite, match="Choose a place"), atomic_write(tmp_path / "file" / "below"):
        pass


def test_a_second_lock_is_refused_and_the_first_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with FileLock(path, what="x"), pytest.raises(AlreadyRunning), FileLock(path, what="x"):
        pass
    assert not path.exists()


def test_a_lock_file_left_by_a_killed_run_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    path.touch()
    with FileLock(path, what="x"):
        assert path.exists()


def test_a_disk_without_locks_is_no_other_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    # The answer of a share without locks, which cannot be mounted here.
    monkeypatch.setattr(fcntl, "flock", refused)
    with pytest.raises(CannotWrite, match="Cannot lock"), FileLock(tmp_path / "x.lock", what="x"):
        pass


def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(OSError, match="not a regular file"):
        read_regular_file(tmp_path / "pipe.jpg", max_bytes=100)


@given(st.binary(max_size=40).map(os.fsdecode))
def test_any_file_name_survives_json_and_prints_as_one_line(name: str) -> None:
    assert json.loads(json_bytes([name])) == [name]
    assert _JOINERS.sub("", printable(name)).isprintable()


@pytest.mark.parametrize(
    "name",
    [
        "\U0001f468\u200d\U0001f469\u200d\U0001f467 at home.jpg",
        "\u2764\ufe0f\u200d\U0001f525",
        "\U0001f469\U0001f3fd\u200d\u2695\ufe0f",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\u0930\u094d\u200d\u092f \u0915\u094d\u200c\u0937",
        "\u0dc1\u0dca\u200d\u0dbb\u0dd3",
    ],
)
def test_joiners_stay_in_emoji_and_in_scripts_that_need_them(name: str) -> None:
    assert printable(name) == name
    assert printable(f"\n{name}") == f"\\n{name}"


@pytest.mark.parametrize(
    ("name", "reported"),
    [
        ("an\u200dna", "an\\u200dna"),
        ("\u200d\u0645", "\\u200d\u0645"),
        ("\u0645\u200d", "\u0645\\u200d"),
        ("\u0645\u200d\u200d\u0645", "\u0645\\u200d\\u200d\u0645"),
        ("\u0645\u200ca", "\u0645\\u200ca"),
        ("\u0645\u200c\u0915", "\u0645\\u200c\u0915"),
        ("\u0661\u200d\u0662", "\u0661\\u200d\u0662"),
        ("\U0001f468\u200c\U0001f469", "\U0001f468\\u200c\U0001f469"),
        ("a\ufe0f\u200d\U0001f525", "a\ufe0f\\u200d\U0001f525"),
        ("\u0645\u202e\u0645", "\u0645\\u202e\u0645"),
        ("\u0645\u200c\u0645\u2066gpj.", "\u0645\u200c\u0645\\u2066gpj."),
        ("\u0645\u200c\u061c\u0645", "\u0645\\u200c\\u061c\u0645"),
        ("\U0001f468\u200d\u202e", "\U0001f468\\u200d\\u202e"),
    ],
)
def test_other_joiners_and_characters_that_reverse_a_line_are_escaped(name: str, reported: str) -> None:
    assert printable(name) == reported
