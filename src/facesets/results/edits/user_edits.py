"""Turn a user's changes in a result folder into corrections.

A photo moved to another person's folder shows that person; a deleted photo does not show the person of its
folder; a renamed folder names its person; photos moved to a new folder are a person of that name; a deleted
folder hides its person.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path, PurePosixPath

from facesets.errors import Command, Sentence, WrongUsage
from facesets.files import printable
from facesets.interfaces import Progress
from facesets.plurals import counted
from facesets.records import Collection as FaceCollection
from facesets.results.current_faces import with_current_ids
from facesets.results.edits.folder_contents import folder_of, in_folder
from facesets.results.edits.folder_diff import Edits, read_edits
from facesets.results.edits.membership import GroupMembership, corrections_of_face, sentence
from facesets.results.edits.moved_photos import current_paths, with_current_sources
from facesets.results.edits.returned_photos import restore_returned
from facesets.results.manifest import (
    ClusterManifest,
    Correction,
    FaceEntry,
    Group,
    PlacedFile,
    RefineManifest,
    groups_of,
)
from facesets.results.ownership import announced_names
from facesets.results.run_records import WRITING, read_restored, read_runs

SINGLETONS = "_singletons"


def read_membership(
    manifest: ClusterManifest | RefineManifest,
    root: Path,
    collection: FaceCollection,
    *,
    learns: bool = True,
) -> GroupMembership:
    """Read the people of a folder from its manifest and, if it `learns`, from the user's later changes.

    Paths are current. Errors as `apply_folder_changes`.
    """
    membership = recorded_membership(manifest, collection)
    if learns:
        apply_folder_changes(root, membership, own_names_of(manifest, root))
    return membership


def own_names_of(manifest: ClusterManifest | RefineManifest, root: Path) -> set[str]:
    """Return names besides photos that the program wrote or may have written. Raises `CannotWrite`."""
    return {*manifest.sheets, *announced_names(root)}


def recorded_membership(
    manifest: ClusterManifest | RefineManifest, collection: FaceCollection
) -> GroupMembership:
    """Read the people from a manifest alone, without the user's later changes. Paths are current."""
    manifest = with_current_ids(manifest, collection)
    paths = dict(zip(collection.images.sha256.tolist(), collection.images.paths, strict=True))

    def current(faces: Iterable[FaceEntry]) -> list[FaceEntry]:
        pairs = ((face, paths.get(face.image.encode(), face.paths)) for face in faces)
        return [face if face.paths == now else replace(face, paths=now) for face, now in pairs]

    of_people = isinstance(manifest, ClusterManifest)
    groups = groups_of(manifest)
    moved = current_paths(manifest, collection.images)
    return GroupMembership(
        groups={group.name: current(group.faces) for group in groups},
        single=current(manifest.singletons if isinstance(manifest, ClusterManifest) else ()),
        single_folder=SINGLETONS if of_people else "",
        hidden={group.name: current(group.faces) for group in manifest.hidden},
        set_aside=current(manifest.set_aside),
        files=with_current_sources(manifest.files, moved),
        corrections=[
            replace(each, name=moved.get(each.name, each.name)) if each.kind == "without" else each
            for each in manifest.statements
        ],
        current_paths=moved,
        marks=dict(manifest.marks),
    )


def warn_of_unintended_changes(membership: GroupMembership | None, out: Path, progress: Progress) -> None:
    """Warn, before anything is written, of changes that may be unintended."""
    if membership is not None:
        warn_of_deleted(membership.deleted, out, progress)
        for line in membership.warnings:
            progress.say(line)


def warn_of_deleted(names: Iterable[str], out: Path, progress: Progress) -> None:
    """Warn which folders are treated as deleted, and how to restore them."""
    for name in names:
        undo, listed = Command("undo", printable(out), "RUN"), Command("undo", printable(out))
        progress.say(
            Sentence(
                f"{printable(name)} was deleted, so this person gets no folder. If that was an accident, "
                f"put the folder back and run this again, or undo this run: {undo}, where RUN is the first "
                f"run listed by {listed}."
            )
        )


def refuse_interrupted(folder: Path, *, resumed_by: str) -> None:
    """Refuse a folder with an interrupted run, except for the command that resumes it.

    Some of its files are from before that run and some from after: they do not show what the user did.

    Raises
    ------
    WrongUsage
        There was such a run.
    DamagedFile
        The journal cannot be read.
    """
    runs = read_runs(folder)
    if runs and runs[-1].state == WRITING and runs[-1].command != resumed_by:
        raise WrongUsage(
            f"{Command(runs[-1].command)} was interrupted in {printable(folder)}. Run it again first, or "
            f"undo it: {Command('undo', printable(folder), runs[-1].name)}."
        )


def as_groups(groups: Mapping[str, Sequence[FaceEntry]]) -> tuple[Group, ...]:
    """Return folders of faces as a manifest lists them."""
    return tuple(
        Group(name, len({face.image for face in faces}), tuple(faces)) for name, faces in groups.items()
    )


def apply_folder_changes(root: Path, membership: GroupMembership, ours: Collection[str]) -> None:
    """Apply the user's changes in a folder to its membership; `ours` as in `read_edits`.

    Raises
    ------
    WrongUsage
        As `read_edits`.
    """
    restore_returned(root, membership)
    edits = read_edits(root, membership.files, ours, membership.marks)
    if edits.is_emptied:
        membership.files = {}
    edits = _without_restored(root, membership, edits)
    if not edits:
        return
    deleted = _deleted_folders(membership, edits)
    # A folder whose name another one took keeps its faces together under a free name.
    taken = membership.groups.keys() & {*edits.renamed.values()} - edits.renamed.keys()
    free = {folder: _free_name(folder, membership.groups) for folder in taken}
    renamed = {**edits.renamed, **free}
    membership.rename(edits.renamed, free)
    membership.files = {in_folder(name, renamed): put for name, put in membership.files.items()}
    names = {renamed.get(folder, folder): folder for folder in deleted}
    edits = Edits(
        {name: new for old, new in edits.moved.items() if (name := in_folder(old, renamed)) != new},
        frozenset(in_folder(name, renamed) for name in edits.deleted),
        {copy: in_folder(name, renamed) for copy, name in edits.copied.items()},
        unclear=frozenset(in_folder(name, renamed) for name in edits.unclear),
    )
    _leave_deleted_folders(membership, edits, names)
    _follow_photos(root, membership, edits)
    _hide(membership, names)
    _follow_copies(membership, edits)
    if edits.unclear:
        membership.learned.append(
            f"{counted(len(edits.unclear), 'photo was', 'photos were')} moved out of several folders at "
            "once. It is unclear which person they show now, so their faces are unassigned."
        )
    membership.groups = {name: faces for name, faces in membership.groups.items() if faces}


def _without_restored(root: Path, membership: GroupMembership, edits: Edits) -> Edits:
    """Forget photos of folders whose deletion was undone, so that the run puts them there again."""
    restored_folders = read_restored(root)
    again = frozenset(name for name in edits.deleted if folder_of(name) in restored_folders)
    membership.files = {name: put for name, put in membership.files.items() if name not in again}
    return replace(edits, deleted=edits.deleted - again, unclear=edits.unclear - again)


def _deleted_folders(membership: GroupMembership, edits: Edits) -> set[str]:
    """Return folders that the user deleted, not just emptied into others; also the one of single faces."""
    names_of = defaultdict(set)
    for name in membership.files:
        names_of[folder_of(name)].add(name)
    filled = {
        folder_of(place)
        for name, place in edits.moved.items()
        if edits.renamed.get(folder_of(name)) != folder_of(place)
    }
    return {
        folder
        for folder in (*membership.groups, membership.single_folder)
        if (names := names_of[folder])
        and folder not in edits.renamed
        and folder not in filled
        and all(name in edits.deleted or edits.moved.get(name, name) != name for name in names)
        and 2 * len(names & (edits.deleted - edits.unclear)) > len(names)
    }


def _free_name(folder: str, taken: Collection[str]) -> str:
    return next(name for number in count(2) if (name := f"{folder} ({number})") not in taken)


def _leave_deleted_folders(membership: GroupMembership, edits: Edits, names: Mapping[str, str]) -> None:
    """Forget photos that were deleted with their folder; `names` has the former name of each folder."""
    deleted_photos = {name for name in membership.files if folder_of(name) in names and name in edits.deleted}
    for folder in [*membership.groups, membership.single_folder]:
        if folder not in names:
            continue
        if folder == membership.single_folder:
            photos = [name for name in sorted(deleted_photos) if folder_of(name) == folder]
            membership.corrections += [
                Correction("without", folder, name=membership.files[name].source) for name in photos
            ]
            meaning = "its photos are not added again, but its faces may join people."
        else:
            membership.corrections.append(Correction("removed", names[folder]))
            membership.deleted.append(names[folder])
            meaning = "its faces get no folder."
        membership.learned.append(f"{printable(names[folder])} was deleted: {meaning}")
    membership.files = {name: put for name, put in membership.files.items() if name not in deleted_photos}


def _hide(membership: GroupMembership, names: Mapping[str, str]) -> None:
    """Hide the people of deleted folders; `names` as above."""
    for group in [group for group in membership.groups if group in names]:
        wish = names[group]
        # A later grouping may have reused the number of an earlier deleted folder.
        name = wish if wish not in membership.hidden else _free_name(wish, membership.hidden)
        membership.hidden[name] = membership.groups.pop(group)
        membership.marks.pop(group, None)


def _follow_photos(root: Path, membership: GroupMembership, edits: Edits) -> None:
    """Move faces to where their photos went, or out of the folder if these were deleted."""
    by_image: dict[tuple[str, str], list[str]] = defaultdict(list)
    image_of = {path: face.image for face in _all_faces(membership) for path in face.paths}
    for name, put in membership.files.items():
        if put.source in image_of:
            by_image[folder_of(name), image_of[put.source]].append(name)
        elif name in edits.deleted or name in edits.moved:
            membership.corrections.append(Correction("without", folder_of(name), name=put.source))
    counts: Counter[tuple[str, str]] = Counter()
    for (folder, image), names in by_image.items():
        touched = [name for name in names if name in edits.moved or name in edits.deleted]
        if not touched:
            continue
        away = [edits.moved[name] for name in touched if name in edits.moved]
        targets = [folder_of(name) for name in away if folder_of(name) != folder]
        if len(targets) + sum(name in edits.deleted for name in touched) == len(names):
            person = next((target for target in targets[:1] if not target.startswith("_")), "")
            counts[folder, person] += _move(membership, folder, image, targets)
        else:
            left = {membership.files[name].source for name in names if name not in edits.deleted}
            deleted = [membership.files[name].source for name in touched if name in edits.deleted]
            removed = [source for source in deleted if source not in left]
            membership.corrections += [Correction("without", folder, name=source) for source in removed]
            counts[folder, folder] += len(removed)
    _follow_files(root, membership, edits)
    for (folder, target), many in counts.items():
        if many and target == folder:
            copies = "1 copy of a photo was" if many == 1 else f"{many} copies of photos were"
            membership.learned.append(f"{copies} removed from {printable(folder)}.")
        elif many:
            membership.learned.append(sentence(many, folder, target))


def _all_faces(membership: GroupMembership) -> Iterable[FaceEntry]:
    for faces in (*membership.groups.values(), membership.single):
        yield from faces


def _move(membership: GroupMembership, folder: str, image: str, targets: Sequence[str]) -> int:
    """Move the faces of an image out of a folder, and into the first target if there is one."""
    place = membership.single if folder == membership.single_folder else membership.groups.get(folder, [])
    leaving = [face for face in place if face.image == image]
    place[:] = [face for face in place if face.image != image]
    target, person = targets[0] if targets else "", ""
    if target and target == membership.single_folder:
        membership.single += leaving
    elif target and not target.startswith("_"):
        person = target
        membership.groups.setdefault(person, []).extend(leaving)
    else:
        membership.set_aside += leaving
    left = [] if folder == membership.single_folder else [folder]
    membership.corrections += [
        each for face in leaving for each in corrections_of_face(face.face, left, person)
    ]
    return len(leaving)


def _follow_files(root: Path, membership: GroupMembership, edits: Edits) -> None:
    """Record photos under their current names; those in folders of no person are the user's."""
    files: dict[str, PlacedFile] = {}
    for name, put in membership.files.items():
        now = edits.moved.get(name, name)
        if now == name and name not in edits.deleted:
            files[name] = put
        elif now != name and (
            folder_of(now) in membership.groups or folder_of(now) == membership.single_folder
        ):
            status = (root / PurePosixPath(now)).stat()
            files[now] = replace(put, size=status.st_size, mtime_ns=status.st_mtime_ns)
    membership.files = files


def _follow_copies(membership: GroupMembership, edits: Edits) -> None:
    """Assign a copied photo to the person of its folder, if one face in it is unassigned."""
    free: dict[str, list[FaceEntry]] = defaultdict(list)
    for face in (*membership.single, *membership.set_aside):
        for path in face.paths:
            free[path].append(face)
    unknown: Counter[str] = Counter()
    for copy, name in edits.copied.items():
        if (folder := folder_of(copy)) not in membership.groups and not folder.startswith("_"):
            unknown[folder] += 1
        target, put = folder_of(copy), membership.files.get(name)
        faces = [] if put is None else free[put.source]
        group = membership.groups.get(target)
        if group is not None and len(faces) == 1 and faces[0].face not in _ids(group):
            membership.single[:] = [face for face in membership.single if face.face != faces[0].face]
            membership.set_aside[:] = [face for face in membership.set_aside if face.face != faces[0].face]
            group.append(faces[0])
            membership.files[copy] = replace(membership.files[name], size=-1, mtime_ns=-1)
            membership.corrections += corrections_of_face(faces[0].face, (), target)
            membership.learned.append(f"1 face added to {printable(target)}.")
    for folder, many in unknown.items():
        copies = "1 copy of a photo is" if many == 1 else f"{many} copies of photos are"
        membership.warnings.append(
            f"{copies} in {printable(folder)}, which has no effect while the originals stay where they "
            f"are. If they show {printable(folder)}, move the originals there."
        )


def _ids(faces: Iterable[FaceEntry]) -> set[str]:
    return {face.face for face in faces}
