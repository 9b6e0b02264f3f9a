"""The hidden file in the folder of a group that says which group it is, whatever the folder is called.

`.facesets-group.json` holds an id, and the manifest of the result which group has that id (`marks`). So it is
written once and stays as it is when the folder is renamed, copied, or restored from a backup. The id is made
of what the group was at first: two equal runs write equal files, and groups of two results differ.

It is a file of the result like any other: announced and journalled, and without photos beside it nothing. One
that cannot be read, or whose id the manifest does not know, counts as none.
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
_LONGEST = 1024


def mark_of(folder: str) -> str:
    """Where the file of a folder lies."""
    return f"{folder}/{GROUP_MARK}"


def is_mark(last: str) -> bool:
    """Whether a file is called like this one, or like one that a killed run left half-written."""
    return _WRITTEN.fullmatch(last) is not None


def mark_bytes(group: str) -> bytes:
    """What it holds."""
    return json_bytes({"format": _FORMAT, "version": _VERSION, "group": group})


def read_marks(root: SafeFolder, known: Collection[str]) -> dict[str, list[str]]:
    """Ids that a manifest knows, and the folders that have them; links are not followed."""
    found: dict[str, list[str]] = {}
    for folder in root.names_in() if known else ():
        group = "" if folder.startswith((".", "_")) else _group_in(root, mark_of(folder))
        if group in known:
            found.setdefault(group, []).append(folder)
    return found


class Weight(NamedTuple):
    """What of a group lies in a folder: photos that no other has, the share, all, those nobody touched."""

    own: int
    share: float
    photos: int
    untouched: int


def folders_by_mark(
    marks: Mapping[str, str],
    found: Mapping[str, Sequence[str]],
    have_own: Collection[str],
    owners: Callable[[str], Collection[str]],
    weight: Callable[[str, str], Weight],
) -> dict[str, str]:
    """The folder of each group, or set of an export, that a mark tells, if what lies there bears it out.

    That is the group's own if it has the mark, else the one with most of its photos: a copy has other times
    than a folder that was renamed.

    Parameters
    ----------
    marks : mapping
        Group to its id.
    found : mapping
        Id to the folders that have it.
    have_own : collection of str
        Groups with photos that no other group has; at least one of these has to be there.
    owners : callable
        The groups that such photos in a folder are of.
    weight : callable
        Of a group in a folder.
    """
    marked = {folder for folders in found.values() for folder in folders}
    seen = {group for group, mark in marks.items() if mark in found}
    places: dict[str, str] = {}
    for group, mark in marks.items():
        known = ((folder, weight(group, folder)) for folder in found.get(mark, ()))
        claims = {
            folder: there for folder, there in known if (there.own if group in have_own else there.photos)
        }
        if group in claims:
            places[group] = group
        elif claims:
            if group not in marked:
                # Only the mark may have been moved.
                claims[group] = weight(group, group)
            place = max(
                claims, key=lambda each: (claims[each].photos, each in marked, claims[each].untouched)
            )
            # A folder's own mark may have been replaced by that of a group that was put into it.
            rivals = {place, *owners(place)} - seen
            if all(claims[place][:3] >= weight(rival, place)[:3] for rival in rivals):
                places[group] = place
    return places


def _group_in(root: SafeFolder, name: str) -> str:
    """The id in a file; empty for anything that is not as it was written."""
    try:
        there = root.status(name)
        raw = json.loads(root.read(name)) if there and there.st_size <= _LONGEST else None
    except (OSError, ValueError, RecursionError, CannotWrite):
        return ""
    group = raw.get("group") if isinstance(raw, dict) and raw.get("format") == _FORMAT else None
    return group if isinstance(group, str) else ""


def marks_of(manifest: ClusterManifest | RefineManifest, before: Mapping[str, str]) -> dict[str, str]:
    """The id of each group: that which it has already, or one of its own."""
    made = f"{manifest.FORMAT} {manifest.made.store}"
    return {
        group.name: before.get(group.name) or _new_id(made, group.name, (face.face for face in group.faces))
        for group in groups_of(manifest)
    }


def _new_id(made: str, name: str, faces: Iterable[str]) -> str:
    text = "\0".join([made, name, *sorted(faces)])
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def remove_emptied(root: SafeFolder, name: str) -> None:
    """Remove the folders above a file that is gone, as far as nothing of the user's is in them."""
    above, _, _ = name.rpartition("/")
    if above and root.names_in(above) == [GROUP_MARK] and root.is_file(mark_of(above)):
        with writing(root.path(above)):
            root.remove(mark_of(above))
        root.remove_empty_folders_above(name)


def put_mark_back(root: SafeFolder, folder: str, group: str) -> None:
    """Let a folder that was emptied and is filled again say which group it is."""
    mark = mark_of(folder)
    if group and root.exists(folder) and not root.link_above(mark) and not root.exists(mark):
        with root.writing(mark) as file:
            file.write(mark_bytes(group))
