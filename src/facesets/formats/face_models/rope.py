"""Rope's `merged_embeddings.txt`: for each person a line `Name: …` and 512 lines with a number each.

Rope takes every 513 lines for one person, whatever stands in them, so that a blank line or a line break in a
name spoils all that follow.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from facesets.files import printable
from facesets.formats.face_models.face_model import (
    DIMENSION,
    ModelsRead,
    PersonRead,
    damaged,
    embedding_problem,
    read_model_bytes,
)
from facesets.plurals import counted
from facesets.records import Float32

_HEAD = "Name: "
_LINES = DIMENSION + 1


def rope_bytes(people: Iterable[tuple[str, Float32]]) -> bytes:
    """Return the file of people, by name and embedding (512,). Line breaks in names become spaces."""
    lines: list[str] = []
    for name, embedding in people:
        lines.append(_HEAD + " ".join(name.split()))
        lines += [str(float(each)) for each in embedding]
    return "".join(f"{line}\n" for line in lines).encode("utf-8", errors="replace")


def read_rope(path: Path) -> ModelsRead:
    """Read people as Rope does, by counting lines.

    Raises
    ------
    WrongUsage
        There is no such file.
    DamagedFile
        It is no text.
    """
    try:
        lines = read_model_bytes(path).decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise damaged(path, "it is not UTF-8 text") from error
    people: list[PersonRead] = []
    problems: list[str] = []
    if not lines or len(lines) % _LINES:
        problems.append(f"it has {counted(len(lines), 'line')}, which is not a multiple of {_LINES}")
    for number, start in enumerate(range(0, len(lines) - DIMENSION, _LINES)):
        head, numbers = lines[start], lines[start + 1 : start + _LINES]
        if not head.startswith(_HEAD):
            problems.append(f"line {start + 1} is not a person's name: all lines after it are shifted")
            break
        embedding = _numbers(numbers)
        wrong = "is not numeric" if embedding is None else embedding_problem(embedding)
        if wrong:
            problems.append(f"the embedding of person {number + 1} ({printable(head[6:66])}) {wrong}")
        elif embedding is not None:
            people.append(PersonRead(head.removeprefix(_HEAD), embedding))
    return ModelsRead(people, len(people), problems)


def _numbers(lines: list[str]) -> Float32 | None:
    try:
        with np.errstate(over="ignore"):
            return np.array([float(line) for line in lines], np.float64).astype(np.float32)
    except ValueError:
        return None
