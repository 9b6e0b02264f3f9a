"""What a terminal says of people that came into the library."""

from typing import TYPE_CHECKING

from facesets.plurals import counted, people
from facesets.words.phrases import how_to_undo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facesets.operations.people.carrying.import_people import ImportPeopleSummary

_LISTED = 10


def import_lines(summary: "ImportPeopleSummary | None") -> list[str]:
    """What was brought in, of whom nothing is here, and what was left out."""
    if summary is None:
        return []
    faces = f"{counted(summary.faces, 'face')} found" + (
        f", {summary.faces_not_found} not here" if summary.faces_not_found else ""
    )
    lines = [
        f"{people(summary.people)} ({summary.new_people} new), {counted(summary.names, 'new name')}; "
        f"{faces}; {counted(summary.statements, 'new statement')}, {summary.known} known, "
        f"{len(summary.skipped)} skipped; {counted(summary.moved, 'face')} moved."
        + (" Nothing was stored." if summary.dry_run else how_to_undo(summary.step))
    ]
    if summary.people_not_found:
        lines.append(f"No face is here of {_some(summary.people_not_found)}.")
    skipped = [f"{each}." for each in summary.skipped]
    return lines + first_of("Skipped, for it contradicts what was said here", skipped)


def first_of(title: str, found: "Sequence[str]") -> list[str]:
    """The first of some findings, each below a title, and how many more there are."""
    more = [f"… and {len(found) - _LISTED} more (--json lists all)."] if len(found) > _LISTED else []
    return [f"{title}: {each}" for each in found[:_LISTED]] + more


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
