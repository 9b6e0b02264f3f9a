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


def marked_places(
    marks: Mapping[str, str],
    found: Mapping[str, Sequence[str]],
    held: Callable[[str, str], tuple[int, int]],
) -> dict[str, str]:
    """The folder of each group, or set of an export, that a folder says it is; old to new.

    That is the recorded folder if it says so, else the one that holds most of it.

    Parameters
    ----------
    marks : mapping
        Recorded folder to the id.
    found : mapping
        Id to the folders that say it.
    held : function
        How much of what a recorded folder had another one holds; nothing where both numbers are 0.
    """
    marked = {folder for folders in found.values() for folder in folders}
    placed: dict[str, str] = {}
    for old, places in ((old, found[mark]) for old, mark in marks.items() if mark in found):
        if old in places:
            placed[old] = old
            continue
        # A folder without such a file may still be the group, if only the file was moved.
        others = places if old in marked else (*places, old)
        new = max(others, key=lambda each: (held(old, each), each in places))
        if any(held(old, new)):
            placed[old] = new
    return placed


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
