"""Texts for users follow docs/style.md: retired phrases do not come back."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.program import REPOSITORY

STYLE = REPOSITORY / "docs" / "style.md"
SOURCES = sorted((REPOSITORY / "src").rglob("*.py"))
PAGES = sorted(
    path
    for folder in ("templates", "static")
    for path in (REPOSITORY / "src" / "facesets" / "web" / folder).rglob("*")
    if path.suffix in {".html", ".js", ".mjs"}
)
DOCUMENTS = [
    REPOSITORY / "README.md",
    *(path for path in sorted((REPOSITORY / "docs").glob("*.md")) if path != STYLE),
]


def retired() -> list[str]:
    """The phrases in backticks in the first column of the last table."""
    table = STYLE.read_text("utf-8").partition("## Retired phrases")[2]
    return [
        phrase
        for row in table.splitlines()
        for phrase in re.findall("`(.+?)`", row.split("|", 2)[1:2][0] if "|" in row else "")
    ]


def messages(source: str) -> Iterator[tuple[int, str]]:
    """Texts in a module that are no docstrings, with their lines."""
    tree = ast.parse(source)
    docstrings = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.lineno, node.value


KEPT = {
    "src/facesets/file_records.py": "any more",  # content of caches of earlier versions
    "src/facesets/inference/open_pack.py": "whom",  # the MIT licence
}


def found(texts: Iterator[tuple[int, str]]) -> list[tuple[int, str]]:
    """Return the places of retired phrases in texts, and the phrases."""
    any_of = re.compile("|".join(rf"(?<!\w){re.escape(each)}(?!\w)" for each in retired()), re.IGNORECASE)
    return [(line, match[0]) for line, text in texts for match in any_of.finditer(re.sub(r"\s+", " ", text))]


def test_the_list_of_retired_phrases_is_read() -> None:
    assert {"taken back", "whom", "stayed alone"} <= set(retired())
    assert found(iter([(1, "Nothing is\n    Taken back.")])) == [(1, "Taken back")]


@pytest.mark.parametrize("path", [*PAGES, *DOCUMENTS], ids=lambda path: path.name)
def test_pages_and_documents_use_no_retired_phrase(path: Path) -> None:
    assert found(enumerate(path.read_text("utf-8").split("\n\n"), start=1)) == []


def test_messages_and_help_use_no_retired_phrase() -> None:
    here = {
        f"{path.relative_to(REPOSITORY)}:{line}": phrase
        for path in SOURCES
        for line, phrase in found(messages(path.read_text("utf-8")))
        if KEPT.get(f"{path.relative_to(REPOSITORY)}") != phrase
    }
    assert here == {}
