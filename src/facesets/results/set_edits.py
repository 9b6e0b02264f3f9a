"""What a user did to an export.

A set whose folder was renamed is called so from then on; one whose folder was deleted stays away. What was
done to single crops is told by `facesets.results.crop_edits`.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from facesets.errors import FacesetsError
from facesets.files import printable, sha256_of
from facesets.results.export_manifest import Content, ExportManifest, SetEntry, SetManifest
from facesets.results.inside import is_inside
from facesets.results.manifest import SET_MANIFEST
from facesets.results.manifest_json import read_manifest
from facesets.results.ownership import ANNOUNCEMENT
from facesets.results.pardons import read_pardons
from facesets.results.safe_folder import SafeFolder


@dataclass(frozen=True, slots=True)
class EditedSets:
    """The sets of an export after what the user did to their folders.

    Attributes
    ----------
    there : tuple of SetEntry
        By the names that they have now.
    empty : tuple of SetEntry
        Those without a face, as earlier versions made them: they go.
    removed : tuple of SetEntry
        Those that were deleted, in earlier runs or now.
    deleted : tuple of SetEntry
        Of these the ones that were deleted since the export was written.
    renamed : tuple of (str, str)
        Old and new names.
    linked : frozenset of str
        Sources of sets whose folder the user replaced by a link: they stay as they are.
    back : tuple of SetEntry
        Sets that had been deleted and whose folder lies there again.
    pardoned : tuple of SetEntry
        Sets whose deletion was taken back: they are to be made again under the names that they had.
    """

    there: tuple[SetEntry, ...] = ()
    removed: tuple[SetEntry, ...] = ()
    deleted: tuple[SetEntry, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    linked: frozenset[str] = frozenset()
    empty: tuple[SetEntry, ...] = ()
    back: tuple[SetEntry, ...] = ()
    pardoned: tuple[SetEntry, ...] = ()

    def learned(self, wanted: Collection[str]) -> list[str]:
        """A sentence for each change that is new; `wanted` are sources of sets that come back."""
        lines = [f"{printable(old)} is called {printable(new)}." for old, new in self.renamed]
        lines += [f"{printable(entry.name)} is back." for entry in self.back]
        for entry in self.deleted:
            then = "it is made again, as you ask for it" if entry.source in wanted else "it stays away"
            lines.append(f"{printable(entry.name)} was deleted: {then}.")
        linked = [printable(entry.name) for entry in self.there if entry.source in self.linked]
        return [*lines, *(f"{name} is a link: it is left as it is." for name in linked)]


def edited_sets(out: Path, before: ExportManifest) -> EditedSets:
    """Follow renamed and deleted folders. An export without any of its sets was emptied, not edited."""
    empty = tuple(entry for entry in before.sets if not entry.faces)
    entries = [entry for entry in before.sets if is_inside(entry.name) and entry.faces]
    folder = SafeFolder(out)
    links = frozenset(e.source for e in entries if folder.link_above(f"{e.name}/{SET_MANIFEST}"))
    there = [e for e in entries if e.source in links or folder.is_file(f"{e.name}/{SET_MANIFEST}")]
    lost = [e for e in entries if e.source not in links and not folder.exists(e.name)]
    if (out / ANNOUNCEMENT).is_file():
        return EditedSets(tuple(there), before.removed, linked=links, empty=empty)
    # A name that another set took meanwhile, because the user gave it to that one, brings nobody back.
    taken = {entry.name for entry in entries}
    back = tuple(e for e in before.removed if e.name not in taken and _came_back(out, e))
    there += back
    entries += back
    removed = tuple(entry for entry in before.removed if entry not in back)
    pardons = read_pardons(out)
    pardoned = tuple(entry for entry in lost if entry.name in pardons)
    lost = [entry for entry in lost if entry not in pardoned]
    unchanged = EditedSets(tuple(there), removed, linked=links, empty=empty, back=back, pardoned=pardoned)
    if not lost:
        return unchanged
    renamed = dict(_renamed_folders(out, {entry.name for entry in lost}, {entry.name for entry in there}))
    now = [
        replace(entry, name=renamed.get(entry.name, entry.name))
        for entry in entries
        if entry in there or entry.name in renamed
    ]
    if not now:
        return replace(unchanged, there=(), back=())
    deleted = tuple(entry for entry in lost if entry.name not in renamed)
    moved = {e.source for e in now if folder.link_above(f"{e.name}/{SET_MANIFEST}")}
    return replace(
        unchanged,
        linked=links | moved,
        there=tuple(now),
        removed=(*removed, *deleted),
        deleted=deleted,
        renamed=tuple(renamed.items()),
    )


def _came_back(out: Path, entry: SetEntry) -> bool:
    """Whether the folder of a set that had been deleted holds that set again."""
    name = f"{entry.name}/{SET_MANIFEST}"
    try:
        return (
            is_inside(entry.name)
            and SafeFolder(out).is_file(name)
            and read_manifest(out / entry.name / SET_MANIFEST, SetManifest).name == entry.name
        )
    except FacesetsError:
        return False


def _renamed_folders(out: Path, lost: set[str], there: set[str]) -> Iterator[tuple[str, str]]:
    """Old and new name of folders whose own manifest has the name of a lost set."""
    for path in sorted(out.glob(f"[!._]*/{SET_MANIFEST}")):
        name = path.parent.name
        if name in there or not is_inside(name):
            continue
        try:
            old = read_manifest(path, SetManifest).name
        except FacesetsError:
            continue
        if old in lost:
            lost = lost - {old}
            yield old, name


def is_untouched(path: Path, content: Content, since_ns: int) -> bool:
    """Whether a file holds what was put there; only one that is younger than its manifest is read."""
    status = path.stat()
    if status.st_size != content.size:
        return False
    return status.st_mtime_ns <= since_ns or sha256_of(path) == content.sha256


def edited_crops(out: Path, name: str, *, goes: bool = False) -> Sequence[str]:
    """Crops of a set that somebody worked on, relative to the export.

    Nothing can be told after a run that was cut off, for it may have been writing the set. If the set goes,
    whatever differs counts as worked on even then.
    """
    path = out / name / SET_MANIFEST
    if not path.is_file() or ((out / ANNOUNCEMENT).is_file() and not goes):
        return ()
    try:
        manifest = read_manifest(path, SetManifest)
    except FacesetsError:
        return ()
    since = path.stat().st_mtime_ns
    return [
        f"{name}/{item.file}"
        for item in manifest.faces
        if (content := manifest.contents.get(item.file)) is not None
        and (out / name / item.file).is_file()
        and not is_untouched(out / name / item.file, content, since)
    ]
