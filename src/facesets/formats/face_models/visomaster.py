"""The embeddings of VisoMaster and Rope-next: a JSON list of people, each with an embedding per recognizer.

[{"name": "Anna", "embedding_store": {"Inswapper128ArcFace": [512 numbers]}}]
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from facesets.files import printable
from facesets.formats.face_models.face_model import (
    ModelsRead,
    PersonRead,
    damaged,
    embedding_problem,
    read_model_bytes,
)
from facesets.records import Float32

KEY = "Inswapper128ArcFace"
"""VisoMaster's name for `w600k_r50`."""


def visomaster_bytes(people: Iterable[tuple[str, Float32]]) -> bytes:
    """Return the file of people, by name and embedding (512,).

    In ASCII, as VisoMaster itself writes it: it reads the file in the encoding of the system.
    """
    entries = [
        {"name": name, "embedding_store": {KEY: [float(each) for each in embedding]}}
        for name, embedding in people
    ]
    return json.dumps(entries, indent=2, ensure_ascii=True).encode("ascii") + b"\n"


def read_visomaster(path: Path) -> ModelsRead:
    """Read people as VisoMaster does: each entry's name and every list of its `embedding_store`.

    Raises
    ------
    WrongUsage
        There is no such file.
    DamagedFile
        It is not JSON.
    """
    content = read_model_bytes(path)
    try:
        entries = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"it is not JSON: {error}") from error
    if not isinstance(entries, list) or not entries:
        return ModelsRead([], 0, ["it is not a list of people"])
    people: list[PersonRead] = []
    problems: list[str] = []
    for number, entry in enumerate(entries):
        name, embedding, problem = _entry(entry)
        if problem:
            problems.append(f"entry {number}{f' ({printable(name)[:60]})' if name else ''} {problem}")
        elif embedding is not None:
            people.append(PersonRead(name, embedding))
    return ModelsRead(people, len(people), problems)


def _entry(entry: Any) -> tuple[str, Float32 | None, str]:  # noqa: ANN401 - whatever JSON holds
    """Return name and embedding of one person, and what is wrong with them."""
    if not isinstance(entry, dict):
        return "", None, "is not a person"
    name, store = entry.get("name"), entry.get("embedding_store")
    if not isinstance(name, str):
        return "", None, "has no name"
    if not isinstance(store, dict) or not store:
        return name, None, "has no embedding_store"
    arrays = {key: _numbers(values) for key, values in store.items()}
    for key, array in arrays.items():
        wrong = (
            "is not a list of numbers" if array is None else embedding_problem(array) if key == KEY else ""
        )
        if wrong:
            return name, None, f"has a {printable(key)[:40]} that {wrong}"
    if KEY not in arrays:
        return name, None, f"has no {KEY}, which Inswapper128 needs"
    return name, arrays[KEY], ""


def _numbers(values: Any) -> Float32 | None:  # noqa: ANN401 - whatever JSON holds
    """Convert a list of numbers to an array; None if it is not one."""
    if not isinstance(values, list):
        return None
    if not all(isinstance(each, int | float) and not isinstance(each, bool) for each in values):
        return None
    with np.errstate(over="ignore"):
        try:
            return np.array(values, np.float64).astype(np.float32)
        except OverflowError:
            return None
