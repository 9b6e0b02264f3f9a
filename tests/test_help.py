"""Help, versions, and a start that loads no heavy library."""

import re
import subprocess
import sys
from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from facesets.cli import command
from facesets.cli.app import app
from facesets.cli.flags import with_flags
from tests.fixtures.program import environment, run

HEAVY = "numpy onnxruntime distributed onnx scipy sklearn cv2 PIL rich.progress httpx insightface "
HEAVY += "psycopg pgvector"


def test_help_loads_no_heavy_library() -> None:
    script = f"""
import sys
from typer.testing import CliRunner
from facesets.cli.app import app
for line in ("--help", "assign --help", "cluster --help"):
    result = CliRunner().invoke(app, line.split())
    assert result.exit_code == 0, result.output
    print([name for name in {HEAVY!r}.split() if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment(), check=True
    )
    assert done.stdout == "[]\n" * 3


def test_help_lists_the_exit_statuses() -> None:
    result = run("--help")
    assert result.status == 0
    assert "75 another run holds the lock" in " ".join(result.out.split())


@pytest.mark.parametrize("arguments", [["nonsense"], ["embed"], ["embed", "a", "b", "--flush-every", "0"]])
def test_wrong_usage_ends_with_status_2(arguments: list[str]) -> None:
    assert run(*arguments).status == 2


@pytest.mark.parametrize(
    ("given", "line"), [("my photos", "'my photos' faces.npz"), ("my.npz", "PHOTOS my.npz")]
)
def test_embed_with_one_argument_shows_the_whole_line(given: str, line: str) -> None:
    result = run("embed", given)
    assert result.status == 2
    assert f"give a photo folder and a cache file: `facesets embed {line}`." in result.err


def test_missing_arguments_are_shown_by_an_example() -> None:
    for words in (["embed"], ["people", "name", "Anna"], ["relocate"], ["run"], ["refine"], ["extend"]):
        result = run(*words)
        assert result.status == 2
        assert "Missing argument '[" not in result.err
        assert "Missing argument" in result.err
        assert f"For example: `facesets {' '.join(words[:1])} " in result.err


def test_a_choice_that_does_not_exist_is_named_without_the_words_of_a_library() -> None:
    result = run("cluster", "faces.npz", "out", "--method", "foo")
    assert result.status == 2
    assert "Invalid value for '--method': 'foo' is not one of 'auto', 'agglomerative'" in result.err


def test_help_gives_each_command_one_line() -> None:
    listed = re.findall(r"^  ([a-z][a-z-]+)  +(\S.*)$", run("--help").out, re.MULTILINE)
    assert len(listed) > 40
    assert [name for name, _ in listed[:2]] == ["run", "serve"]
    assert {name: len(line) for name, line in listed if len(line) > 60} == {}


def test_advanced_options_are_listed_separately() -> None:
    usual, advanced = run("refine", "--help").out.split("Advanced options:")
    assert "--min-faces" in usual
    assert "--merge-threshold" in advanced
    assert "Advanced" not in run("undo", "--help").out


def test_the_default_method_is_reported_once() -> None:
    text = " ".join(run("cluster", "--help").out.split())
    assert (
        "How to group. [default: auto; with a threshold agglomerative, for people of the library components]"
        in text
    )


def test_only_the_flags_of_the_used_command_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def counting(function: Callable[..., None], path: str) -> Callable[..., None]:
        made.append(function.__name__)
        return with_flags(function, path)

    monkeypatch.setattr(command, "with_flags", counting)
    runner = CliRunner()
    assert runner.invoke(app, ["--help"]).exit_code == 0
    assert runner.invoke(app, ["people", "--help"]).exit_code == 0
    assert made == []
    assert "--stages" in runner.invoke(app, ["stats", "--help"]).output
    assert made == ["stats"]
