"""Every command line in the documents and in the help is one that the program understands."""

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from facesets.cli.app import app
from facesets.cli.guide import GROUPS, GUIDE
from facesets.cli.settings_file import by_parameter
from facesets.settings import load
from tests.fixtures.parsing import command_lines, commands, parse
from tests.fixtures.program import REPOSITORY

DOCUMENTS = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]


def test_command_lines_of_documents_are_understood() -> None:
    lines = [words for document in DOCUMENTS for words in command_lines(document.read_text("utf-8"))]
    assert len(lines) > 40
    assert {"embed", "cluster", "refine", "index"} <= {words[0] for words in lines}
    for words in lines:
        parse(words)


_OF_OTHER_PROGRAMS = {
    *("--name", "--no-deps", "--system", "--train", "--candidates", "--count", "--heads", "--kinds"),
    *("--queries", "--rounds", "--describe", "--kill", "--memory-limit", "--nthreads", "--nworkers"),
    *("--scale", "--build", "--detach", "--entrypoint", "--force-recreate", "--recursive", "--rm"),
    *("--volume", "--no-preserve", "--windows"),
}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_flags_that_a_document_names_exist(document: Path) -> None:
    root: Any = get_command(app)
    params = [*root.get_params(root.make_context("facesets", [], resilient_parsing=True))]
    params += [param for command in commands().values() for param in command.params]
    known = {option for param in params for option in (*param.opts, *param.secondary_opts)}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", document.read_text("utf-8")))
    assert named <= known | _OF_OTHER_PROGRAMS


def test_settings_that_a_document_shows_exist(tmp_path: Path) -> None:
    blocks = [
        textwrap.dedent(block)
        for document in DOCUMENTS
        for block in re.findall(r"(?:^ {4}.*\n)+", document.read_text("utf-8"), re.MULTILINE)
    ]
    heading = re.compile(rf"^\[({'|'.join(commands())})\]$", re.MULTILINE)
    shown: set[str] = set()
    for block in filter(heading.search, blocks):
        file = tmp_path / "facesets.toml"
        file.write_text(block)
        shown |= by_parameter(get_command(app), load({"FACESETS_CONFIG": str(file)})).keys()
    assert {"embed", "refine", "index"} <= shown


def test_an_unknown_flag_in_a_document_is_found() -> None:
    with pytest.raises(Exception, match="No such option"):
        parse(next(command_lines("    facesets refine faces.npz out --no-such-flag")))


def test_a_required_option_has_no_default_in_help() -> None:
    for path, command in commands().items():
        for param in command.params:
            if param.required:
                assert "default" not in (getattr(param, "help", "") or ""), (path, param.name)


def test_every_command_has_a_heading_and_an_example_of_its_own() -> None:
    assert set(GUIDE) == set(commands()), "list the command in facesets.cli.guide"
    for path, entry in GUIDE.items():
        assert entry.group in GROUPS
        assert entry.examples
        for example in entry.examples:
            (words,) = command_lines(f"    {example}")
            assert words[: len(path.split())] == path.split()
            parse(words)
