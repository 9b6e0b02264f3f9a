"""The manifests of the sets of an export, and a user's changes to the sets' folders.

A set takes the name of its renamed folder; a set with a deleted folder stays deleted. Changes to single crops
are found by `facesets.results.edits.crop_edits`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from facesets.errors import FacesetsError
from facesets.files import printable, sha256_of
from facesets.results.edits.group_marks import Weight, folders_by_mark
from facesets.results.export_manifest import Content, ExportManifest, SetEntry, SetManifest
from facesets.results.gates import was_taken_out
from facesets.results.inside import is_inside
from facesets.results.manifest import SET_MANIFEST
from facesets.results.manifest_json import read_manifest
from facesets.results.ownership import ANNOUNCEMENT
from facesets.results.run_records import read_restored
from facesets.results.safe_folder import SafeFolder


class SetManifests:
    """The manifests of the sets of an export, by the names of their folders."""

    def __init__(self, root: Path) -> None:
        """Name the export; nothing is read yet."""
        self.root = root
        self.folder = SafeFolder(root)
        self._read: dict[str, SetManifest] = {}

    def read(self, name: str) -> SetManifest:
        """Read the manifest of the set in a folder, which may be a link.

        Raises
        ------
        WrongUsage, DamagedFile, NewerFormat
            There is none, or it cannot be read.
        """
        if name not in self._read:
            self._read[name] = read_manifest(self.root / name / SET_MANIFEST, SetManifest)
        return self._read[name]

    def find(self, name: str) -> SetManifest | None:
        """As `read`; None if it cannot be read, or for a name that leads out of the export."""
        try:
            return self.read(name) if is_inside(name) else None
        except FacesetsError:
            return None

    def exists(self, name: str) -> bool:
        """Whether a folder of the export's own holds a set, readable or not."""
        return self.folder.is_file(f"{name}/{SET_MANIFEST}")

    def is_linked(self, name: str) -> bool:
        """Whether the folder of a set is reached through a link."""
        return bool(self.folder.link_above(f"{name}/{SET_MANIFEST}"))

    def folders(self) -> list[str]:
        """Return every top folder that holds a set."""
        return sorted(path.parent.name for path in self.root.glob(f"[!._]*/{SET_MANIFEST}"))

    def faces_of(self, name: str) -> frozenset[str]:
        """Return all faces of a set, also those that a gate dropped, except those that the user removed.

        Raises
        ------
        DamagedFile, NewerFormat
            The set's manifest cannot be read.
        """
        if not (self.root / name / SET_MANIFEST).is_file():
            return frozenset()
        manifest = self.read(name)
        dropped = [item.face.face for item in manifest.dropped if not was_taken_out(item)]
        return frozenset([*dropped, *(item.face.face for item in manifest.faces)])


@dataclass(frozen=True, slots=True)
class EditedSets:
    """The sets of an export after what the user did to their folders.

    Attributes
    ----------
    there : tuple of SetEntry
        The sets that exist, by their current names.
    removed : tuple of SetEntry
        Sets that were deleted, before or after the last run.
    deleted : tuple of SetEntry
        The sets that were deleted since the export was written.
    renamed : tuple of (str, str)
        Old and new names.
    linked : frozenset of str
        Sources of sets with a folder that the user replaced by a link: they stay as they are.
    back : tuple of SetEntry
        Sets that had been deleted, with a folder that exists again.
    restored : tuple of SetEntry
        Sets with an undone deletion: they are made again under their former names.
    """

    there: tuple[SetEntry, ...] = ()
    removed: tuple[SetEntry, ...] = ()
    deleted: tuple[SetEntry, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    linked: frozenset[str] = frozenset()
    back: tuple[SetEntry, ...] = ()
    restored: tuple[SetEntry, ...] = ()

    def learned(self, wanted: Collection[str]) -> list[str]:
        """Return a sentence for each new change; `wanted` are sources of sets that come back."""
        lines = [f"{printable(old)} was renamed to {printable(new)}." for old, new in self.renamed]
        lines += [f"{printable(entry.name)} was restored." for entry in self.back]
        for entry in self.deleted:
            then = "it is exported again, as requested" if entry.source in wanted else "it stays deleted"
            lines.append(f"{printable(entry.name)} was deleted: {then}.")
        linked = [printable(entry.name) for entry in self.there if entry.source in self.linked]
        return [*lines, *(f"{name} is a link and is left as it is." for name in linked)]


def edited_sets(before: ExportManifest, sets: SetManifests) -> EditedSets:
    """Find renamed and deleted folders. An export without any of its sets was emptied, not edited."""
    out = sets.root
    entries = [entry for entry in before.sets if is_inside(entry.name) and entry.faces]
    links = frozenset(entry.source for entry in entries if sets.is_linked(entry.name))
    if (out / ANNOUNCEMENT).is_file():
        there = tuple(e for e in entries if e.source in links or sets.exists(e.name))
        return EditedSets(there, before.removed, linked=links)
    # If the user gave the name to another set meanwhile, that folder restores no set.
    taken = {entry.name for entry in entries}
    back = tuple(e for e in before.removed if e.name not in taken and _came_back(e, sets))
    removed = tuple(entry for entry in before.removed if entry not in back)
    entries += back
    place = _places([entry for entry in entries if entry.source not in links], sets)
    place |= {entry.source: entry.name for entry in entries if entry.source in links}
    restored_folders = read_restored(out)
    lost = [e for e in entries if e.source not in place and _has_left(e, place.values(), sets)]
    restored = tuple(entry for entry in lost if entry.name in restored_folders)
    now = [replace(entry, name=place[entry.source]) for entry in entries if entry.source in place]
    deleted = tuple(entry for entry in lost if entry not in restored)
    if deleted and not now:
        return EditedSets(removed=removed, linked=links, restored=restored)
    return EditedSets(
        there=tuple(now),
        removed=(*removed, *deleted),
        deleted=deleted,
        renamed=tuple((e.name, place[e.source]) for e in entries if place.get(e.source, e.name) != e.name),
        linked=links | {entry.source for entry in now if sets.is_linked(entry.name)},
        back=back,
        restored=restored,
    )


def _came_back(entry: SetEntry, sets: SetManifests) -> bool:
    """Whether the folder of a deleted set holds that set again."""
    if not is_inside(entry.name) or not sets.exists(entry.name):
        return False
    manifest = sets.find(entry.name)
    return manifest is not None and manifest.name == entry.name


def _places(entries: Sequence[SetEntry], sets: SetManifests) -> dict[str, str]:
    """Map the source of each existing set to its folder. The manifest in a folder decides, not its name."""
    by_name = {entry.name: entry for entry in entries}
    own = [name for name in by_name if sets.exists(name)]
    found: dict[str, list[str]] = {}
    for name in filter(is_inside, dict.fromkeys([*own, *sets.folders()])):
        if manifest := sets.find(name):
            found.setdefault(manifest.name, []).append(name)

    def weight(old: str, new: str) -> Weight:
        manifest, entry = sets.find(new), by_name.get(old)
        best = entry.best if entry is not None and manifest is not None else ()
        shown = {item.face.face for item in manifest.faces}.intersection(best) if manifest else ()
        # The manifest of a set renamed long ago may still have its former name, which another set has now.
        return Weight(0, 0, len(shown) + (new == old or new not in own), 0)

    place = folders_by_mark({name: name for name in by_name}, found, (), lambda _: (), weight)
    place |= {name: name for name in own if name not in place and name not in place.values()}
    return {by_name[name].source: new for name, new in place.items()}


def _has_left(entry: SetEntry, places: Collection[str], sets: SetManifests) -> bool:
    """Whether a set's folder is missing or holds another set."""
    return entry.name in places or not sets.folder.exists(entry.name)


def is_untouched(path: Path, content: Content, since_ns: int) -> bool:
    """Whether a file has its original content; only a file newer than its manifest is read."""
    status = path.stat()
    if status.st_size != content.size:
        return False
    return status.st_mtime_ns <= since_ns or sha256_of(path) == content.sha256


def edited_crops(sets: SetManifests, name: str, *, goes: bool = False) -> Sequence[str]:
    """Return the crops of a face set that a user edited, relative to the export.

    After an interrupted run, nothing is known, because it may have been writing the set. If the set goes,
    every crop that differs counts as edited even then.
    """
    out, manifest = sets.root, sets.find(name)
    if manifest is None or ((out / ANNOUNCEMENT).is_file() and not goes):
        return ()
    since = (out / name / SET_MANIFEST).stat().st_mtime_ns
    return [
        f"{name}/{item.file}"
        for item in manifest.faces
        if (content := manifest.contents.get(item.file)) is not None
        and (out / name / item.file).is_file()
        and not is_untouched(out / name / item.file, content, since)
    ]
