"""Patterns and ignore files that leave out photos of a folder.

An ignore file is called `.facesetsignore` and written as git's ignore files are: it counts for its own folder
and everything below, one that is deeper down has the last word, and what lies in a folder that is left out
stays out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from pathspec import GitIgnoreSpec

from facesets.errors import WrongUsage
from facesets.files import printable, read_regular_file

IGNORE_FILE = ".facesetsignore"

_LARGEST_IGNORE_FILE_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Patterns:
    """Patterns for the path below a source, such as `*.jpg`, `2019/*` or `private`.

    One without `/` also fits any single part of the path. A file must fit some `include`, if there are any,
    and no `exclude`.
    """

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()

    def __bool__(self) -> bool:
        return bool(self.include or self.exclude)

    def exclude_it(self, relative: str) -> bool:
        """Whether a file, or a folder with its content, is left out."""
        return any(_fits(relative, pattern) for pattern in self.exclude)

    def want(self, relative: str) -> bool:
        """Whether a file is wanted."""
        if self.include and not any(_fits(relative, pattern) for pattern in self.include):
            return False
        return not self.exclude_it(relative)


def _fits(relative: str, pattern: str) -> bool:
    pattern = pattern.strip("/")
    if fnmatchcase(relative, pattern):
        return True
    parts = relative.split("/")
    if "/" not in pattern:
        return any(fnmatchcase(part, pattern) for part in parts)
    return any(fnmatchcase("/".join(parts[:i]), pattern) for i in range(1, len(parts)))


@dataclass(frozen=True, slots=True)
class IgnoreRules:
    """The ignore files that count for a folder.

    Attributes
    ----------
    below : tuple of (length, GitIgnoreSpec)
        For each: the length of its folder's path below the source, and its rules; the
        outermost first.
    """

    below: tuple[tuple[int, GitIgnoreSpec], ...] = ()

    def with_file_in(self, directory: str, relative: str) -> "IgnoreRules":
        """Return these rules, extended by the ignore file in a folder.

        Raises
        ------
        WrongUsage
            It cannot be read or parsed: ignored photos would be added.
        """
        path = Path(directory) / IGNORE_FILE
        try:
            content = read_regular_file(path, max_bytes=_LARGEST_IGNORE_FILE_BYTES)
            spec = GitIgnoreSpec.from_lines(_lines(content))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise WrongUsage(
                f"{printable(path)} is invalid ({printable(str(reason))}). Correct it, or move it away."
            ) from error
        return IgnoreRules((*self.below, (len(relative) + 1 if relative else 0, spec)))

    def leave_out(self, relative: str, *, is_folder: bool) -> bool:
        """Whether a path below the source is ignored, by the deepest ignore file that matches it."""
        path = f"{relative}/" if is_folder else relative
        for start, spec in reversed(self.below):
            included = spec.check_file(path[start:]).include
            if included is not None:
                return included
        return False


def _lines(content: bytes) -> Iterable[str]:
    return content.decode("utf-8-sig", "surrogateescape").splitlines()
