"""Remove a person from a result: photos, crops, bundles, and their entries in manifest and journal."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from facesets.errors import WrongUsage
from facesets.files import PAGES, RUN_RECORD, printable, writing
from facesets.results.crop_names import files_of_entry
from facesets.results.current_faces import (
    ErasureInResult,
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
"""A set of an export is a person's if more than this share of its faces is theirs."""


@dataclass(frozen=True, slots=True)
class ResultForgotten:
    """What a result holds, or held, of a person.

    Attributes
    ----------
    groups : list of str
        Folders of only this person.
    faces, files : int
        In all folders; files that are or would be removed.
    left : list of str
        Files of the user: not put there by the program, or edited.
    """

    folder: str
    groups: list[str]
    faces: int
    files: int
    left: list[str]
    removed: bool


def forget_in_result(root: Path, person: ErasureInResult, *, apply: bool) -> ResultForgotten | None:
    """Remove a person from a result folder, or report what it holds of them; None if nothing.

    Raises
    ------
    WrongUsage, DamagedFile, NewerFormat
        There is no result, or its manifest cannot be read.
    CannotWrite, AlreadyRunning
        The folder cannot be written, or another run writes there.
    """
    manifest = read_any_manifest(root)
    if isinstance(manifest, ClusterManifest | RefineManifest):
        found = _of_photos(root, manifest, person)
    elif isinstance(manifest, ExportManifest):
        found = _of_sets(root, manifest, person)
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
    """What to remove from a folder, and its new manifest."""

    manifest: ClusterManifest | RefineManifest | ExportManifest
    name: str
    groups: list[str]
    faces: int
    files: dict[str, PlacedFile | None]
    left: list[str]
    sets: dict[str, SetManifest] = field(default_factory=dict)
    renamed: bool = False


def _of_photos(root: Path, manifest: ClusterManifest | RefineManifest, person: ErasureInResult) -> _Found:
    person = person.among(every_face(manifest))
    groups = groups_of(manifest)
    own = [group.name for group in groups if group.faces and all(map(person.is_theirs, group.faces))]
    edits = read_edits(root, manifest.files, {*manifest.sheets, *announced_names(root)}, manifest.marks)
    for group in groups:
        called = {group.name, edits.renamed.get(group.name, group.name)}
        if group.name not in own and person.names & set(map(folded, called)):
            own.append(group.name)
    theirs = {face.face for face in every_face(manifest) if person.is_theirs(face)}
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
    remaining = without_faces_and_groups(manifest, own, theirs, person, files)
    files = {edits.moved.get(name, name): put for name, put in files.items()}
    sheets = dict.fromkeys(manifest.sheets) if theirs or own else {}
    folders = [edits.renamed.get(name, name) for name in own]
    files |= dict.fromkeys(map(mark_of, folders))
    is_other = remaining != manifest
    return _Found(
        remaining, manifest_file(root).name, folders, len(theirs), {**files, **sheets}, [], renamed=is_other
    )


def _of_sets(root: Path, manifest: ExportManifest, person: ErasureInResult) -> _Found:
    export = EarlierExport(root, manifest)
    own: list[SetEntry] = []
    left: list[str] = []
    others: dict[str, SetManifest] = {}
    files: dict[str, PlacedFile | None] = {}
    faces = 0
    sets = {entry.name: export.sets.read(entry.name) for entry in export.entries}
    shown = [
        item.face
        for manifest_of_set in sets.values()
        for item in (*manifest_of_set.faces, *manifest_of_set.candidates)
    ]
    person = person.among(
        [*shown, *(drop.face for manifest_of_set in sets.values() for drop in manifest_of_set.dropped)]
    )
    for entry in export.entries:
        manifest_of_set = sets[entry.name]
        theirs = sum(person.is_theirs(item.face) for item in manifest_of_set.faces)
        faces += theirs
        if folded(entry.name.partition("/")[0]) in person.names or theirs > _MOSTLY * len(
            manifest_of_set.faces
        ):
            own.append(entry)
            if not export.sets.is_linked(entry.name):
                files |= dict.fromkeys(files_of_entry(export.sets, entry))
            continue
        if theirs:
            left.append(f"{entry.name}: {theirs} of its crops; move them out and run export-swap again")
        files |= {
            f"{CANDIDATES}/{manifest_of_set.name}/{item.file}": None
            for item in manifest_of_set.candidates
            if person.is_theirs(item.face)
        }
        remaining = _set_without(manifest_of_set, person)
        if remaining != manifest_of_set and not export.sets.is_linked(entry.name):
            others[f"{entry.name}/{SET_MANIFEST}"] = remaining
    if own:
        files |= dict.fromkeys([*manifest.sheets, *manifest.models])
    names = [entry.name for entry in own]
    remaining_export = _export_without(manifest, own, person)
    changed = remaining_export != manifest or bool(others)
    return _Found(
        remaining_export, manifest_file(root).name, names, faces, files, left, others, renamed=changed
    )


def _set_without(manifest: SetManifest, person: ErasureInResult) -> SetManifest:
    """Return another person's set without this person; crops of them stay until the set is made again."""

    def renumbered(item: ExportedFace) -> ExportedFace:
        same = tuple(new for face in item.duplicates if (new := person.renumbered.get(face, face)))
        return replace(item, face=renumbered_face(item.face, person), duplicates=same)

    return replace(
        manifest,
        faces=tuple(map(renumbered, manifest.faces)),
        candidates=tuple(renumbered(item) for item in manifest.candidates if not person.is_theirs(item.face)),
        dropped=tuple(
            replace(item, face=renumbered_face(item.face, person))
            for item in manifest.dropped
            if not person.is_theirs(item.face)
        ),
    )


def _export_without(
    manifest: ExportManifest, own: Sequence[SetEntry], person: ErasureInResult
) -> ExportManifest:
    names = sorted(entry.name for entry in own)
    removed_faces = {face for face, new in person.renumbered.items() if not new}

    def renumbered(entry: SetEntry) -> SetEntry:
        return replace(entry, best=tuple(new for f in entry.best if (new := person.renumbered.get(f, f))))

    return replace(
        manifest,
        sets=tuple(renumbered(entry) for entry in manifest.sets if entry not in own),
        removed=tuple(
            renumbered(entry) for entry in manifest.removed if folded(entry.name) not in person.names
        ),
        sheets=() if own else manifest.sheets,
        models=() if own else manifest.models,
        statements=corrections_without(manifest.statements, names, removed_faces, person),
        counts=manifest.counts | {"sets": len(manifest.sets) - len(own)},
    )


def _remove(folder: SafeFolder, found: _Found) -> list[str]:
    """Remove the files, write the manifest, and drop the journal; return the user's files, which stay."""
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
    """Remove the pages that `run` makes of a result: they show faces and names; `run` makes them again."""
    for above in (root, *root.absolute().parents[:2]):
        folder = SafeFolder(above)
        if folder.is_file(RUN_RECORD):
            with writing(above):
                folder.remove(START)
                if folder.exists(PAGES) and not folder.link_above(f"{PAGES}/x"):
                    folder.remove_tree(PAGES)
