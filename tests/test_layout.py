"""Short modules with one subject, functions that are seen whole, and few rooms to look through."""

import ast
from pathlib import Path

import facesets

SOURCE = Path(facesets.__file__).parent
LONGEST_MODULE = 350
LONGEST_FUNCTION = 60
LONGEST_COMMAND = 80
MOST_ROOMS = 12


def lines_of_functions(path: Path) -> dict[str, int]:
    """Of each function, from its `def` to its end."""
    return {
        node.name: (node.end_lineno or node.lineno) - node.lineno + 1
        for node in ast.walk(ast.parse(path.read_text()))
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


def test_what_commands_do_is_found_in_few_rooms() -> None:
    # Folders that a checkout left behind hold no code.
    modules = (SOURCE / "operations").rglob("*.py")
    rooms = {path.relative_to(SOURCE / "operations").parts[0] for path in modules} - {"__init__.py"}
    assert len(rooms) <= MOST_ROOMS, rooms
