"""The mark of a group: a hidden file in its folder that identifies the group, whatever the folder's name.

`.facesets-group.json` holds an id, and the manifest of the result maps groups to ids (`marks`). The file is
written once and stays the same when the folder is renamed, copied, or restored from a backup. The id is made
of the group's first content: two equal runs write equal files, and groups of two results differ.

Like any file of the result, it is announced and journalled. Without photos in the folder it has no meaning. A
mark that cannot be read, or with an id that the manifest does not know, is ignored.
"""

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from facesets.errors import CannotWrite
from facesets.files import json_bytes, writing
from facesets.results.manifest import ClusterManifest, RefineManifest, groups_of
from facesets.results.safe_folder import SafeFolder

GROUP_MARK = ".facesets-group.json"
_WRITTEN = re.compile(rf"{re.escape(GROUP_MARK)}|\.{re.escape(GROUP_MARK)}\.[0-9a-f]{{8}}\.tmp")
_FORMAT, _VERSION = "facesets/group", 1
_MAX_BYTES = 1024


def mark_of(folder: str) -> str:
    """Return the path of a folder's mark."""
    return f"{folder}/{GROUP_MARK}"


def is_mark(last: str) -> bool:
    """Whether a name is that of a mark, or of one that a killed run left half-written."""
    return _WRITTEN.fullmatch(last) is not None


def mark_bytes(group: str) -> bytes:
    """Return the content of a mark."""
    return json_bytes({"format": _FORMAT, "version": _VERSION, "group": group})


def read_marks(root: SafeFolder, known: Collection[str]) -> dict[str, list[str]]:
    """Return the folders of each known id; links are not followed."""
    found: dict[str, list[str]] = {}
    for folder in root.names_in() if known else ():
        group = "" if folder.startswith((".", "_")) else _group_in(root, mark_of(folder))
        if group in known:
            found.setdefault(group, []).append(folder)
    return found


class Weight(NamedTuple):
    """How much of a group is in a folder: photos of only this group, their share, all photos, unedited."""

    own: int
    share: float
    photos: int
    untouched: int


def folders_by_mark(
    marks: Mapping[str, str],
    found: Mapping[str, Sequence[str]],
    with_own_photos: Collection[str],
    owners: Callable[[str], Collection[str]],
    weight: Callable[[str, str], Weight],
) -> dict[str, str]:
    """Find the folder of each group, or set of an export, by marks that the files there confirm.

    It is the group's own folder if that has the mark, else the one with most of its photos: a copy has other
    times than a renamed folder.

    Parameters
    ----------
    marks : mapping
        Group to its id.
    found : mapping
        Id to the folders that have it.
    with_own_photos : collection of str
        Groups with photos that no other group has; at least one of these must be in the folder.
    owners : callable
        Returns the groups of such photos in a folder.
    weight : callable
        Returns the weight of a group in a folder.
    """
    marked = {folder for folders in found.values() for folder in folders}
    seen = {group for group, mark in marks.items() if mark in found}
    places: dict[str, str] = {}
    for group, mark in marks.items():
        known = ((folder, weight(group, folder)) for folder in found.get(mark, ()))
        claims = {
            folder: there
            for folder, there in known
            if (there.own if group in with_own_photos else there.photos)
        }
        if group in claims:
            places[group] = group
        elif claims:
            if group not in marked:
                # Perhaps only the mark was moved.
                claims[group] = weight(group, group)
            place = max(
                claims, key=lambda each: (claims[each].photos, each in marked, claims[each].untouched)
            )
            # The mark of a group that was merged into a folder may have replaced the folder's own.
            rivals = {place, *owners(place)} - seen
            if all(claims[place][:3] >= weight(rival, place)[:3] for rival in rivals):
                places[group] = place
    return places


def _group_in(root: SafeFolder, name: str) -> str:
    """Read the id in a mark; empty if the file is not as it was written."""
    try:
        there = root.status(name)
        raw = json.loads(root.read(name)) if there and there.st_size <= _MAX_BYTES else None
    except (OSError, ValueError, RecursionError, CannotWrite):
        return ""
    group = raw.get("group") if isinstance(raw, dict) and raw.get("format") == _FORMAT else None
    return group if isinstance(group, str) else ""


def marks_of(manifest: ClusterManifest | RefineManifest, before: Mapping[str, str]) -> dict[str, str]:
    """Return the id of each group: its present one, or a new one."""
    made = f"{manifest.FORMAT} {manifest.made.store}"
    return {
        group.name: before.get(group.name) or _new_id(made, group.name, (face.face for face in group.faces))
        for group in groups_of(manifest)
    }


def _new_id(made: str, name: str, faces: Iterable[str]) -> str:
    text = "\0".join([made, name, *sorted(faces)])
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def remove_emptied_folders(root: SafeFolder, name: str) -> None:
    """Remove the folders above a removed file if they hold nothing of the user's."""
    above, _, _ = name.rpartition("/")
    if above and root.names_in(above) == [GROUP_MARK] and root.is_file(mark_of(above)):
        with writing(root.path(above)):
            root.remove(mark_of(above))
        root.remove_empty_folders_above(name)


def restore_mark(root: SafeFolder, folder: str, group: str) -> None:
    """Write the mark of a folder that was emptied and filled again."""
    mark = mark_of(folder)
    if group and root.exists(folder) and not root.link_above(mark) and not root.exists(mark):
        with root.writing(mark) as file:
            file.write(mark_bytes(group))
