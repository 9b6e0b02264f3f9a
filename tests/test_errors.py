"""Errors: sentences with options and commands as data, worded where they are shown."""

import ast
import copy
import pickle
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from subprocess import list2cmdline
from types import SimpleNamespace

import pytest

import facesets
from facesets import errors
from facesets.cli.wording import worded
from facesets.errors import CannotWrite, Command, Field, RecognizerMismatch, Sentence, quoted
from tests.fixtures.parsing import commands

SOURCE = Path(facesets.__file__).parent

KINDS = {name for name, kind in vars(errors).items() if isinstance(kind, type)} | {"super().__init__"}
TERMINAL = ("cli/",)


def error() -> RecognizerMismatch:
    pull = Command("models pull", "x y", Field("force"))
    return RecognizerMismatch(f"Use {Field('det_size', '640')} or {Field('pack')}, or run {pull}.")


def test_a_sentence_is_neutral_until_it_is_worded_for_a_terminal() -> None:
    assert str(error()) == "Use det_size 640 or pack, or run `models pull 'x y' force`."
    assert worded(error().sentence) == (
        "Use --det-size 640 or --pack, or run `facesets models pull 'x y' --force`."
    )


def test_fields_and_commands_of_a_sentence_are_data() -> None:
    assert error().sentence.parts == (
        "Use ",
        Field("det_size", "640"),
        " or ",
        Field("pack"),
        ", or run ",
        Command("models pull", "x y", Field("force")),
        ".",
    )


def test_an_error_around_another_keeps_its_fields_and_commands() -> None:
    for text in (f"{error()} And {Field('data')}.", f"{error().sentence} And {Field('data')}."):
        both = CannotWrite(text)
        assert both.sentence.parts[:-3] == (*error().sentence.parts[:-1],)
        assert worded(both.sentence) == f"{worded(error().sentence)} And --data."


@pytest.mark.parametrize("text", ["{det_size}", "{0}", "%s {", "a --b", "\x02", "\x02a\x03\x04", "\x04\x05"])
def test_no_text_of_a_user_is_taken_for_a_placeholder_and_none_stops_a_sentence(text: str) -> None:
    reported = Sentence(f"{text} {Field('pack', text)}")
    assert reported.parts
    if text.isprintable():
        assert worded(reported) == f"{text} --pack {quoted(text)}"


def test_copies_and_pickles_keep_fields_and_commands() -> None:
    for again in (copy.copy(error()), copy.deepcopy(error()), pickle.loads(pickle.dumps(error()))):
        assert isinstance(again, RecognizerMismatch)
        assert again.sentence.parts == error().sentence.parts
        assert str(again) == str(error())
    assert copy.deepcopy(error().sentence).parts == error().sentence.parts


def _calls(kinds: set[str], *, outside: tuple[str, ...] = ()) -> Iterator[tuple[str, ast.Call]]:
    for place, call in _every_call():
        if not (outside and place.startswith(outside)) and _called(call) in kinds:
            yield f"{place}:{call.lineno}", call


@cache
def _every_call() -> list[tuple[str, ast.Call]]:
    return [
        (path.relative_to(SOURCE).as_posix(), node)
        for path in sorted(SOURCE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
    ]


def _called(call: ast.Call) -> str:
    """Return the called name, if it is plain or a constructor."""
    if isinstance(call.func, ast.Name):
        return call.func.id
    is_constructor = isinstance(call.func, ast.Attribute) and call.func.attr == "__init__"
    return ast.unparse(call.func) if is_constructor else ""


def _texts(node: ast.AST) -> list[str]:
    found = [each.value for each in ast.walk(node) if isinstance(each, ast.Constant)]
    return [text for text in found if isinstance(text, str)]


def test_no_error_below_the_command_line_words_a_flag_or_a_command() -> None:
    for place, call in _calls(KINDS, outside=TERMINAL):
        for text in _texts(call):
            own = re.sub("`(?!facesets )[^`]*`", "", text)  # programs of others may be called as they are
            assert not re.search("--[a-z]|`facesets ", own), (place, text)


def test_fields_and_commands_in_errors_exist() -> None:
    known = commands()
    flags = {flag for command in known.values() for param in command.params for flag in param.opts}
    flags |= {"--help"}
    # Descriptions of calls of the API are also called `Field`, but name no option.
    named = [(place, call) for place, call in _calls({"Field"}) if call.args]
    assert len(named) > 50
    for place, call in named:
        # That of pydantic takes words alone.
        if call.args and isinstance(call.args[0], ast.Constant):
            assert worded(f"{Field(str(call.args[0].value))}") in flags, place
    for place, call in _calls({"Command"}):
        if isinstance(call.args[0], ast.Constant):
            assert call.args[0].value in known, place


@pytest.mark.parametrize(
    "word",
    ["", "a b", "it's", 'the "best"', "$HOME", "`id`", "a;b", "a\\b", "*", "~", "-x y", "Zoë", "1.npz"],
)
def test_a_shell_passes_quoted_words_unchanged(word: str) -> None:
    reported = subprocess.run(
        ["/bin/sh", "-c", f"printf '[%s]' {quoted(word)} {Field('x_y', word or '-').flag}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert reported.stdout == f"[{word}][--x-y][{word or '-'}]"


def test_on_windows_paths_are_quoted_as_its_programs_read_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "os", SimpleNamespace(name="nt"))
    assert [quoted(word) for word in (r"C:\me\a.npz", r"C:\my photos", "C:\\my photos\\", "a&b")] == [
        r"C:\me\a.npz",
        r'"C:\my photos"',
        r'"C:\my photos\\"',
        '"a&b"',
    ]
    assert list2cmdline([r"a\"b c"]) == quoted(r"a\"b c")
    assert [quoted(word) for word in ("a,b", "@a", "a$b", "")] == ['"a,b"', '"@a"', "'a$b'", '""']
