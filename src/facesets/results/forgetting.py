"""A person taken out of a result: photos, crops, bundles, and what manifest and journal say of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from facesets.errors import WrongUsage
from facesets.files import PAGES, RUN_RECORD, printable, writing
from facesets.results.crop_names import files_of_entry
from facesets.results.current_faces import (
    PersonToErase,
    corrections_without,
    renumbered_face,
    without_faces_and_groups,
)
from facesets.results.earlier_export import EarlierExport
from facesets.results.edits.folder_contents import folder_of
from facesets.results.edits.folder_diff import read_edits
from facesets.results.edits.group_marks import mark_of
from facesets.results.edits.user_edits import SINGLETONS
from facesets.results.export_manifest import ExportedFace, ExportManifest, SetEntry, SetManifest
from facesets.results.folder_runs import locked
from facesets.results.manifest import (
    SET_MANIFEST,
    ClusterManifest,
    PlacedFile,
    RefineManifest,
    every_face,
    groups_of,
)
from facesets.results.manifest_json import manifest_bytes, manifest_file, read_any_manifest
from facesets.results.names.file_names import folded
from facesets.results.names.group_names import CANDIDATES
from facesets.results.ownership import announced_names, in_result
from facesets.results.pages.html_pages import START
from facesets.results.placement import may_remove
from facesets.results.run_records import JOURNAL
from facesets.results.safe_folder import SafeFolder

_MOSTLY = 0.5
"""An export's set with more of its faces of a person than this is that person's."""


@dataclass(frozen=True, slots=True)
class ResultForgotten:
    """What a result holds of a person, or held.

    Attributes
    ----------
    groups : list of str
        Folders that are theirs alone.
    faces, files : int
        In all folders; files that are removed, or would be.
    left : list of str
        Files that the program did not put there, or that were edited: they are the user's.
    """

    folder: str
    groups: list[str]
    faces: int
    files: int
    left: list[str]
    removed: bool


def forget_in_result(root: Path, whom: PersonToErase, *, apply: bool) -> ResultForgotten | None:
    """Remove a person from a result folder, or return what is there of them; None if nothing is.

    Raises
    ------
    WrongUsage, DamagedFile, NewerFormat
        There is no result, or its manifest cannot be read.
    CannotWrite, AlreadyRunning
        The folder cannot be written, or another run writes there.
    """
    manifest = read_any_manifest(root)
    if isinstance(manifest, ClusterManifest | RefineManifest):
        found = _of_photos(root, manifest, whom)
    elif isinstance(manifest, ExportManifest):
        found = _of_sets(root, manifest, whom)
    else:
        raise WrongUsage(f"{printable(root)} holds no people. Give a result folder with people.")
    if not (found.faces or found.groups or found.renamed):
        return None
    left = list(found.left)
    if apply:
        with locked(root):
            left += _remove(in_result(root), found)
            _remove_pages(root)
    return ResultForgotten(str(root), found.groups, found.faces, len(found.files), left, apply)


@dataclass(slots=True)
class _Found:
    """What is to be removed from a folder, and the manifest that is to take the place of the one there."""

    manifest: ClusterManifest | RefineManifest | ExportManifest
    name: str
    groups: list[str]
    faces: int
    files: dict[str, PlacedFile | None]
    left: list[str]
    sets: dict[str, SetManifest] = field(default_factory=dict)
    renamed: bool = False


def _of_photos(root: Path, manifest: ClusterManifest | RefineManifest, whom: PersonToErase) -> _Found:
    whom = whom.among(every_face(manifest))
    groups = groups_of(manifest)
    own = [group.name for group in groups if group.faces and all(map(whom.is_theirs, group.faces))]
    edits = read_edits(root, manifest.files, {*manifest.sheets, *announced_names(root)}, manifest.marks)
    for group in groups:
        called = {group.name, edits.renamed.get(group.name, group.name)}
        if group.name not in own and whom.names & set(map(folded, called)):
            own.append(group.name)
    theirs = {face.face for face in every_face(manifest) if whom.is_theirs(face)}
    files: dict[str, PlacedFile | None] = {}
    faces_in = {group.name: group.faces for group in groups}
    if isinstance(manifest, ClusterManifest):
        faces_in[SINGLETONS] = manifest.singletons
    for folder, faces in faces_in.items():
        staying = {path for face in faces if face.face not in theirs for path in face.paths}
        going = {path for face in faces if face.face in theirs for path in face.paths} - staying
        files |= {
            name: put
            for name, put in manifest.files.items()
            if folder_of(name) == folder and (put.source in going or folder in own)
        }
    kept = without_faces_and_groups(manifest, own, theirs, whom, files)
    files = {edits.moved.get(name, name): put for name, put in files.items()}
    sheets = dict.fromkeys(manifest.sheets) if theirs or own else {}
    folders = [edits.renamed.get(name, name) for name in own]
    files |= dict.fromkeys(map(mark_of, folders))
    is_other = kept != manifest
    return _Found(
        kept, manifest_file(root).name, folders, len(theirs), {**files, **sheets}, [], renamed=is_other
    )


def _of_sets(root: Path, manifest: ExportManifest, whom: PersonToErase) -> _Found:
    export = EarlierExport(root, manifest)
    own: list[SetEntry] = []
    left: list[str] = []
    others: dict[str, SetManifest] = {}
    files: dict[str, PlacedFile | None] = {}
    faces = 0
    sets = {entry.name: export.sets.read(entry.name) for entry in export.entries}
    shown = [item.face for said in sets.values() for item in (*said.faces, *said.candidates)]
    whom = whom.among([*shown, *(drop.face for said in sets.values() for drop in said.dropped)])
    for entry in export.entries:
        said = sets[entry.name]
        theirs = sum(whom.is_theirs(item.face) for item in said.faces)
        faces += theirs
        if folded(entry.name.partition("/")[0]) in whom.names or theirs > _MOSTLY * len(said.faces):
            own.append(entry)
            if not export.sets.is_linked(entry.name):
                files |= dict.fromkeys(files_of_entry(export.sets, entry))
            continue
        if theirs:
            left.append(f"{entry.name}: {theirs} of its crops; move them out and run export-swap again")
        files |= {
            f"{CANDIDATES}/{said.name}/{item.file}": None
            for item in said.candidates
            if whom.is_theirs(item.face)
        }
        kept_set = _set_without(said, whom)
        if kept_set != said and not export.sets.is_linked(entry.name):
            others[f"{entry.name}/{SET_MANIFEST}"] = kept_set
    if own:
        files |= dict.fromkeys([*manifest.sheets, *manifest.models])
    names = [entry.name for entry in own]
    kept = _export_without(manifest, own, whom)
    changed = kept != manifest or bool(others)
    return _Found(kept, manifest_file(root).name, names, faces, files, left, others, renamed=changed)


def _set_without(said: SetManifest, whom: PersonToErase) -> SetManifest:
    """The manifest of somebody else's set; crops of the person in it stay until the set is made again."""

    def kept(item: ExportedFace) -> ExportedFace:
        same = tuple(new for face in item.duplicates if (new := whom.renumbered.get(face, face)))
        return replace(item, face=renumbered_face(item.face, whom), duplicates=same)

    return replace(
        said,
        faces=tuple(map(kept, said.faces)),
        candidates=tuple(kept(item) for item in said.candidates if not whom.is_theirs(item.face)),
        dropped=tuple(
            replace(item, face=renumbered_face(item.face, whom))
            for item in said.dropped
            if not whom.is_theirs(item.face)
        ),
    )


def _export_without(manifest: ExportManifest, own: Sequence[SetEntry], whom: PersonToErase) -> ExportManifest:
    names = sorted(entry.name for entry in own)
    gone = {face for face, new in whom.renumbered.items() if not new}

    def kept(entry: SetEntry) -> SetEntry:
        return replace(entry, best=tuple(new for f in entry.best if (new := whom.renumbered.get(f, f))))

    return replace(
        manifest,
        sets=tuple(kept(entry) for entry in manifest.sets if entry not in own),
        removed=tuple(kept(entry) for entry in manifest.removed if folded(entry.name) not in whom.names),
        sheets=() if own else manifest.sheets,
        models=() if own else manifest.models,
        statements=corrections_without(manifest.statements, names, gone, whom),
        counts=manifest.counts | {"sets": len(manifest.sets) - len(own)},
    )


def _remove(folder: SafeFolder, found: _Found) -> list[str]:
    """Remove the files, write the manifest, and drop the journal; returns files that stay: the user's."""
    left: list[str] = []
    for name, put in found.files.items():
        there = folder.status(name)
        if there is None or folder.link_above(name):
            continue
        if put is not None and not may_remove(there, (put,)):
            left.append(name)
            continue
        with writing(folder.path(name)):
            folder.remove(name)
        folder.remove_empty_folders_above(name)
    left += [f"{group}/{name}" for group in found.groups for name in folder.names_in(group)]
    for name, manifest in {**found.sets, found.name: found.manifest}.items():
        with folder.writing(name) as file:
            file.write(manifest_bytes(manifest))
    if folder.exists(JOURNAL) and not folder.link_above(f"{JOURNAL}/x"):
        with writing(folder.path(JOURNAL)):
            folder.remove_tree(JOURNAL)
    return sorted(set(left))


def _remove_pages(root: Path) -> None:
    """Remove the pages that `run` makes of a result: they show faces and names, and are made again by it."""
    for above in (root, *root.absolute().parents[:2]):
        folder = SafeFolder(above)
        if folder.is_file(RUN_RECORD):
            with writing(above):
                folder.remove(START)
                if folder.exists(PAGES) and not folder.link_above(f"{PAGES}/x"):
                    folder.remove_tree(PAGES)
