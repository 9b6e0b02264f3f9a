"""Phrases that the summaries of several commands share, and tables."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

RESUME_HINT = "Stopped early. Run the same command again to resume."
"""Printed after a run that a signal ended."""

_MIN_COLUMN = 20
"""Minimum characters of a column that wraps, however narrow the terminal."""


ASSIGNED_BY = {
    "auto": "automatically",
    "manual": "by hand",
    "constrained": "together with another face",
    "imported": "by an import",
}
"""How a face got its person, by the word in tables and --json."""

_THRESHOLDS = {
    "assign": "assigned from",
    "margin": "lead over the next person",
    "review": "suggested from",
    "link": "grouped from",
    "typical": "typical within a person",
}


def thresholds(values: Mapping[str, float]) -> str:
    """Return the cosine similarities that decide about faces, by their names in --json."""
    return ", ".join(f"{_THRESHOLDS[name]} {value:.2f}" for name, value in values.items())


def name_and_number(name: str, person: str) -> str:
    """Return a person's name with the number in brackets; the number alone for an unnamed person."""
    return person if name == person else f"{name} ({person})"


def how_to_undo(step: int | None) -> str:
    """Return a further sentence on how to undo a change."""
    return "" if step is None else f" Undo change {step} with `facesets people undo`."


def by_gate(dropped: Mapping[str, int]) -> str:
    """Return how many faces each quality filter rejected."""
    return ", ".join(f"{count} by {gate}" for gate, count in dropped.items())


def local_time(text: str) -> str:
    """Return a time in the local time zone."""
    return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M}"


def as_before(failures: Iterable[Any]) -> str:
    """Return how many failures are not new, in brackets; nothing if all are."""
    known = sum(failure.known for failure in failures)
    return f" ({known} as before)" if known else ""


def would(dry_run: bool, done: str, planned: str) -> str:  # noqa: FBT001 - reads as `would(dry_run, …)`
    """Choose the verb of a sentence."""
    return planned if dry_run else done


def learned_lines(learned: Sequence[str]) -> list[str]:
    """Return a line for each edit that the user made in a folder."""
    return [f"  Noted: {line}" for line in learned]


def table(headings: Sequence[str], rows: Sequence[Sequence[object]], *, width: int | None = None) -> str:
    """Return rows as aligned columns of plain text; with a width, the last column wraps."""
    cells = [list(headings), *[[str(cell) for cell in row] for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headings))]
    before = sum(widths[:-1]) + 2 * (len(widths) - 1)
    folded = []
    for *first, last in cells:
        room = None if width is None else max(width - before, _MIN_COLUMN)
        parts = [last] if room is None else textwrap.wrap(last, room, break_on_hyphens=False) or [""]
        start = "".join(f"{cell.ljust(size)}  " for cell, size in zip(first, widths[:-1], strict=True))
        folded += [start + parts[0], *(" " * before + part for part in parts[1:])]
    return "\n".join(line.rstrip() for line in folded)
