"""Every command line in the documents and in the help is one that the program understands."""

from pathlib import Path

import pytest

from facesets.cli.guide import GROUPS, GUIDE
from tests.fixtures.parsing import command_lines, commands, parse
from tests.fixtures.program import REPOSITORY

DOCUMENTS = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_command_lines_of_a_document_are_understood(document: Path) -> None:
    for words in command_lines(document.read_text("utf-8")):
        parse(words)


def test_there_are_command_lines_to_check() -> None:
    lines = [words for document in DOCUMENTS for words in command_lines(document.read_text("utf-8"))]
    assert len(lines) > 40
    assert {"embed", "cluster", "refine", "index"} <= {words[0] for words in lines}


def test_a_flag_that_is_none_is_noticed() -> None:
    with pytest.raises(Exception, match="No such option"):
        parse(next(command_lines("    facesets refine faces.npz out --no-such-flag")))


def test_every_command_has_a_heading_and_an_example_of_its_own() -> None:
    assert set(GUIDE) == set(commands()), "list the command in facesets.cli.guide"
    for path, entry in GUIDE.items():
        assert entry.group in GROUPS
        assert entry.examples
        for example in entry.examples:
            (words,) = command_lines(f"    {example}")
            assert words[: len(path.split())] == path.split()
            parse(words)
