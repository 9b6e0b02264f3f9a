"""Restore what the user deleted from a result folder and put back: it counts as never deleted."""

import filecmp
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path, PurePosixPath

from facesets.files import printable
from facesets.results.edits.folder_contents import refuse_unusable
from facesets.results.edits.group_marks import GROUP_MARK, read_marks
from facesets.results.edits.membership import NOT, GroupMembership, corrections_of_face
from facesets.results.manifest import Correction, FaceEntry, PlacedFile
from facesets.results.names.file_names import flatten_all, folded
from facesets.results.safe_folder import SafeFolder


def restore_returned(root: Path, membership: GroupMembership) -> None:
    """Restore people with returned folders, and returned photos.

    A folder is recognized by its photos: by any of them under its own name, by most of them under another.

    Raises
    ------
    WrongUsage
        The folder that came back has a name that no group may have.
    """
    for name, folder in list(_unknown_folders(root, membership)):
        lying = (path for path in folder.iterdir() if path.is_file() and path.name != GROUP_MARK)
        photos = {folded(path.name): path for path in lying}
        found: dict[str, dict[str, Path]] = {}
        for hidden, faces in membership.hidden.items():
            there = _lying(faces, photos)
            every = {path for face in faces for path in face.paths}
            if there and (hidden == name or 2 * len(there) > max(len(photos), len(every))):
                found[hidden] = there
        if not found:
            continue
        hidden = max(found, key=lambda each: (each == name, len(found[each])))
        there = found[hidden]
        refuse_unusable(root, f"{name}/{next(iter(there.values())).name}")
        membership.groups[name] = membership.hidden.pop(hidden)
        membership.files |= {
            f"{name}/{photo.name}": _as_it_lies(photo, source) for source, photo in there.items()
        }
        membership.corrections.append(Correction("named", hidden, name=name))
        membership.learned.append(f"{printable(name)} was restored with its faces.")
    _restore_photos(root, membership)


def _unknown_folders(root: Path, membership: GroupMembership) -> Iterator[tuple[str, Path]]:
    if not membership.hidden or not root.is_dir():
        return
    marked = read_marks(SafeFolder(root), membership.marks.values())
    ours = {*membership.groups, *chain.from_iterable(marked.values())}
    for folder in sorted(root.iterdir()):
        name = folder.name
        is_ours = name in ours or name.startswith(("_", "."))
        if not is_ours and folder.is_dir() and not folder.is_symlink():
            yield name, folder


def _lying(faces: Sequence[FaceEntry], photos: dict[str, Path]) -> dict[str, Path]:
    """Return the photos of a person that lie in a folder, by their source."""
    names = flatten_all(path for face in faces for path in face.paths)
    return {source: photos[base] for source, name in names.items() if (base := folded(name)) in photos}


def _as_it_lies(photo: Path, source: str) -> PlacedFile:
    """Describe a file as ours only if it equals the photo: anything else is the user's."""
    try:
        is_same = filecmp.cmp(photo, source)
    except (OSError, ValueError):
        is_same = False
    status = photo.stat()
    return PlacedFile(source, status.st_size, status.st_mtime_ns) if is_same else PlacedFile(source, -1, -1)


def _restore_photos(root: Path, membership: GroupMembership) -> None:
    """Restore photos that were deleted one by one."""
    denied = {(each.group, each.face) for each in membership.corrections if each.kind == NOT}
    for face in list(membership.set_aside):
        for group in membership.groups:
            there = _returned(root, membership, group, face.paths) if (group, face.face) in denied else {}
            if there:
                membership.set_aside.remove(face)
                membership.groups[group].append(face)
                membership.files |= there
                membership.corrections += corrections_of_face(face.face, (), group)
                membership.learned.append(f"1 face is back in {printable(group)}.")
                break
    for correction in [each for each in membership.corrections if each.kind == "without"]:
        there = _returned(root, membership, correction.group, (correction.name,))
        if there:
            membership.files |= there
            membership.corrections.remove(correction)


def _returned(
    root: Path, membership: GroupMembership, folder: str, sources: Sequence[str]
) -> dict[str, PlacedFile]:
    """Return the photos in a folder that have the names of these sources and are not recorded."""
    names = {f"{folder}/{name}": source for source, name in flatten_all(sources).items()}
    return {
        name: _as_it_lies(root / PurePosixPath(name), source)
        for name, source in names.items()
        if name not in membership.files and (root / PurePosixPath(name)).is_file()
    }
