"""Correct people in a result folder by moving files as in a file manager; the next run applies the changes.

A photo moved to another person's folder shows that person; a renamed folder names its person; a photo moved
to `_unassigned` shows no person. After each change, the folder is read as the next run will read it. If that
gives another result than intended (a photo of several people has one name in all their folders), the change
is undone and refused.
"""

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from facesets.errors import Changed, Command, FacesetsError, NotFound, WrongUsage
from facesets.files import printable
from facesets.joiners import JOINERS, without_invisible
from facesets.operations.grouping.current_result import CurrentResult, read_result
from facesets.plurals import counted
from facesets.result import Result
from facesets.results.edits import recorded_moves
from facesets.results.edits.folder_contents import folder_of
from facesets.results.edits.group_marks import remove_emptied_folders, restore_mark
from facesets.results.edits.recorded_moves import RecordedChange, free_name, recorded_changes, settle
from facesets.results.folder_runs import locked
from facesets.results.names.file_names import folded, folder_name
from facesets.results.ownership import in_result
from facesets.results.safe_folder import SafeFolder

UNASSIGNED = "_unassigned"
"""The folder of photos that the user removed from a person without choosing another one."""


class FolderTaken(WrongUsage):
    """Another person's folder has that name, and the two were not confirmed to be the same person."""

    def __init__(self, name: str, faces: int) -> None:
        taken = f"The name {printable(name)} is already in use ({counted(faces, 'face')})."
        self.question = f"{taken} Is it the same person?"
        super().__init__(f"{taken} If it is the same person, merge the two.")


@dataclass(frozen=True, slots=True)
class Seen:
    """The state of a folder when the user decided; without a version, any state is accepted."""

    folder: str
    version: str | None = None


@contextmanager
def _correcting(root: Path, *seen: Seen) -> Iterator[CurrentResult]:
    """Lock the result, and return its present state."""
    with locked(root):
        settle(root)
        now = read_result(root)
        if now.sealed:
            raise WrongUsage(now.sealed)
        for each in seen:
            _require(now, each)
        yield now


def _require(now: CurrentResult, seen: Seen) -> None:
    if not now.faces_in(seen.folder):
        raise NotFound(f"{printable(seen.folder)} is no longer here. Reload the page.")
    if seen.version is not None and seen.version != now.version(seen.folder):
        raise Changed("This was changed in the meantime. Nothing was done. Check it again before you decide.")


def move_faces(root: Path, seen: Seen, faces: Collection[str], target: str) -> Result:
    """Correct the person of faces: move their photos to that person's folder.

    A photo is moved as a whole, with other faces in it that the folder has.

    Parameters
    ----------
    faces : collection of str
        By their ids in the manifest.
    target : str
        A person's folder, or a name for a new one; empty to unassign the faces.

    Raises
    ------
    Changed, NotFound
        The folder changed since the user saw it, or no longer has a face.
    WrongUsage
        The name is invalid, the folder cannot be changed now, or the change would be ambiguous for the next
        run.
    AlreadyRunning, CannotWrite, DamagedFile
        As the commands that write there.
    """
    with _correcting(root, seen) as now:
        target = existing(now, target) or (usable_name(now, target) if target else "")
        return _move(now, seen.folder, faces, target)


def rename(
    root: Path, seen: Seen, name: str, *, into: bool = False, into_version: str | None = None
) -> Result:
    """Name a person: rename the folder. With `into`, a folder with that name gets all the photos.

    Raises
    ------
    FolderTaken
        Another person's folder has that name, and `into` is off.
    Changed, NotFound, WrongUsage, AlreadyRunning, CannotWrite, DamagedFile
        As `move_faces`.
    """
    with _correcting(root, seen) as now:
        other = existing(now, name)
        if other and other != seen.folder:
            if not into:
                raise FolderTaken(other, len(now.groups[other]))
            _require(now, Seen(other, into_version))
            return _move(now, seen.folder, [face.face for face in now.faces_in(seen.folder)], other)
        if seen.folder == now.single_folder:
            raise WrongUsage("Unassigned faces have no name. Select some of them first.")
        new = usable_name(now, name, instead_of=seen.folder)
        if new == seen.folder:
            raise WrongUsage(f"The name is already {printable(new)}.")
        faces = now.groups[seen.folder]
        expected = now.assignments()
        expected[f"group {new}"] = expected.pop(f"group {seen.folder}")
        what = f"{seen.folder} renamed to {new}"
        return _change(now, what, [(seen.folder, new)], expected, folder=new, faces=len(faces))


def merge(root: Path, seen: Seen, into: Seen) -> Result:
    """Merge two people: move all photos of the first to the folder of the second.

    Errors as `move_faces`.
    """
    with _correcting(root, seen, into) as now:
        return _move(now, seen.folder, [face.face for face in now.faces_in(seen.folder)], into.folder)


def _move(now: CurrentResult, left: str, faces: Collection[str], target: str) -> Result:
    """Move photos of faces from a folder to another one, which may be new."""
    known = {face.face: face.image for face in now.faces_in(left)}
    if not set(faces) <= known.keys():
        raise Changed("Some of these faces are no longer here. Nothing was done. Reload the page.")
    if target == left or not faces:
        raise WrongUsage("These faces are already there. Choose another person.")
    images = {known[face] for face in faces}
    leaving = frozenset(face for face, image in known.items() if image in images)
    moved = f"moved from {left} to {target}" if target else f"removed from {left}"
    what = f"{counted(len(leaving), 'face')} {moved}"
    moves = [pair for image in sorted(images) for pair in _moves_of(now, left, image, target)]
    expected = _expected_after_move(now, left, leaving, target)
    return _change(now, what, _with_free_names(now, moves), expected, folder=target, faces=len(leaving))


def undo_change(root: Path, number: int | None = None) -> Result:
    """Undo the latest change made here since the last run.

    Parameters
    ----------
    number : int, optional
        The number that the change must have.

    Raises
    ------
    NotFound
        There is none.
    Changed
        It is not the latest, or its photos were moved since.
    AlreadyRunning, CannotWrite, DamagedFile
        As the commands that write there.
    """
    with locked(root):
        settle(root)
        last = latest_change(root, read_result(root))
        if last is None:
            raise NotFound("There is nothing to undo since the last run.")
        if number is not None and number != last.change:
            raise Changed(f"A later change must be undone first ({printable(last.what)}).")
        recorded_moves.undo_change(root, last)
        back, now = folder_of(last.moves[0][0]), read_result(root)
        restore_mark(in_result(root), back, now.marks.get(back, ""))
        return _corrected(last, back, len(last.moves), now)


def latest_change(root: Path, now: CurrentResult) -> RecordedChange | None:
    """Return the latest change that is in effect and that no run has applied."""
    effective = [change for change in recorded_changes(root) if change.state == recorded_moves.DONE]
    return effective[-1] if effective and effective[-1].since == now.since else None


def existing(now: CurrentResult, name: str) -> str:
    """Return the person's folder with a name, ignoring case; empty if there is none."""
    wanted = _comparable(_tidy(name))
    return next(
        (folder for folder in now.groups if wanted in {_comparable(folder), _comparable(printable(folder))}),
        "",
    )


def usable_name(now: CurrentResult, name: str, *, instead_of: str = "") -> str:
    """Return the name of a new folder as it will be written. Raises `WrongUsage` if it is not valid."""
    tidy = _tidy(name)
    # Joiners are part of names in many scripts, and of emoji, wherever they stand.
    bare = "".join(each for each in tidy if each not in JOINERS)
    if not bare or printable(bare) != bare or folder_name(tidy) != tidy:
        raise WrongUsage(
            'This cannot be a folder name. Choose a shorter name without any of / \\ : * ? " < > | % ~, '
            "and without _ or . at its beginning."
        )
    others = [each.name for each in now.root.iterdir() if each.name != instead_of]
    if _comparable(tidy) in map(_comparable, others):
        raise WrongUsage(
            f"This folder already contains {printable(tidy)}, which is not a person. Choose another name."
        )
    return tidy


def _comparable(name: str) -> str:
    """Return a form of a name that is equal for names that look the same or that file systems equate."""
    return folded(without_invisible(name))


def _tidy(name: str) -> str:
    return unicodedata.normalize("NFC", " ".join(name.split()))


def _moves_of(now: CurrentResult, folder: str, image: str, target: str) -> list[tuple[str, str]]:
    places = now.places(folder, image)
    if not places:
        raise WrongUsage(
            f"The photo is not in {printable(folder)}, so it cannot be moved. Run the command that wrote "
            "this folder again, with photos."
        )
    return [(place, f"{target or UNASSIGNED}/{PurePosixPath(place).name}") for place in places]


def _with_free_names(now: CurrentResult, moves: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the moves with numbers added to names that are taken, also by other people's photos.

    An unassigned photo must not have the name of an assigned one: the next run could confuse the two.
    """
    folder, given = SafeFolder(now.root), set[str]()
    bases = Counter(name.rpartition("/")[2] for name in now.files)
    free = []
    for old, new in moves:
        base = PurePosixPath(new).name
        reserved = {new} if new.startswith(f"{UNASSIGNED}/") and bases[base] > 1 else set()
        name = free_name(folder, new, given | reserved)
        given.add(name)
        free.append((old, name))
    return free


def _expected_after_move(
    now: CurrentResult, left: str, faces: frozenset[str], target: str
) -> dict[str, frozenset[str]]:
    """Return the expected assignments after faces left a folder for another one."""
    people = now.assignments()
    source = "single" if left == now.single_folder else f"group {left}"
    place = f"group {target}" if target else "unassigned"
    people[source] -= faces
    people[place] = people.get(place, frozenset()) | faces
    return {name: ids for name, ids in people.items() if ids}


def _change(
    now: CurrentResult,
    what: str,
    moves: list[tuple[str, str]],
    expected: Mapping[str, frozenset[str]],
    *,
    folder: str,
    faces: int,
) -> Result:
    """Move files, and make sure that the next run will read the intended assignments."""
    change = recorded_moves.move(now.root, what, now.since, moves)
    after: CurrentResult | None
    try:
        after = read_result(now.root)
    except FacesetsError:
        after = None
    except BaseException:
        recorded_moves.undo_change(now.root, change)
        raise
    if after is None or after.assignments() != expected:
        recorded_moves.undo_change(now.root, change)
        raise WrongUsage(
            "Together with earlier changes, this would be ambiguous for the next run, so nothing was "
            f"done. Run {Command('extend')} here, or {Command('refine')} for face sets, to apply the "
            "earlier changes. Then try again."
        )
    for old, _ in change.moves:
        remove_emptied_folders(in_result(now.root), old)
    return _corrected(change, folder, faces, after)


def _corrected(change: RecordedChange, folder: str, faces: int, now: CurrentResult) -> Result:
    return Result(
        change=change.change,  # the number by which it is undone
        what=change.what,
        folder=folder,  # where the faces are now; empty if they are unassigned
        faces=faces,  # that changed their place or name
        now=now,  # the result afterwards
    )
