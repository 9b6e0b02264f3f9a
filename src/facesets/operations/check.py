"""`check`: whether everything in the library is as it must be."""

from dataclasses import dataclass, field

from facesets.store.postgres.integrity import Problem, find_problems, mend
from facesets.store.postgres.library import Library


@dataclass(frozen=True, slots=True)
class CheckSummary:
    """What is wrong.

    Attributes
    ----------
    problems : list of Problem
        As they were found.
    to_index : list of str
        Paths that `index` must look at again; only after a repair.
    """

    problems: list[Problem] = field(default_factory=list)
    to_index: list[str] = field(default_factory=list)


def check(library: Library, *, fix: bool) -> CheckSummary:
    """Look for what hand-made changes broke; with `fix`, mend what SQL can mend."""
    problems = library.database.run(find_problems)
    paths = library.database.run(mend) if fix and problems else []
    return CheckSummary(problems, paths)
