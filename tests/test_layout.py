"""Short modules with one subject, functions that are seen whole, and few packages."""

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import facesets
from tests.fixtures.program import REPOSITORY

SOURCE = Path(facesets.__file__).parent
LONGEST_MODULE = 350
LONGEST_FUNCTION = 60
LONGEST_COMMAND = 80
MAX_PACKAGES = 12
TESTS = REPOSITORY / "tests"
SPOKEN_OUTSIDE = ("web/", "jobs/")
"""Names given by outside callers, which may have other uses, too."""


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def lines_of_functions(path: Path) -> dict[str, int]:
    """Of each function, from its `def` to its end."""
    return {
        node.name: (node.end_lineno or node.lineno) - node.lineno + 1
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_no_module_is_longer_than_a_few_screens() -> None:
    lengths = {str(path): len(path.read_text().splitlines()) for path in SOURCE.rglob("*.py")}
    assert {path: length for path, length in lengths.items() if length > LONGEST_MODULE} == {}


def test_functions_are_seen_whole() -> None:
    too_long = {
        f"{path}: {name}": length
        for path in SOURCE.rglob("*.py")
        for name, length in lines_of_functions(path).items()
        if length > (LONGEST_COMMAND if path.is_relative_to(SOURCE / "cli") else LONGEST_FUNCTION)
    }
    assert too_long == {}


def test_operations_are_in_few_packages() -> None:
    # Folders that a checkout left behind hold no code.
    modules = (SOURCE / "operations").rglob("*.py")
    packages = {path.relative_to(SOURCE / "operations").parts[0] for path in modules} - {"__init__.py"}
    assert len(packages) <= MAX_PACKAGES, packages


def test_class_names_are_unique() -> None:
    places = defaultdict(set)
    for path in SOURCE.rglob("*.py"):
        place = path.relative_to(SOURCE).as_posix()
        if not place.startswith(SPOKEN_OUTSIDE):
            for node in parsed(path).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places[node.name].add(place)
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_tests_mirror_the_packages_that_they_test() -> None:
    packages = {path.parent.relative_to(TESTS) for path in TESTS.rglob("test_*.py")}
    assert [
        package
        for package in packages
        if package.parts[:1] != ("journeys",) and not (SOURCE / package).is_dir()
    ] == []


def test_no_test_is_imported_by_another_module() -> None:
    importing = re.compile(r"^\s*(from|import) tests\.(\w+\.)*test_\w+", re.MULTILINE)
    modules = [*TESTS.rglob("*.py"), *(REPOSITORY / "scripts").rglob("*.py")]
    assert [path for path in modules if importing.search(path.read_text())] == []


def test_the_map_of_the_code_names_every_package() -> None:
    page = (REPOSITORY / "docs" / "architecture.md").read_text()
    operations, people = SOURCE / "operations", SOURCE / "operations" / "people"
    packages = {
        path.parent for path in SOURCE.rglob("*.py") if path.parent.parent in (SOURCE, operations, people)
    }
    modules = set(SOURCE.glob("[!_]*.py"))
    assert [path.name for path in packages | modules if f"`{path.name}`" not in page] == []
